// The formulas of rows.h.
#include "core/layers/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

// Keras divides a vector by its norm, but multiplies by no more than this.
constexpr float kMostInverse = 1e7f;

// Eight chains of additions, in an order that depends on n alone.
float product(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, std::size_t n) {
  float chains[8] = {};
  std::size_t t = 0;
  if (a_stride == 1 && b_stride == 1) {
    for (; t + 8 <= n; t += 8)
      for (std::size_t c = 0; c < 8; ++c) chains[c] += a[t + c] * b[t + c];
  } else {
    for (; t + 8 <= n; t += 8)
      for (std::size_t c = 0; c < 8; ++c) chains[c] += a[(t + c) * a_stride] * b[(t + c) * b_stride];
  }
  for (std::size_t c = 0; t < n; ++t, ++c) chains[c] += a[t * a_stride] * b[t * b_stride];
  return ((chains[0] + chains[4]) + (chains[2] + chains[6])) + ((chains[1] + chains[5]) + (chains[3] + chains[7]));
}

double exact_product(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, std::size_t n) {
  double sum = 0.0;
  for (std::size_t t = 0; t < n; ++t)
    sum += static_cast<double>(a[t * a_stride]) * static_cast<double>(b[t * b_stride]);
  return sum;
}

bool overflows(float sum) { return !(std::fabs(sum) <= std::numeric_limits<float>::max()); }

// What vector i is multiplied by; 1 if vectors are not normalised.
float inverse_norm(const Dot& dot, const Vectors& x, std::size_t i) {
  if (!dot.normalize) return 1.0f;
  const float* const begin = x.data + i * x.step;
  const float square = product(begin, x.stride, begin, x.stride, dot.length);
  if (overflows(square))
    return static_cast<float>(1.0 / std::sqrt(exact_product(begin, x.stride, begin, x.stride, dot.length)));
  return std::min(kMostInverse, 1.0f / std::sqrt(square));
}

}  // namespace

void merge(Merge kind, const float* a, const float* b, float* y, std::size_t n) {
  switch (kind) {
    case Merge::subtract:
      for (std::size_t i = 0; i < n; ++i) y[i] = a[i] - b[i];
      break;
    case Merge::maximum:
      for (std::size_t i = 0; i < n; ++i) y[i] = greater(a[i], b[i]);
      break;
    case Merge::minimum:
      for (std::size_t i = 0; i < n; ++i) y[i] = lesser(a[i], b[i]);
      break;
  }
}

void divide(const float* x, float divisor, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = x[i] / divisor;
}

Vectors vectors_of(const Dot& dot, bool first, const float* row, std::size_t width) {
  const std::size_t count = width / dot.length;
  const bool transposed = first ? dot.first_transposed : dot.second_transposed;
  return transposed ? Vectors{row, count, 1, count} : Vectors{row, count, dot.length, 1};
}

void dot_row(const Dot& dot, const Vectors& a, const Vectors& b, float* y) {
  for (std::size_t i = 0; i < a.count; ++i) {
    const float scale = inverse_norm(dot, a, i);
    const float* const left = a.data + i * a.step;
    for (std::size_t j = 0; j < b.count; ++j) {
      const float* const right = b.data + j * b.step;
      const float sum = product(left, a.stride, right, b.stride, dot.length), other = inverse_norm(dot, b, j);
      float& to = y[i * b.count + j];
      to = sum * scale * other;
      if (dot.normalize && overflows(sum))
        to = static_cast<float>(exact_product(left, a.stride, right, b.stride, dot.length) *
                                static_cast<double>(scale) * static_cast<double>(other));
    }
  }
}

void dot_row_backward(const Dot& dot, const Vectors& x, const Vectors& other, const float* dy, std::size_t dy_step,
                      std::size_t dy_stride, float* dx) {
  std::fill_n(dx, x.count * dot.length, 0.0f);
  for (std::size_t i = 0; i < x.count; ++i) {
    const float* const from = x.data + i * x.step;
    float* const to = dx + i * x.step;
    for (std::size_t j = 0; j < other.count; ++j) {
      const float factor = dy[i * dy_step + j * dy_stride] * inverse_norm(dot, other, j);
      const float* const vector = other.data + j * other.step;
      for (std::size_t t = 0; t < dot.length; ++t) to[t * x.stride] += factor * vector[t * other.stride];
    }
    if (!dot.normalize) continue;
    // The part of the gradient along the vector changes its norm only, and so nothing, unless the norm is below the
    // limit.
    const float inverse = inverse_norm(dot, x, i);
    const float along = inverse < kMostInverse ? product(to, x.stride, from, x.stride, dot.length) : 0.0f;
    for (std::size_t t = 0; t < dot.length; ++t)
      to[t * x.stride] = inverse * (to[t * x.stride] - along * inverse * inverse * from[t * x.stride]);
  }
}

std::size_t encoded_width(const CategoryEncoding& encoding, std::size_t n) {
  return encoding.output_mode == Encoding::one_hot ? n * encoding.num_tokens : encoding.num_tokens;
}

void encode_row(const CategoryEncoding& encoding, const float* x, std::size_t n, float* y) {
  const std::size_t width = encoded_width(encoding, n);
  std::fill_n(y, width, 0.0f);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t index = index_of_feature(x[i], encoding.num_tokens);
    if (index == encoding.num_tokens) {
      std::fill_n(y, width, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    switch (encoding.output_mode) {
      case Encoding::multi_hot: y[index] = 1.0f; break;
      case Encoding::one_hot: y[i * encoding.num_tokens + index] = 1.0f; break;
      case Encoding::count: y[index] += 1.0f; break;
    }
  }
}

double deviation_of(float variance) { return std::max(std::sqrt(static_cast<double>(variance)), 1e-7); }

}  // namespace fastreg
