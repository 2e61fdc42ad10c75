// How long a product of any shape may take: what good kernels reach on shapes of its class, of the FMA peak or of the
// bandwidth that its data come with. The fractions were measured with kernels written for one shape each.
#pragma once
#include <algorithm>
#include <cstddef>

namespace bench {

enum class Form { forward, input, weights };

struct Shape {
  Form form;
  std::size_t n, in, out;
};

// Of the peak that is left after padding, for batches that fill the tiles.
inline double fraction(const Shape& s) {
  const std::size_t widest = std::max(s.in, s.out), narrowest = std::min(s.in, s.out);
  if (s.form == Form::forward) return s.out <= 16 ? 0.72 : widest >= 1000 || s.in <= 16 ? 0.82 : 0.92;
  if (s.form == Form::input) return narrowest <= 16 ? 0.65 : widest >= 1000 ? 0.78 : narrowest < 256 ? 0.78 : 0.86;
  return narrowest <= 16 ? 0.65 : widest >= 1000 ? 0.80 : 0.92;
}

// Seconds. A single column makes dot products, sums of rows and outer products, which wait for data and not for FMAs.
inline double budget(const Shape& s, double peak_gflops) {
  constexpr double kCall = 20e-9;   // arguments, the call, the first latencies
  const auto n = static_cast<double>(s.n), in = static_cast<double>(s.in), out = static_cast<double>(s.out);
  const auto padded = [](std::size_t cols) {
    return cols == 1 ? 1.0 : static_cast<double>((cols + 15) / 16 * 16);
  };
  const double bytes = 4 * (n * padded(s.in) + n * padded(s.out) + in * padded(s.out));
  const bool written = s.form == Form::weights;
  const double bandwidth = bytes <= 32e3 ? 200e9 : bytes <= 768e3 ? 110e9 : written ? 27e9 : 50e9;
  if (s.in == 1 || s.out == 1) return kCall + bytes / bandwidth;
  // What a vector's lanes are: the outputs, or the inputs for dX and for the dW of few outputs.
  const bool along_inputs = s.form == Form::input || (written && s.out <= 16);
  const double lanes = along_inputs ? in / padded(s.in) : out / padded(s.out);
  const double multiply = 2 * n * in * out / (fraction(s) * lanes * peak_gflops * 1e9);
  return kCall + std::max(multiply, bytes / bandwidth);
}

}  // namespace bench
