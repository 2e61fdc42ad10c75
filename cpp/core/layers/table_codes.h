// The codes of a table's columns (fastreg/table_layer.h): which rows of a kernel a code reads. Training, inference and
// frozen networks share this.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernels.h"
#include "fastreg/table_layer.h"

namespace fastreg {

// The number of columns of the input, and of features that they stand for. The columns have been checked.
std::size_t code_count(const TableColumns& columns);
std::size_t feature_count(const TableColumns& columns);

// Finds the places of codes.
class TableLocator {
 public:
  explicit TableLocator(const TableColumns& columns);

  // Of each column of the input.
  const std::vector<CodedColumn>& columns() const { return rows_; }
  // The places of one column in `rows` rows; x: its code in the first row, ldx floats before that in the next.
  void locate(const Kernels& kernels, std::size_t column, const float* x, std::size_t ldx, std::size_t rows,
              CodePlace* out) const;
  // The rows of the places of one column by what they pick, as CodedGradient has them; starts: of the column's first
  // row of the kernel. A column without has_pick has none.
  void sort(std::size_t column, const CodePlace* places, std::size_t rows, CodedRow* sorted,
            std::uint32_t* starts) const;
  // Writes the features of a row of codes, feature_count() of them.
  void encode(const double* codes, float* features) const;

  // y[rows, panels] of CodedForward, from codes: `call` has everything but columns and places. x is a matrix with ldx
  // floats from row to row.
  void product(const Kernels& kernels, const float* x, std::size_t ldx, CodedForward call) const;

 private:
  TableColumns columns_;
  std::vector<std::vector<std::uint32_t>> tables_;   // for each of columns_: the index of a code among its levels
  std::vector<std::size_t> source_;                  // of each column of the input: its index in columns_
  std::vector<CodedColumn> rows_;
};

}  // namespace fastreg
