// Factors of a layer on the learning rate and on the weight decay of its weights. In JSON these are two fields,
// "learning_rate_multiplier" and "weight_decay_multiplier", each a number for all weights of the layer, or an object
// with the numbers of some of them, by name; those that it does not name have 1.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fastreg {

struct Multiplier {
  float all = 1.0f;
  std::vector<std::pair<std::string, float>> single{};

  float of(std::string_view weight) const {
    for (const auto& [name, factor] : single)
      if (name == weight) return factor;
    return all;
  }
};

struct Multipliers {
  Multiplier learning_rate{}, weight_decay{};
};

}  // namespace fastreg
