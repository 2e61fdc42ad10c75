// Dense: y = activation(x W + b). Notation: n rows of a batch, x (n, in), W (in, out) in panels, y and dy (n, out).
// Forward writes y, and z = x W + b where the backward pass of the activation needs it. Backward: dz = dy f', db = sum
// dz, dW = x^T dz, dx = dz W^T. For a layer of one unit dx is an outer product, whose two factors are returned
// unexpanded if the reader of dx accepts that. If dropout follows relu, y is the output after dropout, and the backward
// pass needs only y > 0 to know which elements passed both.
#include <algorithm>
#include <optional>

#include "core/layers/layers.h"
#include "core/reduced_products.h"
#include "core/tile_order.h"

namespace fastreg {
namespace {

class DenseOperation final : public Operation {
 public:
  DenseOperation(const Dense& spec, const OperationContext& context)
      : Operation(context.inputs[0], spec.units),
        parameters_(context.parameters),
        kernel_(parameters_.find(context.index, "kernel")),
        bias_(parameters_.find(context.index, "bias")),
        activation_(context.activation),
        trainable_(spec.trainable),
        tail_elsewhere_(context.leaves_tail != nullptr),
        order_(context.l2_cache),
        reduced_(in(), out()) {
    if (context.dropout != nullptr)
      masks_.emplace(StepRate(context.dropout->rate, kNotScheduled), context.dropout->seed, context.dropout_index);
    if (context.leaves_tail != nullptr) *context.leaves_tail = {activation_, bias_};
  }

  bool trainable() const override { return trainable_; }
  bool reads_any_rows() const override { return in() > 1 && out() > 1; }
  bool reads_all_rows() const override { return panel_count(out()) > 1; }
  std::size_t cache_floats(std::size_t rows) const override {
    return masks_ ? masks_->floats(rows * out_ld()) : z_floats(rows);
  }
  std::size_t scratch_floats(std::size_t rows, const ProductPrecision& precision) const override {
    const std::size_t n = std::min(rows, TileOrder::kMostDepth);
    const std::size_t panels = panel_count(out());
    const std::size_t copies =
        trainable_ && order_.copies(n, in(), panels) ? order_.floats_of_copies(n, panels) : 0;
    return std::max(floats_of_columns(rows) + copies, reduced_.scratch_floats(rows, precision));
  }
  std::size_t packed_kernel_floats(const ProductPrecision& precision) const override {
    return reduced_.packed_floats_of(precision);
  }
  void pack_kernel(const Pass& pass, float* to) const override {
    reduced_.pack(pass, parameters_.in(pass.weights, kernel_), reinterpret_cast<std::uint16_t*>(to));
  }
  std::size_t infer_scratch_floats(std::size_t rows, const ProductPrecision& precision) const override {
    return reduced_.infer_scratch_floats(rows, precision);
  }
  double flops_per_row() const override { return 6.0 * static_cast<double>(in()) * static_cast<double>(out()); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    if (pass.packed_kernel == nullptr) return product(pass, x[0], y, nullptr, kNoDropout);
    reduced_.infer(pass, x[0], pass.ldx > 0 ? pass.ldx : in_ld(),
                   {parameters_.in(pass.weights, bias_), activation_, nullptr, kNoDropout}, y);
  }

  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    if (!masks_) return product(pass, x[0], y, z_floats(pass.rows) > 0 ? cache : nullptr, kNoDropout);
    masks_->draw(pass, pass.rows * out_ld(), cache);
    pass.team.sync();
    product(pass, x[0], y, nullptr, masks_->mask(pass, cache));
  }

  bool backward_reads_output() const override {
    return !tail_elsewhere_ && activation_ != ActivationKind::linear && derivative_from_output(activation_);
  }
  bool backward_in_place(bool) const override { return false; }
  const float* outer_product_row(const float* weights) const override {
    return out() == 1 ? parameters_.in(weights, kernel_) : nullptr;
  }

  void backward(const Pass& pass, const float* const* x, const float* y, float* cache,
                const GradientFlow& flow) const override {
    const Kernels& k = pass.kernels;
    float* const dy = flow.dy;
    float* const db = parameters_.gradient(pass.gradients, bias_);
    if (!tail_elsewhere_ && (activation_ != ActivationKind::linear || db != nullptr)) {
      const float* saved = derivative_from_output(activation_) ? y : cache;
      k.activation_backward({activation_, saved, dy, dy, db, pass.rows, out_ld(),
                             column_split(pass.team, out_ld()), masks_ ? masks_->mask(pass, cache).scale : 1.0f});
      pass.team.sync();
    }
    if (trainable_) weight_gradient(pass, x[0], dy);
    if (flow.dx == nullptr) return;
    if (reduced_.pay(pass)) {
      if (trainable_) pass.team.sync();   // both products use the scratch memory
      return reduced_.input_gradient(pass, dy, parameters_.in(pass.weights, kernel_), flow.dx);
    }
    input_gradient(pass, dy, flow.dx);
  }

 private:
  static constexpr DropoutMask kNoDropout{nullptr, 1.0f};

  std::size_t z_floats(std::size_t rows) const {
    return derivative_from_output(activation_) ? 0 : round_up(rows * out_ld(), kLane);
  }
  void product(const Pass& pass, const float* x, float* y, float* z, const DropoutMask& dropout) const {
    if (reduced_.pay(pass))
      return reduced_.forward(pass, x, parameters_.in(pass.weights, kernel_),
                              {parameters_.in(pass.weights, bias_), activation_, z, dropout}, y);
    const std::size_t ldx = pass.ldx > 0 ? pass.ldx : in_ld();
    Matmul m{x, ldx, parameters_.in(pass.weights, kernel_), parameters_.in(pass.weights, bias_), y, z,
             out_ld(), in(), out(), activation_, {}, {}, dropout};
    take_part(pass.team, pass.rows, out(), m);
    const std::size_t end = m.rows.end, rows = order_.rows_at_once(end - m.rows.begin, in_ld(), out_ld());
    for (; m.rows.begin < end; m.rows.begin += rows) {
      m.rows.end = std::min(m.rows.begin + rows, end);
      pass.kernels.matmul(m);
    }
  }
  // The beginning of the scratch memory, which columns of W take.
  std::size_t floats_of_columns(std::size_t rows) const {
    return order_.floats_of_columns(rows, out(), panel_count(in()));
  }
  void input_gradient(const Pass& pass, const float* dy, float* dx) const {
    MatmulInput m{dy, out_ld(), parameters_.in(pass.weights, kernel_), dx, in_ld(), pass.rows, in(), out(), {}, {}};
    take_part(pass.team, pass.rows, in(), m);
    m.columns_at_once = order_.columns_at_once(pass.rows, out(), panel_count(in()) / pass.team.size);
    if (m.columns_at_once > 0) m.transposed = pass.scratch + pass.team.rank * m.columns_at_once * kPanel;
    pass.kernels.matmul_input(m);
  }
  void weight_gradient(const Pass& pass, const float* x, const float* dy) const {
    if (reduced_.pay(pass)) return reduced_.weight_gradient(pass, x, dy, parameters_.gradient(pass.gradients, kernel_));
    MatmulWeights m{x, in_ld(), dy, out_ld(), parameters_.gradient(pass.gradients, kernel_), pass.rows, in(), out(),
                    {}, {}};
    take_part(pass.team, in(), out(), m);
    if (order_.copies(pass.rows, in(), panel_count(out()) / pass.team.size)) {
      m.inputs_at_once = order_.inputs_at_once(pass.rows);
      const std::size_t floats = pass.rows * m.inputs_at_once;
      float* const copies = pass.scratch + floats_of_columns(pass.rows);
      m.x_copy = copies + pass.team.rank * floats;
      m.dy_copy = copies + pass.team.size * floats + m.panels.begin * kPanel * pass.rows;
    }
    pass.kernels.matmul_weights(m);
  }

  const Parameters& parameters_;
  std::size_t kernel_, bias_;
  ActivationKind activation_;
  bool trainable_, tail_elsewhere_;
  TileOrder order_;
  ReducedProducts reduced_;
  std::optional<DropoutMasks> masks_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const Dense& dense, const Widths& inputs) {
  std::vector<WeightSpec> out{
      {"kernel", {inputs[0], dense.units}, dense.kernel_initializer, dense.kernel_regularizer, true, true}};
  out.back().constraint = dense.kernel_constraint;
  if (dense.use_bias) {
    out.push_back({"bias", {dense.units}, dense.bias_initializer, dense.bias_regularizer});
    out.back().constraint = dense.bias_constraint;
  }
  return out;
}

std::size_t width_of(const Dense& dense, const Widths&) {
  return dense.units;
}

std::unique_ptr<Operation> make_operation(const Dense& layer, const OperationContext& context) {
  return std::make_unique<DenseOperation>(layer, context);
}

}  // namespace fastreg
