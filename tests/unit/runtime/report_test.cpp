// report_test.cpp - the page of a run: its parts alone, then `train --report`.
#include "fake_model.h"
#include "runtime/trainer/report_charts.h"
#include "runtime/trainer/report_classes.h"
#include "support.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string &text, const std::string &part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos;
       at = text.find(part, at + part.size()))
    ++found;
  return found;
}

std::string curves(const std::vector<double> &training,
                   const std::vector<double> &validation, size_t best) {
  return renderCurves("a<b", {{false, &training}, {true, &validation}}, best);
}

const char *const recipe = "target.kind=sparse\n"
                           "target.classes=3\n"
                           "data.train.csv=train.csv\n"
                           "data.train.label=kind\n"
                           "summary.layer=<out>|Dense|(None, 3)|15\n"
                           "train.epochs=3\n"
                           "train.batch_size=8\n"
                           "train.seed=1\n";

std::string table(int records) {
  std::string text = "a,b,c,d,kind\n";
  for (int i = 0; i < records; ++i)
    text += format("%d,%d,%d,0.%d,%d\n", i % 3 == 0, i % 3 == 1, i % 3 == 2,
                   i % 10, i % 3);
  return text;
}

/// The page of a short run with `recipe` and what comes behind it.
std::string pageOf(const std::string &more = "",
                   std::vector<std::string> flags = {}) {
  TemporaryDirectory directory;
  directory.write("train.csv", table(40));
  const std::string path = directory.path("run.html");
  flags.insert(flags.begin(), {"train", "--data", directory.name(), "--report",
                               path, "--quiet"});
  const std::string text = recipe + more;
  const Outcome outcome = runProgram(fake_model(text.c_str()), flags);
  CHECK(outcome.err == "");
  CHECK(outcome.status == 0);
  return readFile(path);
}

} // namespace

TEST_CASE("curves have ticks, a legend and the best epoch") {
  const std::string html = curves({0.5, 0.3, 0.2}, {0.6, 0.4, 0.5}, 2);
  CHECK(contains(html, "<h3>a&lt;b</h3>"));
  CHECK(contains(html, ">best: epoch 2</text>"));
  CHECK(contains(html, "training <b>0.2</b>, best epoch <b>0.3</b>"));
  CHECK(contains(html, "validation <b>0.5</b>, best epoch <b>0.4</b>"));
  CHECK(contains(html, "<title>epoch 3\ntraining 0.2\nvalidation 0.5</title>"));
  CHECK(count(html, "class=\"x\"") == 4); // 1, 2, 3, "epoch"
  CHECK(count(html, "class=\"dot") == 6);
  for (const char *tick : {">0.2</text>", ">0.3</text>", ">0.6</text>"})
    CHECK(contains(html, tick));
}

TEST_CASE("numbers that are none leave a gap") {
  const std::string html = curves({0.5, NAN, 0.2, 0.1}, {NAN, INFINITY}, 0);
  CHECK_FALSE(contains(html, "nan"));
  CHECK_FALSE(contains(html, "inf"));
  CHECK(count(html, "class=\"dot") == 3);
  CHECK(contains(html, "d=\"M0 "));
  CHECK(count(html, "class=\"line val\" vector-effect=\"non-scaling-stroke\" "
                    "d=\"\"") == 1);
  const std::string nothing = curves({NAN}, {}, 0);
  CHECK_FALSE(contains(nothing, "nan"));
  CHECK(contains(nothing, "<b>\xe2\x80\x93</b>"));
}

TEST_CASE("one epoch and equal values have a scale") {
  const std::string one = curves({0.25}, {0.25}, 1);
  CHECK(count(one, "cx=\"50%\"") == 2);
  CHECK(contains(one, "best: epoch 1"));
  for (double value : {0.0, -3.0, 1e-9, 1e9}) {
    const std::string html = curves({value, value}, {}, 0);
    CHECK_FALSE(contains(html, "nan"));
    CHECK_FALSE(contains(html, "inf"));
    CHECK(count(html, "class=\"y\"") < 9);
  }
}

TEST_CASE("a long run has neither dots nor crowded ticks") {
  const std::vector<double> many(1000, 1.0);
  const std::string html = curves(many, many, 500);
  CHECK(count(html, "class=\"dot") == 2);
  CHECK(count(html, "class=\"x\"") <= 12);
  CHECK(count(html, "class=\"hit\"") == 0);
}

TEST_CASE("buffers are rectangles; what is in place shares a kernel") {
  const sinter_kernel_info kernel = {"k", "sweep", nullptr, 1, 0, 0, 0, 0};
  const sinter_kernel_info kernels[] = {kernel, kernel, kernel, kernel};
  const sinter_buffer_info buffers[] = {{"one: <a>", 0, 128, 0, 2},
                                        {"two: b", 0, 128, 2, 3},
                                        {"fake: c", 128, 64, 1, 1}};
  sinter_function_info function = {};
  function.arena_bytes = function.arena_lower_bound = 256;
  function.num_kernels = 4;
  function.kernels = kernels;
  function.num_buffers = 3;
  function.buffers = buffers;
  const sinter_model model = fake_model("");
  const std::string html = renderMemory("train_step", function, model);
  CHECK(contains(html, "256 B, exactly the lower bound"));
  CHECK(contains(html, "<title>one: &lt;a&gt;\n128 B (128 bytes) at 0\nkernels "
                       "1 to 3</title>"));
  CHECK(contains(html, "class=\"l0\" x=\"0%\" y=\"50%\" width=\"62.5%\" "
                       "height=\"50%\""));
  CHECK(contains(html, "class=\"l1\" x=\"62.5%\" y=\"50%\" width=\"37.5%\""));
  CHECK(contains(html, "class=\"l8\" x=\"25%\" y=\"25%\" width=\"25%\""));
  // In use: 128, 192, 128, 128 of 256.
  CHECK(contains(html, "d=\"M0 50L25 50L25 25L50 25L50 50L75 50L75 50L100 50"));
  function.arena_lower_bound = 192;
  CHECK(contains(renderMemory("train_step", function, model),
                 "33.3 % above the lower bound of 192 B"));
  function.num_buffers = 0;
  CHECK(renderMemory("train_step", function, model).empty());
}

TEST_CASE("a matrix names its classes and its most frequent mistakes") {
  Confusion confusion(3);
  for (int i = 0; i < 3; ++i)
    confusion.add(0, 0);
  confusion.add(0, 1);
  confusion.add(2, 1);
  confusion.add(2, 1);
  const std::string html =
      renderConfusion(confusion, {"a\"b", "<script>", "c"});
  CHECK_FALSE(contains(html, "<script>"));
  CHECK_FALSE(contains(html, "a\"b"));
  CHECK(
      contains(html, "title=\"a&quot;b taken for &lt;script&gt;: 1 (25.0 %)"));
  CHECK(contains(html, "<b>c</b> taken for <b>&lt;script&gt;</b>"));
  CHECK(html.find("<b>c</b> taken") < html.find("<b>a&quot;b</b> taken"));
  CHECK(count(html, "<td class=\"n\">\xe2\x80\x93</td>") == 2);
  CHECK(contains(renderConfusion(Confusion(2), {"0", "1"}), "No mistakes"));
  const std::string large =
      renderConfusion(Confusion(31), std::vector<std::string>(31, "x"));
  CHECK_FALSE(contains(large, "class=\"matrix"));
}

TEST_CASE("images are samples of two or three dimensions") {
  CHECK(isImage({28, 28}));
  CHECK(isImage({28, 28, 1}));
  CHECK(isImage({32, 32, 3}));
  CHECK_FALSE(isImage({784}));
  CHECK_FALSE(isImage({28, 28, 2}));
  CHECK_FALSE(isImage({1, 28}));

  Array bytes = {ElementType::U8, {2, 2, 2}, {9, 9, 9, 9, 0, 10, 20, 255}};
  CHECK(makePicture(bytes, {2, 2}, 1).pixels ==
        std::vector<uint8_t>{0, 10, 20, 255});
  Array floats = {ElementType::F32, {1, 2, 2}, LargeBytes(16)};
  const float unit[] = {0, 0.5f, 1, 0.25f}, wide[] = {-1, 0, 1, 3},
              plain[] = {0, 1, 2, 200};
  auto pixelsOf = [&](const float *values) {
    std::copy_n(values, 4, floats.floats());
    return makePicture(floats, {2, 2}, 0).pixels;
  };
  CHECK(pixelsOf(unit) == std::vector<uint8_t>{0, 128, 255, 64});
  CHECK(pixelsOf(wide) == std::vector<uint8_t>{0, 64, 128, 255});
  CHECK(pixelsOf(plain) == std::vector<uint8_t>{0, 1, 2, 200});
  const float bad[] = {NAN, NAN, 0, 1};
  CHECK(pixelsOf(bad) == std::vector<uint8_t>{0, 0, 0, 255});

  Array large = {
      ElementType::U8, {1, 200, 100, 3}, LargeBytes(60000, 7)};
  const Picture picture = makePicture(large, {200, 100, 3}, 0);
  CHECK(picture.width == 33);
  CHECK(picture.height == 66);
  CHECK(picture.pixels == std::vector<uint8_t>(33 * 66 * 3, 7));
}

TEST_CASE("samples are spread, mistakes are the surest") {
  std::vector<Prediction> all;
  for (uint32_t i = 0; i < 10; ++i)
    all.push_back({i, 0, i % 2, 0.5f + 0.01f * static_cast<float>(i)});
  CHECK(spread(all, 4)[1].sample == 2);
  CHECK(spread(all, 40).size() == 10);
  CHECK(spread({}, 4).empty());
  const std::vector<Prediction> wrong = surestMistakes(all, 2);
  REQUIRE(wrong.size() == 2);
  CHECK(wrong[0].sample == 9);
  CHECK(wrong[1].sample == 7);
}

TEST_CASE("a run with validation becomes a page") {
  const std::string page = pageOf("data.validation_split=0.25\n");
  CHECK(page.find("<!doctype html>") == 0);
  CHECK_FALSE(contains(page, "{{"));
  CHECK(contains(page, "<title>fake: training report</title>"));
  CHECK(contains(page, "&lt;out&gt; <span class=\"type\">(Dense)"));
  CHECK(contains(page, "The best epoch by val_loss is epoch "));
  CHECK(contains(page, "The final weights on 10 validation samples: "));
  CHECK(contains(page, "<h3>Evenly chosen</h3>"));
  CHECK(contains(page, "src=\"data:image/png;base64,"));
  CHECK(contains(page, "Arena of train_step: 96 B"));
  CHECK_FALSE(contains(page, "http"));
}

TEST_CASE("a run without validation shows test data, then training data") {
  const std::string page = pageOf();
  CHECK_FALSE(contains(page, "val_"));
  CHECK_FALSE(contains(page, "best epoch"));
  CHECK(contains(page, "The final weights on 40 training samples: "));
  CHECK(contains(pageOf("data.test.csv=train.csv\ndata.test.label=kind\n"),
                 "The final weights on 40 test samples: "));
  CHECK(contains(pageOf("data.test.csv=missing.csv\ndata.test.label=kind\n"),
                 "The final weights on 40 training samples: "));
  CHECK(contains(pageOf("data.validation_split=0.25\n", {"--no-validation"}),
                 "The final weights on 30 training samples: "));
  CHECK(contains(pageOf("", {"--epochs", "1"}), "1 epoch on 40 samples"));
}

TEST_CASE("a page that cannot be written is refused before training") {
  TemporaryDirectory directory;
  directory.write("train.csv", table(40));
  auto train = [&](const std::string &path) {
    return runProgram(fake_model(recipe),
                      {"train", "--data", directory.name(), "--report", path});
  };
  const Outcome wrong = train("run.txt");
  CHECK(wrong.status == 2);
  CHECK(wrong.err == "error: --report: expected a file name that ends in "
                     ".html, got 'run.txt'\n");
  const Outcome nowhere = train(directory.path("no/run.html"));
  CHECK(nowhere.status == 3);
  CHECK(nowhere.out == "");
}
