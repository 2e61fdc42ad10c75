// Formulas of single rows that training, inference and frozen networks share. They are for layers that move little data
// and are not worth a kernel for each instruction set.
#pragma once
#include <cstddef>

#include "fastreg/layers.h"

namespace fastreg {

// How two values of a join become one, element by element. Of a NaN and a number, the greater and the lesser are NaN.
enum class Merge { subtract, maximum, minimum };
// y = a merged with b over n floats; y may be a or b.
void merge(Merge kind, const float* a, const float* b, float* y, std::size_t n);
inline float greater(float a, float b) { return a >= b || a != a ? a : b; }
inline float lesser(float a, float b) { return a <= b || a != a ? a : b; }
// The share of an input in the gradient of the greatest or the least of `count` values, of which value(i) is number i.
// At a tie of an input with the value of those before it, each side gets half.
template <class Value>
float share_of_extreme(Merge kind, std::size_t count, std::size_t input, Value value) {
  const auto share_of = [kind](float a, float b) {
    if (a == b) return 0.5f;
    return (kind == Merge::maximum) == (a > b) ? 1.0f : 0.0f;
  };
  float before = value(0);   // the value of the inputs so far
  float share = 1.0f;
  for (std::size_t i = 1; i < count; ++i) {
    const float here = value(i);
    if (i == input)
      share = share_of(here, before);
    else if (i > input)
      share *= share_of(before, here);
    before = kind == Merge::maximum ? greater(before, here) : lesser(before, here);
  }
  return share;
}
// Joins that compute element by element. Where one of several inputs has a single column, it stands for every column:
// the first input is copied to the n columns of y, the others are combined with them. An average is not yet divided.
enum class Elementwise { add, multiply, subtract, average, maximum, minimum };
void broadcast_row(Elementwise kind, std::size_t input, const float* x, std::size_t width, float* y, std::size_t n);
// y = x / divisor over n floats, in place allowed.
void divide(const float* x, float divisor, float* y, std::size_t n);

// The vectors of a row that is an input of Dot: element t of vector i is at data[i * step + t * stride].
struct Vectors {
  const float* data;
  std::size_t count, step, stride;
};
Vectors vectors_of(const Dot& dot, bool first, const float* row, std::size_t width);
// y[i * b.count + j] = the product of vector i of a and vector j of b.
void dot_row(const Dot& dot, const Vectors& a, const Vectors& b, float* y);
// The gradient of the elements of x from dy, whose element of vectors i of x and j of the other is at
// dy[i * dy_step + j * dy_stride]. dx has the layout of x.
void dot_row_backward(const Dot& dot, const Vectors& x, const Vectors& other, const float* dy, std::size_t dy_step,
                      std::size_t dy_stride, float* dx);

// The integer that a feature is, or `count` if it is none in [0, count).
inline std::size_t index_of_feature(float value, std::size_t count) {
  return value >= 0.0f && value < static_cast<float>(count) ? static_cast<std::size_t>(value) : count;
}
// The indicators of a row of n features.
void encode_row(const CategoryEncoding& encoding, const float* x, std::size_t n, float* y);
std::size_t encoded_width(const CategoryEncoding& encoding, std::size_t n);

// max(sqrt(variance), 1e-7): the deviation by which Normalization divides.
double deviation_of(float variance);

}  // namespace fastreg
