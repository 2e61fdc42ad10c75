// Specifications of the weights of layers. Every layer specifies its weights once, in its file in core/layers/. The
// layout of the buffer, initial values, folding, sizes, names in files and Python's counts are derived from that.
#pragma once
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "fastreg/spec.h"

namespace fastreg {

struct WeightSpec {
  const char* name;                 // "kernel": the last part of WeightInfo::name
  std::vector<std::size_t> shape;   // a vector or a kernel (inputs, outputs)
  Initializer initializer;
  Penalty penalty{};
  bool trainable = true;            // false: moving statistics, and every weight of a layer that is not trainable
  bool decays = false;              // takes weight decay, where the optimizer has no exclusions of its own
  std::optional<Constraint> constraint{};
  float rate_multiplier = 1.0f, decay_multiplier = 1.0f;   // layer_weights sets these

  // The same weight with a constraint.
  WeightSpec with(const std::optional<Constraint>& chosen) && {
    constraint = chosen;
    return std::move(*this);
  }
  bool is_kernel() const { return shape.size() == 2; }
  // Widths are below 2^31, so the product does not overflow.
  std::size_t size() const { return is_kernel() ? shape[0] * shape[1] : shape[0]; }
};

// The widths of the values that a layer reads, in their order.
using Widths = std::vector<std::size_t>;

// The weights of a layer, in the order in which users see them, and the width of its output. The layer has been
// checked.
std::vector<WeightSpec> layer_weights(const Layer& layer, const Widths& inputs);
std::size_t output_width(const Layer& layer, const Widths& inputs);
// Whether the weights of a layer may be trained; false only where its description says so.
bool is_trainable(const Layer& layer);

}  // namespace fastreg
