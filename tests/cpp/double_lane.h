// Double: the vector interface of cpp/cpu/simd/simd.h at width 1 in double precision, as far as formulas of cpp/math
// use it. Tests compare every instruction set with the same formula over Double, so that one that is added is tested
// too; whether a formula is the right one is the business of the Python tests and their NumPy oracle.
#pragma once
#include <cmath>
#include <cstddef>
#include <limits>

namespace fastreg::test {

struct Double {
  static constexpr std::size_t kLanes = 1;
  struct Mask {
    bool m;
    static Mask first(std::size_t n) { return {n > 0}; }
    friend Mask operator&(Mask a, Mask b) { return {a.m && b.m}; }
    friend Mask operator|(Mask a, Mask b) { return {a.m || b.m}; }
  };

  double v = 0.0;
  Double() = default;
  Double(double value) : v(value) {}

  static Double load(const double* p) { return *p; }
  void store(double* p) const { *p = v; }
  template <class Number>
  static Double load_first(const Number* p, std::size_t n) {
    return n > 0 ? static_cast<double>(*p) : 0.0;
  }
  void store_first(double* p, std::size_t n) const {
    if (n > 0) *p = v;
  }

  friend Double operator+(Double a, Double b) { return a.v + b.v; }
  friend Double operator-(Double a, Double b) { return a.v - b.v; }
  friend Double operator*(Double a, Double b) { return a.v * b.v; }
  friend Double operator/(Double a, Double b) { return a.v / b.v; }
  friend Mask operator<(Double a, Double b) { return {a.v < b.v}; }
  friend Mask operator<=(Double a, Double b) { return {a.v <= b.v}; }
  friend Mask operator>(Double a, Double b) { return {a.v > b.v}; }
  friend Mask operator>=(Double a, Double b) { return {a.v >= b.v}; }
  friend Mask operator==(Double a, Double b) { return {a.v == b.v}; }
  friend Mask operator!=(Double a, Double b) { return {a.v != b.v}; }
  friend Double fma(Double a, Double b, Double c) { return std::fma(a.v, b.v, c.v); }
  friend Double fnma(Double a, Double b, Double c) { return std::fma(-a.v, b.v, c.v); }
  friend Double min(Double a, Double b) { return a.v < b.v ? a : b; }
  friend Double max(Double a, Double b) { return a.v > b.v ? a : b; }
  friend Double abs(Double a) { return std::fabs(a.v); }
  friend Double copysign(Double a, Double b) { return std::copysign(a.v, b.v); }
  friend Double give_sign(Double a, Double b) { return copysign(a, b); }
  friend Double sqrt(Double a) { return std::sqrt(a.v); }
  friend Double twice_sqrt_plus(Double a, Double c) { return 2.0 * std::sqrt(a.v) + c.v; }
  friend Double round(Double a) { return std::nearbyint(a.v); }
  friend Double select(Mask m, Double a, Double b) { return m.m ? a : b; }
  friend Double where(Mask m, Double a) { return m.m ? a : Double(0.0); }
  friend Double in_register(Double a) { return a; }
  friend double sum(Double a) { return a.v; }
  friend double max_lanes(Double a) { return a.v; }
  friend Double exp2_of(Double n) { return std::ldexp(1.0, static_cast<int>(n.v)); }
  // With the range of float, on which formulas rely: e^x is infinite from 2^128 on, and 0 below 2^-149.
  friend Double ldexp(Double a, Double n) {
    const double scaled = std::isnan(n.v) ? n.v : std::ldexp(a.v, static_cast<int>(n.v));
    if (std::fabs(scaled) >= 0x1p128) return std::copysign(std::numeric_limits<double>::infinity(), scaled);
    return std::fabs(scaled) < 0x1p-149 ? 0.0 : scaled;
  }
  friend Double split_exponent(Double x, Double* m) {
    int exponent = 0;
    m->v = std::frexp(x.v, &exponent);   // in [1/2, 1)
    if (m->v < std::sqrt(0.5)) {
      m->v *= 2.0;
      --exponent;
    }
    return static_cast<double>(exponent);
  }
};

}  // namespace fastreg::test
