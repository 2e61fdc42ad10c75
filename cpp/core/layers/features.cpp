// The layers that prepare features and learn nothing by gradients: CategoryEncoding, Rescaling, Normalization.
#include <algorithm>

#include "core/layers/layers.h"
#include "core/layers/rows.h"

namespace fastreg {
namespace {

class EncodingOperation final : public Operation {
 public:
  EncodingOperation(const CategoryEncoding& spec, std::size_t cols)
      : Operation(cols, encoded_width(spec, cols)), spec_(spec) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    const Range rows = pass.team.split(pass.rows, out_ld() == 1 ? kLane : 1);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* const to = y + r * out_ld();
      encode_row(spec_, x[0] + r * in_ld(), in(), to);
      std::fill(to + out(), to + out_ld(), 0.0f);
    }
  }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override { infer(pass, x, y); }
  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const*, const float*, float*, const GradientFlow& flow) const override {
    if (flow.dx == nullptr) return;
    const Range part = pass.team.split(pass.rows * in_ld(), kLane);
    std::fill(flow.dx + part.begin, flow.dx + part.end, 0.0f);
  }

 private:
  CategoryEncoding spec_;
};

class RescalingOperation final : public Operation {
 public:
  RescalingOperation(const Rescaling& spec, std::size_t cols) : Operation(cols, cols), spec_(spec) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { scale(pass, x[0], spec_.offset, y); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override { infer(pass, x, y); }
  void backward(const Pass& pass, const float* const*, const float*, float*, const GradientFlow& flow) const override {
    scale(pass, flow.dy, 0.0f, flow.dy);
  }

 private:
  void scale(const Pass& pass, const float* x, float offset, float* y) const {
    const Range part = pass.team.split(pass.rows * out_ld(), kLane);
    const float factor = spec_.scale;
    for (std::size_t e = part.begin; e < part.end; ++e) y[e] = x[e] * factor + offset;
  }

  Rescaling spec_;
};

class NormalizationOperation final : public Operation {
 public:
  NormalizationOperation(const Normalization& spec, const OperationContext& context)
      : Operation(context.inputs[0], context.inputs[0]),
        spec_(spec),
        parameters_(context.parameters),
        mean_(parameters_.find(context.index, "mean")),
        variance_(parameters_.find(context.index, "variance")) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    const float* const mean = parameters_.in(pass.weights, mean_);
    in_blocks(pass, [&](std::size_t first, std::size_t n, const float* factor) {
      for (std::size_t r = 0; r < pass.rows; ++r) {
        const float* const from = x[0] + r * out_ld() + first;
        float* const to = y + r * out_ld() + first;
        if (spec_.invert)
          for (std::size_t j = 0; j < n; ++j) to[j] = mean[first + j] + from[j] * factor[j];
        else
          for (std::size_t j = 0; j < n; ++j) to[j] = (from[j] - mean[first + j]) * factor[j];
      }
    });
  }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override { infer(pass, x, y); }
  void backward(const Pass& pass, const float* const*, const float*, float*, const GradientFlow& flow) const override {
    in_blocks(pass, [&](std::size_t first, std::size_t n, const float* factor) {
      for (std::size_t r = 0; r < pass.rows; ++r) {
        float* const dy = flow.dy + r * out_ld() + first;
        for (std::size_t j = 0; j < n; ++j) dy[j] *= factor[j];
      }
    });
  }

 private:
  // Calls f(first column, number of columns, their factors) for this member's part of the columns. Those of the padding
  // are not computed.
  template <class F>
  void in_blocks(const Pass& pass, F&& f) const {
    constexpr std::size_t kColumns = 256;
    float factor[kColumns];
    const float* const variance = parameters_.in(pass.weights, variance_);
    const Range cols = column_split(pass.team, out_ld());
    for (std::size_t first = cols.begin, end = std::min(cols.end, out()); first < end; first += kColumns) {
      const std::size_t n = std::min(kColumns, end - first);
      for (std::size_t j = 0; j < n; ++j) {
        const double deviation = deviation_of(variance[first + j]);
        factor[j] = static_cast<float>(spec_.invert ? deviation : 1.0 / deviation);
      }
      f(first, n, factor);
    }
  }

  Normalization spec_;
  const Parameters& parameters_;
  std::size_t mean_, variance_;
};

}  // namespace

std::size_t width_of(const CategoryEncoding& layer, const Widths& inputs) { return encoded_width(layer, inputs[0]); }

std::vector<WeightSpec> weights_of(const Normalization&, const Widths& inputs) {
  return {{"mean", {inputs[0]}, Zeros{}, {}, false}, {"variance", {inputs[0]}, Ones{}, {}, false}};
}

std::unique_ptr<Operation> make_operation(const CategoryEncoding& layer, const OperationContext& context) {
  return std::make_unique<EncodingOperation>(layer, context.inputs[0]);
}
std::unique_ptr<Operation> make_operation(const Rescaling& layer, const OperationContext& context) {
  return std::make_unique<RescalingOperation>(layer, context.inputs[0]);
}
std::unique_ptr<Operation> make_operation(const Normalization& layer, const OperationContext& context) {
  return std::make_unique<NormalizationOperation>(layer, context);
}

}  // namespace fastreg
