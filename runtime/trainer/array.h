// array.h - a data set's numbers as they lie in memory: row-major, records
// first. Bytes stay bytes (a quarter of the memory); everything else becomes
// f32 while it is read.
#ifndef SINTER_TRAINER_ARRAY_H
#define SINTER_TRAINER_ARRAY_H

#include "runtime/trainer/large_pages.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sinter::trainer {

using Shape = std::vector<int64_t>;

/// "(28, 28)"
std::string shapeText(const Shape &shape);
int64_t shapeElements(const Shape &shape);
/// (records, shape...)
Shape withRecords(int64_t records, const Shape &shape);

/// This machine's memory, in bytes: no data set may ask for more.
double machineBytes();

enum class ElementType { U8, F32 };

struct Array {
  ElementType type = ElementType::F32;
  Shape shape; // shape[0] counts the records
  LargeBytes bytes;

  int64_t records() const { return shape.empty() ? 0 : shape[0]; }
  Shape recordShape() const { return {shape.begin() + 1, shape.end()}; }
  int64_t recordElements() const {
    int64_t elements = 1;
    for (size_t i = 1; i < shape.size(); ++i)
      elements *= shape[i];
    return elements;
  }

  float *floats() { return reinterpret_cast<float *>(bytes.data()); }
  const float *floats() const {
    return reinterpret_cast<const float *>(bytes.data());
  }
  float at(int64_t element) const {
    size_t i = static_cast<size_t>(element);
    return type == ElementType::U8 ? bytes[i] : floats()[i];
  }
};

} // namespace sinter::trainer

#endif
