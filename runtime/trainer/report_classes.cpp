// report_classes.cpp - confusion matrix and sample images; see
// report_classes.h.
//
// A cell's colour follows the square root of its part of the row, so that few
// mistakes show beside many hits; it is kept pale enough for the text on it.
#include "runtime/trainer/report_classes.h"

#include <algorithm>
#include <cmath>

namespace sinter::trainer {

// ---- Confusion --------------------------------------------------------------

static constexpr size_t mostMatrixClasses = 30;
static constexpr size_t manyClasses = 13; // numbers do not fit on a phone
static constexpr size_t mostMistakes = 8;

static double share(int64_t part, int64_t all) {
  return all ? static_cast<double>(part) / static_cast<double>(all) : 0;
}

/// Four characters at most, where a row has many cells.
static std::string cellText(int64_t count, size_t classes) {
  if (classes < 6 || count < 10000)
    return std::to_string(count);
  return format("%lldk", static_cast<long long>(count / 1000));
}

static std::string matrixCell(const Confusion &confusion, size_t actual,
                              size_t predicted,
                              const std::vector<std::string> &names) {
  const int64_t count = confusion.at(actual, predicted);
  const double part = share(count, confusion.samplesOf(actual));
  return format(
      "<td class=\"%s%s\" style=\"--v:%.0f\" title=\"%s taken for "
      "%s: %s (%s)\">%s</td>",
      actual == predicted ? "r" : "w", count ? "" : " z", 60 * std::sqrt(part),
      names[actual].c_str(), names[predicted].c_str(), grouped(count).c_str(),
      percent(part).c_str(), cellText(count, confusion.classes()).c_str());
}

static std::string renderMatrix(const Confusion &confusion,
                                const std::vector<std::string> &names) {
  const size_t classes = confusion.classes();
  size_t longest = 0;
  for (const std::string &name : names)
    longest = std::max(longest, name.size());
  const bool isLong = longest > 3;
  std::string html =
      format("<div class=\"card\"><h3 class=\"sr\">Confusion matrix</h3><p "
             "class=\"axis-name\">columns: predicted class &#183; rows: true "
             "class</p><table class=\"matrix%s%s\" style=\"--n:%zu;--w:%s\">"
             "<caption class=\"sr\">How many samples of each class (rows) the "
             "model took for each class (columns)</caption><thead><tr><td "
             "class=\"corner\"></td>",
             classes >= manyClasses ? " many" : "", isLong ? " long" : "",
             classes, isLong ? "19%" : "2.2em");
  for (const std::string &name : names)
    html += "<th scope=\"col\">" + name + "</th>";
  html += "</tr></thead><tbody>\n";
  for (size_t actual = 0; actual < classes; ++actual) {
    html += "<tr><th scope=\"row\">" + names[actual] + "</th>";
    for (size_t predicted = 0; predicted < classes; ++predicted)
      html += matrixCell(confusion, actual, predicted, names);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

namespace {
struct Mistake {
  size_t actual, predicted;
  int64_t count;
};
} // namespace

static std::vector<Mistake> mistakesOf(const Confusion &confusion) {
  std::vector<Mistake> mistakes;
  for (size_t i = 0; i < confusion.classes(); ++i)
    for (size_t j = 0; j < confusion.classes(); ++j)
      if (i != j && confusion.at(i, j))
        mistakes.push_back({i, j, confusion.at(i, j)});
  std::stable_sort(
      mistakes.begin(), mistakes.end(),
      [](const Mistake &a, const Mistake &b) { return a.count > b.count; });
  if (mistakes.size() > mostMistakes)
    mistakes.resize(mostMistakes);
  return mistakes;
}

static std::string renderMistakes(const Confusion &confusion,
                                  const std::vector<std::string> &names) {
  const std::vector<Mistake> mistakes = mistakesOf(confusion);
  if (mistakes.empty())
    return "<h3>No mistakes</h3><p>Every sample was classified right.</p>\n";
  std::string html = "<h3>Most frequent mistakes</h3><ul class=\"mixups\">\n";
  for (const Mistake &mistake : mistakes) {
    const double part =
        share(mistake.count, confusion.samplesOf(mistake.actual));
    html += "<li><span><b>" + names[mistake.actual] + "</b> taken for <b>" +
            names[mistake.predicted] + "</b></span><span>" +
            grouped(mistake.count) + " (" + percent(part) + ")</span>" +
            format("<span class=\"bar\"><i style=\"width:%.1f%%\"></i></span>"
                   "</li>\n",
                   100 * share(mistake.count, mistakes.front().count));
  }
  return html + "</ul>\n";
}

static std::string renderRates(const Confusion &confusion,
                               const std::vector<std::string> &names) {
  std::string html =
      "<details><summary>Each class in figures</summary><table "
      "class=\"rows\"><thead><tr><th scope=\"col\">Class</th><th class=\"n\" "
      "scope=\"col\">Samples</th><th class=\"n\" scope=\"col\">Recall</th><th "
      "class=\"n\" scope=\"col\">Precision</th></tr></thead><tbody>\n";
  for (size_t i = 0; i < confusion.classes(); ++i)
    html += "<tr><th scope=\"row\">" + names[i] + "</th><td class=\"n\">" +
            grouped(confusion.samplesOf(i)) + "</td><td class=\"n\">" +
            percent(confusion.recall(i)) + "</td><td class=\"n\">" +
            percent(confusion.precision(i)) + "</td></tr>\n";
  return html + "</tbody></table></details>\n";
}

static std::vector<std::string>
escapedAll(const std::vector<std::string> &names) {
  std::vector<std::string> result = names;
  for (std::string &name : result)
    name = escaped(name);
  return result;
}

std::string renderConfusion(const Confusion &confusion,
                            const std::vector<std::string> &names) {
  const std::vector<std::string> safe = escapedAll(names);
  const bool hasMatrix = confusion.classes() <= mostMatrixClasses;
  return std::string(hasMatrix ? "<div class=\"grid wide\">"
                               : "<div class=\"grid\">") +
         (hasMatrix ? renderMatrix(confusion, safe) : "") +
         "<div class=\"card\">" + renderMistakes(confusion, safe) +
         renderRates(confusion, safe) + "</div></div>\n";
}

// ---- Samples ----------------------------------------------------------------

bool isImage(const Shape &shape) {
  const size_t rank = shape.size();
  if (rank < 2 || rank > 3 || shape[0] < 2 || shape[1] < 2)
    return false;
  return rank == 2 || shape[2] == 1 || shape[2] == 3;
}

/// From which numbers to which the pixels of a sample go.
static std::pair<float, float> rangeOf(const Array &inputs, int64_t first,
                                       int64_t elements) {
  float low = 0, high = 1;
  if (inputs.type == ElementType::U8)
    return {0.0f, 255.0f};
  for (int64_t i = 0; i < elements; ++i) {
    low = std::min(low, inputs.at(first + i));
    high = std::max(high, inputs.at(first + i));
  }
  if (low < 0 || high > 255) // standardised, or something else
    return {low, high};
  return {0.0f, high > 1 ? 255.0f : 1.0f};
}

Picture makePicture(const Array &inputs, const Shape &shape, uint32_t sample) {
  const int64_t mostPixels = 96; // a side
  const int64_t height = shape[0], width = shape[1];
  const int64_t channels = shape.size() == 3 ? shape[2] : 1;
  const int64_t factor =
      (std::max(height, width) + mostPixels - 1) / mostPixels;
  const int64_t first = sample * inputs.recordElements();
  const auto [low, high] = rangeOf(inputs, first, inputs.recordElements());

  Picture picture;
  picture.width = static_cast<uint32_t>(std::max(width / factor, int64_t{1}));
  picture.height = static_cast<uint32_t>(std::max(height / factor, int64_t{1}));
  picture.channels = static_cast<uint32_t>(channels);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      for (int64_t c = 0; c < channels; ++c) {
        float sum = 0, count = 0;
        for (int64_t v = y * factor; v < std::min((y + 1) * factor, height);
             ++v)
          for (int64_t u = x * factor; u < std::min((x + 1) * factor, width);
               ++u, ++count)
            sum += inputs.at(first + (v * width + u) * channels + c);
        const float level = 255 * (sum / count - low) / (high - low);
        picture.pixels.push_back(static_cast<uint8_t>(
            level > 0 ? std::min(level + 0.5f, 255.0f) : 0.0f));
      }
  return picture;
}

std::vector<Prediction> spread(const std::vector<Prediction> &all,
                               size_t count) {
  count = std::min(count, all.size());
  std::vector<Prediction> chosen;
  for (size_t i = 0; i < count; ++i)
    chosen.push_back(all[i * all.size() / count]);
  return chosen;
}

std::vector<Prediction> surestMistakes(const std::vector<Prediction> &all,
                                       size_t count) {
  std::vector<Prediction> wrong;
  for (const Prediction &prediction : all)
    if (!prediction.isRight())
      wrong.push_back(prediction);
  std::stable_sort(wrong.begin(), wrong.end(),
                   [](const Prediction &a, const Prediction &b) {
                     return a.probability > b.probability;
                   });
  if (wrong.size() > count)
    wrong.resize(count);
  return wrong;
}

std::string renderSamples(const std::vector<Prediction> &predictions,
                          const Array &inputs, const Shape &shape,
                          const std::vector<std::string> &names) {
  std::string html = "<div class=\"samples\">\n";
  for (const Prediction &prediction : predictions) {
    const Picture picture = makePicture(inputs, shape, prediction.sample);
    const std::string actual = escaped(names[prediction.actual]);
    const std::string predicted = escaped(names[prediction.predicted]);
    const std::string sure =
        percent(static_cast<double>(prediction.probability));
    const bool isRight = prediction.isRight();
    html += std::string("<figure class=\"") + (isRight ? "right" : "wrong") +
            "\"><img width=\"" + std::to_string(picture.width) +
            "\" height=\"" + std::to_string(picture.height) +
            format("\" style=\"--r:%u/%u\" ", picture.width, picture.height) +
            "alt=\"Sample " + std::to_string(prediction.sample) + ", class " +
            actual + "\" src=\"" + pngUri(picture) + "\"><figcaption><b>" +
            (isRight ? "&#10003; " : "&#10007; ") + predicted + "</b><small>" +
            sure + "</small>" +
            (isRight ? "" : "<small>is " + actual + "</small>") +
            "</figcaption></figure>\n";
  }
  return html + "</div>\n";
}

} // namespace sinter::trainer
