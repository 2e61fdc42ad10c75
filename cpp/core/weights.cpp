// Dispatches from a layer to the functions in the file of its kind.
#include "core/weights.h"

#include "core/layers/layers.h"

namespace fastreg {

bool is_trainable(const Layer& layer) {
  return std::visit(
      [](const auto& chosen) {
        if constexpr (requires { chosen.trainable; }) return chosen.trainable;
        return true;
      },
      layer);
}

std::vector<WeightSpec> layer_weights(const Layer& layer, const Widths& inputs) {
  std::vector<WeightSpec> out = std::visit([&](const auto& chosen) { return weights_of(chosen, inputs); }, layer);
  std::visit(
      [&](const auto& chosen) {
        if constexpr (requires { chosen.multipliers; })
          for (WeightSpec& weight : out) {
            weight.rate_multiplier = chosen.multipliers.learning_rate.of(weight.name);
            weight.decay_multiplier = chosen.multipliers.weight_decay.of(weight.name);
          }
      },
      layer);
  if (!is_trainable(layer))
    for (WeightSpec& weight : out) weight.trainable = false;
  return out;
}

std::size_t output_width(const Layer& layer, const Widths& inputs) {
  return std::visit([&](const auto& chosen) { return width_of(chosen, inputs); }, layer);
}

}  // namespace fastreg
