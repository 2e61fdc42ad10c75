// The product of a frozen TableInput, with prefix sums over the bins of each column that are computed once.
#pragma once
#include "core/layers/table_codes.h"
#include "core/parameters.h"
#include "fastreg/predictor.h"

namespace fastreg {

class PackedTableInput {
 public:
  // The node has been checked by check_table_input.
  explicit PackedTableInput(const FrozenNode& node);

  // The product of some rows. y has room for whole rows of ld = padded_ld(columns) floats, ldy floats apart.
  void run(const Kernels& kernels, const float* x, std::size_t ldx, std::size_t rows, float* y, std::size_t ldy) const;

 private:
  TableLocator locator_;
  std::size_t rows_, cols_;
  Buffer arena_;   // W, then the prefix sums, then the bias
  std::size_t panels_floats_;
  bool has_bias_;
};

// Throws std::invalid_argument, with `where` in front, unless the sizes and values of a node of kind table_input fit
// each other and an input of `width` columns.
void check_table_input(const FrozenNode& node, std::size_t width, const std::string& where);

}  // namespace fastreg
