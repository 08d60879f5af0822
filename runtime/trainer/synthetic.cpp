// synthetic.cpp - see synthetic.h.
#include "runtime/trainer/synthetic.h"

#include <algorithm>

namespace sinter::trainer {

namespace {

/// Random words of one data set, four at a time.
class Words {
public:
  explicit Words(int64_t seed)
      : key{static_cast<uint32_t>(seed),
            static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32)} {}

  void draw(size_t block, size_t sample, bool isTarget, uint32_t words[4]) {
    const uint32_t counter[4] = {static_cast<uint32_t>(block),
                                 static_cast<uint32_t>(sample),
                                 isTarget ? 1u : 0u, SINTER_STREAM_SYNTHETIC};
    sinter_philox4x32(counter, key, words);
  }

private:
  const uint32_t key[2];
};

/// `bytes[i]` of a sample: byte i % 16 of block i / 16, scaled to 0 ..
/// values-1.
void fillInputs(Words &words, size_t samples, size_t size, uint32_t values,
                uint8_t *bytes) {
  for (size_t sample = 0; sample < samples; ++sample)
    for (size_t i = 0; i < size; i += 16) {
      uint32_t drawn[4];
      words.draw(i / 16, sample, /*isTarget=*/false, drawn);
      for (size_t j = 0; j < std::min<size_t>(16, size - i); ++j)
        *bytes++ = static_cast<uint8_t>(
            (drawn[j / 4] >> (j % 4 * 8) & 0xff) * values >> 8);
    }
}

void fillTargets(Words &words, size_t samples, size_t size, float *values) {
  for (size_t sample = 0; sample < samples; ++sample)
    for (size_t i = 0; i < size; i += 4) {
      uint32_t drawn[4];
      words.draw(i / 4, sample, /*isTarget=*/true, drawn);
      for (size_t j = 0; j < std::min<size_t>(4, size - i); ++j)
        *values++ = sinter_uniform01(drawn[j]);
    }
}

/// Class numbers; f32 holds them exactly, and is what all readers give.
void fillClasses(Words &words, size_t samples, int64_t classes,
                 float *numbers) {
  for (size_t sample = 0; sample < samples; ++sample) {
    uint32_t drawn[4];
    words.draw(0, sample, /*isTarget=*/true, drawn);
    const uint64_t number =
        uint64_t{drawn[0]} * static_cast<uint64_t>(classes) >> 32;
    numbers[sample] = static_cast<float>(number);
  }
}

} // namespace

Error makeSynthetic(const Recipe &recipe, const SyntheticSource &source,
                    const ModelShape &model, Array &inputs, Array &labels) {
  const bool areClasses = recipe.targetKind != TargetKind::Values;
  const int64_t inputSize = shapeElements(model.input);
  const int64_t targetSize = areClasses ? 1 : shapeElements(model.target);
  const auto size = static_cast<double>(inputSize) +
                    static_cast<double>(targetSize) * sizeof(float);
  if (static_cast<double>(source.samples) * size > machineBytes())
    return wrongInput("synthetic: expected samples that fit into the %.0f MB "
                      "of this machine, got %lld samples of %.0f bytes",
                      machineBytes() / 1e6,
                      static_cast<long long>(source.samples), size);
  const auto samples = static_cast<size_t>(source.samples);
  Words words(source.seed);
  inputs.type = ElementType::U8;
  inputs.shape = withRecords(source.samples, model.input);
  inputs.bytes.resize(samples * static_cast<size_t>(inputSize));
  fillInputs(words, samples, static_cast<size_t>(inputSize),
             static_cast<uint32_t>(source.values), inputs.bytes.data());
  labels.type = ElementType::F32;
  labels.shape = areClasses ? Shape{source.samples}
                            : withRecords(source.samples, model.target);
  labels.bytes.resize(samples * static_cast<size_t>(targetSize) *
                      sizeof(float));
  if (areClasses)
    fillClasses(words, samples, recipe.classes, labels.floats());
  else
    fillTargets(words, samples, static_cast<size_t>(targetSize),
                labels.floats());
  return {};
}

} // namespace sinter::trainer
