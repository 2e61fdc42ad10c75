// TableInput: y = f W + b, where the features f of a row are known by its codes and never written (kernels.h,
// CodedForward). Notation as in dense.cpp. The activation is an operation of its own. The forward pass of a training
// step keeps the place of every code for the backward pass, which sorts the rows by what they pick. An input has no
// gradient.
#include <algorithm>

#include "core/layers/layers.h"
#include "core/layers/table_codes.h"

namespace fastreg {
namespace {

class TableInputOperation final : public Operation {
 public:
  TableInputOperation(const TableInput& spec, const OperationContext& context)
      : Operation(context.inputs[0], spec.units),
        parameters_(context.parameters),
        kernel_(parameters_.find(context.index, "kernel")),
        bias_(parameters_.find(context.index, "bias")),
        features_(feature_count(spec.columns)),
        locator_(spec.columns),
        trainable_(spec.trainable) {}

  bool trainable() const override { return trainable_; }
  std::size_t cache_floats(std::size_t rows) const override {
    return in() * rows * (sizeof(CodePlace) + sizeof(CodedRow)) / sizeof(float) + in() + features_;
  }
  double flops_per_row() const override { return 12.0 * static_cast<double>(in()) * static_cast<double>(out()); }

  // The prefix sums of the kernel, in the order in which CodedForward adds them: they are the same for all rows.
  std::size_t packed_kernel_floats(const ProductPrecision&) const override {
    const auto has_bins = [](const CodedColumn& column) { return column.bins > 0; };
    const bool any = std::any_of(locator_.columns().begin(), locator_.columns().end(), has_bins);
    return any ? round_up(features_ * out_ld(), kLane) : 0;
  }
  void pack_kernel(const Pass& pass, float* to) const override {
    const Range mine = pass.team.split(panel_count(out()));
    const float* const w = parameters_.in(pass.weights, kernel_);
    for (std::size_t panel = mine.begin; panel < mine.end; ++panel) {
      const std::size_t first = panel * kPanel, width = std::min(kPanel, out_ld() - first);
      for (const CodedColumn& column : locator_.columns())
        add_up(w + first * features_ + column.ramp * width, column.bins, width,
               to + first * features_ + column.ramp * width);
    }
  }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    CodedForward f = call(pass, y);
    f.prefix = pass.packed_kernel;
    if (f.panels.begin < f.panels.end) locator_.product(pass.kernels, x[0], in_ld(), f);
  }

  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    CodePlace* const places = reinterpret_cast<CodePlace*>(cache);
    const Range rows = pass.team.split(pass.rows, kLane);
    if (rows.begin < rows.end)
      for (std::size_t c = 0; c < in(); ++c)
        locator_.locate(pass.kernels, c, x[0] + rows.begin * in_ld() + c, in_ld(), rows.end - rows.begin,
                        places + c * pass.rows + rows.begin);
    pass.team.sync();
    alignas(64) float scratch[kCodedScratch];
    CodedForward f = call(pass, y);
    f.columns = locator_.columns().data();
    f.count = in();
    f.places = places + f.rows.begin;
    f.stride = pass.rows;
    f.scratch = scratch;
    pass.kernels.coded_forward(f);
  }

  bool backward_in_place(bool) const override { return false; }
  void backward(const Pass& pass, const float* const*, const float*, float* cache,
                const GradientFlow& flow) const override {
    float* const dy = flow.dy;
    if (float* const db = parameters_.gradient(pass.gradients, bias_))
      pass.kernels.activation_backward(
          {ActivationKind::linear, dy, dy, dy, db, pass.rows, out_ld(), column_split(pass.team, out_ld())});
    float* const dw = parameters_.gradient(pass.gradients, kernel_);
    if (dw == nullptr) return;
    const CodePlace* const places = reinterpret_cast<const CodePlace*>(cache);
    constexpr std::size_t kPlace = sizeof(CodePlace) / sizeof(float);
    CodedRow* const sorted = reinterpret_cast<CodedRow*>(cache + in() * pass.rows * kPlace);
    std::uint32_t* const starts = reinterpret_cast<std::uint32_t*>(sorted + in() * pass.rows);
    const Range mine = pass.team.split(in());
    for (std::size_t c = mine.begin; c < mine.end; ++c)
      locator_.sort(c, places + c * pass.rows, pass.rows, sorted + c * pass.rows,
                    starts + c + locator_.columns()[c].first);
    pass.team.sync();   // also since the kernel before has written dy, to the same values
    const std::size_t panels = panel_count(out());
    const bool by_panels = panels >= pass.team.size;
    pass.kernels.coded_gradient({locator_.columns().data(), places, sorted, starts, pass.rows, dy, dw, pass.rows,
                                 out_ld(), features_, out(), by_panels ? Range{0, in()} : mine,
                                 by_panels ? pass.team.split(panels) : Range{0, panels}});
  }

 private:
  CodedForward call(const Pass& pass, float* y) const {
    CodedForward f{};
    f.w = parameters_.in(pass.weights, kernel_);
    f.bias = parameters_.in(pass.weights, bias_);
    f.y = y;
    f.kernel_rows = features_;
    f.ldy = out_ld();
    f.cols = out();
    take_part(pass.team, pass.rows, out(), f);
    return f;
  }

  // Row t of `to` becomes the sum of t rows of w, for t < rows. Rows have `width` floats.
  static void add_up(const float* w, std::size_t rows, std::size_t width, float* to) {
    if (rows > 0) std::fill_n(to, width, 0.0f);
    for (std::size_t i = 0; i + width < rows * width; ++i) to[i + width] = to[i] + w[i];
  }

  const Parameters& parameters_;
  std::size_t kernel_, bias_, features_;
  TableLocator locator_;
  bool trainable_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const TableInput& layer, const Widths&) {
  std::vector<WeightSpec> out{{"kernel",
                               {feature_count(layer.columns), layer.units},
                               layer.kernel_initializer,
                               layer.kernel_regularizer,
                               true,
                               true,
                               layer.kernel_constraint}};
  if (layer.use_bias) {
    out.push_back({"bias", {layer.units}, layer.bias_initializer, layer.bias_regularizer});
    out.back().constraint = layer.bias_constraint;
  }
  return out;
}

std::size_t width_of(const TableInput& layer, const Widths&) { return layer.units; }

std::unique_ptr<Operation> make_operation(const TableInput& layer, const OperationContext& context) {
  return std::make_unique<TableInputOperation>(layer, context);
}

}  // namespace fastreg
