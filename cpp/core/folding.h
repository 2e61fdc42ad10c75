// From a network to the least that computes the same in inference. Knows nothing of kernels or of how weights are
// packed.
#pragma once
#include <vector>

#include "core/graph.h"
#include "fastreg/predictor.h"

namespace fastreg {

// The frozen network of a graph; of a chain, one node. Takes the graph's lock. Sums of folding are in double and round once.
//   Dense -> BatchNormalization      gamma / sqrt(variance + epsilon) scales the columns of the kernel
//   BatchNormalization -> Dense      it scales the rows, and the bias takes (beta - mean * scale) kernel
//   Dropout, linear activations      leave nothing
// A normalisation in front of a dense layer stays one where mean and deviation differ too much: x scale - mean scale
// would lose the digits that (x - mean) scale keeps.
FrozenNetwork fold(const Graph& graph);

}  // namespace fastreg
