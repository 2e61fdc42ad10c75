// Loops for the test of check_spills.py, which must report two of them and accept one. They are not linked into
// anything.
#include <cstddef>

namespace {

using Vector [[gnu::vector_size(32)]] = float;

template <std::size_t N>
[[gnu::always_inline]] inline void accumulate(const float* x, float* out, std::size_t n) {
  Vector sums[N] = {};
  for (std::size_t i = 0; i < n; ++i) {
#pragma GCC unroll 64
    for (std::size_t v = 0; v < N; ++v) {
      Vector value;
      __builtin_memcpy(&value, x + (i * N + v) * 8, sizeof value);
      sums[v] = sums[v] * value + value;
    }
  }
  __builtin_memcpy(out, sums, sizeof sums);
}

}  // namespace

void in_registers(const float* x, float* out, std::size_t n) { accumulate<8>(x, out, n); }

// More sums than the 16 registers of AVX2 hold.
void too_many_sums(const float* x, float* out, std::size_t n) { accumulate<20>(x, out, n); }

// The index is known at run time only, so the array cannot be in registers.
void array_by_index(const float* x, const std::size_t* index, float* out, std::size_t n) {
  Vector sums[64] = {};
  for (std::size_t i = 0; i < n; ++i) {
    Vector value;
    __builtin_memcpy(&value, x + i * 8, sizeof value);
    sums[index[i]] = sums[index[i]] + value;
  }
  __builtin_memcpy(out, sums, sizeof sums);
}
