// How long a matrix product of any shape may take. The budget is derived from the fraction of the FMA peak, or of the
// bandwidth of its data, that good kernels reach for shapes of the same class. The fractions were measured with kernels
// that were each written for a single shape.
#pragma once
#include <algorithm>
#include <cstddef>

namespace bench {

enum class Form { forward, input, weights };

struct Shape {
  Form form;
  std::size_t n, in, out;
};

// The fraction of the FMA peak, after what padding costs, for batches that fill the tiles.
inline double fraction(const Shape& s) {
  const std::size_t widest = std::max(s.in, s.out), narrowest = std::min(s.in, s.out);
  if (s.form == Form::forward) return s.out <= 16 ? 0.72 : widest >= 1000 || s.in <= 16 ? 0.82 : 0.92;
  if (s.form == Form::input) return narrowest <= 16 ? 0.65 : widest >= 1000 ? 0.78 : narrowest < 256 ? 0.78 : 0.86;
  return narrowest <= 16 ? 0.65 : widest >= 1000 ? 0.80 : 0.92;
}

// What one core of this machine reaches, measured in the same run: operations a second, and bytes a second that are
// read and written where the data are no more than `bytes`. The last level has what exceeds all caches.
struct Limits {
  struct Level {
    double bytes, read, write;
  };
  double peak;
  Level levels[4];

  const Level& level(double bytes) const {
    std::size_t i = 0;
    while (i < 3 && bytes > levels[i].bytes) ++i;
    return levels[i];
  }
};

// The budget in seconds. With a single row or column the products are dot products, sums of rows and outer products,
// whose speed is bound by memory and not by FMAs: they reach kShare of what a loop reaches that only reads or only
// writes.
inline double budget(const Shape& s, const Limits& limits) {
  constexpr double kShare = 0.45;
  constexpr double kCall = 20e-9;   // the time of the call itself and of its first latencies
  const auto n = static_cast<double>(s.n), in = static_cast<double>(s.in), out = static_cast<double>(s.out);
  const auto padded = [](std::size_t cols) {
    return cols == 1 ? 1.0 : static_cast<double>((cols + 15) / 16 * 16);
  };
  const double x = 4 * n * padded(s.in), y = 4 * n * padded(s.out), w = 4 * in * padded(s.out);
  const double written = s.form == Form::forward ? y : s.form == Form::input ? x : w;
  const Limits::Level& level = limits.level(x + y + w);
  const double moving = ((x + y + w - written) / level.read + written / level.write) / kShare;
  if (s.in == 1 || s.out == 1) return kCall + moving;
  // The lanes of a vector are outputs, or inputs for dX and for the dW of few outputs.
  const bool along_inputs = s.form == Form::input || (s.form == Form::weights && s.out <= 16);
  const double lanes = along_inputs ? in / padded(s.in) : out / padded(s.out);
  const double multiply = 2 * n * in * out / (fraction(s) * lanes * limits.peak);
  return kCall + std::max(multiply, moving);
}

}  // namespace bench
