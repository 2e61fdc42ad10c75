// The public Network: reading and setting weights, and prediction.
#include "fastreg/network.h"

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

#include "core/graph.h"
#include "core/shapes.h"
#include "core/slices.h"
#include "fastreg/model_file.h"

namespace fastreg {
namespace {

struct Prediction {
  const Graph& graph;
  Span<const Features> x;
  Span<const MatrixView<float>> out;
  Range rows;                              // those that are computed at once
  std::vector<InferenceBuffers> buffers;   // one for each member of the team
  bool checks;                             // whether `finite` is wanted
  std::atomic<bool> finite{true};
};

bool all_finite(const Kernels& kernels, const Features& x, std::size_t begin, std::size_t n) {
  if (x.stride == x.cols) return kernels.all_finite(x.row(begin), x.type, n * x.cols);
  for (std::size_t i = begin; i < begin + n; ++i)
    if (!kernels.all_finite(x.row(i), x.type, x.cols)) return false;
  return true;
}

void predict_blocks(void* context, const Team& team) {
  Prediction& job = *static_cast<Prediction*>(context);
  const std::size_t blocks = (job.rows.end - job.rows.begin + kBlockRows - 1) / kBlockRows;
  const Range mine = team.split(blocks);
  for (std::size_t block = mine.begin; block < mine.end; ++block) {
    const std::size_t begin = job.rows.begin + block * kBlockRows;
    const std::size_t n = std::min(kBlockRows, job.rows.end - begin);
    const InferenceBuffers& buffers = job.buffers[team.rank];
    for (std::size_t i = 0; job.checks && i < job.x.size; ++i)
      if (!all_finite(*job.graph.backend.kernels, job.x[i], begin, n))
        job.finite.store(false, std::memory_order_relaxed);
    buffers.run(job.x, nullptr, begin, n);
    for (std::size_t k = 0; k < job.out.size; ++k) {
      const MatrixView<float>& out = job.out[k];
      const float* const y = buffers.output(k);
      const std::size_t ld = padded_ld(out.cols);
      const bool whole = ld == out.cols && out.stride == out.cols;   // one piece of memory on both sides
      const std::size_t pieces = whole ? 1 : n, floats = whole ? n * out.cols : out.cols;
      for (std::size_t i = 0; i < pieces; ++i)
        std::memcpy(out.data + (begin + i) * out.stride, y + i * ld, floats * sizeof(float));
    }
  }
}

}  // namespace

Network::Network(const NetworkSpec& spec) : graph_(std::make_unique<Graph>(spec, cpu_backend())) {}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

const NetworkSpec& Network::spec() const { return graph_->spec; }
std::size_t Network::n_features() const { return graph_->wiring.widths[0]; }
std::size_t Network::n_outputs() const { return graph_->n_outputs; }
const std::vector<WeightInfo>& Network::weights() const { return graph_->parameters.infos(); }

void Network::get_weight(std::size_t index, float* out) const {
  const std::lock_guard guard(graph_->lock);
  graph_->parameters.segment(index).to_rows(graph_->weights.data(), out);
}

void Network::set_weight(std::size_t index, const float* values) {
  const std::lock_guard guard(graph_->lock);
  graph_->parameters.segment(index).from_rows(values, graph_->weights.data());
  ++graph_->assignments;
  ++graph_->changes;
}

void Network::set_weight_part(std::size_t index, std::size_t first, const float* values, std::size_t n) {
  const Segment& segment = graph_->parameters.segment(index);
  require_part(segment.info, first, n);
  const std::lock_guard guard(graph_->lock);
  segment.from_values(first, values, n, graph_->weights.data());
  ++graph_->assignments;
  ++graph_->changes;
}

void Network::get_weights(Span<float* const> out) const {
  const auto& segments = graph_->parameters.segments();
  check_count("out", segments.size(), out.size);
  const std::lock_guard guard(graph_->lock);
  for (std::size_t i = 0; i < out.size; ++i) segments[i].to_rows(graph_->weights.data(), out[i]);
}

void Network::set_weights(Span<const float* const> values, std::size_t first) {
  const auto& segments = graph_->parameters.segments();
  if (first > segments.size() || values.size > segments.size() - first)
    throw std::out_of_range("set_weights: there are " + std::to_string(segments.size()) + " weights, got " +
                            std::to_string(values.size) + " from index " + std::to_string(first) + " on");
  const std::lock_guard guard(graph_->lock);
  for (std::size_t i = 0; i < values.size; ++i) segments[first + i].from_rows(values[i], graph_->weights.data());
  ++graph_->assignments;
  ++graph_->changes;
}

std::vector<std::size_t> Network::input_widths() const {
  const Widths& all = graph_->wiring.widths;
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(graph_->n_inputs())};
}

std::vector<std::size_t> Network::output_widths() const {
  std::vector<std::size_t> out;
  for (const GraphOutput& output : graph_->outputs) out.push_back(graph_->width(output.value));
  return out;
}

bool Network::has_several_outputs() const { return graph_->outputs.size() > 1; }

void Network::predict(const Features& x, MatrixView<float> out, MatmulPrecision precision, Pause* pause) const {
  predict({&x, 1}, {&out, 1}, precision, pause);
}

bool Network::predict_if_finite(const Features& x, MatrixView<float> out, MatmulPrecision precision,
                                Pause* pause) const {
  return run({&x, 1}, {&out, 1}, true, precision, pause);
}

void Network::predict(Span<const Features> x, Span<const MatrixView<float>> out, MatmulPrecision precision,
                      Pause* pause) const {
  run(x, out, false, precision, pause);
}

bool Network::run(Span<const Features> x, Span<const MatrixView<float>> out, bool check_finite,
                  MatmulPrecision precision, Pause* pause) const {
  check_count("x", graph_->n_inputs(), x.size);
  check_count("out", graph_->outputs.size(), out.size);
  const std::size_t rows = x[0].rows;
  for (std::size_t i = 0; i < x.size; ++i)
    if (x[i].rows != rows || x[i].cols != graph_->wiring.widths[i])
      require_columns(numbered("x", i, x.size), x[i].rows, x[i].cols, rows, graph_->wiring.widths[i]);
  for (std::size_t i = 0; i < out.size; ++i)
    require_shape(numbered("out", i, out.size).c_str(), out[i], rows, graph_->width(graph_->outputs[i].value));
  for (std::size_t i = 0; i < x.size; ++i) {
    if (x[i].type > ElementType::uint8) refuse_type(numbered("x", i, x.size), x[i].type);
    if (x[i].data == nullptr && rows > 0) refuse_null(numbered("x", i, x.size).c_str());
  }
  for (std::size_t i = 0; i < out.size; ++i)
    if (out[i].data == nullptr && rows > 0) refuse_null(numbered("out", i, out.size).c_str());
  std::unique_lock lock(graph_->lock);
  Prediction job{*graph_, x, out, {}, {}, check_finite};
  const std::size_t threads = graph_->inference_threads(rows);
  const ProductPrecision products = product_precision(graph_->backend, precision);
  const auto pack = [&] { graph_->packed.prepare(*graph_, products, rows, threads); };
  pack();
  for (std::size_t i = 0; i < threads; ++i)
    job.buffers.emplace_back(*graph_, graph_->inference, std::min(kBlockRows, rows), products);
  const auto predict_rows = [&](std::size_t begin, std::size_t end) {
    job.rows = {begin, end};
    graph_->backend.run(threads, predict_blocks, &job);
  };
  // Another prediction may have packed in another precision meanwhile.
  const auto around = [&](auto&& act) {
    act();
    pack();
  };
  const std::size_t first = rows <= kBlockRows ? rows : short_slice(*graph_, 1, threads), unit = kBlockRows * threads;
  // If another thread has changed the weights in a pause, all rows are computed anew, without pauses.
  if (!in_slices(*graph_, lock, pause, rows, first, unit, predict_rows, around)) predict_rows(0, rows);
  return job.finite.load(std::memory_order_relaxed);
}

namespace {

std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

// The values of every weight that the description requires, in the order of Network::weights(). A description may need
// far more memory than the weights in its file, so all names and shapes are compared before the network is created.
std::vector<const float*> promised_weights(const NetworkSpec& spec, const ModelFile& file) {
  std::unordered_map<std::string_view, const NamedTensor*> tensors;
  for (const NamedTensor& tensor : file.tensors) tensors.emplace(tensor.name, &tensor);
  std::vector<const float*> values;
  for (const WeightInfo& info : weights_of(spec)) {
    const auto found = tensors.find(info.name);
    if (found == tensors.end()) throw std::invalid_argument("tensor " + info.name + " is missing");
    if (found->second->shape != info.shape())
      throw std::invalid_argument("tensor " + info.name + " must have shape " + shape_text(info.shape()) + ", got " +
                                  shape_text(found->second->shape));
    values.push_back(found->second->data.data());
  }
  return values;
}

}  // namespace

Network load_network(const std::string& path) {
  const ModelFile file = read_model(path);
  try {
    const NetworkSpec spec = parse_network(file.description);
    const std::vector<const float*> values = promised_weights(spec, file);
    Network network(spec);
    network.set_weights({values.data(), values.size()});
    return network;
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path + ": " + error.what());
  }
}

}  // namespace fastreg
