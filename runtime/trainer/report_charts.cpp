// report_charts.cpp - curves and the memory plan; see report_charts.h.
//
// Lines are drawn in an inner SVG that is stretched to the chart's size; their
// width is not (non-scaling-stroke). All else has percent coordinates.
#include "runtime/trainer/report_charts.h"

#include "runtime/trainer/error.h"
#include "runtime/trainer/markup.h"

#include <algorithm>
#include <cmath>

namespace sinter::trainer {

/// Two decimals at most: a hundredth of a percent is below a pixel.
static std::string coordinate(double value) {
  std::string text = format("%.2f", value);
  while (text.back() == '0')
    text.pop_back();
  if (text.back() == '.')
    text.pop_back();
  return text;
}

static std::string at(double percentage) {
  return coordinate(percentage) + "%";
}

static std::string textAt(const char *kind, double x, double y, int dx, int dy,
                          const std::string &text) {
  return format("<text class=\"%s\" x=\"%s\" y=\"%s\" dx=\"%d\" dy=\"%d\">",
                kind, at(x).c_str(), at(y).c_str(), dx, dy) +
         escaped(text) + "</text>\n";
}

static std::string lineAt(const char *kind, double x1, double y1, double x2,
                          double y2) {
  return format(
      "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n", kind,
      at(x1).c_str(), at(y1).c_str(), at(x2).c_str(), at(y2).c_str());
}

/// A path through percent coordinates.
static std::string stretchedPath(const std::string &kind,
                                 const std::string &path) {
  return "<svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" "
         "width=\"100%\" height=\"100%\" overflow=\"visible\"><path class=\"" +
         kind + "\" vector-effect=\"non-scaling-stroke\" d=\"" + path +
         "\"/></svg>\n";
}

// ---- Curves -----------------------------------------------------------------

namespace {

/// Where values lie in a chart of curves.
class Scale {
public:
  explicit Scale(const std::vector<Curve> &curves) {
    double low = INFINITY, high = -INFINITY;
    for (const Curve &curve : curves) {
      epochs = std::max(epochs, curve.values->size());
      for (double value : *curve.values) {
        if (!std::isfinite(value))
          continue;
        low = std::min(low, value);
        high = std::max(high, value);
      }
    }
    if (low > high)
      low = 0, high = 1; // nothing to draw
    if (high - low <= 1e-9 * std::fabs(high)) {
      const double room = high == 0 ? 1 : std::fabs(high) / 10;
      low -= room, high += room;
    }
    ticks = niceTicks(low, high, 4);
  }

  double x(size_t epoch) const {
    return epochs < 2 ? 50
                      : 100 * (static_cast<double>(epoch) - 1) /
                            (static_cast<double>(epochs) - 1);
  }
  double y(double value) const {
    return 100 * (ticks.back() - value) / (ticks.back() - ticks.front());
  }

  size_t epochs = 0;
  std::vector<double> ticks;
};

} // namespace

static const char *kindOf(const Curve &curve) {
  return curve.isValidation ? "val" : "train";
}

static const char *nameOf(const Curve &curve) {
  return curve.isValidation ? "validation" : "training";
}

/// All ticks of an axis with the decimals that its step needs.
static std::string tickText(double tick, double step) {
  if (step < 1e-4 || step >= 1e4)
    return format("%.4g", std::fabs(tick) < step / 100 ? 0 : tick);
  int decimals = 0;
  for (double rest = step; std::fabs(rest - std::round(rest)) > 1e-6 * rest;
       rest *= 10)
    ++decimals;
  // A zero that rounding moved must not become "-0".
  return format("%.*f", decimals, std::fabs(tick) < step / 100 ? 0 : tick);
}

static std::string drawAxes(const Scale &scale) {
  std::string svg;
  const double step = scale.ticks[1] - scale.ticks[0];
  for (double tick : scale.ticks) {
    const double y = scale.y(tick);
    svg += lineAt(tick == scale.ticks.front() ? "axis" : "grid-line", 0, y, 100,
                  y);
    svg += textAt("y", 0, y, -8, 0, tickText(tick, step));
  }
  for (int64_t epoch : wholeTicks(static_cast<int64_t>(scale.epochs), 10))
    svg += textAt("x", scale.x(static_cast<size_t>(epoch)), 100, 0, 18,
                  std::to_string(epoch));
  return svg + textAt("x", 50, 100, 0, 36, "epoch");
}

static std::string drawBest(const Scale &scale, size_t best) {
  const double x = scale.x(best);
  const char *anchor = x < 20 ? "start" : x > 80 ? "end" : "middle";
  return lineAt("mark", x, 0, x, 100) +
         format("<text x=\"%s\" y=\"-8\" text-anchor=\"%s\">best: epoch "
                "%zu</text>\n",
                at(x).c_str(), anchor, best);
}

static std::string drawCurve(const Scale &scale, const Curve &curve,
                             size_t best) {
  std::string path, dots;
  bool isDown = false;
  for (size_t i = 0; i < curve.values->size(); ++i) {
    const double value = (*curve.values)[i];
    const bool isDrawn = std::isfinite(value);
    if (isDrawn) {
      const double x = scale.x(i + 1), y = scale.y(value);
      path += (isDown ? "L" : "M") + coordinate(x) + " " + coordinate(y);
      if (scale.epochs <= 30 || i + 1 == best)
        dots +=
            format("<circle class=\"dot %s%s\" cx=\"%s\" cy=\"%s\" "
                   "r=\"%s\"/>\n",
                   kindOf(curve), i + 1 == best ? " best" : "", at(x).c_str(),
                   at(y).c_str(), i + 1 == best ? "5" : "3.5");
    }
    isDown = isDrawn;
  }
  return stretchedPath(std::string("line ") + kindOf(curve), path) + dots;
}

/// A strip for each epoch that tells its figures to a pointer at rest.
static std::string drawHits(const Scale &scale,
                            const std::vector<Curve> &curves) {
  std::string svg;
  if (scale.epochs > 200)
    return svg;
  const double width =
      100 / std::max(1.0, static_cast<double>(scale.epochs) - 1);
  for (size_t epoch = 1; epoch <= scale.epochs; ++epoch) {
    std::string title = format("epoch %zu", epoch);
    for (const Curve &curve : curves)
      if (epoch <= curve.values->size())
        title += format("\n%s %s", nameOf(curve),
                        figure((*curve.values)[epoch - 1]).c_str());
    const double left = std::max(0.0, scale.x(epoch) - width / 2);
    const double right = std::min(100.0, scale.x(epoch) + width / 2);
    svg += format("<rect class=\"hit\" x=\"%s\" width=\"%s\" "
                  "height=\"100%%\"><title>%s</title></rect>\n",
                  at(left).c_str(), at(right - left).c_str(), title.c_str());
  }
  return svg;
}

std::string renderCurves(const std::string &name,
                         const std::vector<Curve> &curves, size_t best) {
  const Scale scale(curves);
  std::string legend, said = name + " by epoch.", lines;
  for (const Curve &curve : curves) {
    const size_t count = curve.values->size();
    const std::string last =
        figure(count ? curve.values->back() : static_cast<double>(NAN));
    legend += format("<span class=\"%s\"><span class=\"key\"></span>%s "
                     "<b>%s</b>",
                     kindOf(curve), nameOf(curve), last.c_str());
    said += format(" %s: ends at %s", nameOf(curve), last.c_str());
    if (best > 0 && best <= count && best != count) {
      const std::string value = figure((*curve.values)[best - 1]);
      legend += ", best epoch <b>" + value + "</b>";
      said += format(", %s in the best epoch, %zu", value.c_str(), best);
    }
    legend += "</span>\n";
    said += ".";
    lines += drawCurve(scale, curve, best);
  }
  std::string html = "<figure class=\"card\"><figcaption><h3>" + escaped(name) +
                     "</h3><div class=\"legend\">" + legend +
                     "</div></figcaption>\n<div class=\"plot\"><svg "
                     "role=\"img\" aria-label=\"" +
                     escaped(said) + "\">\n" + drawAxes(scale);
  if (best > 0)
    html += drawBest(scale, best);
  return html + lines + drawHits(scale, curves) + "</svg></div></figure>\n";
}

// ---- Memory -----------------------------------------------------------------

namespace {

/// A buffer's rectangle. One that takes its operand's place shares a kernel
/// with it: each gets half of the column.
struct Rectangle {
  double begin, end; // in kernels
};

struct MemoryChart {
  const sinter_function_info &function;
  const std::string model;
  std::vector<std::string> layers = {}; // in order of appearance

  double x(double kernel) const {
    return 100 * kernel / static_cast<double>(function.num_kernels);
  }
  double y(double bytes) const {
    return 100 - 100 * bytes / static_cast<double>(function.arena_bytes);
  }

  Rectangle place(int64_t index) const;
  std::string layerOf(const char *name) const;
  size_t colorOf(const char *name);
  std::string drawBuffer(int64_t index);
  std::string drawAxes() const;
  std::string drawLive() const;
  std::string legend() const;
};

constexpr size_t layerColors = 8;  // .l0 to .l7; .l8 is for no layer
constexpr double pixelsHigh = 340; // in the page's style
constexpr double narrow = 18;      // percent; no room for a label on a phone

} // namespace

static bool shareBytes(const sinter_buffer_info &a,
                       const sinter_buffer_info &b) {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

Rectangle MemoryChart::place(int64_t index) const {
  const sinter_buffer_info &buffer = function.buffers[index];
  Rectangle result = {static_cast<double>(buffer.first_kernel),
                      static_cast<double>(buffer.last_kernel) + 1};
  for (int64_t i = 0; i < function.num_buffers; ++i) {
    const sinter_buffer_info &other = function.buffers[i];
    if (i == index || !shareBytes(buffer, other))
      continue;
    if (other.first_kernel == buffer.last_kernel &&
        other.first_kernel > buffer.first_kernel)
      result.end -= 0.5;
    if (other.last_kernel == buffer.first_kernel &&
        other.first_kernel < buffer.first_kernel)
      result.begin += 0.5;
  }
  return result;
}

/// "hidden" of "hidden: matmul+add"; empty for the model itself.
std::string MemoryChart::layerOf(const char *name) const {
  const std::string text = name;
  std::string layer = text.substr(0, text.find(':'));
  return layer == model ? "" : layer;
}

size_t MemoryChart::colorOf(const char *name) {
  const std::string layer = layerOf(name);
  if (layer.empty())
    return layerColors;
  auto found = std::find(layers.begin(), layers.end(), layer);
  const auto index = static_cast<size_t>(found - layers.begin());
  if (found == layers.end())
    layers.push_back(layer);
  return index % layerColors;
}

std::string MemoryChart::drawBuffer(int64_t index) {
  const sinter_buffer_info &buffer = function.buffers[index];
  const Rectangle place = this->place(index);
  const auto bytes = static_cast<double>(buffer.bytes);
  const double share = bytes / static_cast<double>(function.arena_bytes);
  const double top = y(static_cast<double>(buffer.offset) + bytes);
  std::string svg =
      format("<svg class=\"l%zu\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\">"
             "<title>%s\n%s (%s bytes) at %s\nkernels %lld to %lld</title>"
             "<rect class=\"buffer\" width=\"100%%\" height=\"100%%\"/>",
             colorOf(buffer.name), at(x(place.begin)).c_str(), at(top).c_str(),
             at(x(place.end - place.begin)).c_str(), at(100 * share).c_str(),
             escaped(buffer.name).c_str(), readableBytes(bytes).c_str(),
             grouped(buffer.bytes).c_str(), grouped(buffer.offset).c_str(),
             static_cast<long long>(buffer.first_kernel + 1),
             static_cast<long long>(buffer.last_kernel + 1));
  const std::string layer = layerOf(buffer.name);
  const double width = x(place.end - place.begin);
  const double height = share * pixelsHigh;
  auto label = [&](int line, const std::string &text) {
    svg += format("<text class=\"in%s\" x=\"6\" y=\"%d\">",
                  width < narrow ? " slim" : "", 15 * line) +
           text + "</text>";
  };
  if (width >= narrow / 3 && height >= 20)
    label(1, escaped(layer.empty() ? model : layer));
  if (width >= narrow / 3 && height >= 36)
    label(2, readableBytes(bytes));
  return svg + "</svg>\n";
}

std::string MemoryChart::drawAxes() const {
  std::string svg;
  const auto arena = static_cast<double>(function.arena_bytes);
  double unit = 1;
  while (arena / unit >= 1024)
    unit *= 1024;
  for (double tick : niceTicks(0, arena / unit, 4)) {
    const double height = y(tick * unit);
    if (height < -0.01)
      continue;
    svg += lineAt(tick == 0 ? "axis" : "grid-line", 0, height, 100, height);
    // Not into the arena's own label.
    if (height > 6)
      svg += textAt("y", 0, height, -8, 0, readableBytes(tick * unit));
  }
  svg += lineAt("mark", 0, 0, 100, 0);
  svg += textAt("y", 0, 0, -8, 0, readableBytes(arena));
  if (function.arena_lower_bound < function.arena_bytes) {
    const double bound = y(static_cast<double>(function.arena_lower_bound));
    svg += lineAt("mark", 0, bound, 100, bound);
  }
  for (int64_t kernel : wholeTicks(function.num_kernels, 10))
    svg += textAt("x", x(static_cast<double>(kernel) - 0.5), 100, 0, 18,
                  std::to_string(kernel));
  return svg + textAt("x", 50, 100, 0, 36, "kernels in the order they run");
}

/// Bytes in use at each kernel, in cache lines as the planner counts them.
static std::vector<double> liveBytes(const sinter_function_info &function) {
  std::vector<double> live(static_cast<size_t>(function.num_kernels));
  for (size_t kernel = 0; kernel < live.size(); ++kernel) {
    // Bytes that change hands in this kernel count once.
    std::vector<std::pair<int64_t, int64_t>> parts;
    for (int64_t i = 0; i < function.num_buffers; ++i) {
      const sinter_buffer_info &buffer = function.buffers[i];
      const auto step = static_cast<int64_t>(kernel);
      if (buffer.first_kernel <= step && step <= buffer.last_kernel)
        parts.emplace_back(buffer.offset,
                           buffer.offset + (buffer.bytes + 63) / 64 * 64);
    }
    std::sort(parts.begin(), parts.end());
    int64_t end = 0;
    for (auto [first, last] : parts) {
      if (last > end)
        live[kernel] += static_cast<double>(last - std::max(first, end));
      end = std::max(end, last);
    }
  }
  return live;
}

std::string MemoryChart::drawLive() const {
  std::string path;
  double kernel = 0;
  for (double bytes : liveBytes(function)) {
    const std::string height = coordinate(y(bytes));
    path += (path.empty() ? "M" : "L") + coordinate(x(kernel)) + " " + height;
    path += "L" + coordinate(x(kernel + 1)) + " " + height;
    ++kernel;
  }
  return stretchedPath("live", path);
}

std::string MemoryChart::legend() const {
  std::string html;
  for (size_t i = 0; i < layers.size(); ++i)
    html += format("<span class=\"l%zu\"><span class=\"key box\"></span>",
                   i % layerColors) +
            escaped(layers[i]) + "</span>\n";
  return html + "<span><span class=\"key\" style=\"--c:var(--ink)\"></span>"
                "bytes in use</span>\n";
}

static std::string kernelTable(const sinter_function_info &function,
                               int64_t batch) {
  std::string html =
      "<details><summary>Kernels and buffers as tables</summary><div "
      "class=\"scroll\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"Kernels and buffers\"><table class=\"rows\"><thead><tr><th "
      "scope=\"col\">Kernel</th><th scope=\"col\">Kind</th><th class=\"n\" "
      "scope=\"col\">MFLOP a step</th></tr></thead><tbody>\n";
  for (int64_t i = 0; i < function.num_kernels; ++i) {
    const sinter_kernel_info &kernel = function.kernels[i];
    html += format("<tr><th scope=\"row\">%lld. %s</th><td>%s</td><td "
                   "class=\"n\">%.3f</td></tr>\n",
                   static_cast<long long>(i + 1), escaped(kernel.name).c_str(),
                   escaped(kernel.kind).c_str(),
                   static_cast<double>(kernel.flops_fixed +
                                       kernel.flops_per_sample * batch) /
                       1e6);
  }
  html += "</tbody></table><table class=\"rows\"><thead><tr><th "
          "scope=\"col\">Buffer, stored by</th><th scope=\"col\">Kernels</th>"
          "<th class=\"n\" scope=\"col\">Bytes</th></tr></thead><tbody>\n";
  for (int64_t i = 0; i < function.num_buffers; ++i) {
    const sinter_buffer_info &buffer = function.buffers[i];
    html += format("<tr><th scope=\"row\">%s</th><td>%lld to %lld</td><td "
                   "class=\"n\">%s</td></tr>\n",
                   escaped(buffer.name).c_str(),
                   static_cast<long long>(buffer.first_kernel + 1),
                   static_cast<long long>(buffer.last_kernel + 1),
                   grouped(buffer.bytes).c_str());
  }
  return html + "</tbody></table></div></details>";
}

std::string renderMemory(const char *name, const sinter_function_info &function,
                         const sinter_model &model) {
  if (function.num_buffers == 0 || function.arena_bytes == 0)
    return "";
  MemoryChart chart{function, model.name};
  const auto arena = static_cast<double>(function.arena_bytes);
  const auto bound = static_cast<double>(function.arena_lower_bound);
  std::string rectangles;
  for (int64_t i = 0; i < function.num_buffers; ++i)
    rectangles += chart.drawBuffer(i);
  const std::string verdict =
      function.arena_bytes == function.arena_lower_bound
          ? "exactly the lower bound"
          : format("%.1f %% above the lower bound of %s",
                   100 * (arena / bound - 1), readableBytes(bound).c_str());
  const std::string said =
      format("Memory of %s: %lld buffers in an arena of %s, %s, over %lld "
             "kernels.",
             name, static_cast<long long>(function.num_buffers),
             readableBytes(arena).c_str(), verdict.c_str(),
             static_cast<long long>(function.num_kernels));
  return format("<figure class=\"card\"><figcaption><h3>Arena of %s: %s, "
                "%s</h3><div class=\"legend\">",
                name, readableBytes(arena).c_str(), verdict.c_str()) +
         chart.legend() +
         "</div></figcaption>\n<div class=\"plot tall\"><svg role=\"img\" "
         "aria-label=\"" +
         escaped(said) + "\">\n" + chart.drawAxes() + rectangles +
         chart.drawLive() + "</svg></div>\n" +
         kernelTable(function, model.batch_bound) + "</figure>\n";
}

} // namespace sinter::trainer
