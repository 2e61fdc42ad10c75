// The kernels of a network that inference reads in another form (Operation::packed_kernel_floats): as operands of products
// in reduced precision, or as prefix sums. They are packed when they are first needed and again after they have changed.
#pragma once
#include <vector>

#include "core/layer.h"

namespace fastreg {

struct Graph;

class PackedKernels {
 public:
  // Packs the kernels in this precision unless that has been done since the weights changed last. The caller holds the
  // graph's lock. threads: how many pack them.
  void prepare(const Graph& graph, const ProductPrecision& precision, std::size_t threads);

  // How products are computed; those of an operation without a packed kernel are products of float32 numbers.
  const ProductPrecision& precision() const { return precision_; }
  // The kernel of this operation, or null.
  const float* of(std::size_t operation) const { return packed_.empty() ? nullptr : packed_[operation]; }

 private:
  bool laid_out_ = false;
  ProductPrecision precision_;
  std::uint64_t changes_ = 0;   // Graph::changes when the kernels were packed
  Buffer tiles_;
  std::vector<float*> packed_;   // for each operation; empty where nothing is packed
};

}  // namespace fastreg
