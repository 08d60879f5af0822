// predict.cpp - the command `predict`: an input file to an output file.
//
// The output is .npy (f32, the input's records first) or .csv (a line a
// record), told by its name. It is written batch by batch. With --argmax it
// holds one number a record (npy: i32): the class with the largest output, by
// the label that the training data had.
#include "runtime/trainer/array_files.h"
#include "runtime/trainer/commands.h"
#include "runtime/trainer/output.h"
#include "runtime/trainer/pass.h"

#include <algorithm>

namespace sinter::trainer {

namespace {

enum class OutputForm { Npy, Csv };

} // namespace

static Error chooseForm(const std::string &path, OutputForm &form) {
  size_t dot = std::min(path.rfind('.'), path.size());
  std::string extension = path.substr(dot);
  form = extension == ".csv" ? OutputForm::Csv : OutputForm::Npy;
  if (extension == ".csv" || extension == ".npy")
    return {};
  return wrongUsage("--output: expected a file name that ends in .npy or .csv, "
                    "got '%s'",
                    path.c_str());
}

static Shape outputShape(const sinter_model &model, int64_t records) {
  const sinter_tensor_info &info = model.predict.outputs[0];
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

/// Where the last dimension of a record is largest.
static Error checkArgmax(const sinter_model &model) {
  const sinter_tensor_info &info = model.predict.outputs[0];
  if (info.rank == 2 && info.shape[1] >= 2)
    return {};
  return wrongInput(
      "--argmax: expected an output of at least 2 classes, got "
      "shape %s",
      shapeText({info.shape + 1, info.shape + info.rank}).c_str());
}

static void writeClasses(Output &output, OutputForm form, const ClassMap &map,
                         const float *values, int64_t rows, int64_t columns) {
  std::string text;
  for (int64_t i = 0; i < rows; ++i) {
    const float *row = values + i * columns;
    const int32_t label = map.label(
        static_cast<int32_t>(std::max_element(row, row + columns) - row));
    if (form == OutputForm::Csv)
      text += std::to_string(label) + "\n";
    else
      output.write(&label, sizeof label);
  }
  output.write(text);
}

Error runPredict(const sinter_model &model, const Options &options) {
  Recipe recipe;
  OutputForm form;
  if (Error error = checkCompiled(model, model.predict, "prediction"))
    return error;
  if (Error error = readRecipe(model, recipe))
    return error;
  if (Error error = chooseForm(options.output, form))
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
  Array inputs;
  const ModelShape shape = modelShape(model.predict);
  if (Error error = loadInputs(options.input, shape, inputs))
    return error;

  Output output;
  if (Error error = output.open(options.output))
    return error;
  const int64_t records = inputs.records();
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
    batch.gatherInputs(inputs, first, count);
    sinter_call call = instance.call(batch.input(), nullptr, count);
    predict.run(&call);
    const float *values = instance.output(0);
    if (options.argmax)
      writeClasses(output, form, instance.classes, values, count, columns);
    else if (form == OutputForm::Npy)
      output.write(values,
                   static_cast<size_t>(count * columns) * sizeof(float));
    else
      writeCsv(output, values, count, columns);
  }
  return output.commit();
}

} // namespace sinter::trainer
