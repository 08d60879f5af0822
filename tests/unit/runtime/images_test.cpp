// images_test.cpp - pictures: good files give their pixels, bad ones a message,
// damaged ones never a crash; sizes, channels and folders.
#include "runtime/trainer/dataset.h"
#include "runtime/trainer/image_files.h"
#include "support.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <zlib.h>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

using Bytes = std::vector<uint8_t>;

std::string bigEndian(uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes += static_cast<char>(number >> shift);
  return bytes;
}

std::string chunk(const std::string &type, const std::string &bytes) {
  const std::string body = type + bytes;
  const auto crc = static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef *>(body.data()), body.size()));
  return bigEndian(static_cast<uint32_t>(bytes.size())) + body + bigEndian(crc);
}

std::string deflated(const std::string &bytes) {
  std::string packed(compressBound(bytes.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef *>(packed.data()), &size,
           reinterpret_cast<const Bytef *>(bytes.data()), bytes.size());
  packed.resize(size);
  return packed;
}

/// `rows` with the filters in front.
struct Png {
  uint32_t width, height;
  char depth, colourType;
  std::string rows, before = {};
  char interlaced = 0;

  std::string header() const {
    return bigEndian(width) + bigEndian(height) +
           std::string{depth, colourType, 0, 0, interlaced};
  }
  std::string bytes() const {
    return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header()) + before +
           chunk("IDAT", deflated(rows)) + chunk("IEND", "");
  }
};

struct Read {
  Picture picture;
  std::string message;
};

Read read(const std::string &bytes, const std::string &name = "a.png") {
  TemporaryDirectory directory;
  Read read;
  Error error = readPicture(directory.write(name, bytes), read.picture);
  CHECK((error.status == Status::Done || error.status == Status::WrongInput));
  read.message = error.message;
  const size_t at = read.message.find(directory.name());
  if (at != std::string::npos)
    read.message.erase(at, directory.name().size() + 1);
  return read;
}

void checkPixels(const std::string &bytes, uint32_t channels,
                 const Bytes &pixels) {
  const Read result = read(bytes);
  CHECK(result.message == "");
  CHECK(result.picture.channels == channels);
  CHECK(result.picture.pixels == pixels);
}

std::string text(std::initializer_list<int> bytes) {
  std::string text;
  for (int byte : bytes)
    text += static_cast<char>(byte);
  return text;
}

} // namespace

TEST_CASE("what the report writes is read back") {
  Picture picture{5, 3, 3, {}};
  for (int i = 0; i < 45; ++i)
    picture.pixels.push_back(static_cast<uint8_t>(i * 37));
  checkPixels(encodePng(picture), 3, picture.pixels);
  picture.channels = 1;
  picture.pixels.resize(15);
  checkPixels(encodePng(picture), 1, picture.pixels);
}

TEST_CASE("every PNG filter is undone") {
  // Two grey columns; each row is the one above plus (1, 2).
  checkPixels(Png{2, 5, 8, 0,
                  text({0, 10, 20, // none
                        1, 11, 11, // left: 11, 22
                        2, 1, 2,   // above: 12, 24
                        3, 7, 7,   // mean: 13, 12 + 13 / 2 ...
                        4, 1, 1})} // Paeth
                  .bytes(),
              1, {10, 20, 11, 22, 12, 24, 13, 7 + (13 + 24) / 2, 14, 26});
}

TEST_CASE("PNG samples of less than a byte, palettes and alpha") {
  checkPixels(Png{4, 1, 2, 0, text({0, 0x1b})}.bytes(), 1, {0, 85, 170, 255});
  const std::string palette = chunk("PLTE", text({1, 2, 3, 4, 5, 6}));
  checkPixels(Png{3, 1, 1, 3, text({0, 0x40}), palette}.bytes(), 3,
              {1, 2, 3, 4, 5, 6, 1, 2, 3});
  checkPixels(
      Png{2, 1, 8, 3, text({0, 1, 0}), palette + chunk("tRNS", text({9}))}
          .bytes(),
      4, {4, 5, 6, 255, 1, 2, 3, 9});
  checkPixels(Png{1, 1, 8, 4, text({0, 7, 8})}.bytes(), 2, {7, 8});
  checkPixels(Png{1, 1, 8, 6, text({0, 7, 8, 9, 10})}.bytes(), 4,
              {7, 8, 9, 10});
}

TEST_CASE("PPM and PGM pictures") {
  checkPixels("P5 2 1\n# made by hand\n255\nab", 1, {'a', 'b'});
  checkPixels(std::string("P6\n1 1\n3\n\0\1\3", 12), 3, {0, 85, 255});
  CHECK(read("P5 2 1 255\na").message ==
        "a.png: truncated: expected 2 bytes of pixels, got room for at most 1");
  CHECK(read("P5 2 1 1\nab").message ==
        "a.png: corrupt: expected levels from 0 to 1, got 97");
  CHECK(read("P5 2 1 65535\nabcd").message ==
        "a.png: expected 1 to 255 levels, got 65535; convert it: convert FILE "
        "-depth 8 FILE");
  CHECK(read("P6 2 x").message ==
        "a.png: expected numbers in the PPM header, got byte 78");
  CHECK(read("P6 100000 1 255\n").message ==
        "a.png: expected 1 to 65536 pixels a side and at most 67108864 in all, "
        "got 100000 x 1");
}

TEST_CASE("pictures that are not read say why") {
  CHECK(read("\xff\xd8\xff\xe0 JFIF").message ==
        "a.png: expected a PNG, PPM or PGM picture, got JPEG; convert it: "
        "mogrify -format png FILE (ImageMagick)");
  CHECK(read("GIF89a").message == "a.png: expected a PNG, PPM or PGM picture, "
                                  "got the first bytes 47 49");
  CHECK(read("").message ==
        "a.png: truncated: expected 2 bytes of a picture, got 0");
  CHECK(read(Png{1, 1, 16, 0, text({0, 1, 1})}.bytes()).message ==
        "a.png: expected a PNG of at most 8 bits a sample, got 16 bits of "
        "colour type 0; convert it: convert FILE -depth 8 FILE");
  CHECK(read(Png{1, 1, 8, 0, text({0, 1}), "", 1}.bytes()).message ==
        "a.png: expected a PNG that is not interlaced, got methods 0, 0, 1; "
        "convert it: convert FILE -interlace none FILE");
  CHECK(read(Png{1, 1, 8, 0, text({5, 1})}.bytes()).message ==
        "a.png: corrupt: row 0: expected a PNG filter from 0 to 4, got 5");
  CHECK(read(Png{2, 1, 8, 0, text({0, 1})}.bytes()).message ==
        "a.png: corrupt: expected 3 bytes of pixels, got 2");
  CHECK(read(Png{1, 1, 8, 3, text({0, 1})}.bytes()).message ==
        "a.png: corrupt: expected positions in a palette of 0 colours, got 1");
  CHECK(read(Png{8000, 8000, 8, 6, "a"}.bytes())
            .message.find(
                "a.png: truncated: expected 256008000 bytes of pixels, got ") ==
        0);
}

TEST_CASE("damaged pictures are refused or read, and never crash") {
  const std::string palette = chunk("PLTE", text({1, 2, 3, 4, 5, 6}));
  const std::string good[] = {
      Png{3, 2, 8, 2, text({1, 1, 2, 3, 4, 5, 6, 7, 8, 9, //
                            4, 1, 2, 3, 4, 5, 6, 7, 8, 9})}
          .bytes(),
      Png{3, 1, 1, 3, text({0, 0x40}), palette + chunk("tRNS", "ab")}.bytes(),
      "P6 2 1 255\nabcdef"};
  for (const std::string &bytes : good) {
    for (size_t length = 0; length < bytes.size(); ++length)
      CHECK(read(bytes.substr(0, length)).message != "");
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      read(damaged);
    }
  }
  // Behind the checksums: any header, any palette, any compressed bytes.
  const Png png{3, 2, 8, 2, std::string(20, '\1')};
  for (size_t bit = 0; bit < 8 * png.header().size(); ++bit) {
    std::string header = png.header();
    header[bit / 8] = static_cast<char>(header[bit / 8] ^ 1 << bit % 8);
    read("\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + palette +
         chunk("IDAT", deflated(png.rows)) + chunk("IEND", ""));
  }
  const std::string packed = deflated(png.rows);
  for (size_t bit = 0; bit < 8 * packed.size(); ++bit) {
    std::string damaged = packed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    read("\x89PNG\r\n\x1a\n" + chunk("IHDR", png.header()) +
         chunk("IDAT", damaged) + chunk("IEND", ""));
  }
}

TEST_CASE("pictures are brought to the size and channels of the input") {
  auto fitted = [](const Picture &picture, int64_t height, int64_t width,
                   int64_t channels) {
    Bytes pixels(static_cast<size_t>(height * width * channels));
    fitPicture(picture, height, width, channels, pixels.data());
    return pixels;
  };
  const Picture row{2, 1, 1, {0, 100}};
  CHECK(fitted(row, 1, 2, 1) == Bytes{0, 100});
  // tf.image.resize([[0, 100]], [1, 4]) is 0, 25, 75, 100.
  CHECK(fitted(row, 1, 4, 1) == Bytes{0, 25, 75, 100});
  CHECK(fitted(row, 2, 1, 1) == Bytes{50, 50});
  // Pixel 0 of 2 lies at 0.5 of 4, pixel 1 at 2.5.
  CHECK(fitted({4, 1, 1, {0, 10, 20, 40}}, 1, 2, 1) == Bytes{5, 30});
  CHECK(fitted({1, 1, 3, {10, 20, 30}}, 1, 1, 1) == Bytes{18});
  CHECK(fitted({1, 1, 1, {7}}, 1, 1, 3) == Bytes{7, 7, 7});
  CHECK(fitted({1, 1, 2, {7, 9}}, 1, 1, 4) == Bytes{7, 7, 7, 9});
  CHECK(fitted({1, 1, 3, {1, 2, 3}}, 1, 1, 4) == Bytes{1, 2, 3, 255});
  CHECK(fitted({1, 1, 4, {1, 2, 3, 4}}, 1, 1, 3) == Bytes{1, 2, 3});
}

// ---- Folders ----------------------------------------------------------------

namespace {

/// set/cat and set/dog with a grey pixel or two each.
struct Folders {
  TemporaryDirectory directory;
  Recipe recipe;
  ModelShape model = {{1, 1, 1}, {Shape{}}};
  DataSource source;
  Dataset dataset;
  ClassMap map;

  Folders() {
    folder("set");
    folder("set/dog");
    folder("set/cat");
    directory.write("set/dog/a.pgm", "P5 1 1 255\nd");
    directory.write("set/cat/b.pgm", "P5 1 1 255\nb");
    directory.write("set/cat/a.pgm", "P5 1 1 255\na");
    directory.write("set/.hidden", "");
    directory.write("set/README", "");
    recipe.targets[0].kind = TargetKind::Sparse;
    recipe.targets[0].classes = 2;
    source.directory = "set";
  }

  void folder(const std::string &name) {
    mkdir(directory.path(name).c_str(), 0777);
  }

  std::string load() {
    dataset = {};
    std::string message = loadDataset(recipe, source, "train", directory.name(),
                                      model, dataset, &map)
                              .message;
    const size_t at = message.find(directory.name());
    if (at != std::string::npos)
      message.erase(at, directory.name().size() + 1);
    return message;
  }
};

} // namespace

TEST_CASE("a folder for each class") {
  Folders folders;
  REQUIRE(folders.load() == "");
  CHECK(folders.dataset.inputs.bytes == LargeBytes{'a', 'b', 'd'});
  CHECK(folders.dataset.targets[0].classes == std::vector<int32_t>{0, 0, 1});
  CHECK(folders.map.name(1) == "dog");

  SECTION("names travel with the weights") {
    Notes notes;
    folders.map.save(notes);
    ClassMap loaded;
    CHECK(loaded.load("w", notes).message == "");
    CHECK(loaded == folders.map);
  }
  SECTION("another set may have fewer classes, but none of its own") {
    folders.folder("test");
    folders.folder("test/dog");
    folders.directory.write("test/dog/x.pgm", "P5 1 1 255\nx");
    folders.source.directory = "test";
    REQUIRE(folders.load() == "");
    CHECK(folders.dataset.targets[0].classes == std::vector<int32_t>{1});
    folders.folder("test/cow");
    CHECK(folders.load() == "test/cow: expected a folder of a class that was "
                            "trained, such as 'cat', got an unknown one");
  }
  SECTION("two classes for one output") {
    folders.recipe.targets[0].kind = TargetKind::Values;
    folders.model.targets = {{1}};
    REQUIRE(folders.load() == "");
    CHECK(folders.dataset.targets[0].values.at(2) == 1);
  }
}

TEST_CASE("a picture is an input to predict") {
  TemporaryDirectory directory;
  Array inputs;
  const std::string path = directory.write("a.pgm", "P5 2 1 255\nac");
  REQUIRE_FALSE(loadInputs(path, "input", {{1, 1, 3}, {}}, inputs));
  CHECK(inputs.shape == Shape{1, 1, 1, 3});
  CHECK(inputs.bytes == LargeBytes{'b', 'b', 'b'});
  CHECK(loadInputs(path, "input", {{3}, {}}, inputs).status ==
        Status::WrongInput);
}

TEST_CASE("folders that do not fit the model are refused") {
  Folders folders;
  SECTION("another number of classes") {
    folders.recipe.targets[0].classes = 3;
    CHECK(folders.load() ==
          "set: expected 3 folders, one for each class of the model, got 2");
  }
  SECTION("no folders") {
    folders.source.directory = "set/cat";
    CHECK(folders.load() ==
          "set/cat: expected a folder for each class, got none");
  }
  SECTION("no such folder") {
    folders.source.directory = "sat";
    CHECK(folders.load() ==
          "sat: cannot open the folder: No such file or directory");
  }
  SECTION("no pictures") {
    folders.folder("empty");
    folders.folder("empty/cat");
    folders.source.directory = "empty";
    CHECK(folders.load() ==
          "empty/cat: expected pictures of the class, got an empty folder");
    folders.map = {};
    folders.folder("set/cow");
    folders.source.directory = "set";
    folders.recipe.targets[0].classes = 3;
    CHECK(folders.load() ==
          "set/cow: expected pictures of the class, got an empty folder");
  }
  SECTION("no pictures to evaluate") {
    folders.map.names = {"cat", "dog"};
    folders.folder("empty");
    folders.folder("empty/cat");
    folders.source.directory = "empty";
    CHECK(folders.load() ==
          "empty: expected pictures in the folders, got none");
  }
  SECTION("no model of pictures") {
    folders.model.input = {4};
    CHECK(folders.load() ==
          "set: expected a model of pictures, whose inputs are (height, width, "
          "1, 3 or 4), got inputs of shape (4)");
  }
  SECTION("values to predict") {
    folders.recipe.targets[0].kind = TargetKind::Values;
    folders.model.targets = {{3}};
    CHECK(folders.load() == "set: expected a model of classes for folders of "
                            "pictures, got one with targets of shape (3)");
  }
  SECTION("a file that is no picture") {
    folders.directory.write("set/cat/notes.txt", "hello");
    CHECK(folders.load() == "set/cat/notes.txt: expected a PNG, PPM or PGM "
                            "picture, got the first bytes 68 65");
  }
}
