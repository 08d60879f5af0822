// predict.cpp - the command `predict`: an input file to an output file.
//
// The output is .npy (f32, the input's records first) or .csv (a line a
// record), told by its name, and written batch by batch; or .npz, an array for
// each of the model's outputs, which are whole in memory first. With --argmax
// it holds one number a record (npy: i32): the class with the largest output,
// by the label that the training data had; a label that is a text is one in
// .csv, and its place among all labels in .npy.
#include "runtime/trainer/array_files.h"
#include "runtime/trainer/commands.h"
#include "runtime/trainer/npz_writer.h"
#include "runtime/trainer/output.h"
#include "runtime/trainer/pass.h"
#include "runtime/trainer/zip_directory.h"

#include <algorithm>

namespace sinter::trainer {

namespace {

enum class OutputForm { Npy, Csv, Npz };

} // namespace

static std::string outputNames(const sinter_model &model) {
  std::string names;
  for (int64_t i = 0; i < model.predict.num_outputs; ++i)
    names += (i ? ", " : "") + std::string(model.predict.outputs[i].name);
  return names;
}

static Error chooseForm(const sinter_model &model, const Options &options,
                        OutputForm &form) {
  const std::string &path = options.output;
  size_t dot = std::min(path.rfind('.'), path.size());
  std::string extension = path.substr(dot);
  form = extension == ".csv"   ? OutputForm::Csv
         : extension == ".npz" ? OutputForm::Npz
                               : OutputForm::Npy;
  const bool isKnown =
      extension == ".csv" || extension == ".npy" || extension == ".npz";
  if (!isKnown)
    return wrongUsage("--output: expected a file name that ends in .npy, .npz "
                      "or .csv, got '%s'",
                      path.c_str());
  if (options.argmax && model.predict.num_outputs > 1)
    return wrongUsage("--argmax: expected a model of one output, got %s",
                      outputNames(model).c_str());
  if (model.predict.num_outputs > 1 && form != OutputForm::Npz)
    return wrongUsage("--output: expected a file name that ends in .npz, since "
                      "the model has several outputs (%s), got '%s'",
                      outputNames(model).c_str(), path.c_str());
  if (options.argmax && form == OutputForm::Npz)
    return wrongUsage("--argmax: expected an --output that ends in .npy or "
                      ".csv, got '%s'",
                      path.c_str());
  return {};
}

static Shape outputShape(const sinter_model &model, int64_t records,
                         int64_t output = 0) {
  const sinter_tensor_info &info = model.predict.outputs[output];
  Shape shape(info.shape, info.shape + info.rank);
  shape[0] = records;
  return shape;
}

static void writeCsv(Output &output, const float *values, int64_t rows,
                     int64_t columns) {
  std::string text;
  for (int64_t i = 0; i < rows * columns; ++i)
    text += format("%.9g%c", values[i], (i + 1) % columns ? ',' : '\n');
  output.write(text);
}

/// Whether the only output is one of classes.
static Error checkArgmax(const sinter_model &model) {
  const sinter_tensor_info &info = model.predict.outputs[0];
  if (info.rank == 2 && info.shape[1] >= 2)
    return {};
  return wrongInput(
      "--argmax: expected an output of at least 2 classes, got "
      "shape %s",
      shapeText({info.shape + 1, info.shape + info.rank}).c_str());
}

/// In quotes where it has to be.
static std::string csvField(const std::string &text) {
  if (text.find_first_of(",\"") == text.npos)
    return text;
  std::string quoted = "\"";
  for (char c : text)
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

static void writeClasses(Output &output, OutputForm form, const ClassMap &map,
                         const float *values, int64_t rows, int64_t columns) {
  std::string text;
  for (int64_t i = 0; i < rows; ++i) {
    const float *row = values + i * columns;
    const auto number =
        static_cast<int32_t>(std::max_element(row, row + columns) - row);
    const int32_t label = map.label(number);
    if (form == OutputForm::Csv)
      text += (map.isOfTexts() ? csvField(map.name(number))
                               : std::to_string(label)) +
              "\n";
    else
      output.write(&label, sizeof label);
  }
  output.write(text);
}

/// An archive of more than the inputs, and targets of the outputs, is a
/// mistake: perhaps a misspelled name, perhaps another model's data. Archives
/// of one array are loadInputs'.
static Error checkMembers(const sinter_function_info &predict,
                          const std::vector<std::string> &paths) {
  const std::string ending = ".npz";
  if (paths.size() != 1 || paths[0].size() < ending.size() ||
      paths[0].compare(paths[0].size() - ending.size(), ending.size(),
                       ending) != 0)
    return {};
  std::string path = paths[0], expected;
  std::vector<std::string> members;
  for (int64_t i = 0; i < predict.num_inputs; ++i) {
    const std::string name = predict.inputs[i].name;
    if (predict.num_inputs > 1 &&
        path.compare(0, name.size() + 1, name + "=") == 0)
      return {}; // NAME=FILE, and a file is missing
    expected += (i ? ", " : "") + name;
  }
  if (Error error = listZipMembers(path, members))
    return error;
  if (members.size() <= 1)
    return {};
  for (const std::string &member : members) {
    bool isKnown = false;
    for (int64_t i = 0; i < predict.num_inputs; ++i)
      isKnown |= member == std::string(predict.inputs[i].name) + ".npy";
    for (int64_t i = 0; i < predict.num_outputs; ++i)
      isKnown |= member == std::string(predict.outputs[i].name) + ".npy";
    if (!isKnown)
      return wrongInput("%s: expected no arrays but the model's inputs (%s), "
                        "got '%s'",
                        path.c_str(), expected.c_str(),
                        member.substr(0, member.rfind(".npy")).c_str());
  }
  return {};
}

static Error readInputs(const sinter_model &model, const Options &options,
                        const ModelShape &shape, Dataset &dataset) {
  const sinter_function_info &predict = model.predict;
  if (Error error = checkMembers(predict, options.inputs))
    return error;
  if (predict.num_inputs > 1)
    return loadInputs(options.inputs, shape, dataset);
  if (options.inputs.size() > 1)
    return wrongInput("--input: expected one file, since the model has one "
                      "input, got %zu",
                      options.inputs.size());
  return loadInputs(options.inputs[0], predict.inputs[0].name, shape,
                    dataset.inputs);
}

/// Places for all results.
static std::vector<NamedArray> makeArrays(const sinter_model &model,
                                          int64_t records) {
  std::vector<NamedArray> arrays;
  for (int64_t i = 0; i < model.predict.num_outputs; ++i)
    arrays.push_back(
        {model.predict.outputs[i].name, outputShape(model, records, i), {}});
  return arrays;
}

Error runPredict(const sinter_model &model, const Options &options) {
  Recipe recipe;
  OutputForm form;
  if (Error error = checkCompiled(model, model.predict, "prediction"))
    return error;
  if (Error error = readRecipe(model, recipe))
    return error;
  if (Error error = chooseForm(model, options, form))
    return error;
  if (options.argmax)
    if (Error error = checkArgmax(model))
      return error;
  Instance instance;
  if (Error error = instance.create(model, options.threads, 0))
    return error;
  if (!options.weights.empty())
    if (Error error = instance.load(options.weights))
      return error;
  if (options.argmax)
    if (Error error = settleClasses(recipe, options.weights, instance.classes))
      return error;
  Dataset dataset;
  const ModelShape shape = modelShape(model, model.predict);
  if (Error error = readInputs(model, options, shape, dataset))
    return error;
  if (Error error = checkTableRows(recipe, shape, options.inputs[0], dataset))
    return error;

  const int64_t records = dataset.samples();
  std::vector<NamedArray> arrays; // for Npz
  if (form == OutputForm::Npz) {
    arrays = makeArrays(model, records);
    if (Error error = checkNpzSize(options.output, arrays))
      return error;
  }
  Output output;
  if (Error error = output.open(options.output))
    return error;
  const int64_t columns = shapeElements(outputShape(model, 1));
  if (form == OutputForm::Npy)
    output.write(options.argmax ? npyHeader({records}, "<i4")
                                : npyHeader(outputShape(model, records)));
  Batch batch(recipe, shape, model.batch_bound);
  // One function for all of the file.
  const sinter_function_info &predict =
      *sinter_predict_for(&model, std::min(model.batch_bound, records));
  for (int64_t first = 0; first < records; first += model.batch_bound) {
    int64_t count = std::min(model.batch_bound, records - first);
    batch.gatherInputs(dataset, first, count);
    sinter_call call = instance.call(batch.arguments(), count);
    predict.run(&call);
    const float *values = instance.output(0);
    if (options.argmax)
      writeClasses(output, form, instance.classes, values, count, columns);
    else if (form == OutputForm::Npy)
      output.write(values,
                   static_cast<size_t>(count * columns) * sizeof(float));
    else if (form == OutputForm::Csv)
      writeCsv(output, values, count, columns);
    for (size_t i = 0; i < arrays.size(); ++i) {
      const float *own = instance.output(static_cast<int64_t>(i));
      arrays[i].values.insert(
          arrays[i].values.end(), own,
          own + count * shapeElements(
                            outputShape(model, 1, static_cast<int64_t>(i))));
    }
  }
  if (form == OutputForm::Npz)
    writeNpz(output, arrays);
  return output.commit();
}

} // namespace sinter::trainer
