// Padded copies of the caller's arrays, for single operations: vectors, and what kernels.h calls rows matrix and
// panels.
#pragma once
#include <algorithm>

#include "core/parameters.h"
#include "fastreg/view.h"

namespace fastreg {

class Vector {
 public:
  explicit Vector(std::size_t size) : buffer_(cpu_backend(), round_up(size, kLane) + kLane) {}
  // Is null if the values are.
  explicit Vector(Span<const float> values) {
    if (values.data == nullptr) return;
    *this = Vector(values.size);
    std::copy(values.begin(), values.end(), buffer_.data());
  }
  float* data() const { return buffer_.data(); }
  void copy_to(Span<float> out) const {
    if (out.data != nullptr) std::copy_n(data(), out.size, out.data);
  }

 private:
  Buffer buffer_;
};

// A matrix in the layout that kernels.h calls rows matrix.
class Rows {
 public:
  Rows(std::size_t rows, std::size_t cols)
      : rows_(rows), cols_(cols), buffer_(cpu_backend(), round_up(rows * padded_ld(cols), kLane) + kLane) {}
  explicit Rows(MatrixView<const float> values) : Rows(values.rows, values.cols) {
    for (std::size_t i = 0; i < rows_; ++i) std::copy_n(values.data + i * values.stride, cols_, data() + i * ld());
  }
  float* data() const { return buffer_.data(); }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t ld() const { return padded_ld(cols_); }
  void copy_to(MatrixView<float> out) const {
    for (std::size_t i = 0; i < rows_; ++i) std::copy_n(data() + i * ld(), cols_, out.data + i * out.stride);
  }

 private:
  std::size_t rows_, cols_;
  Buffer buffer_;
};

// A kernel that is stored in panels.
class Panels {
 public:
  Panels(std::size_t rows, std::size_t cols)
      : buffer_(cpu_backend(), round_up(rows * padded_ld(cols), kLane) + kLane) {}
  explicit Panels(MatrixView<const float> values) : Panels(values.rows, values.cols) {
    pack_panels(values, data());
  }
  float* data() const { return buffer_.data(); }
  void copy_to(MatrixView<float> out) const { unpack_panels(data(), out); }

 private:
  Buffer buffer_;
};

}  // namespace fastreg
