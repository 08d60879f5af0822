// support.cpp - see support.h.
#include "support.h"

#include "runtime/trainer/commands.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

namespace sinter::trainer::tests {

TemporaryDirectory::TemporaryDirectory()
    : root(
          (std::filesystem::temp_directory_path() / "sinter-XXXXXX").string()) {
  if (!mkdtemp(root.data()))
    std::abort();
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);
}

std::string TemporaryDirectory::write(const std::string &name,
                                      const std::string &bytes) const {
  std::ofstream(path(name), std::ios::binary) << bytes;
  return path(name);
}

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool fileExists(const std::string &path) {
  return std::filesystem::exists(path);
}

static std::string deflate(const std::string &bytes, int windowBits) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ::deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string gzip(const std::string &bytes) { return deflate(bytes, 15 + 16); }

static std::string little(uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i, value >>= 8)
    bytes += static_cast<char>(value);
  return bytes;
}

std::string zip(const std::vector<ZipContent> &members) {
  std::string file, directory;
  for (const ZipContent &member : members) {
    const std::string stored =
        member.deflated ? deflate(member.bytes, -15) : member.bytes;
    const auto *data = reinterpret_cast<const Bytef *>(member.bytes.data());
    const std::string common =
        little(0, 2) + little(member.deflated ? 8 : 0, 2) + little(0, 4) +
        little(crc32_z(0, data, member.bytes.size()), 4) +
        little(stored.size(), 4) + little(member.bytes.size(), 4) +
        little(member.name.size(), 2) + little(0, 2);
    directory += "PK\1\2" + little(20, 2) + little(20, 2) + common +
                 little(0, 10) + little(file.size(), 4) + member.name;
    file += "PK\3\4" + little(20, 2) + common + member.name + stored;
  }
  const std::string end = "PK\5\6" + little(0, 4) + little(members.size(), 2) +
                          little(members.size(), 2) +
                          little(directory.size(), 4) + little(file.size(), 4) +
                          little(0, 2);
  return file + directory + end;
}

std::string idx(const std::vector<uint32_t> &sizes, const std::string &bytes) {
  std::string file{0, 0, 8, static_cast<char>(sizes.size())};
  for (uint32_t size : sizes)
    for (int shift = 24; shift >= 0; shift -= 8)
      file += static_cast<char>(size >> shift);
  return file + bytes;
}

std::string npy(const std::string &type, const std::string &shape,
                const std::string &bytes, const std::string &order) {
  const std::string header = "{'descr': '" + type +
                             "', 'fortran_order': " + order +
                             ", 'shape': " + shape + ", }\n";
  return "\x93NUMPY" + little(1, 2) + little(header.size(), 2) + header + bytes;
}

Outcome runInChild(const std::function<int()> &program) {
  TemporaryDirectory directory;
  const std::string out = directory.path("out"), err = directory.path("err");
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    if (!std::freopen(out.c_str(), "w", stdout) ||
        !std::freopen(err.c_str(), "w", stderr))
      std::_Exit(99);
    int status = program();
    std::fflush(nullptr);
    std::_Exit(status);
  }
  Outcome outcome;
  int status;
  waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.out = readFile(out);
  outcome.err = readFile(err);
  return outcome;
}

Outcome runProgram(const sinter_model &model,
                   const std::vector<std::string> &arguments) {
  std::vector<const char *> argv = {"trainer"};
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  return runInChild([&] {
    return runTrainer(model, static_cast<int>(argv.size()), argv.data());
  });
}

} // namespace sinter::trainer::tests
