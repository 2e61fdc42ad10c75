// Loops that only move memory, to measure bandwidths. They are compiled once per instruction set (see CMakeLists.txt).
#pragma once
#include <cstddef>
#include <cstring>

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

// The loops of an instruction set, or null if it was not built.
inline const LimitLoops* limit_loops(const char* isa) {
  const struct {
    const char* isa;
    const LimitLoops* loops;
  } built[] = {
#if defined(FASTREG_HAVE_BASELINE)
      {"baseline", &baseline_limits},
#endif
#if defined(FASTREG_HAVE_AVX2)
      {"avx2", &avx2_limits},
#endif
#if defined(FASTREG_HAVE_AVX512)
      {"avx512", &avx512_limits},
#endif
#if defined(FASTREG_HAVE_NEON)
      {"neon", &neon_limits},
#endif
      {"", nullptr}};
  for (const auto& row : built)
    if (std::strcmp(row.isa, isa) == 0) return row.loops;
  return nullptr;
}

}  // namespace bench
