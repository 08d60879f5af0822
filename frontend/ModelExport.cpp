// ModelExport.cpp - picks the writer; and NumPy's archives, which need no more
// than a header before each tensor.
//
// An .npz file has each parameter under the name that it has in safetensors
// files: numpy.load("w.npz")["conv2d/kernel"].
#include "frontend/ModelExport.h"

#include "frontend/Layers.h"
#include "frontend/ZipFile.h"

#include "runtime/output_file.h"

#include <cstring>

using namespace sinter::frontend;
using llvm::StringRef;

bool sinter::frontend::writeFile(const std::string &path, StringRef bytes,
                                 Diagnostics &diagnostics) {
  sinter_output_file file;
  int error = sinter_output_open(&file, path.c_str());
  if (error == 0) {
    sinter_output_write(&file, bytes.data(), bytes.size());
    error = sinter_output_commit(&file);
  }
  if (error != 0)
    diagnostics.error({}, "cannot write " + path + ": " + std::strerror(error));
  return error == 0;
}

/// Version 1.0 of NumPy's format: magic, length of the header, the header as a
/// Python dict filled up with blanks to a multiple of 64, the numbers.
static std::string toNpy(const ImportedWeight &weight) {
  std::string shape;
  for (int64_t size : weight.shape)
    shape += std::to_string(size) + ", ";
  std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  const size_t before = 10; // magic, version, length
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char *>(weight.values.data()),
               weight.values.size() * sizeof(float));
  return bytes;
}

ExportResult sinter::frontend::exportNpz(const ExportSource &source,
                                         const std::string &path,
                                         Diagnostics &diagnostics) {
  std::vector<ZipEntry> entries;
  for (const ImportedWeight &weight : source.weights)
    entries.push_back({weight.name + ".npy", toNpy(weight)});
  std::string wrong = writeZip(path, entries);
  if (wrong.empty())
    return ExportResult::Done;
  diagnostics.error({}, "cannot write " + path + ": " + wrong);
  return ExportResult::NotWritten;
}

ExportResult sinter::frontend::exportModel(const ExportSource &source,
                                           const std::string &path,
                                           Diagnostics &diagnostics) {
  StringRef name = path;
  if (name.ends_with(".npz"))
    return exportNpz(source, path, diagnostics);
  if (name.ends_with(".h5") || name.ends_with(".hdf5"))
    return exportKerasHdf5(source, path, diagnostics);
  if (name.ends_with(".keras"))
    return exportKerasArchive(source, path, diagnostics);
  if (name.ends_with(".onnx"))
    return exportOnnx(source, path, diagnostics);
  diagnostics.error({}, "--output: expected a file name that ends in .h5, "
                        ".keras, .npz or .onnx, got '" +
                            printable(path) + "'");
  return ExportResult::Refused;
}
