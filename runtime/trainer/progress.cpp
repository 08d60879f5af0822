// progress.cpp - the bar and the lines; see progress.h.
#include "runtime/trainer/progress.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace sinter::trainer {

namespace {

/// A line of text of limited length, without allocation.
class Line {
public:
  [[gnu::format(printf, 2, 3)]] void append(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int added =
        std::vsnprintf(text + length, sizeof text - length, format, arguments);
    va_end(arguments);
    length = std::min(sizeof text - 1,
                      length + static_cast<size_t>(std::max(added, 0)));
  }

  void appendMeans(const char *prefix, const Means &means) {
    for (size_t i = 0; i < means.size(); ++i)
      append("  %s%s %#.4g", prefix, means.name(i), means.mean(i));
  }

  void cut(size_t most) {
    length = std::min(length, most);
    text[length] = 0;
  }

  const char *c_str() const { return text; }

private:
  char text[8192] = {}; // several outputs have many figures
  size_t length = 0;
};

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

} // namespace

static constexpr double secondsBetweenDrawings = 0.1;
static constexpr int barWidth = 24;

Progress::Style Progress::styleOfOutput() {
  return isatty(STDOUT_FILENO) ? Style::Bar : Style::Lines;
}

Progress::Progress(Style style, int64_t epochs, int64_t stepsPerEpoch)
    : style(style), epochs(epochs), stepsPerEpoch(stepsPerEpoch) {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    columns = size.ws_col;
}

void Progress::beginEpoch() {
  ++epoch;
  begin = lastDrawn = Clock::now();
}

void Progress::step(int64_t step, const Means &training) {
  if (style != Style::Bar)
    return;
  Clock::time_point now = Clock::now();
  if (seconds(now - lastDrawn) < secondsBetweenDrawings)
    return;
  lastDrawn = now;
  int64_t stepsLeft = stepsPerEpoch - step + (epochs - epoch) * stepsPerEpoch;
  double secondsPerStep =
      seconds(now - begin) / static_cast<double>(step - firstStep);
  draw(step, training, secondsPerStep * static_cast<double>(stepsLeft));
}

void Progress::draw(int64_t step, const Means &training, double secondsLeft) {
  int done = static_cast<int>(barWidth * step / stepsPerEpoch);
  long long left = static_cast<long long>(secondsLeft + 0.5);
  Line line;
  line.append("epoch %lld/%lld  [", static_cast<long long>(epoch),
              static_cast<long long>(epochs));
  for (int i = 0; i < barWidth; ++i)
    line.append("%c", i < done ? '=' : i == done ? '>' : ' ');
  line.append("] %lld/%lld", static_cast<long long>(step),
              static_cast<long long>(stepsPerEpoch));
  line.appendMeans("", training);
  line.append("  ETA %lld:%02lld", left / 60, left % 60);
  line.cut(static_cast<size_t>(columns - 1)); // a wrapped line stays for good
  std::printf("\r%s\033[K", line.c_str());
  std::fflush(stdout);
}

void Progress::endEpoch(const Means &training, const Means *validation,
                        double seconds) {
  firstStep = 0;
  if (style == Style::Quiet)
    return;
  Line line;
  line.append("epoch %lld/%lld", static_cast<long long>(epoch),
              static_cast<long long>(epochs));
  line.appendMeans("", training);
  if (validation)
    line.appendMeans("val_", *validation);
  line.append("  %.2f s", seconds);
  std::printf("%s%s\n", style == Style::Bar ? "\r\033[K" : "", line.c_str());
  std::fflush(stdout);
}

void Progress::abandon() {
  if (style == Style::Bar)
    std::printf("\n");
  std::fflush(stdout);
}

} // namespace sinter::trainer
