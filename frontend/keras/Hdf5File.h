// Hdf5File.h - what an HDF5 file holds, read so that it can do no harm.
//
// Problem: libhdf5 may crash, loop or ask for any amount of memory when a file
// is damaged, and a model file comes from anywhere.
// Idea: the library reads in a child process of limited memory and time, which
// sends plain records (texts of attributes, numbers of datasets) through a
// pipe. A child that dies is one clear error. Sizes are bounded on both sides
// of the pipe before anything is allocated.
//
// Known weakness: the whole file is in memory afterwards; soft and external
// links, and data outside of the file, are not followed.
#ifndef SINTER_FRONTEND_KERAS_HDF5FILE_H
#define SINTER_FRONTEND_KERAS_HDF5FILE_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace sinter::frontend {

struct Hdf5Dataset {
  std::vector<int64_t> shape;
  /// "f32", "f64", "f16" for numbers, which are converted to f32; else "i64",
  /// "text", ...: what it is, without values.
  std::string type;
  std::vector<float> values;
};

struct Hdf5Content {
  /// Paths start with '/': "/model_weights/dense". The root is "".
  std::vector<std::string> groups; // in order of names, parents first
  std::map<std::string, Hdf5Dataset> datasets;
  /// By path and name: "/model_weights@layer_names". Attributes that are texts;
  /// also an empty list of any type. A single text is a list of one.
  std::map<std::string, std::vector<std::string>> attributes;

  bool hasGroup(llvm::StringRef path) const;
  /// The only text of an attribute, or null.
  const std::string *text(const std::string &path,
                          const std::string &attribute) const;
  /// A list of texts. Keras splits long ones: names0, names1, ... Null when
  /// there is none.
  const std::vector<std::string> *list(const std::string &path,
                                       const std::string &attribute);
};

struct Hdf5Error {
  std::string message; // without the file's name
};

/// Reads an open file from its start. Subtrees in `skipped` (paths) are left
/// out. The descriptor stays open.
std::variant<Hdf5Content, Hdf5Error>
readHdf5(int descriptor, const std::vector<std::string> &skipped);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_HDF5FILE_H
