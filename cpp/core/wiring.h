// The wiring of a network: its nodes and the widths of its values, from its checked spec. For a spec that is a list of
// layers, the nodes are made here. This file knows nothing of operations and of memory.
#pragma once
#include <string>
#include <vector>

#include "core/weights.h"

namespace fastreg {

struct Wiring {
  std::size_t n_inputs = 0;
  std::vector<Node> nodes;             // in topological order; node i makes value n_inputs + i
  std::vector<std::size_t> outputs;    // values
  Widths widths;                       // of every value
  std::vector<bool> shared;            // of every layer: whether several nodes use it; empty if none is shared

  bool is_shared(std::size_t layer) const { return !shared.empty() && shared[layer]; }
  Widths widths_of(const std::vector<std::size_t>& values) const;
};

// Throws std::invalid_argument, naming node, field, rule and value, if the spec is not that of a network.
Wiring wire(const NetworkSpec& spec);

// Throws std::invalid_argument unless the hyper-parameters of a layer are in range and it can take inputs of these
// widths. where: starts the message, e.g. "layers[2]".
void check_layer(const Layer& layer, const std::string& where, const Widths& inputs);
// Checks that a width fits into 31 bits.
void check_width(const std::string& where, const char* field, std::size_t width);

}  // namespace fastreg
