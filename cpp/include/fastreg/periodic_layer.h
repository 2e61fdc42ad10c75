// The description of PeriodicEmbedding, which makes several features of each number.
// cpp/core/layers/periodic_embedding.cpp has its computation.
#pragma once
#include <cstddef>

#include "fastreg/feature_layers.h"
#include "fastreg/fields.h"
#include "fastreg/initializers.h"
#include "fastreg/multipliers.h"

namespace fastreg {

// Each column x_j of the input becomes `units` features, and where keep_input is set one more, x_j itself:
//   y_j = W_j^T [cos(2 pi f_j x_j + p_j)] + b_j,
// or with use_phases unset, where p_j is absent, y_j = W_j^T [cos(2 pi f_j x_j), sin(2 pi f_j x_j)] + b_j. rectify: the
// larger one of 0 and that, but for x_j. Weights, whose columns j or j units ... belong to x_j: frequencies f
// (n_frequencies, in), phases p in radians, of the same shape, kernel W (n_frequencies or twice as many, in units) and
// bias b (in units).
struct PeriodicEmbedding {
  static constexpr const char* kName = "PeriodicEmbedding";
  std::size_t units = 1, n_frequencies = 16;
  bool use_phases = true, rectify = false, keep_input = true;
  Initializer frequencies_initializer = RandomNormal{0.0, 0.1};
  Initializer phases_initializer = RandomUniform{-3.141592653589793, 3.141592653589793};
  Initializer kernel_initializer = VarianceScaling{1.0 / 3.0, FanMode::fan_in, ScaledDistribution::uniform};
  Initializer bias_initializer = Zeros{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(required_field("units", &PeriodicEmbedding::units, kIndices),
             field("n_frequencies", &PeriodicEmbedding::n_frequencies, kIndices),
             field("use_phases", &PeriodicEmbedding::use_phases), field("rectify", &PeriodicEmbedding::rectify),
             field("keep_input", &PeriodicEmbedding::keep_input),
             field("frequencies_initializer", &PeriodicEmbedding::frequencies_initializer),
             field("phases_initializer", &PeriodicEmbedding::phases_initializer),
             field("kernel_initializer", &PeriodicEmbedding::kernel_initializer),
             field("bias_initializer", &PeriodicEmbedding::bias_initializer),
             field("trainable", &PeriodicEmbedding::trainable), field("multipliers", &PeriodicEmbedding::multipliers));
};

}  // namespace fastreg
