// Views of the caller's memory. They do not own it and check nothing; a function that takes a view checks its shape,
// and that it has memory if it has rows.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "fastreg/enums.h"

namespace fastreg {

template <class T>
struct Span {
  T* data = nullptr;
  std::size_t size = 0;
  T& operator[](std::size_t i) const { return data[i]; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
  bool empty() const { return size == 0; }
  // What may be written to may also be read.
  operator Span<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, size};
  }
};

// A row-major matrix: element (i, j) is data[i * stride + j].
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0, cols = 0, stride = 0;
  operator MatrixView<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, cols, stride};
  }
};

// Rows of features of one of the element types. A MatrixView of such a type converts implicitly. Features are rounded
// to the nearest float32 a batch at a time, so the result is the same as if all of them had been converted beforehand.
// Rows may overlap. A bool is passed as uint8, and its bytes must be 0 or 1; from Python they always are.
struct Features {
  const void* data = nullptr;
  ElementType type = ElementType::float32;
  std::size_t rows = 0, cols = 0, stride = 0;   // stride in elements

  Features() = default;
  Features(MatrixView<const float> x) : Features(x.data, x.rows, x.cols, x.stride) {}
  Features(MatrixView<const double> x) : Features(x.data, x.rows, x.cols, x.stride) {}
  Features(MatrixView<const std::uint8_t> x) : Features(x.data, x.rows, x.cols, x.stride) {}
  Features(const float* x, std::size_t n, std::size_t columns, std::size_t step)
      : Features(x, ElementType::float32, n, columns, step) {}
  Features(const double* x, std::size_t n, std::size_t columns, std::size_t step)
      : Features(x, ElementType::float64, n, columns, step) {}
  Features(const std::uint8_t* x, std::size_t n, std::size_t columns, std::size_t step)
      : Features(x, ElementType::uint8, n, columns, step) {}
  Features(const void* x, ElementType element, std::size_t n, std::size_t columns, std::size_t step)
      : data(x), type(element), rows(n), cols(columns), stride(step) {}

  const void* row(std::size_t i) const {
    const std::size_t size = type == ElementType::float64 ? 8 : type == ElementType::float32 ? 4 : 1;
    return static_cast<const unsigned char*>(data) + i * stride * size;
  }
};

}  // namespace fastreg
