// info.cpp - the command `info`: what was compiled, in figures.
#include "runtime/trainer/commands.h"
#include "runtime/trainer/instance.h"
#include "runtime/trainer/json.h"

#include <cstdio>

namespace sinter::trainer {

namespace {

struct NamedFunction {
  const char *name;
  const sinter_function_info *info;
};

std::vector<NamedFunction> compiledFunctions(const sinter_model &model) {
  std::vector<NamedFunction> functions;
  for (NamedFunction function : {NamedFunction{"train_step", &model.train_step},
                                 NamedFunction{"eval_step", &model.eval_step},
                                 NamedFunction{"predict", &model.predict}})
    if (function.info->run)
      functions.push_back(function);
  return functions;
}

/// Floating-point operations of one sample of a full batch.
double flopsPerSample(const sinter_kernel_info &kernel, int64_t batch) {
  return static_cast<double>(kernel.flops_per_sample) +
         static_cast<double>(kernel.flops_fixed) / static_cast<double>(batch);
}

double flopsPerSample(const sinter_function_info &function, int64_t batch) {
  double sum = 0;
  for (int64_t i = 0; i < function.num_kernels; ++i)
    sum += flopsPerSample(function.kernels[i], batch);
  return sum;
}

void writeKernels(JsonWriter &json, const sinter_function_info &function) {
  json.key("kernels").beginArray();
  for (int64_t i = 0; i < function.num_kernels; ++i) {
    const sinter_kernel_info &kernel = function.kernels[i];
    json.beginObject();
    json.key("name").value(kernel.name);
    json.key("kind").value(kernel.kind);
    json.key("tasks").value(kernel.tasks);
    json.key("flops_fixed").value(kernel.flops_fixed);
    json.key("flops_per_sample").value(kernel.flops_per_sample);
    json.key("bytes_fixed").value(kernel.bytes_fixed);
    json.key("bytes_per_sample").value(kernel.bytes_per_sample);
    json.endObject();
  }
  json.endArray();
}

/// The function that needs most: training, where it was compiled.
const sinter_function_info &mainFunction(const sinter_model &model) {
  return model.train_step.run ? model.train_step : model.predict;
}

void printJson(const sinter_model &model) {
  const WeightCount weights = countWeights(model);
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("compiler").value(model.compiler);
  json.key("target").value(model.target_cpu);
  json.key("batch_bound").value(model.batch_bound);
  json.key("parameters").value(weights.all());
  json.key("trainable_parameters").value(weights.trained);
  json.key("memory").beginObject();
  json.key("arena_bytes").value(mainFunction(model).arena_bytes);
  json.key("lower_bound_bytes").value(mainFunction(model).arena_lower_bound);
  json.key("state_bytes").value(model.state_bytes);
  json.endObject();
  json.key("functions").beginObject();
  for (const NamedFunction &function : compiledFunctions(model)) {
    json.key(function.name).beginObject();
    json.key("arena_bytes").value(function.info->arena_bytes);
    json.key("lower_bound_bytes").value(function.info->arena_lower_bound);
    json.key("flops_per_sample")
        .value(flopsPerSample(*function.info, model.batch_bound));
    writeKernels(json, *function.info);
    json.endObject();
  }
  json.endObject();
  json.endObject();
  std::fputs(json.finish().c_str(), stdout);
}

void print(const sinter_model &model) {
  const WeightCount weights = countWeights(model);
  std::printf("model       %s\n"
              "compiler    %s\n"
              "target      %s\n"
              "batch       1 to %lld\n"
              "parameters  %lld, of which %lld are trained\n"
              "state       %lld bytes\n",
              model.name, model.compiler, model.target_cpu,
              static_cast<long long>(model.batch_bound),
              static_cast<long long>(weights.all()),
              static_cast<long long>(weights.trained),
              static_cast<long long>(model.state_bytes));
  for (const NamedFunction &function : compiledFunctions(model)) {
    std::printf(
        "\n%s: arena %lld bytes (lower bound %lld), %.3f MFLOP a sample\n",
        function.name, static_cast<long long>(function.info->arena_bytes),
        static_cast<long long>(function.info->arena_lower_bound),
        flopsPerSample(*function.info, model.batch_bound) / 1e6);
    for (int64_t i = 0; i < function.info->num_kernels; ++i) {
      const sinter_kernel_info &kernel = function.info->kernels[i];
      std::printf("  %-44s %-16s %4lld tasks %9.3f MFLOP\n", kernel.name,
                  kernel.kind, static_cast<long long>(kernel.tasks),
                  flopsPerSample(kernel, model.batch_bound) / 1e6);
    }
  }
}

} // namespace

Error runInfo(const sinter_model &model, const Options &options) {
  if (options.json)
    printJson(model);
  else
    print(model);
  return {};
}

} // namespace sinter::trainer
