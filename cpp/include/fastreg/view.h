// Non-owning views of the caller's memory. They carry no ownership and do no checks; whoever takes one checks it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastreg {

template <class T>
struct Span {
  T* data = nullptr;
  std::size_t size = 0;
  T& operator[](std::size_t i) const { return data[i]; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
  bool empty() const { return size == 0; }
};

// Row-major: element (i, j) is data[i * stride + j].
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0, cols = 0, stride = 0;
};

}  // namespace fastreg
