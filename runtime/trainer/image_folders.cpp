// image_folders.cpp - a folder for each class, a file for each picture; see
// image_files.h.
#include "runtime/trainer/image_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <sys/stat.h>

namespace sinter::trainer {

/// The sorted names in a folder, without those that begin with a dot.
static Error listFolder(const std::string &path,
                        std::vector<std::string> &names) {
  DIR *folder = opendir(path.c_str());
  if (!folder)
    return wrongInput("%s: cannot open the folder: %s", path.c_str(),
                      strerror(errno));
  while (const dirent *entry = readdir(folder))
    if (entry->d_name[0] != '.')
      names.push_back(entry->d_name);
  closedir(folder);
  std::sort(names.begin(), names.end());
  return {};
}

static bool isFolder(const std::string &path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// Class names become text in messages, reports and files of weights.
static bool isPlain(const std::string &name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
  });
}

/// The classes, and for each of them its number and its files.
struct Folders {
  struct File {
    std::string path;
    size_t label;
  };
  std::vector<File> files;

  Error list(const std::string &path, std::vector<std::string> &classes);
};

Error Folders::list(const std::string &path,
                    std::vector<std::string> &classes) {
  std::vector<std::string> names;
  if (Error error = listFolder(path, names))
    return error;
  std::erase_if(names, [&](const std::string &name) {
    return !isFolder(path + "/" + name);
  });
  if (names.empty())
    return wrongInput("%s: expected a folder for each class, got none",
                      path.c_str());
  const bool isNew = classes.empty(); // to train on
  if (isNew)
    classes = names;
  for (const std::string &name : names) {
    if (!isPlain(name))
      return wrongInput("%s: expected folder names without control characters",
                        path.c_str());
    const auto known = std::find(classes.begin(), classes.end(), name);
    if (known == classes.end())
      return wrongInput("%s/%s: expected a folder of a class that was trained, "
                        "such as '%s', got an unknown one",
                        path.c_str(), name.c_str(), classes[0].c_str());
    std::vector<std::string> pictures;
    if (Error error = listFolder(path + "/" + name, pictures))
      return error;
    if (isNew && pictures.empty())
      return wrongInput("%s/%s: expected pictures of the class, got an empty "
                        "folder",
                        path.c_str(), name.c_str());
    for (const std::string &picture : pictures)
      files.push_back({path + "/" + name + "/" + picture,
                       static_cast<size_t>(known - classes.begin())});
  }
  if (files.empty())
    return wrongInput("%s: expected pictures in the folders, got none",
                      path.c_str());
  return {};
}

/// Refuses inputs that are no pictures.
static Error channelsOf(const std::string &path, const Shape &shape,
                        int64_t &channels) {
  channels = shape.size() == 3 ? shape[2] : 1;
  if ((shape.size() == 2 || shape.size() == 3) &&
      (channels == 1 || channels == 3 || channels == 4))
    return {};
  return wrongInput("%s: expected a model of pictures, whose inputs are "
                    "(height, width, 1, 3 or 4), got inputs of shape %s",
                    path.c_str(), shapeText(shape).c_str());
}

Error readPictureFile(const std::string &path, const Shape &shape,
                      Array &inputs) {
  int64_t channels;
  Picture picture;
  if (Error error = channelsOf(path, shape, channels))
    return error;
  if (Error error = readPicture(path, picture))
    return error;
  inputs.type = ElementType::U8;
  inputs.shape = withRecords(1, shape);
  inputs.bytes.resize(static_cast<size_t>(shapeElements(shape)));
  fitPicture(picture, shape[0], shape[1], channels, inputs.bytes.data());
  return {};
}

Error readPictureFolders(const std::string &path, const Shape &shape,
                         std::vector<std::string> &classes, Array &inputs,
                         Array &labels) {
  int64_t channels;
  if (Error error = channelsOf(path, shape, channels))
    return error;
  Folders folders;
  if (Error error = folders.list(path, classes))
    return error;
  const auto size = static_cast<size_t>(shapeElements(shape));
  if (static_cast<double>(folders.files.size()) * static_cast<double>(size) >
      machineBytes())
    return wrongInput("%s: expected pictures that fit into the %.0f MB of this "
                      "machine, got %zu of %zu bytes each",
                      path.c_str(), machineBytes() / 1e6, folders.files.size(),
                      size);
  inputs.type = ElementType::U8;
  labels.type = ElementType::F32;
  labels.shape = {static_cast<int64_t>(folders.files.size())};
  inputs.shape = withRecords(labels.shape[0], shape);
  inputs.bytes.resize(folders.files.size() * size);
  labels.bytes.resize(folders.files.size() * sizeof(float));
  Picture picture;
  for (size_t i = 0; i < folders.files.size(); ++i) {
    if (Error error = readPicture(folders.files[i].path, picture))
      return error;
    fitPicture(picture, shape[0], shape[1], channels, &inputs.bytes[i * size]);
    labels.floats()[i] = static_cast<float>(folders.files[i].label);
  }
  return {};
}

} // namespace sinter::trainer
