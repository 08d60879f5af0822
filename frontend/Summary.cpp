// Summary.cpp - layers, shapes and parameter counts, as Keras 3 prints them.
//
// A chain of layers is shown as a Sequential model: no row for the input. A
// model that branches is shown as a Functional one: with the input, and with a
// column that says what each layer reads. Columns have Keras's widths, and text
// that is longer goes on in the next line; columns grow only for a single word
// that is longer, which Keras would break.
#include "frontend/Summary.h"

#include "frontend/Catalog.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace sinter::frontend;
using llvm::StringRef;

namespace {

struct Column {
  StringRef title;
  size_t width; // of the text; a space on each side comes on top
  bool right = false;
};

using Row = std::vector<std::string>;

} // namespace

static int64_t countOf(const Parameter &parameter) {
  int64_t count = 1;
  for (int64_t size : parameter.shape)
    count *= size;
  return count;
}

ParameterCount sinter::frontend::countParameters(const ModelBuilder &model) {
  ParameterCount result;
  for (const LayerRecord &layer : model.layers())
    for (const Parameter &parameter : layer.parameters)
      (parameter.trainable ? result.trainable : result.frozen) +=
          countOf(parameter);
  return result;
}

std::string sinter::frontend::groupedNumber(int64_t number) {
  std::string text = std::to_string(number);
  for (int i = static_cast<int>(text.size()) - 3; i > 0; i -= 3)
    text.insert(static_cast<size_t>(i), ",");
  return text;
}

std::string sinter::frontend::readableSize(double bytes) {
  static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit)
    bytes /= 1024;
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::format("%.2f", bytes) << ' ' << units[unit];
  return text;
}

static std::string repeat(StringRef text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i)
    result += text;
  return result;
}

/// `text` in lines of at most `width` characters, where words allow.
static std::vector<std::string> wrap(StringRef text, size_t width) {
  std::vector<std::string> lines;
  for (StringRef word : llvm::split(text, ' ')) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= width)
      lines.back() += " " + word.str();
    else
      lines.push_back(word.str());
  }
  return lines;
}

static void printTable(llvm::raw_ostream &os, std::vector<Column> columns,
                       llvm::ArrayRef<Row> rows) {
  for (const Row &row : rows)
    for (auto [column, cell] : llvm::zip(columns, row))
      for (const std::string &line : wrap(cell, column.width))
        column.width = std::max(column.width, line.size());

  auto rule = [&](StringRef left, StringRef line, StringRef cross,
                  StringRef right) {
    os << left;
    for (auto [i, column] : llvm::enumerate(columns))
      os << (i ? cross : "") << repeat(line, column.width + 2);
    os << right << '\n';
  };
  auto print = [&](StringRef bar, auto &&cellOf) {
    for (auto [i, column] : llvm::enumerate(columns)) {
      StringRef cell = cellOf(i);
      std::string space(column.width - cell.size(), ' ');
      os << bar << ' ' << (column.right ? space : "") << cell
         << (column.right ? "" : space) << ' ';
    }
    os << bar << '\n';
  };
  rule("┏", "━", "┳", "┓");
  print("┃", [&](size_t i) { return columns[i].title; });
  rule("┡", "━", "╇", "┩");
  for (auto [i, row] : llvm::enumerate(rows)) {
    if (i)
      rule("├", "─", "┼", "┤");
    std::vector<std::vector<std::string>> cells;
    size_t height = 0;
    for (auto [column, cell] : llvm::zip(columns, row)) {
      cells.push_back(wrap(cell, column.width));
      height = std::max(height, cells.back().size());
    }
    for (size_t line = 0; line < height; ++line)
      print("│", [&](size_t j) {
        return line < cells[j].size() ? StringRef(cells[j][line]) : "";
      });
  }
  rule("└", "─", "┴", "┘");
}

static bool isChain(const ModelBuilder &model) {
  for (auto [i, layer] : llvm::enumerate(model.layers()))
    if (i > 0 && (layer.inputs.size() != 1 || layer.inputs[0].layer() != i - 1))
      return false;
  return true;
}

static std::string shapeText(const LayerRecord &layer) {
  std::string text = "(None";
  for (int64_t size : layer.shape)
    text += ", " + std::to_string(size);
  return text + ")";
}

static int64_t parametersOf(const LayerRecord &layer) {
  int64_t count = 0;
  for (const Parameter &parameter : layer.parameters)
    count += countOf(parameter);
  return count;
}

static StringRef classOf(const LayerRecord &layer) {
  return tableOf(Kind::Layer).find(layer.config.name)->className;
}

static Row rowOf(const ModelBuilder &model, const LayerRecord &layer,
                 bool connections) {
  Row row = {layer.name + " (" + classOf(layer).str() + ")", shapeText(layer),
             layer.sharedWith ? "shared" : groupedNumber(parametersOf(layer))};
  if (connections) {
    std::string from;
    for (Tensor input : layer.inputs)
      from += (from.empty() ? "" : ", ") + model.layers()[input.layer()].name +
              "[0][0]";
    row.push_back(from.empty() ? "-" : from);
  }
  return row;
}

void sinter::frontend::printSummary(llvm::raw_ostream &os,
                                    const ModelBuilder &model) {
  const bool chain = isChain(model);
  std::vector<Column> columns =
      chain ? std::vector<Column>{{"Layer (type)", 31},
                                  {"Output Shape", 22},
                                  {"Param #", 13, /*right=*/true}}
            : std::vector<Column>{{"Layer (type)", 23},
                                  {"Output Shape", 20},
                                  {"Param #", 12, /*right=*/true},
                                  {"Connected to", 20}};
  std::vector<Row> rows;
  for (const LayerRecord &layer : model.layers().drop_front(chain ? 1 : 0))
    rows.push_back(rowOf(model, layer, !chain));
  os << "Model: \"" << model.name() << "\"\n";
  printTable(os, std::move(columns), rows);
  auto total = [&](StringRef what, int64_t count) {
    os << ' ' << what << " params: " << groupedNumber(count) << " ("
       << readableSize(4.0 * static_cast<double>(count)) << ")\n";
  };
  ParameterCount parameters = countParameters(model);
  total("Total", parameters.trainable + parameters.frozen);
  total("Trainable", parameters.trainable);
  total("Non-trainable", parameters.frozen);
}

std::string sinter::frontend::summaryRecipe(const ModelBuilder &model) {
  std::string lines;
  for (const LayerRecord &layer :
       model.layers().drop_front(isChain(model) ? 1 : 0))
    lines += "summary.layer=" + layer.name + "|" + classOf(layer).str() + "|" +
             shapeText(layer) + "|" + std::to_string(parametersOf(layer)) +
             "\n";
  return lines;
}
