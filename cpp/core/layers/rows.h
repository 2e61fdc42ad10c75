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
