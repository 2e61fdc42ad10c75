// The loops of limit_loops.h, on vectors of 16 floats. For one such vector the compiler uses as many registers as the
// instruction set needs.
#include "limit_loops.h"

#define FASTREG_JOIN2(a, b) a##b
#define FASTREG_JOIN(a, b) FASTREG_JOIN2(a, b)

namespace bench {
namespace {

typedef float V __attribute__((vector_size(64), may_alias));
constexpr std::size_t kWidth = 16, kChains = 8;

const V* vectors(const float* x) { return reinterpret_cast<const V*>(x); }
V* vectors(float* x) { return reinterpret_cast<V*>(x); }

float read(const float* x, std::size_t n) {
  const V* p = vectors(x);
  V a{}, b{}, c{}, d{}, e{}, f{}, g{}, h{};
  for (std::size_t i = 0; i < n / kWidth; i += kChains) {
    a += p[i], b += p[i + 1], c += p[i + 2], d += p[i + 3];
    e += p[i + 4], f += p[i + 5], g += p[i + 6], h += p[i + 7];
  }
  const V sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
  float total = 0;
  for (std::size_t i = 0; i < kWidth; ++i) total += sum[i];
  return total;
}

void write(float* x, std::size_t n) {
  const V value = V{} + 1.0f;
  for (std::size_t i = 0; i < n / kWidth; ++i) {
    // Keeps the stores in a plain loop, which the compiler would otherwise replace by a call like memset.
    asm volatile("" ::: "memory");
    vectors(x)[i] = value;
  }
}

void update(const float* g, float* w, float* m, float* v, std::size_t n) {
  const V half = V{} + 0.5f;
  const V* from = vectors(g);
  V *const first = vectors(w), *const second = vectors(m), *const third = vectors(v);
  for (std::size_t i = 0; i < n / kWidth; ++i) {
    const V x = half * from[i];
    first[i] += x;
    if (m != nullptr) second[i] += x;
    if (v != nullptr) third[i] += x;
  }
}

}  // namespace

const LimitLoops FASTREG_JOIN(FASTREG_ISA, _limits) = {read, write, update};

}  // namespace bench
