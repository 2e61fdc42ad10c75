// Divides a long call of a frozen network, so that Python handles signals, such as that of Ctrl-C, meanwhile.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>

#include "bindings/pause.h"
#include "fastreg/runtime.h"

namespace fastreg::bindings {

// Gives up the interpreter lock and calls predict(first, rows) until all rows are done: once, or in slices if that may
// take more than a few milliseconds. Signals are handled between slices, every 50 ms; if a handler raises, so
// does this, and the rest of the rows is not predicted. work_per_row: that of Predictor.
template <class Predict>
void in_slices(double work_per_row, std::size_t rows, Predict&& predict) {
  using Clock = std::chrono::steady_clock;
  constexpr double kFirst = 2e8, kMost = 1e10, kBetweenPauses = 0.05;   // the first two: work of a thread
  constexpr double kRows = 256.0;   // rows of a thread, by whole multiples of which a division costs no time
  const auto seconds = [](Clock::duration time) { return std::chrono::duration<double>(time).count(); };
  const Unlocked released;
  const double threads = static_cast<double>(num_threads()), work = std::max(1.0, work_per_row);
  const double unit = std::max(1.0, std::min(kRows, kMost / work)) * threads;
  double slice = std::max(unit, kFirst / work * threads);
  if (static_cast<double>(rows) <= slice) return predict(std::size_t{0}, rows);
  PythonPause pause;
  auto paused = Clock::now(), began = paused;
  for (std::size_t first = 0;;) {
    const auto units = static_cast<std::size_t>(slice / unit);
    const std::size_t n = std::min(rows - first, units * static_cast<std::size_t>(unit));
    predict(first, n);
    first += n;
    if (first == rows) return;
    const auto now = Clock::now();
    const double factor = 0.5 * kBetweenPauses / std::max(1e-9, seconds(now - began));
    slice = std::clamp(slice * std::clamp(factor, 0.125, 8.0), unit, static_cast<double>(rows));
    began = now;
    if (seconds(now - paused) < kBetweenPauses) continue;
    pause.reached();
    paused = began = Clock::now();
  }
}

// Rows of a matrix.
template <class T>
MatrixView<T> part_of(const MatrixView<T>& all, std::size_t first, std::size_t rows) {
  return {all.data + first * all.stride, rows, all.cols, all.stride};
}

}  // namespace fastreg::bindings
