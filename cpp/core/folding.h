// Converts a network into the smallest sequence of layers that computes the same in inference. It knows nothing of
// kernels and of how weights are packed.
#pragma once
#include <vector>

#include "core/graph.h"
#include "fastreg/predictor.h"

namespace fastreg {

// The frozen network of a graph; of a chain, one node. Takes the graph's lock. Sums of folding are in double and round
// once.
//   Dense -> BatchNormalization      gamma / sqrt(variance + epsilon) scales the columns of the kernel
//   BatchNormalization -> Dense      it scales the rows, and the bias takes (beta - mean * scale) kernel
//   Dropout, linear activations      are removed
// A normalisation before a dense layer is kept if its mean is too large compared with its deviation: x scale - mean
// scale would lose digits that (x - mean) scale keeps.
// precision: of the products that will read the result; with few bits a smaller mean is too large.
FrozenNetwork fold(const Graph& graph, const ProductPrecision& precision);

}  // namespace fastreg
