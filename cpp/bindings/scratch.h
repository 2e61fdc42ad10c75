// Padded copies of arrays for single operations: what kernels.h calls rows matrix and panels, and vectors.
#pragma once
#include <algorithm>
#include <optional>

#include "bindings/convert.h"

namespace fastreg::bindings {

class Vector {
 public:
  explicit Vector(std::size_t size) : buffer_(cpu_backend(), round_up(size, kLane) + kLane) {}
  // Stays null where the values are.
  explicit Vector(Span<const float> values) {
    if (values.data == nullptr) return;
    *this = Vector(values.size);
    std::copy(values.begin(), values.end(), buffer_.data());
  }
  float* data() const { return buffer_.data(); }

 private:
  Buffer buffer_;
};

// A rows matrix.
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

  void copy_to(float* out) const {
    for (std::size_t i = 0; i < rows_; ++i) std::copy_n(data() + i * ld(), cols_, out + i * cols_);
  }
  py::array array() const {
    FloatArray out({static_cast<py::ssize_t>(rows_), static_cast<py::ssize_t>(cols_)});
    copy_to(out.mutable_data());
    return out;
  }

 private:
  std::size_t rows_, cols_;
  Buffer buffer_;
};

// A result: computed in padded rows, copied to the caller's `out` or to a new array.
class OutputRows {
 public:
  OutputRows(const py::object& out, const char* name, std::size_t rows, std::size_t cols) : rows_(rows, cols) {
    if (out.is_none()) return;
    out_ = checked<float>(out, name, 2, true);
    if (static_cast<std::size_t>(out_->shape(0)) != rows || static_cast<std::size_t>(out_->shape(1)) != cols)
      throw py::value_error(std::string(name) + " must have shape (" + std::to_string(rows) + ", " +
                            std::to_string(cols) + "), got (" + std::to_string(out_->shape(0)) + ", " +
                            std::to_string(out_->shape(1)) + ")");
  }
  float* data() const { return rows_.data(); }
  std::size_t ld() const { return rows_.ld(); }
  py::array array() {
    if (!out_) return rows_.array();
    rows_.copy_to(static_cast<float*>(out_->mutable_data()));
    return *out_;
  }

 private:
  Rows rows_;
  std::optional<py::array> out_;
};

// A kernel in panels.
class Panels {
 public:
  Panels(std::size_t rows, std::size_t cols)
      : rows_(rows), cols_(cols), buffer_(cpu_backend(), round_up(rows * padded_ld(cols), kLane) + kLane) {}
  explicit Panels(MatrixView<const float> values) : Panels(values.rows, values.cols) {
    pack_panels(values.data, rows_, cols_, data());
  }
  float* data() const { return buffer_.data(); }
  py::array array() const {
    FloatArray out({static_cast<py::ssize_t>(rows_), static_cast<py::ssize_t>(cols_)});
    unpack_panels(data(), rows_, cols_, out.mutable_data());
    return out;
  }

 private:
  std::size_t rows_, cols_;
  Buffer buffer_;
};

}  // namespace fastreg::bindings
