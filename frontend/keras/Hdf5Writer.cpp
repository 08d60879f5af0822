// Hdf5Writer.cpp - libhdf5's core driver without a file behind it.
//
// Objects are written without the time of day. Identifiers are closed where
// they are opened, so that the image is whole when it is taken.
#include "frontend/keras/Hdf5Writer.h"

#include <hdf5.h>

#include <algorithm>

using namespace sinter::frontend;

static_assert(sizeof(hid_t) == sizeof(int64_t));

int64_t Hdf5Writer::check(int64_t identifier) {
  failed |= identifier < 0;
  return identifier;
}

Hdf5Writer::Hdf5Writer() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_core(access, /*increment=*/1 << 20, /*backing_store=*/0);
  file = check(H5Fcreate("sinter.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access));
  H5Pclose(access);
}

Hdf5Writer::~Hdf5Writer() {
  if (file >= 0)
    H5Fclose(file);
}

/// Groups on the way are made, too.
static hid_t linkProperties() {
  hid_t properties = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(properties, 1);
  return properties;
}

void Hdf5Writer::group(const std::string &path) {
  if (failed)
    return;
  hid_t links = linkProperties(), creation = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(creation, false);
  hid_t group = H5Gopen2(file, path.c_str(), H5P_DEFAULT);
  if (group < 0)
    group = check(H5Gcreate2(file, path.c_str(), links, creation, H5P_DEFAULT));
  H5Gclose(group);
  H5Pclose(creation);
  H5Pclose(links);
}

void Hdf5Writer::dataset(const std::string &path,
                         const std::vector<int64_t> &shape,
                         const std::vector<float> &values) {
  if (failed)
    return;
  std::vector<hsize_t> sizes(shape.begin(), shape.end());
  hid_t space =
      H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
  hid_t links = linkProperties(), creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  hid_t data = check(H5Dcreate2(file, path.c_str(), H5T_IEEE_F32LE, space,
                                links, creation, H5P_DEFAULT));
  if (!failed)
    check(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                   values.data()));
  H5Dclose(data);
  H5Pclose(creation);
  H5Pclose(links);
  H5Sclose(space);
}

void Hdf5Writer::attribute(const std::string &path, const std::string &name,
                           const std::vector<std::string> &values,
                           bool isScalar) {
  if (failed)
    return;
  hid_t object = check(H5Oopen(file, path.c_str(), H5P_DEFAULT));
  if (failed)
    return;
  const hsize_t count = values.size();
  hid_t space =
      isScalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr);
  hid_t type = values.empty() ? H5Tcopy(H5T_IEEE_F64LE) : H5Tcopy(H5T_C_S1);
  if (!values.empty()) {
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
  }
  hid_t attribute = check(
      H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
  std::vector<const char *> pointers;
  for (const std::string &value : values)
    pointers.push_back(value.c_str());
  if (!failed && !values.empty())
    check(H5Awrite(attribute, type, pointers.data()));
  H5Aclose(attribute);
  H5Tclose(type);
  H5Sclose(space);
  H5Oclose(object);
}

void Hdf5Writer::text(const std::string &path, const std::string &name,
                      const std::string &value) {
  attribute(path, name, {value}, /*isScalar=*/true);
}

void Hdf5Writer::texts(const std::string &path, const std::string &name,
                       const std::vector<std::string> &values) {
  // An attribute holds less than 64 KB, of which each text takes 16 bytes.
  const size_t most = 4000;
  if (values.size() <= most)
    return attribute(path, name, values, /*isScalar=*/false);
  for (size_t i = 0; i * most < values.size(); ++i)
    attribute(path, name + std::to_string(i),
              {values.begin() + static_cast<ptrdiff_t>(i * most),
               values.begin() + static_cast<ptrdiff_t>(
                                    std::min((i + 1) * most, values.size()))},
              /*isScalar=*/false);
}

std::string Hdf5Writer::bytes() {
  if (failed || H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
    return "";
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  if (size <= 0)
    return "";
  std::string image(static_cast<size_t>(size), '\0');
  if (H5Fget_file_image(file, image.data(), image.size()) != size)
    return "";
  return image;
}
