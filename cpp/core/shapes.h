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

// The error for a matrix that has not this shape, or whose rows overlap. It is apart from the check, which is part of
// every prediction.
template <class T>
[[noreturn, gnu::noinline, gnu::cold]] void refuse_shape(const char* name, MatrixView<T> matrix, std::size_t rows,
                                                         std::size_t cols) {
  if (matrix.rows != rows || matrix.cols != cols)
    throw std::invalid_argument(std::string(name) + " must have shape " + shape(rows, cols) + ", got " +
                                shape(matrix.rows, matrix.cols));
  throw std::invalid_argument(std::string(name) + " must have a stride of at least " + std::to_string(cols) + ", got " +
                              std::to_string(matrix.stride));
}

// Throws std::invalid_argument unless the matrix has this shape. The rows of a matrix that is written to must not
// overlap.
template <class T>
void require_shape(const char* name, MatrixView<T> matrix, std::size_t rows, std::size_t cols) {
  const bool overlaps = !std::is_const_v<T> && rows > 1 && matrix.stride < cols;
  if (matrix.rows != rows || matrix.cols != cols || overlaps) refuse_shape(name, matrix, rows, cols);
}

// The error for features of a type that there is not, which is apart from the check, too.
[[noreturn, gnu::noinline, gnu::cold]] inline void refuse_type(const std::string& name, ElementType type) {
  throw std::invalid_argument(name + " must have a type of ElementType, got " +
                              std::to_string(static_cast<unsigned>(type)));
}

// Throws std::invalid_argument if features have a type that there is not.
inline void require_type(const char* name, ElementType type) {
  if (type > ElementType::uint8) refuse_type(name, type);
}

// The error for an array without memory, which is apart from the check, too.
[[noreturn, gnu::noinline, gnu::cold]] inline void refuse_null(const char* name) {
  throw std::invalid_argument(std::string(name) + " must not be null");
}

// Throws std::invalid_argument if an array of some elements has no memory.
inline void require_data(const char* name, const void* data, std::size_t elements) {
  if (data == nullptr && elements > 0) refuse_null(name);
}

// How messages name one of several arrays: "x" alone, or "x[1]".
inline std::string numbered(const char* name, std::size_t index, std::size_t count) {
  return count == 1 ? name : std::string(name) + "[" + std::to_string(index) + "]";
}

// Throws std::invalid_argument if the number of arrays is not the wanted one.
inline void check_count(const char* name, std::size_t wanted, std::size_t got) {
  if (wanted != got)
    throw std::invalid_argument(std::string(name) + " must be " + std::to_string(wanted) + " arrays, got " +
                                std::to_string(got));
}

// Throws std::invalid_argument unless features have these columns, and as many rows as the others.
inline void require_columns(const std::string& name, std::size_t rows, std::size_t cols, std::size_t wanted_rows,
                            std::size_t wanted_cols) {
  if (cols != wanted_cols)
    throw std::invalid_argument(name + " must have " + std::to_string(wanted_cols) + " columns, got " +
                                std::to_string(cols));
  if (rows != wanted_rows)
    throw std::invalid_argument(name + " must have as many rows as x[0], " + std::to_string(wanted_rows) + ", got " +
                                std::to_string(rows));
}

}  // namespace fastreg
