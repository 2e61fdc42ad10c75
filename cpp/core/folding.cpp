// Folds batch normalisation into its neighbours, from the first layer to the last.
#include "core/folding.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/layers/rows.h"
#include "core/reduced_products.h"

namespace fastreg {
namespace {

using Doubles = std::vector<double>;

// The largest distance of an input's mean from 0, in standard deviations, for which a normalisation is folded. Folding
// multiplies the rounding error of the following product by this number plus one, whatever gamma is, because the
// weights of the product compensate for gamma. So saving a layer costs at most four bits of precision. Of the sixteen
// bits of two bfloat16 numbers it may cost three, of the eight bits of one less than one.
constexpr double kMostShift = 16.0, kMostShiftOfTwoTerms = 8.0, kMostShiftOfOneTerm = 0.5;
// The distance that is assumed where nothing is known of the input: one that float32 bears and the others do not.
constexpr double kUnknownShift = kMostShift;

// Whether a layer is a node of its own in a frozen network, and no part of a chain.
template <class AnyLayer>
constexpr bool kFreezesApart = requires { AnyLayer::kJoin; };
template <>
constexpr bool kFreezesApart<Embedding> = true;
template <>
constexpr bool kFreezesApart<CategoryEncoding> = true;
template <>
constexpr bool kFreezesApart<TableInput> = true;
template <>
constexpr bool kFreezesApart<PeriodicEmbedding> = true;
template <>
constexpr bool kFreezesApart<ParametricActivation> = true;

// A FrozenLayer whose factors have not been multiplied in yet: the rows and columns of its kernel remain to be scaled.
struct Draft {
  std::size_t in = 0, out = 0;
  std::vector<float> kernel;
  Doubles row_scale, column_scale;         // if there is a kernel; empty for ones
  Doubles mean, scale;                     // if there is no kernel; empty for an activation alone
  Doubles bias;                            // empty for zeros
  double shift = 0.0;                      // the largest distance of a mean of its input from 0, in deviations
  ActivationSpec activation{};
  bool rectified = false;                  // PReLU, whose slopes are `scale`
  RowStatistic statistic = RowStatistic::none;
  float epsilon = 0.0f;

  bool dense() const { return !kernel.empty(); }
  bool normalises() const { return !scale.empty() && !rectified; }   // an Affine
};

// y = (x - mean) scale + added; shift as in Draft.
struct Affine {
  Doubles mean, scale, added;
  double shift = 0.0;
};

class Folder {
 public:
  // cols: those of the chain's input.
  Folder(const Graph& graph, const ProductPrecision& precision, std::size_t cols)
      : graph_(graph), precision_(precision), cols_(cols) {}

  // layers: indices in the spec. Empty where the chain leaves its input as it is.
  std::vector<FrozenLayer> run(const std::vector<std::size_t>& layers) {
    for (const std::size_t layer : layers) {
      layer_ = layer;
      std::visit([this](const auto& any) { add(any); }, graph_.spec.layers[layer]);
    }
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
    if (!drafts_.empty() && folds_forward(drafts_.back(), draft)) {
      take_in(draft, drafts_.back());
      drafts_.pop_back();
    }
    drafts_.push_back(std::move(draft));
    activate(dense.activation);
  }

  template <class AnyLayer>
    requires IsActivation<AnyLayer>
  void add(const AnyLayer& layer) {
    activate(layer.spec());
  }
  void add(const Dropout&) {}
  void add(const AlphaDropout&) {}
  void add(const GaussianDropout&) {}
  void add(const GaussianNoise&) {}
  void add(const ActivityRegularization&) {}
  void add(const TableInput& layer) { activate(layer.activation); }   // its product is a node of its own
  template <class AnyLayer>
    requires(!IsActivation<AnyLayer>)
  void add(const AnyLayer&) {   // no part of a chain
    static_assert(kFreezesApart<AnyLayer>);
  }

  void add(const BatchNormalization& layer) { add_affine(read(layer)); }
  void add(const Normalization& layer) { add_affine(read(layer)); }
  void add(const Rescaling& layer) {
    const double scale = static_cast<double>(layer.scale), offset = static_cast<double>(layer.offset);
    const double shift = offset == 0.0 ? 0.0 : kUnknownShift;
    add_affine({Doubles(cols_, 0.0), Doubles(cols_, scale), Doubles(cols_, offset), shift});
  }
  void add(const LayerNormalization& layer) {
    add_statistic(RowStatistic::standard, layer.epsilon);
    if (layer.scale || layer.center) add_affine(scaling(weight("gamma"), weight("beta")));
  }
  void add(const RMSNormalization& layer) {
    add_statistic(RowStatistic::root_mean_square, layer.epsilon);
    add_affine(scaling(weight("scale"), {}));
  }
  void add(const UnitNormalization&) { add_statistic(RowStatistic::unit, 0.0f); }
  void add(const Scale&) { add_affine(scaling(weight("scale"), {})); }
  void add(const PReLU&) {
    const std::vector<float> alpha = weight("alpha");
    Draft& draft = push();
    draft.scale.assign(alpha.begin(), alpha.end());
    draft.rectified = true;
  }

  void add_statistic(RowStatistic statistic, float epsilon) {
    Draft& draft = push();
    draft.statistic = statistic;
    draft.epsilon = epsilon;
  }

  Draft& push() {
    Draft draft;
    draft.in = draft.out = cols_;
    drafts_.push_back(std::move(draft));
    return drafts_.back();
  }

  void add_affine(const Affine& affine) {
    const bool alone = drafts_.empty() || drafts_.back().activation.kind != ActivationKind::linear ||
                       !(drafts_.back().dense() || drafts_.back().normalises());
    if (alone) {
      Draft draft;
      draft.in = draft.out = cols_;
      draft.mean = affine.mean;
      draft.scale = affine.scale;
      draft.bias = affine.added;
      draft.shift = affine.shift;
      drafts_.push_back(std::move(draft));
      return;
    }
    Draft& last = drafts_.back();
    Doubles& scale = last.dense() ? last.column_scale : last.scale;
    last.shift = std::max(last.shift, affine.shift);
    scale.resize(cols_, 1.0);
    last.bias.resize(cols_, 0.0);
    for (std::size_t j = 0; j < cols_; ++j) {
      scale[j] *= affine.scale[j];
      last.bias[j] = (last.bias[j] - affine.mean[j]) * affine.scale[j] + affine.added[j];
    }
  }

  void activate(const ActivationSpec& activation) {
    if (activation.kind == ActivationKind::linear) return;
    if (drafts_.empty() || drafts_.back().activation.kind != ActivationKind::linear) return push_activation(activation);
    drafts_.back().activation = activation;
  }

  void push_activation(const ActivationSpec& activation) { push().activation = activation; }

  bool folds_forward(const Draft& draft, const Draft& dense) const {
    const double most = !reduces(precision_, dense.in, dense.out) ? kMostShift
                        : precision_.terms == 2                  ? kMostShiftOfTwoTerms
                                                                 : kMostShiftOfOneTerm;
    return draft.normalises() && draft.activation.kind == ActivationKind::linear && draft.shift <= most;
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
    out.rectified = draft.rectified;
    out.statistic = draft.statistic;
    out.epsilon = draft.epsilon;
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

  // y = x gamma + beta, either of which may be missing.
  Affine scaling(std::vector<float> gamma, std::vector<float> beta) const {
    gamma.resize(cols_, 1.0f);
    beta.resize(cols_, 0.0f);
    return {Doubles(cols_, 0.0), {gamma.begin(), gamma.end()}, {beta.begin(), beta.end()}};
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
      out.shift = std::max(out.shift, std::abs(out.mean[j]) / std::sqrt(spread));
    }
    return out;
  }

  Affine read(const Normalization& layer) {
    const std::vector<float> mean = weight("mean"), variance = weight("variance");
    Affine out{{mean.begin(), mean.end()}, Doubles(cols_), Doubles(cols_, 0.0)};
    for (std::size_t j = 0; j < cols_; ++j) {
      const double deviation = deviation_of(variance[j]);
      out.shift = std::max(out.shift, std::abs(out.mean[j]) / deviation);
      out.scale[j] = layer.invert ? deviation : 1.0 / deviation;
    }
    if (!layer.invert) return out;
    out.shift = 0.0;
    std::swap(out.mean, out.added);
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
  const ProductPrecision& precision_;
  std::size_t layer_ = 0, cols_;
  std::vector<Draft> drafts_;
};

// Cuts the nodes of a graph into chains, which begin and end where a value is an input or an output, or has other
// readers than one layer that is no join.
class Cutter {
 public:
  Cutter(const Graph& graph, const ProductPrecision& precision)
      : graph_(graph),
        precision_(precision),
        wiring_(graph.wiring),
        readers_(wiring_.widths.size(), 0),
        reader_(wiring_.widths.size()),
        number_(wiring_.widths.size(), kNone),
        is_output_(wiring_.widths.size(), false),
        chains_(wiring_.widths.size()) {
    for (const Node& node : wiring_.nodes)
      for (const std::size_t value : node.inputs) {
        ++readers_[value];
        reader_[value] = node.layer;
      }
    for (const std::size_t value : wiring_.outputs) is_output_[value] = true;
  }

  FrozenNetwork run() {
    out_.inputs = graph_.spec.inputs;
    out_.outputs = graph_.spec.outputs;
    if (graph_.spec.is_chain()) {
      out_.inputs = {{"", wiring_.widths[0]}};
      out_.outputs = {{"", 0}};
    }
    for (std::size_t i = 0; i < wiring_.n_inputs; ++i) number_[i] = i;
    for (std::size_t i = 0; i < wiring_.nodes.size(); ++i) add(i);
    for (std::size_t i = 0; i < out_.outputs.size(); ++i) out_.outputs[i].value = number_[wiring_.outputs[i]];
    return std::move(out_);
  }

 private:
  // The layers of a chain that goes on at a value, and the value that it began with.
  struct Chain {
    std::vector<std::size_t> layers;
    std::size_t begin = 0;
  };

  void add(std::size_t index) {
    const Node& node = wiring_.nodes[index];
    const Layer& layer = graph_.spec.layers[node.layer];
    const std::size_t made = wiring_.n_inputs + index;
    if (is_apart(layer)) push(made, frozen(layer, node.layer), node.inputs);
    // Its activation begins the chain behind it.
    const auto* const table = std::get_if<TableInput>(&layer);
    if (table != nullptr && table->activation.kind != ActivationKind::linear) return go_on(made, {{node.layer}, made});
    if (is_apart(layer)) return;
    const std::size_t from = node.inputs[0];
    Chain chain = chains_[from].layers.empty() ? Chain{{}, from} : std::move(chains_[from]);
    chain.layers.push_back(node.layer);
    go_on(made, std::move(chain));
  }

  // Makes the node of a chain that computes a value, unless the chain goes on.
  void go_on(std::size_t made, Chain chain) {
    if (goes_on(made)) {
      chains_[made] = std::move(chain);
      return;
    }
    std::vector<FrozenLayer> layers = Folder(graph_, precision_, wiring_.widths[chain.begin]).run(chain.layers);
    const std::size_t cols = wiring_.widths[made];
    if (layers.empty() && !is_output_[made]) {   // layers that do nothing in inference, such as dropout
      number_[made] = number_[chain.begin];
      return;
    }
    if (layers.empty()) layers.push_back({cols, cols, {}, {}, {}, {}, ActivationKind::linear});
    push(made, {FrozenNode::Kind::chain, {}, std::move(layers)}, {chain.begin});
  }

  // Whether the one reader of a value is a layer that continues its chain.
  bool goes_on(std::size_t value) const {
    return readers_[value] == 1 && !is_output_[value] && !is_apart(graph_.spec.layers[reader_[value]]);
  }

  static bool is_apart(const Layer& layer) {
    return std::visit([](const auto& any) { return kFreezesApart<std::decay_t<decltype(any)>>; }, layer);
  }

  // The node of a layer that is apart; its inputs are not set.
  FrozenNode frozen(const Layer& layer, std::size_t index) const {
    FrozenNode node;
    std::visit([&](const auto& any) { set(node, any, index); }, layer);
    return node;
  }
  static void set(FrozenNode& node, const Add&, std::size_t) { node.kind = FrozenNode::Kind::add; }
  static void set(FrozenNode& node, const Multiply&, std::size_t) { node.kind = FrozenNode::Kind::multiply; }
  static void set(FrozenNode& node, const Concatenate&, std::size_t) { node.kind = FrozenNode::Kind::concatenate; }
  static void set(FrozenNode& node, const Subtract&, std::size_t) { node.kind = FrozenNode::Kind::subtract; }
  static void set(FrozenNode& node, const Average&, std::size_t) { node.kind = FrozenNode::Kind::average; }
  static void set(FrozenNode& node, const Maximum&, std::size_t) { node.kind = FrozenNode::Kind::maximum; }
  static void set(FrozenNode& node, const Minimum&, std::size_t) { node.kind = FrozenNode::Kind::minimum; }
  static void set(FrozenNode& node, const Dot& dot, std::size_t) {
    node.kind = FrozenNode::Kind::dot;
    node.dot = dot;
  }
  static void set(FrozenNode& node, const CategoryEncoding& encoding, std::size_t) {
    node.kind = FrozenNode::Kind::category_encoding;
    node.encoding = encoding;
  }
  void set(FrozenNode& node, const Embedding& embedding, std::size_t index) const {
    node.kind = FrozenNode::Kind::embedding;
    node.columns = embedding.output_dim;
    node.table.resize(embedding.input_dim * embedding.output_dim);
    const Segment& segment = graph_.parameters.segments()[graph_.parameters.find(index, "embeddings")];
    segment.to_rows(graph_.weights.data(), node.table.data());
  }
  void set(FrozenNode& node, const TableInput& layer, std::size_t index) const {
    node.kind = FrozenNode::Kind::table_input;
    node.columns = layer.units;
    node.codes = layer.columns;
    read(index, "kernel", node.table);
    read(index, "bias", node.bias);
  }
  void set(FrozenNode& node, const PeriodicEmbedding& layer, std::size_t index) const {
    node.kind = FrozenNode::Kind::periodic;
    node.periodic = layer;
    read(index, "frequencies", node.frequencies);
    read(index, "phases", node.phases);
    read(index, "kernel", node.table);
    read(index, "bias", node.bias);
  }
  void set(FrozenNode& node, const ParametricActivation& layer, std::size_t index) const {
    node.kind = FrozenNode::Kind::parametric_activation;
    node.activation = layer.activation;
    read(index, "alpha", node.table);
  }
  // A weight of a layer, row-major; `out` stays empty where the layer has none of this name.
  void read(std::size_t layer, const char* name, std::vector<float>& out) const {
    const std::size_t segment = graph_.parameters.find(layer, name);
    if (segment == kNoSegment) return;
    out.resize(graph_.parameters.segments()[segment].info.size());
    graph_.parameters.segments()[segment].to_rows(graph_.weights.data(), out.data());
  }
  template <class AnyLayer>
  static void set(FrozenNode&, const AnyLayer&, std::size_t) {
    static_assert(!kFreezesApart<AnyLayer>, "a layer that is apart has a kind of frozen node");
  }

  void push(std::size_t made, FrozenNode node, std::vector<std::size_t> inputs) {
    for (std::size_t& value : inputs) value = number_[value];
    node.inputs = std::move(inputs);
    number_[made] = wiring_.n_inputs + out_.nodes.size();
    out_.nodes.push_back(std::move(node));
  }

  const Graph& graph_;
  const ProductPrecision& precision_;
  const Wiring& wiring_;
  // Of each value: how many nodes read it, the layer of the last of them, and its number in the frozen network.
  std::vector<std::size_t> readers_, reader_, number_;
  std::vector<bool> is_output_;
  std::vector<Chain> chains_;                   // that go on at each value
  FrozenNetwork out_;
};

}  // namespace

FrozenNetwork fold(const Graph& graph, const ProductPrecision& precision) {
  const std::lock_guard guard(graph.lock);
  return Cutter(graph, precision).run();
}

}  // namespace fastreg
