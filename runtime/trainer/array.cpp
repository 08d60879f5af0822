// array.cpp - shapes as text and number; see array.h.
#include "runtime/trainer/array.h"

#include <unistd.h>

namespace sinter::trainer {

std::string shapeText(const Shape &shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

int64_t shapeElements(const Shape &shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  return elements;
}

Shape withRecords(int64_t records, const Shape &shape) {
  Shape all = {records};
  all.insert(all.end(), shape.begin(), shape.end());
  return all;
}

double machineBytes() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<double>(sysconf(_SC_PAGESIZE));
}

} // namespace sinter::trainer
