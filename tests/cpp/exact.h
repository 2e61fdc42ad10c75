// The vector interface of cpu/simd/simd.h at width 1 in double precision, with the functions of the standard library in
// place of polynomials: the formulas of cpp/math/ over it are what every instruction set is compared with.
#pragma once
#include <cmath>
#include <cstddef>

#include "math/inline.h"

namespace fastreg::test {

struct Exact {
  static constexpr std::size_t kLanes = 1;
  struct Mask {
    bool m;
    static Mask first(std::size_t n) { return {n > 0}; }
    friend Mask operator&(Mask a, Mask b) { return {a.m && b.m}; }
    friend Mask operator|(Mask a, Mask b) { return {a.m || b.m}; }
  };

  double v = 0.0;
  Exact() = default;
  Exact(double s) : v(s) {}

  static Exact load(const double* p) { return *p; }
  void store(double* p) const { *p = v; }

  friend Exact operator+(Exact a, Exact b) { return a.v + b.v; }
  friend Exact operator-(Exact a, Exact b) { return a.v - b.v; }
  friend Exact operator*(Exact a, Exact b) { return a.v * b.v; }
  friend Exact operator/(Exact a, Exact b) { return a.v / b.v; }
  friend Mask operator<(Exact a, Exact b) { return {a.v < b.v}; }
  friend Mask operator<=(Exact a, Exact b) { return {a.v <= b.v}; }
  friend Mask operator>(Exact a, Exact b) { return {a.v > b.v}; }
  friend Mask operator>=(Exact a, Exact b) { return {a.v >= b.v}; }
  friend Mask operator==(Exact a, Exact b) { return {a.v == b.v}; }
  friend Mask operator!=(Exact a, Exact b) { return {a.v != b.v}; }
  friend Exact fma(Exact a, Exact b, Exact c) { return a.v * b.v + c.v; }
  friend Exact fnma(Exact a, Exact b, Exact c) { return c.v - a.v * b.v; }
  friend Exact min(Exact a, Exact b) { return a.v < b.v ? a : b; }
  friend Exact max(Exact a, Exact b) { return a.v > b.v ? a : b; }
  friend Exact abs(Exact a) { return std::fabs(a.v); }
  friend Exact copysign(Exact a, Exact b) { return std::copysign(a.v, b.v); }
  friend Exact give_sign(Exact a, Exact b) { return copysign(a, b); }
  friend Exact sqrt(Exact a) { return std::sqrt(a.v); }
  friend Exact select(Mask m, Exact a, Exact b) { return m.m ? a : b; }
  friend Exact where(Mask m, Exact a) { return m.m ? a : Exact(0.0); }
  friend double sum(Exact a) { return a.v; }
  friend double max_lanes(Exact a) { return a.v; }

  // In place of the templates of math/activations.h, which have the accuracy of float.
  friend Exact exp(Exact x) { return std::exp(x.v); }
  friend Exact log(Exact x) { return std::log(x.v); }
  friend Exact log1p_unit(Exact u) { return std::log1p(u.v); }
  friend Exact expm1_negative(Exact x) { return std::expm1(x.v); }
};

}  // namespace fastreg::test
