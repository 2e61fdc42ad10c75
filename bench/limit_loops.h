// Loops that do nothing but move memory, compiled once per instruction set (see CMakeLists.txt).
#pragma once
#include <cstddef>

namespace bench {

struct LimitLoops {
  // The sum of n floats, a multiple of 128.
  float (*read)(const float* x, std::size_t n);
  // Sets n floats, a multiple of 128.
  void (*write)(float* x, std::size_t n);
  // The traffic of an optimizer step and one multiply-add for each array written: reads g, reads and writes w and up to
  // two moments (null: fewer). n is a multiple of 16.
  void (*update)(const float* g, float* w, float* m, float* v, std::size_t n);
};

extern const LimitLoops baseline_limits, avx2_limits, avx512_limits, neon_limits;

}  // namespace bench
