// benchmark_table.cpp - a measurement as a table for people and as JSON.
#include "runtime/trainer/benchmark.h"
#include "runtime/trainer/error.h"
#include "runtime/trainer/json.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sinter::trainer {

std::string KernelTime::layer() const {
  const char *colon = std::strstr(kernel->name, ": ");
  return colon ? std::string(kernel->name, colon) : kernel->name;
}

double Measurement::percentOfRoof(const KernelTime &time) const {
  const double bandwidth = levelOf(time).bytesPerSecond;
  const double least = std::max(time.flops / machineOf(time).flopsPerSecond,
                                bandwidth > 0 ? time.bytes / bandwidth : 0);
  return 100 * least / time.seconds;
}

double Measurement::kernelSeconds() const {
  double sum = 0;
  for (const KernelTime &time : kernels)
    sum += time.seconds;
  return sum;
}

double Measurement::allBarrierSeconds() const {
  return barrierSeconds *
         static_cast<double>(
             std::count_if(kernels.begin(), kernels.end(),
                           [](const auto &time) { return time.threads > 1; }));
}

static void printCounts(const Measurement &measured, const KernelTime &time) {
  const auto &[cycles, instructions, misses] = time.counts;
  if (measured.counted[0])
    std::printf(" %11.0f", cycles);
  if (measured.counted[0] && measured.counted[1])
    std::printf(" %6.2f", instructions / std::max(cycles, 1.0));
  if (measured.counted[2])
    std::printf(" %10.0f", misses);
}

void printBenchmark(const Measurement &measured) {
  std::printf("%s, batch %lld, %d thread%s: %.4f ms (median of %lld)\n"
              "FMA peak %.1f GFLOP/s; triad",
              measured.function, static_cast<long long>(measured.batch),
              measured.threads, measured.threads == 1 ? "" : "s",
              measured.stepSeconds * 1e3,
              static_cast<long long>(measured.rounds),
              measured.all.flopsPerSecond / 1e9);
  for (const MemoryLevel &level : measured.all.levels)
    std::printf("%s %s %.1f", &level == measured.all.levels.data() ? "" : ",",
                level.name, level.bytesPerSecond / 1e9);
  std::printf(" GB/s\n\n%10s %3s %10s %8s %8s %6s %5s", "ms", "thr", "GFLOP/s",
              "% peak", "GB/s", "% roof", "from");
  if (measured.counted[0])
    std::printf(" %11s", "cycles");
  if (measured.counted[0] && measured.counted[1])
    std::printf(" %6s", "IPC");
  if (measured.counted[2])
    std::printf(" %10s", "misses");
  std::printf("  layer: kernel\n");
  for (const KernelTime &time : measured.kernels) {
    std::printf("%10.4f %3d %10.2f %8.1f %8.2f %6.1f %5s", time.seconds * 1e3,
                time.threads, time.flops / time.seconds / 1e9,
                measured.percentOfPeak(time), time.bytes / time.seconds / 1e9,
                measured.percentOfRoof(time), measured.levelOf(time).name);
    printCounts(measured, time);
    std::printf("  %s\n", time.kernel->name);
  }
  if (!measured.notCounted.empty())
    std::printf("\nnot counted by the processor: %s\n",
                measured.notCounted.c_str());
  const double step = measured.stepSeconds;
  std::printf(
      "\nstep %.4f ms; sum of %zu kernels %.4f ms (%.1f %%), of it "
      "about %.4f ms (%.1f %%) barriers; gathering a batch %.4f ms "
      "(%.1f %%)\n",
      step * 1e3, measured.kernels.size(), measured.kernelSeconds() * 1e3,
      100 * measured.kernelSeconds() / step, measured.allBarrierSeconds() * 1e3,
      100 * measured.allBarrierSeconds() / step, measured.gatherSeconds * 1e3,
      100 * measured.gatherSeconds / step);
}

static void writeKernel(JsonWriter &json, const Measurement &measured,
                        const KernelTime &time) {
  json.beginObject();
  json.key("name").value(time.kernel->name);
  json.key("layer").value(time.layer());
  json.key("kind").value(time.kernel->kind);
  json.key("tasks").value(time.kernel->tasks);
  json.key("threads").value(time.threads);
  json.key("ms").value(time.seconds * 1e3);
  json.key("flops").value(time.flops);
  json.key("bytes").value(time.bytes);
  json.key("gflops").value(time.flops / time.seconds / 1e9);
  json.key("gbps").value(time.bytes / time.seconds / 1e9);
  json.key("percent_of_peak").value(measured.percentOfPeak(time));
  json.key("roof_percent").value(measured.percentOfRoof(time));
  json.key("memory").value(measured.levelOf(time).name);
  for (size_t i = 0; i < Counters::count; ++i)
    if (measured.counted[i])
      json.key(Counters::names[i]).value(time.counts[i]);
  json.endObject();
}

void printBenchmarkJson(const sinter_model &model,
                        const Measurement &measured) {
  JsonWriter json;
  json.beginObject();
  json.key("model").value(model.name);
  json.key("target").value(model.target_cpu);
  json.key("function").value(measured.function);
  json.key("batch").value(measured.batch);
  json.key("threads").value(measured.threads);
  json.key("rounds").value(measured.rounds);
  json.key("peak_gflops").value(measured.all.flopsPerSecond / 1e9);
  json.key("triad_gbps").beginObject();
  for (const MemoryLevel &level : measured.all.levels)
    json.key(level.name).value(level.bytesPerSecond / 1e9);
  json.endObject();
  json.key("step_ms").value(measured.stepSeconds * 1e3);
  json.key("kernels_ms").value(measured.kernelSeconds() * 1e3);
  json.key("barriers_ms").value(measured.allBarrierSeconds() * 1e3);
  json.key("gather_ms").value(measured.gatherSeconds * 1e3);
  if (!measured.notCounted.empty())
    json.key("not_counted").value(measured.notCounted);
  json.key("kernels").beginArray();
  for (const KernelTime &time : measured.kernels)
    writeKernel(json, measured, time);
  json.endArray();
  json.endObject();
  std::fputs(json.finish().c_str(), stdout);
}

} // namespace sinter::trainer
