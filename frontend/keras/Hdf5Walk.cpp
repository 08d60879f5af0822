// Hdf5Walk.cpp - visits groups, attributes and datasets with libhdf5.
//
// Runs in a process of its own, so it may leak identifiers and may die. Links
// that are not hard ones are left out: they may lead to other files. So may
// external and virtual storage, which is refused, and filters are never loaded
// from plugins. Damaged files can have circles of hard links, hence the bounds
// on depth and number.
#include "frontend/keras/Hdf5Walk.h"

#include <hdf5.h>

#include <algorithm>
#include <cstring>
#include <unistd.h>

using namespace sinter::frontend;

namespace {

class Walker {
public:
  Walker(const std::vector<std::string> &skipped, const Hdf5Limits &limits,
         int pipe)
      : skipped(skipped), limits(limits), pipe(pipe) {}

  bool walkFile(const char *path);

private:
  bool walkGroup(hid_t group, const std::string &path, unsigned depth);
  bool walkObject(hid_t group, const std::string &name, const std::string &path,
                  unsigned depth);
  bool sendAttributes(hid_t object, const std::string &path);
  bool sendAttribute(hid_t attribute, const std::string &path,
                     const std::string &name);
  bool sendDataset(hid_t dataset, const std::string &path);

  /// Sends the error and returns false.
  bool fail(const std::string &message);
  /// False, after fail(), when `count` elements of `size` bytes are too many.
  bool take(const std::string &what, hssize_t count, size_t size);

  void put(const void *data, size_t size);
  void put(uint64_t number) { put(&number, sizeof number); }
  void put(Hdf5Record tag) { put(&tag, sizeof tag); }
  void put(const std::string &text) {
    put(text.size());
    put(text.data(), text.size());
  }
  void flush();

  const std::vector<std::string> &skipped;
  Hdf5Limits limits;
  int pipe;
  uint64_t objects = 0, bytes = 0;
  std::vector<char> buffer;
};

} // namespace

void Walker::flush() {
  for (size_t done = 0; done < buffer.size();) {
    ssize_t count = write(pipe, buffer.data() + done, buffer.size() - done);
    if (count <= 0)
      _exit(1); // the parent has gone
    done += static_cast<size_t>(count);
  }
  buffer.clear();
}

void Walker::put(const void *data, size_t size) {
  const auto *begin = static_cast<const char *>(data);
  const size_t most = 1 << 16;
  while (size > 0) {
    size_t part = std::min(size, most - buffer.size());
    buffer.insert(buffer.end(), begin, begin + part);
    begin += part;
    size -= part;
    if (buffer.size() == most)
      flush();
  }
}

bool Walker::fail(const std::string &message) {
  put(Hdf5Record::Error);
  put(message);
  flush();
  return false;
}

bool Walker::take(const std::string &what, hssize_t count, size_t size) {
  if (count < 0 || size == 0)
    return fail(what + ": its size cannot be read");
  if (static_cast<uint64_t>(count) > (limits.bytes - bytes) / size)
    return fail(what + ": claims " + std::to_string(count) + " elements of " +
                std::to_string(size) +
                " bytes, far more than a file of this size can hold");
  bytes += static_cast<uint64_t>(count) * size;
  return true;
}

// ---- Attributes
// ---------------------------------------------------------------

static herr_t collectName(hid_t, const char *name, const H5A_info_t *,
                          void *data) {
  static_cast<std::vector<std::string> *>(data)->push_back(name);
  return 0;
}

bool Walker::sendAttributes(hid_t object, const std::string &path) {
  std::vector<std::string> names;
  hsize_t position = 0;
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &position, collectName,
                  &names) < 0)
    return fail("the attributes of '" + path + "' cannot be read");
  for (const std::string &name : names) {
    hid_t attribute = H5Aopen(object, name.c_str(), H5P_DEFAULT);
    if (attribute < 0)
      return fail("attribute '" + name + "' of '" + path + "' cannot be read");
    if (!sendAttribute(attribute, path, name))
      return false;
    H5Aclose(attribute);
  }
  return true;
}

/// Without the zeros or blanks that fill up a text of fixed length.
static std::string trimmed(const char *text, size_t size, H5T_str_t padding) {
  std::string result(text,
                     padding == H5T_STR_SPACEPAD ? size : strnlen(text, size));
  if (padding == H5T_STR_SPACEPAD)
    result.erase(result.find_last_not_of(' ') + 1);
  return result;
}

bool Walker::sendAttribute(hid_t attribute, const std::string &path,
                           const std::string &name) {
  const std::string what = "attribute '" + name + "' of '" + path + "'";
  hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
  if (type < 0 || space < 0)
    return fail(what + " cannot be read");
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const bool isText = H5Tget_class(type) == H5T_STRING;
  if (!isText && count != 0)
    return true; // numbers say nothing about a model
  std::vector<std::string> texts;
  if (count > 0) {
    // In memory, texts of variable length are pointers.
    const size_t size = H5Tget_size(type);
    if (!take(what, count, size))
      return false;
    std::vector<char> data(static_cast<size_t>(count) * size);
    if (H5Aread(attribute, type, data.data()) < 0)
      return fail(what + " cannot be read");
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const char *element = data.data() + i * size;
      if (H5Tis_variable_str(type) > 0) {
        const char *text;
        std::memcpy(&text, element, sizeof text);
        texts.emplace_back(text ? text : "");
      } else {
        texts.push_back(trimmed(element, size, H5Tget_strpad(type)));
      }
      if (!take(what, static_cast<hssize_t>(texts.back().size()), 1))
        return false;
    }
  }
  put(Hdf5Record::Attribute);
  put(path);
  put(name);
  put(texts.size());
  for (const std::string &text : texts)
    put(text);
  return true;
}

// ---- Datasets
// -----------------------------------------------------------------

static std::string typeName(hid_t type) {
  const std::string bits = std::to_string(8 * H5Tget_size(type));
  switch (H5Tget_class(type)) {
  case H5T_FLOAT:
    return "f" + bits;
  case H5T_INTEGER:
    return "i" + bits;
  case H5T_STRING:
    return "text";
  default:
    return "of another kind";
  }
}

/// Whether all of a dataset's data is in this file.
static bool isSelfContained(hid_t dataset) {
  hid_t properties = H5Dget_create_plist(dataset);
  return properties >= 0 && H5Pget_external_count(properties) == 0 &&
         H5Pget_layout(properties) != H5D_VIRTUAL;
}

bool Walker::sendDataset(hid_t dataset, const std::string &path) {
  const std::string what = "dataset '" + path + "'";
  hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
  if (type < 0 || rank < 0)
    return fail(what + " cannot be read");
  if (rank > static_cast<int>(limits.rank))
    return fail(what + ": expected at most " + std::to_string(limits.rank) +
                " dimensions, got " + std::to_string(rank));
  std::vector<hsize_t> sizes(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);

  std::vector<float> values;
  if (H5Tget_class(type) == H5T_FLOAT) {
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    // Conversion needs room for the wider of the two.
    if (!take(what, count, std::max(sizeof(float), H5Tget_size(type))))
      return false;
    if (!isSelfContained(dataset))
      return fail(what + ": its data is in another file");
    values.resize(static_cast<size_t>(count));
    if (count > 0 && H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL,
                             H5P_DEFAULT, values.data()) < 0)
      return fail(what +
                  ": its data cannot be read (the file is damaged or cut "
                  "off, or compressed in an unknown way)");
  }
  put(Hdf5Record::Dataset);
  put(path);
  put(typeName(type));
  put(sizes.size());
  for (hsize_t size : sizes)
    put(static_cast<uint64_t>(size));
  put(values.size());
  put(values.data(), values.size() * sizeof(float));
  return true;
}

// ---- Groups
// -------------------------------------------------------------------

static herr_t collectLink(hid_t, const char *name, const H5L_info_t *info,
                          void *data) {
  if (info->type == H5L_TYPE_HARD)
    static_cast<std::vector<std::string> *>(data)->push_back(name);
  return 0;
}

bool Walker::walkGroup(hid_t group, const std::string &path, unsigned depth) {
  put(Hdf5Record::Group);
  put(path);
  if (!sendAttributes(group, path))
    return false;
  std::vector<std::string> names;
  hsize_t position = 0;
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &position, collectLink,
                 &names) < 0)
    return fail("group '" + path + "' cannot be read");
  for (const std::string &name : names) {
    std::string child = path + "/" + name;
    if (std::find(skipped.begin(), skipped.end(), child) == skipped.end() &&
        !walkObject(group, name, child, depth + 1))
      return false;
  }
  return true;
}

bool Walker::walkObject(hid_t group, const std::string &name,
                        const std::string &path, unsigned depth) {
  if (depth > limits.depth || ++objects > limits.objects)
    return fail("'" + path + "': more groups than a model has (a circle?)");
  hid_t object = H5Oopen(group, name.c_str(), H5P_DEFAULT);
  if (object < 0)
    return fail("'" + path + "' cannot be read");
  bool ok = true;
  if (H5Iget_type(object) == H5I_GROUP)
    ok = walkGroup(object, path, depth);
  else if (H5Iget_type(object) == H5I_DATASET)
    ok = sendDataset(object, path);
  H5Oclose(object);
  return ok;
}

bool Walker::walkFile(const char *path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t root = file < 0 ? file : H5Gopen2(file, "/", H5P_DEFAULT);
  if (root < 0)
    return fail("not a readable HDF5 file (damaged or cut off?)");
  if (!walkGroup(root, "", 0))
    return false;
  put(Hdf5Record::End);
  flush();
  return true;
}

bool sinter::frontend::sendHdf5(const char *path,
                                const std::vector<std::string> &skipped,
                                const Hdf5Limits &limits, int pipe) {
  return Walker(skipped, limits, pipe).walkFile(path);
}
