// Sums of numbers and of their squares with twice the digits of double, for what is left of them about a mean: where
// numbers lie close together far from 0, their squares agree in more digits than double has.
#pragma once
#include <cmath>

namespace fastreg {

// A number as the sum of a double and of what that has lost by rounding.
struct Exact {
  double value = 0.0, lost = 0.0;
};

// a b (Dekker 1971): both are cut into halves whose products are exact.
inline Exact exact_product(double a, double b) {
  const auto upper_half = [](double x) {
    const double shifted = 134217729.0 * x;   // 2^27 + 1
    return shifted - (shifted - x);
  };
  const double a1 = upper_half(a), a2 = a - a1, b1 = upper_half(b), b2 = b - b1, product = a * b;
  return {product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
}

// Adds to a sum, which is two doubles as in Exact (Knuth's two-sum). The first is that of plain additions, to the bit.
inline void add_exactly(double* sum, const Exact& term) {
  const double before = sum[0], after = before + term.value, added = after - before;
  sum[0] = after;
  sum[1] += ((before - (after - added)) + (term.value - added)) + term.lost;
}
// Adds weight * x for a weight and a number that float has: double holds their product.
inline void add_float(double* sum, double weight, double x) { add_exactly(sum, {weight * x}); }
// Adds weight * x * y for three such numbers. Nearly all weights are 1, and the product of two is exact, too.
inline void add_floats(double* sum, double weight, double x, double y) {
  const double once = weight * x;
  add_exactly(sum, weight == 1.0 ? Exact{once * y} : exact_product(once, y));
}
// Adds weight * x * y for any numbers.
inline void add_product(double* sum, double weight, double x, double y) {
  const Exact once = exact_product(weight, x);
  Exact term = exact_product(once.value, y);
  term.lost += once.lost * y;
  add_exactly(sum, term);
}
inline Exact exact(const double* sum) { return {sum[0], sum[1]}; }

// The sum of weight * x * y about the means of x and y, from the weighted sums P of the products and X and Y of the
// numbers, and the sum W of the weights: P - m Y - n (X - m W) is the sum about any m and n, here the rounded means.
inline double products_about_means(const Exact& p, const Exact& x, const Exact& y, const Exact& w) {
  const double m = x.value / w.value, n = y.value / w.value;
  const auto without = [](const Exact& from, double factor, const Exact& what) {
    const Exact product = exact_product(factor, what.value);
    return (from.value - product.value) - product.lost + (from.lost - factor * what.lost);
  };
  const double x_left = without(x, m, w), y_left = without(y, n, w);
  return without(p, m, y) - n * x_left - x_left * y_left / w.value;
}

// Whether plain arithmetic keeps enough digits of the sum of squares about a mean, which is `about` of all `squares`.
inline bool far_apart(double about, double squares) { return about > 1e-6 * squares; }

// The sum of weight * (x - mean)^2 of numbers with these weighted sums. What only rounding leaves counts as 0.
inline double squares_about_mean(const Exact& squares, const Exact& sum, const Exact& weights, double weight) {
  constexpr double kRounding = 1e-22, kPlainRounding = 1e-13;
  const double plain = squares.value - sum.value * sum.value / weight;
  if (far_apart(plain, squares.value)) return plain;
  const double about = products_about_means(squares, sum, sum, weights);
  if (std::isfinite(about)) return about > kRounding * squares.value ? about : 0.0;
  return plain > kPlainRounding * squares.value ? plain : 0.0;
}

}  // namespace fastreg
