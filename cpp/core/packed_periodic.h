// The weights of a frozen PeriodicEmbedding, packed as the kernel table reads them.
#pragma once
#include <string>

#include "core/parameters.h"
#include "fastreg/predictor.h"

namespace fastreg {

class PackedPeriodic {
 public:
  // The node has been checked by check_periodic. in: the columns of its input.
  PackedPeriodic(const FrozenNode& node, std::size_t in);

  // y has room for `rows` rows, ldy floats apart; only the columns of the output are written.
  void run(const Kernels& kernels, const float* x, std::size_t ldx, std::size_t rows, float* y, std::size_t ldy) const;

 private:
  Buffer arena_;
  Periodic call_;   // all but x; its weights lie in arena_
};

// Throws std::invalid_argument, with `where` in front, unless the sizes of a node of kind periodic fit each other and
// an input of `width` columns. Returns the columns of its output.
std::size_t check_periodic(const FrozenNode& node, std::size_t width, const std::string& where);

}  // namespace fastreg
