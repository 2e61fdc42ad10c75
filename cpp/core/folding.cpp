// Batch normalisation into its neighbours, from the first layer to the last.
#include "core/folding.h"

#include <cmath>
#include <mutex>

namespace fastreg {
namespace {

using Doubles = std::vector<double>;

// Deviations that an input's mean may lie from 0. Folding multiplies the rounding error of the product behind by one
// more than that, whatever gamma is (the product's weights make up for it): four bits at most for a layer less.
constexpr double kMostShift = 16.0;

// A FrozenLayer whose factors are not multiplied in yet: the kernel's rows and columns are still to be scaled.
struct Draft {
  std::size_t in = 0, out = 0;
  std::vector<float> kernel;
  Doubles row_scale, column_scale;         // beside a kernel; empty for ones
  Doubles mean, scale;                     // without one; empty for an activation alone
  Doubles bias;                            // empty for zeros
  bool far = false;                        // a mean of its input is beyond kMostShift
  ActivationKind activation = ActivationKind::linear;

  bool dense() const { return !kernel.empty(); }
  bool normalises() const { return !scale.empty(); }
};

// y = (x - mean) scale + shift; far as in Draft.
struct Affine {
  Doubles mean, scale, shift;
  bool far = false;
};

class Folder {
 public:
  explicit Folder(const Graph& graph) : graph_(graph), cols_(graph.spec.n_features) {}

  std::vector<FrozenLayer> run() {
    for (layer_ = 0; layer_ < graph_.spec.layers.size(); ++layer_)
      std::visit([this](const auto& layer) { add(layer); }, graph_.spec.layers[layer_]);
    if (drafts_.empty()) push_activation(ActivationKind::linear);
    std::vector<FrozenLayer> out;
    for (Draft& draft : drafts_) {
      out.push_back(finish(draft));
      draft = {};
    }
    return out;
  }

 private:
  void add(const Dense& dense) {
    Draft draft;
    draft.in = cols_;
    draft.out = cols_ = dense.units;
    draft.kernel = weight("kernel");
    const std::vector<float> bias = weight("bias");
    draft.bias.assign(bias.begin(), bias.end());
    if (!drafts_.empty() && folds_forward(drafts_.back())) {
      take_in(draft, drafts_.back());
      drafts_.pop_back();
    }
    drafts_.push_back(std::move(draft));
    activate(dense.activation);
  }

  void add(const Activation& layer) { activate(layer.activation); }
  void add(const Dropout&) {}

  void add(const BatchNormalization& layer) {
    const Affine affine = read(layer);
    if (drafts_.empty() || drafts_.back().activation != ActivationKind::linear) {
      Draft draft;
      draft.in = draft.out = cols_;
      draft.mean = affine.mean;
      draft.scale = affine.scale;
      draft.bias = affine.shift;
      draft.far = affine.far;
      drafts_.push_back(std::move(draft));
      return;
    }
    Draft& last = drafts_.back();
    Doubles& scale = last.dense() ? last.column_scale : last.scale;
    scale.resize(cols_, 1.0);
    last.bias.resize(cols_, 0.0);
    for (std::size_t j = 0; j < cols_; ++j) {
      scale[j] *= affine.scale[j];
      last.bias[j] = (last.bias[j] - affine.mean[j]) * affine.scale[j] + affine.shift[j];
    }
  }

  void activate(ActivationKind activation) {
    if (activation == ActivationKind::linear) return;
    if (drafts_.empty() || drafts_.back().activation != ActivationKind::linear) return push_activation(activation);
    drafts_.back().activation = activation;
  }

  void push_activation(ActivationKind activation) {
    Draft draft;
    draft.in = draft.out = cols_;
    draft.activation = activation;
    drafts_.push_back(std::move(draft));
  }

  static bool folds_forward(const Draft& draft) {
    return draft.normalises() && draft.activation == ActivationKind::linear && !draft.far;
  }

  // ((x - mean) scale + shift) W + bias = x (scale W) + (bias + (shift - mean scale) W).
  static void take_in(Draft& dense, const Draft& affine) {
    dense.row_scale = affine.scale;
    dense.bias.resize(dense.out, 0.0);
    for (std::size_t i = 0; i < dense.in; ++i) {
      const double shift = affine.bias[i] - affine.mean[i] * affine.scale[i];
      for (std::size_t j = 0; j < dense.out; ++j)
        dense.bias[j] += shift * static_cast<double>(dense.kernel[i * dense.out + j]);
    }
  }

  static FrozenLayer finish(Draft& draft) {
    FrozenLayer out;
    out.in = draft.in;
    out.out = draft.out;
    out.activation = draft.activation;
    out.mean.assign(draft.mean.begin(), draft.mean.end());
    out.scale.assign(draft.scale.begin(), draft.scale.end());
    out.bias.assign(draft.bias.begin(), draft.bias.end());
    out.kernel = std::move(draft.kernel);
    if (draft.row_scale.empty() && draft.column_scale.empty()) return out;
    for (std::size_t i = 0; i < out.in && !out.kernel.empty(); ++i) {
      const double row = draft.row_scale.empty() ? 1.0 : draft.row_scale[i];
      for (std::size_t j = 0; j < out.out; ++j) {
        const double column = draft.column_scale.empty() ? 1.0 : draft.column_scale[j];
        float& w = out.kernel[i * out.out + j];
        w = static_cast<float>(static_cast<double>(w) * row * column);
      }
    }
    return out;
  }

  Affine read(const BatchNormalization& layer) {
    std::vector<float> gamma = weight("gamma"), beta = weight("beta");
    gamma.resize(cols_, 1.0f);   // where there is none
    beta.resize(cols_, 0.0f);
    const std::vector<float> mean = weight("moving_mean"), variance = weight("moving_variance");
    Affine out{{mean.begin(), mean.end()}, Doubles(cols_), {beta.begin(), beta.end()}};
    for (std::size_t j = 0; j < cols_; ++j) {
      const double spread = static_cast<double>(variance[j]) + static_cast<double>(layer.epsilon);
      out.scale[j] = static_cast<double>(gamma[j]) / std::sqrt(spread);
      out.far |= std::abs(out.mean[j]) > kMostShift * std::sqrt(spread);
    }
    return out;
  }

  // A weight of the present layer; empty where it has none of this name.
  std::vector<float> weight(const char* name) const {
    const std::size_t index = graph_.parameters.find(layer_, name);
    if (index == kNoSegment) return {};
    const Segment& segment = graph_.parameters.segments()[index];
    std::vector<float> out(segment.info.size());
    segment.to_rows(graph_.weights.data(), out.data());
    return out;
  }

  const Graph& graph_;
  std::size_t layer_ = 0, cols_;
  std::vector<Draft> drafts_;
};

}  // namespace

std::vector<FrozenLayer> fold(const Graph& graph) {
  const std::lock_guard guard(graph.lock);
  return Folder(graph).run();
}

}  // namespace fastreg
