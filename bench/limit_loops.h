// Loops that only move memory, to measure bandwidths. They are compiled once per instruction set (see CMakeLists.txt).
#pragma once
#include <cstddef>

namespace bench {

struct LimitLoops {
  // Returns the sum of n floats. n is a multiple of 128.
  float (*read)(const float* x, std::size_t n);
  // Writes n floats. n is a multiple of 128.
  void (*write)(float* x, std::size_t n);
  // Moves the same memory as an optimizer step, with one multiply-add for each array that is written: reads g, and
  // reads and writes w and up to two moments, which may be null. n is a multiple of 16.
  void (*update)(const float* g, float* w, float* m, float* v, std::size_t n);
};

extern const LimitLoops baseline_limits, avx2_limits, avx512_limits, neon_limits;

}  // namespace bench
