// TuningFile.cpp - reads and writes tuning files; see TuningFile.h.
#include "frontend/TuningFile.h"

#include "frontend/SpecFile.h"
#include "frontend/YamlTree.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::StringRef;

/// Of what a file may say and how; raised when that changes.
static constexpr StringRef kFormat = "1";

mlir::DictionaryAttr
sinter::frontend::choicesAttribute(const Choices &choices,
                                   mlir::MLIRContext &context) {
  mlir::Builder builder(&context);
  mlir::NamedAttrList kernels;
  for (const auto &[key, knobs] : choices) {
    mlir::NamedAttrList values;
    for (const auto &[knob, value] : knobs)
      values.set(knob, builder.getStringAttr(value));
    kernels.set(key, values.getDictionary(&context));
  }
  return kernels.getDictionary(&context);
}

std::string sinter::frontend::writeTuning(const Choices &choices,
                                          StringRef compiler,
                                          StringRef targetCpu) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "# How this model's kernels are cut, measured by `sinter compile "
        "--tune`. Later\n"
        "# compilations read it where it lies beside the spec, or by --tuning "
        "FILE.\n"
     << "tuning: " << kFormat << "\ncompiler: " << compiler
     << "\ntarget_cpu: " << targetCpu << "\nkernels:";
  if (choices.empty())
    os << " {}";
  os << '\n';
  for (const auto &[key, knobs] : choices) {
    os << "  " << key << ": {";
    llvm::interleaveComma(knobs, os, [&](const auto &entry) {
      os << entry.first << ": " << entry.second;
    });
    os << "}\n";
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

TuningFile::TuningFile(const std::string &path, StringRef compiler,
                       StringRef targetCpu) {
  auto content = readText(path);
  if (const auto *error = std::get_if<std::error_code>(&content)) {
    reports = std::make_unique<Diagnostics>(path);
    reports->error({}, "cannot read the tuning file: " + error->message());
    return;
  }
  const std::string &text = std::get<std::string>(content);
  reports = std::make_unique<Diagnostics>(path, text);
  parse(text, compiler, targetCpu);
}

TuningFile::TuningFile(const std::string &path, std::string text,
                       StringRef compiler, StringRef targetCpu) {
  reports = std::make_unique<Diagnostics>(path, text);
  parse(text, compiler, targetCpu);
}

TuningFile::~TuningFile() { reports->print(llvm::errs()); }

void TuningFile::parse(StringRef text, StringRef compiler,
                       StringRef targetCpu) {
  std::optional<YamlNode> root = parseYaml(text, *reports);
  if (!root)
    return;
  const std::vector<StringRef> known = {"tuning", "compiler", "target_cpu",
                                        "kernels"};
  if (!root->isMap()) {
    reports->error(root->loc, "expected a map with the keys " +
                                  joinNames(known) + ", got " +
                                  root->describe());
    return;
  }
  for (const YamlEntry &entry : root->entries)
    if (!llvm::is_contained(known, entry.key))
      reports->error(entry.keyLoc, "unknown key '" + printable(entry.key) +
                                       "'" + didYouMean(entry.key, known) +
                                       "; expected " + joinNames(known));
  for (StringRef key : known)
    if (!root->find(key))
      reports->error({}, "missing key '" + key.str() +
                             "': expected a file written by sinter compile "
                             "--tune");
  if (!isGood())
    return;

  const YamlNode &format = *root->find("tuning");
  if (!format.isScalar() || format.text != kFormat) {
    reports->error(format.loc, "expected format " + kFormat.str() +
                                   " of tuning files, got " +
                                   format.describe() + "; run --tune again");
    return;
  }
  for (StringRef key : {"compiler", "target_cpu"})
    if (const YamlNode &node = *root->find(key); !node.isScalar())
      reports->error(node.loc,
                     key.str() + ": expected a name, got " + node.describe());
  const YamlNode &kernels = *root->find("kernels");
  if (!kernels.isMap() && !kernels.isNull())
    reports->error(kernels.loc, "kernels: expected a map from kernels to "
                                "their choices, got " +
                                    kernels.describe());
  for (const YamlEntry &kernel : kernels.entries) {
    places[kernel.key] = kernel.keyLoc;
    if (kernel.key.empty()) {
      reports->error(kernel.keyLoc, "expected a kernel, got nothing");
      continue;
    }
    if (!kernel.value.isMap()) {
      reports->error(kernel.value.loc,
                     "expected choices like {tile: 8x3}, got " +
                         kernel.value.describe());
      continue;
    }
    for (const YamlEntry &choice : kernel.value.entries)
      if (choice.key.empty())
        reports->error(choice.keyLoc, "expected a choice, got nothing");
      else if (choice.value.isScalar() && !choice.value.isNull())
        read[kernel.key][choice.key] = choice.value.text;
      else
        reports->error(choice.value.loc, printable(choice.key) +
                                             ": expected a value like 8x3, "
                                             "got " +
                                             choice.value.describe());
  }
  if (!isGood())
    return;

  const YamlNode &maker = *root->find("compiler"),
                 &cpu = *root->find("target_cpu");
  if (cpu.text != targetCpu) {
    reports->warning(cpu.loc, "measured on " + printable(cpu.text) +
                                  ", but this compiles for " + targetCpu.str() +
                                  ": none of it is used; run --tune there");
    read.clear();
    return;
  }
  if (maker.text != compiler)
    reports->warning(maker.loc, "measured with " + printable(maker.text) +
                                    ", but this is " + compiler.str() +
                                    ": used where it fits; better run --tune "
                                    "again");
}

//===----------------------------------------------------------------------===//
// Against a model
//===----------------------------------------------------------------------===//

std::vector<ChoiceRecord>
sinter::frontend::allChoices(const ModelRecord &record) {
  std::vector<ChoiceRecord> choices;
  for (const FunctionRecord *function : {&record.predict, &record.predictOne,
                                         &record.evalStep, &record.trainStep})
    for (const KernelRecord &kernel : function->kernels)
      llvm::append_range(choices, kernel.choices);
  return choices;
}

void TuningFile::compare(const ModelRecord &record) {
  std::map<std::string, std::map<std::string, std::vector<std::string>>> asked;
  for (ChoiceRecord &choice : allChoices(record))
    asked[choice.key][choice.knob] = std::move(choice.values);
  auto names = [](const auto &map) {
    std::vector<StringRef> keys;
    for (const auto &entry : map)
      keys.push_back(entry.first);
    return keys;
  };
  for (const auto &[key, knobs] : read) {
    SourceLoc place = places.at(key);
    auto kernel = asked.find(key);
    if (kernel == asked.end()) {
      reports->warning(place, "this model has no kernel '" + printable(key) +
                                  "' with a choice: ignored" +
                                  didYouMean(key, names(asked)));
      continue;
    }
    for (const auto &[knob, value] : knobs) {
      auto known = kernel->second.find(knob);
      if (known == kernel->second.end()) {
        reports->warning(place, "this kernel has no choice of '" +
                                    printable(knob) + "', but of " +
                                    joinNames(names(kernel->second)) +
                                    ": ignored");
        continue;
      }
      const std::vector<std::string> &possible = known->second;
      if (llvm::is_contained(possible, value))
        continue;
      std::vector<StringRef> some(possible.begin(), possible.end());
      some.resize(std::min<size_t>(some.size(), 8));
      reports->warning(place,
                       knob + ": '" + printable(value) +
                           "' is not possible here: ignored; expected "
                           "one of " +
                           joinNames(some) +
                           (possible.size() > some.size() ? ", ..." : ""));
    }
  }
}

std::string sinter::frontend::tuningBeside(StringRef spec) {
  llvm::SmallString<128> path(spec);
  llvm::sys::path::replace_extension(path, "tuning");
  return path.str().str();
}
