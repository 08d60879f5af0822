// synthetic.cpp - see synthetic.h.
#include "runtime/trainer/synthetic.h"

#include <algorithm>

namespace sinter::trainer {

namespace {

/// Random words of one tensor of a data set, four at a time.
class Words {
public:
  /// `tensor`: 2 i for input i, 2 i + 1 for the targets of output i.
  Words(int64_t seed, size_t tensor)
      : tensor(static_cast<uint32_t>(tensor)),
        key{static_cast<uint32_t>(seed),
            static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32)} {}

  void draw(size_t block, size_t sample, uint32_t words[4]) const {
    const uint32_t counter[4] = {static_cast<uint32_t>(block),
                                 static_cast<uint32_t>(sample), tensor,
                                 SINTER_STREAM_SYNTHETIC};
    sinter_philox4x32(counter, key, words);
  }

private:
  const uint32_t tensor;
  const uint32_t key[2];
};

/// `bytes[i]` of a sample: byte i % 16 of block i / 16, scaled to 0 ..
/// values-1.
void fillInputs(const Words &words, size_t samples, size_t size,
                uint32_t values, uint8_t *bytes) {
  for (size_t sample = 0; sample < samples; ++sample)
    for (size_t i = 0; i < size; i += 16) {
      uint32_t drawn[4];
      words.draw(i / 16, sample, drawn);
      for (size_t j = 0; j < std::min<size_t>(16, size - i); ++j)
        *bytes++ = static_cast<uint8_t>(
            (drawn[j / 4] >> (j % 4 * 8) & 0xff) * values >> 8);
    }
}

void fillTargets(const Words &words, size_t samples, size_t size,
                 float *values) {
  for (size_t sample = 0; sample < samples; ++sample)
    for (size_t i = 0; i < size; i += 4) {
      uint32_t drawn[4];
      words.draw(i / 4, sample, drawn);
      for (size_t j = 0; j < std::min<size_t>(4, size - i); ++j)
        *values++ = sinter_uniform01(drawn[j]);
    }
}

/// Class numbers; f32 holds them exactly, and is what all readers give.
void fillClasses(const Words &words, size_t samples, int64_t classes,
                 float *numbers) {
  for (size_t sample = 0; sample < samples; ++sample) {
    uint32_t drawn[4];
    words.draw(0, sample, drawn);
    const uint64_t number =
        uint64_t{drawn[0]} * static_cast<uint64_t>(classes) >> 32;
    numbers[sample] = static_cast<float>(number);
  }
}

} // namespace

static Array makeArray(ElementType type, Shape shape) {
  Array array;
  array.type = type;
  array.bytes.resize(static_cast<size_t>(shapeElements(shape)) *
                     (type == ElementType::U8 ? 1 : sizeof(float)));
  array.shape = std::move(shape);
  return array;
}

static bool isOfClasses(const TargetForm &form) {
  return form.kind != TargetKind::Values;
}

/// Bytes of a sample.
static double sampleBytes(const Recipe &recipe, const ModelShape &model) {
  auto bytes = static_cast<double>(shapeElements(model.input));
  for (const Shape &other : model.others)
    bytes += static_cast<double>(shapeElements(other));
  for (size_t i = 0; i < model.targets.size(); ++i)
    bytes += sizeof(float) *
             (isOfClasses(recipe.targets[i])
                  ? 1
                  : static_cast<double>(shapeElements(model.targets[i])));
  return bytes;
}

Error makeSynthetic(const Recipe &recipe, const SyntheticSource &source,
                    const ModelShape &model, Dataset &dataset,
                    std::vector<Array> &labels) {
  const double size = sampleBytes(recipe, model);
  if (static_cast<double>(source.samples) * size > machineBytes())
    return wrongInput("synthetic: expected samples that fit into the %.0f MB "
                      "of this machine, got %lld samples of %.0f bytes",
                      machineBytes() / 1e6,
                      static_cast<long long>(source.samples), size);
  const auto samples = static_cast<size_t>(source.samples);
  auto makeInput = [&](const Shape &shape, size_t input) {
    Array array =
        makeArray(ElementType::U8, withRecords(source.samples, shape));
    fillInputs({source.seed, 2 * input}, samples,
               static_cast<size_t>(shapeElements(shape)),
               static_cast<uint32_t>(source.values), array.bytes.data());
    return array;
  };
  dataset.inputs = makeInput(model.input, 0);
  dataset.others.clear();
  for (size_t i = 0; i < model.others.size(); ++i)
    dataset.others.push_back(makeInput(model.others[i], i + 1));
  labels.clear();
  for (size_t i = 0; i < model.targets.size(); ++i) {
    const Shape &shape = model.targets[i];
    const TargetForm &form = recipe.targets[i];
    const Words words(source.seed, 2 * i + 1);
    labels.push_back(
        makeArray(ElementType::F32, isOfClasses(form)
                                        ? Shape{source.samples}
                                        : withRecords(source.samples, shape)));
    if (isOfClasses(form))
      fillClasses(words, samples, form.classes, labels.back().floats());
    else
      fillTargets(words, samples, static_cast<size_t>(shapeElements(shape)),
                  labels.back().floats());
  }
  return {};
}

} // namespace sinter::trainer
