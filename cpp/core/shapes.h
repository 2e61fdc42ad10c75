// Checks of the shapes of views that callers of the public API pass.
#pragma once
#include <stdexcept>
#include <string>
#include <type_traits>

#include "fastreg/view.h"

namespace fastreg {

inline std::string shape(std::size_t rows, std::size_t cols) {
  std::string out("(");   // GCC 12 warns about the sum of a literal and a string
  return out.append(std::to_string(rows)).append(", ").append(std::to_string(cols)).append(")");
}

// Throws std::invalid_argument unless the matrix has this shape. The rows of a matrix that is written to must not
// overlap.
template <class T>
void require_shape(const char* name, MatrixView<T> matrix, std::size_t rows, std::size_t cols) {
  if (matrix.rows != rows || matrix.cols != cols)
    throw std::invalid_argument(std::string(name) + " must have shape " + shape(rows, cols) + ", got " +
                                shape(matrix.rows, matrix.cols));
  if (!std::is_const_v<T> && rows > 1 && matrix.stride < cols)
    throw std::invalid_argument(std::string(name) + " must have a stride of at least " + std::to_string(cols) +
                                ", got " + std::to_string(matrix.stride));
}

}  // namespace fastreg
