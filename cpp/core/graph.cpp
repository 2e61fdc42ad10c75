// Layers to operations: shapes, fusions, memory, and inference over blocks of rows.
#include "core/graph.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "core/layers/layers.h"
#include "fastreg/runtime.h"

namespace fastreg {
namespace {

const Activation* activation_at(const NetworkSpec& spec, std::size_t i) {
  return i < spec.layers.size() ? std::get_if<Activation>(&spec.layers[i]) : nullptr;
}

const Dropout* dropout_at(const NetworkSpec& spec, std::size_t i) {
  return i < spec.layers.size() ? std::get_if<Dropout>(&spec.layers[i]) : nullptr;
}

bool is_head(ActivationKind kind) { return kind == ActivationKind::sigmoid || kind == ActivationKind::softmax; }

// Turns the spec's layers into operations, one call a layer or group of fused layers.
class Compiler {
 public:
  Compiler(const NetworkSpec& spec, const Parameters& parameters)
      : spec_(spec), parameters_(parameters), cols_(spec.n_features) {}

  std::vector<std::unique_ptr<Operation>> run() {
    while (next_ < spec_.layers.size()) {
      const std::size_t index = next_++;
      std::visit([&](const auto& layer) { add(layer, index); }, spec_.layers[index]);
    }
    return std::move(operations_);
  }

 private:
  void add(const Dense& dense, std::size_t index) {
    ActivationKind activation = dense.activation;
    const Activation* following = activation_at(spec_, next_);
    if (activation == ActivationKind::linear && following != nullptr) {
      activation = following->activation;
      ++next_;
    }
    // Softmax works on whole rows; a last sigmoid stays apart so that a loss can start from the logits.
    const bool apart = activation == ActivationKind::softmax || (is_head(activation) && next_ == spec_.layers.size());
    const ActivationKind joined = apart ? ActivationKind::linear : activation;
    const auto* norm = next_ < spec_.layers.size() ? std::get_if<BatchNormalization>(&spec_.layers[next_]) : nullptr;
    has_tail_ = !apart && norm != nullptr && norm->trainable && derivative_from_output(joined);
    const Dropout* dropout = joined == ActivationKind::relu && dense.units > 1 ? dropout_at(spec_, next_) : nullptr;
    operations_.push_back(
        make_dense(dense, cols_, index, joined, dropout, next_, has_tail_ ? &tail_ : nullptr, parameters_));
    if (dropout != nullptr) ++next_;
    cols_ = dense.units;
    if (apart) operations_.push_back(make_activation(activation, cols_));
  }

  void add(const Activation& layer, std::size_t) {
    operations_.push_back(make_activation(layer.activation, cols_));
    has_tail_ = false;
  }

  void add(const BatchNormalization& layer, std::size_t index) {
    const Dropout* dropout = layer.trainable ? dropout_at(spec_, next_) : nullptr;
    operations_.push_back(make_batch_normalization(layer, cols_, index, dropout, next_, has_tail_ ? &tail_ : nullptr,
                                                   parameters_));
    if (dropout != nullptr) ++next_;
    has_tail_ = false;
  }

  void add(const Dropout& layer, std::size_t index) {
    operations_.push_back(make_dropout(layer, cols_, index));
    has_tail_ = false;
  }

  const NetworkSpec& spec_;
  const Parameters& parameters_;
  std::vector<std::unique_ptr<Operation>> operations_;
  std::size_t next_ = 0, cols_;
  DenseTail tail_;          // of the Dense just added, where the next layer goes back through its activation
  bool has_tail_ = false;
};

}  // namespace

void require_memory(const char* what, double floats) {
  // Read from files once, which is too slow for every fit. Not a static with a guard: a child forked while another
  // thread reads it would wait for ever.
  static std::atomic<double> known{0.0};
  double limit = known.load(std::memory_order_relaxed);
  if (limit == 0.0) known.store(limit = static_cast<double>(memory_limit()), std::memory_order_relaxed);
  const double bytes = 4.0 * floats;
  if (bytes > limit)
    throw std::invalid_argument(std::string(what) + " takes " + std::to_string(static_cast<std::size_t>(bytes / 1e6)) +
                                " MB, more than the " + std::to_string(static_cast<std::size_t>(limit / 1e6)) +
                                " MB of memory");
}

namespace {

Parameters parameters_of(const NetworkSpec& spec) {
  validate(spec);
  Parameters out;
  std::size_t width = spec.n_features;
  for (const Layer& layer : spec.layers) {
    out.add_layer(layer_weights(layer, {width}));
    width = output_width(layer, {width});
  }
  out.layout();
  return out;
}

}  // namespace

std::vector<WeightInfo> weights_of(const NetworkSpec& spec) { return parameters_of(spec).infos(); }

Graph::Graph(const NetworkSpec& network, const Backend& on)
    : spec(network), backend(on), parameters(parameters_of(spec)), operations(Compiler(spec, parameters).run()) {
  n_outputs = operations.back()->out();
  require_memory("layers: this network", static_cast<double>(parameters.total()));
  weights = Buffer(backend, parameters.total());
  initialize(*this);
}

std::size_t Graph::widest_ld() const {
  std::size_t widest = padded_ld(spec.n_features);
  for (const auto& operation : operations) widest = std::max(widest, operation->out_ld());
  return widest;
}

double Graph::flops_per_row() const {
  double flops = 0.0;
  for (const auto& operation : operations) flops += operation->flops_per_row();
  return flops;
}

ActivationKind Graph::head() const {
  const auto activation = [](const Layer& layer) {
    if (const auto* dense = std::get_if<Dense>(&layer)) return dense->activation;
    if (const auto* own = std::get_if<Activation>(&layer)) return own->activation;
    return ActivationKind::linear;
  };
  const ActivationKind last = activation(spec.layers.back());
  return is_head(last) ? last : ActivationKind::linear;
}

InferenceBuffers Graph::inference_buffers(std::size_t rows) const {
  const std::size_t floats = round_up(rows * widest_ld(), kLane);
  return {Buffer(backend, floats), Buffer(backend, floats)};
}

float* Graph::infer_block(const InferenceBuffers& buffers, const Features& x, const std::uint32_t* index,
                          std::size_t begin, std::size_t n, std::size_t count) const {
  const Kernels& kernels = *backend.kernels;
  const Team alone;
  const Pass pass{kernels, alone, n, weights.data(), nullptr, 0, 0};
  float *from = buffers.first.data(), *to = buffers.second.data();
  kernels.gather_rows({x.data, x.type, x.stride, index, begin, from, x.cols, padded_ld(x.cols), {0, n}});
  for (std::size_t i = 0; i < count; ++i) {
    if (operations[i]->identity_in_inference()) continue;
    operations[i]->infer(pass, from, to);
    std::swap(from, to);
  }
  return from;
}

std::size_t Graph::inference_threads(std::size_t rows) const {
  const std::size_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  const double work = flops_per_row() / 3.0 * static_cast<double>(rows) / kFlopsPerThread;
  const std::size_t budget = static_cast<std::size_t>(num_threads());
  return std::max<std::size_t>(1, std::min({blocks, budget, static_cast<std::size_t>(std::min(work, 1e6))}));
}

}  // namespace fastreg
