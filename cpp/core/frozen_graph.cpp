// Assigns buffers to the values of a frozen graph, and runs its nodes on blocks of rows.
#include "core/frozen_graph.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/activations.h"
#include "core/buffer_pool.h"
#include "core/layers/rows.h"
#include "core/serving.h"
#include "core/shapes.h"

namespace fastreg {
namespace {

void require(bool good, const char* list, std::size_t index, const std::string& rule) {
  if (!good) throw std::invalid_argument(std::string("frozen ") + list + " " + std::to_string(index) + ": " + rule);
}

Elementwise elementwise(FrozenNode::Kind kind) {
  switch (kind) {
    case FrozenNode::Kind::multiply: return Elementwise::multiply;
    case FrozenNode::Kind::subtract: return Elementwise::subtract;
    case FrozenNode::Kind::maximum: return Elementwise::maximum;
    case FrozenNode::Kind::minimum: return Elementwise::minimum;
    default: return Elementwise::add;   // the average is divided afterwards
  }
}

// to = to combined with from, element by element.
void combine(const Kernels& kernels, FrozenNode::Kind kind, const float* from, float* to, std::size_t n) {
  switch (kind) {
    case FrozenNode::Kind::multiply: return kernels.combine(Combination::multiply, to, from, to, n);
    case FrozenNode::Kind::subtract: return merge(Merge::subtract, to, from, to, n);
    case FrozenNode::Kind::maximum: return merge(Merge::maximum, to, from, to, n);
    case FrozenNode::Kind::minimum: return merge(Merge::minimum, to, from, to, n);
    default: return kernels.combine(Combination::add, to, from, to, n);
  }
}

// A row of a ParametricActivation.
void mix_row(const Kernels& kernels, const FrozenNode& node, const float* x, std::size_t width, float* y) {
  if (is_fused(node.activation.kind))
    kernels.activation_forward(node.activation.kind, x, y, width);
  else
    kernels.separate_forward(node.activation, x, y, width);
  for (std::size_t j = 0; j < width; ++j) y[j] = x[j] + node.table[j] * (y[j] - x[j]);
}

}  // namespace

const std::vector<FrozenLayer>& chain_of(const FrozenNetwork& network) {
  require(network.nodes[0].inputs == std::vector<std::size_t>{0}, "node", 0, "must read the input");
  require(network.outputs[0].value == 1, "output", 0, "must be the value of the node");
  const std::vector<FrozenLayer>& layers = network.nodes[0].layers;
  require(!layers.empty() && layers.front().in == network.inputs[0].n_features, "node", 0,
          "must take the columns of the input");
  return layers;
}

FrozenGraph::FrozenGraph(const FrozenNetwork& network, const ProductPrecision& precision)
    : inputs_(network.inputs), outputs_(network.outputs) {
  if (inputs_.empty() || network.nodes.empty() || outputs_.empty())
    throw std::invalid_argument("a frozen network has one input, node and output at least");
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    require(inputs_[i].n_features > 0 && inputs_[i].n_features <= 0x7FFFFFFF, "input", i, "must have columns");
    widths_.push_back(inputs_[i].n_features);
  }
  for (std::size_t i = 0; i < network.nodes.size(); ++i) add(network.nodes[i], i, precision);
  std::vector<bool> given(widths_.size(), false);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const std::size_t value = outputs_[i].value;
    require(value >= inputs_.size() && value < widths_.size() && !given[value], "output", i,
            "must be the value of a node, and of no other output");
    given[value] = true;
  }
  place_values();
}

void FrozenGraph::add(const FrozenNode& node, std::size_t index, const ProductPrecision& precision) {
  require(node.kind <= FrozenNode::Kind::parametric_activation, "node", index, "must have a kind that there is");
  require(!node.inputs.empty(), "node", index, "must have inputs");
  for (const std::size_t value : node.inputs)
    require(value < widths_.size(), "node", index, "must read values in front of its own");
  Node made{node.kind, node.inputs, {}, {}, {}, node};
  made.source.inputs.clear();
  made.source.layers.clear();
  std::size_t width = widths_[node.inputs[0]];
  if (node.kind == FrozenNode::Kind::chain) {
    require(node.inputs.size() == 1, "node", index, "must have one input");
    made.packed.emplace_back(node.layers, precision);
    const PackedLayers& packed = made.packed.back();
    require(packed.steps.front().k == width, "node", index, "must take the columns of its input");
    width = packed.steps.back().cols;
    flops_ += packed.flops;
    work_ += packed.work;
    buffers_.include(packed.buffers);
  } else if (node.kind == FrozenNode::Kind::table_input) {
    const std::string where = "frozen node " + std::to_string(index);
    require(node.inputs.size() == 1 && node.inputs[0] < inputs_.size(), "node", index, "must read one input");
    check_table_input(node, width, where);
    made.tables.emplace_back(node);
    const double products = 6.0 * static_cast<double>(width) * static_cast<double>(node.columns);
    width = node.columns;
    flops_ += products;
    work_ += products + kWorkPerElement * static_cast<double>(padded_ld(width));
    buffers_.include({padded_ld(width), 0});
  } else if (node.kind == FrozenNode::Kind::periodic) {
    require(node.inputs.size() == 1, "node", index, "must have one input");
    const std::size_t outputs = check_periodic(node, width, "frozen node " + std::to_string(index));
    made.periodic.emplace_back(node, width);
    const double angles = static_cast<double>(width * node.periodic.n_frequencies);
    flops_ += 2.0 * angles * static_cast<double>(node.periodic.units);
    work_ += angles * (30.0 + 2.0 * static_cast<double>(node.periodic.units));
    width = outputs;
  } else {
    width = checked_width(node, index);
    require(width <= 0x7FFFFFFF, "node", index, "must have fewer than 2^31 columns");
    work_ += kWorkPerElement * static_cast<double>(node.inputs.size()) * static_cast<double>(padded_ld(width));
  }
  widths_.push_back(width);
  nodes_.push_back(std::move(made));
}

// The columns of the value of a node that is no chain.
std::size_t FrozenGraph::checked_width(const FrozenNode& node, std::size_t index) const {
  const std::size_t count = node.inputs.size(), first = widths_[node.inputs[0]];
  const auto inputs = [&](std::size_t wanted) {
    require(count == wanted, "node", index, "has too many or too few inputs");
  };
  const std::size_t width = [&]() -> std::size_t {
    switch (node.kind) {
      case FrozenNode::Kind::embedding:
        inputs(1);
        require(node.columns > 0 && node.columns <= 0x7FFFFFFF && !node.table.empty() &&
                    node.table.size() % node.columns == 0,
                "node", index, "must have a table of whole rows");
        return first * node.columns;
      case FrozenNode::Kind::category_encoding:
        inputs(1);
        require(node.encoding.num_tokens > 0 && node.encoding.num_tokens <= 0x7FFFFFFF, "node", index,
                "must have num_tokens >= 1");
        require(node.encoding.output_mode <= Encoding::count, "node", index, "must have an output_mode that there is");
        return encoded_width(node.encoding, first);
      case FrozenNode::Kind::parametric_activation:
        inputs(1);
        require(node.table.size() == first, "node", index, "must have an alpha for each column");
        if (const char* const refusal = refusal_of(node.activation))
          require(false, "node", index, "activation " + std::string(refusal));
        require(!needs_rows(node.activation.kind), "node", index, "must have an activation of single elements");
        return first;
      case FrozenNode::Kind::dot: {
        inputs(2);
        const std::size_t second = widths_[node.inputs[1]], length = node.dot.length;
        require(length > 0 && first % length == 0 && second % length == 0, "node", index,
                "must have inputs of whole vectors");
        return (first / length) * (second / length);
      }
      case FrozenNode::Kind::subtract: inputs(2); [[fallthrough]];
      default: {
        const bool side_by_side = node.kind == FrozenNode::Kind::concatenate;
        std::size_t total = first;
        for (std::size_t i = 1; i < count; ++i) {
          const std::size_t more = widths_[node.inputs[i]];
          require(side_by_side || more == total || more == 1 || total == 1, "node", index,
                  "must have inputs with equally many columns, or one");
          total = side_by_side ? total + more : std::max(total, more);
        }
        return total;
      }
    }
  }();
  require(width > 0, "node", index, "must have columns");
  return width;
}

// A value gets a buffer when its node runs. The buffer is released after the last node that reads it.
void FrozenGraph::place_values() {
  std::vector<std::size_t> readers(widths_.size(), 0), buffer(widths_.size());
  for (const Node& node : nodes_)
    for (const std::size_t value : node.inputs) ++readers[value];
  places_.resize(widths_.size());
  for (std::size_t i = 0; i < inputs_.size(); ++i) places_[i] = {Place::Kind::input, i, 0};
  for (std::size_t i = 0; i < outputs_.size(); ++i) places_[outputs_[i].value] = {Place::Kind::output, i, 0};
  BufferPool pool;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::size_t made = inputs_.size() + i;
    if (places_[made].kind == Place::Kind::buffer) buffer[made] = pool.take(round_up(widths_[made], kLane));
    for (const std::size_t value : nodes_[i].inputs)
      if (--readers[value] == 0 && places_[value].kind == Place::Kind::buffer) pool.give_back(buffer[value]);
  }
  std::vector<std::size_t> offsets;
  for (const std::size_t ld : pool.lds()) {
    offsets.push_back(buffer_floats_);
    buffer_floats_ += ld;
  }
  for (std::size_t value = 0; value < places_.size(); ++value)
    if (places_[value].kind == Place::Kind::buffer) places_[value].offset = offsets[buffer[value]];
}

struct FrozenGraph::Job {
  const FrozenGraph& graph;
  const Kernels& kernels;
  Span<const MatrixView<const float>> x;
  Span<const MatrixView<float>> out;
  std::size_t rows, block_rows, scratch_floats;   // scratch_floats: the size of each of the two buffers of a chain
  std::size_t member_floats;                      // the size of all scratch memory of a member of the team
  float* scratch = nullptr;
};

void FrozenGraph::run(Span<const MatrixView<const float>> x, Span<const MatrixView<float>> out) const {
  const std::size_t rows = x[0].rows;
  if (rows == 0) return;
  const Backend& backend = cpu_backend();
  const std::size_t threads = serving_threads(work_, rows);
  const std::size_t row_floats = buffers_.row_floats() + buffer_floats_;
  const std::size_t most_rows = std::max(buffers_.least_rows(), std::min(kBlockRows, kScratchFloats / row_floats));
  const std::size_t block_rows = even_block(rows, most_rows, threads);
  const std::size_t chain = buffers_.floats(block_rows);
  Job job{*this, *backend.kernels, x, out, rows, block_rows, chain, 2 * chain + block_rows * buffer_floats_};
  with_scratch(backend, job.member_floats * threads, [&](float* scratch) {
    job.scratch = scratch;
    backend.run(
        threads,
        [](void* context, const Team& team) {
          const Job& j = *static_cast<Job*>(context);
          const Range mine = team.split((j.rows + j.block_rows - 1) / j.block_rows);
          for (std::size_t block = mine.begin; block < mine.end; ++block) {
            const std::size_t row = block * j.block_rows;
            j.graph.run_block(j, row, std::min(j.block_rows, j.rows - row), j.scratch + team.rank * j.member_floats);
          }
        },
        &job);
  });
}

void FrozenGraph::run_block(const Job& job, std::size_t row, std::size_t rows, float* scratch) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const std::size_t made = inputs_.size() + i;
    const Rows y = rows_of(job, made, row, scratch);
    if (node.kind == FrozenNode::Kind::table_input) {
      read_table(job, i, row, rows, scratch);
      continue;
    }
    if (node.kind == FrozenNode::Kind::periodic) {
      const Rows x = rows_of(job, node.inputs[0], row, scratch);
      node.periodic[0].run(job.kernels, x.data, x.ld, rows, y.data, y.ld);
      continue;
    }
    if (node.kind >= FrozenNode::Kind::dot) {
      apply(job, node, row, rows, y, scratch);
      continue;
    }
    if (node.kind != FrozenNode::Kind::chain) {
      join(job, node, row, rows, y, widths_[made], scratch);
      continue;
    }
    const Rows x = rows_of(job, node.inputs[0], row, scratch);
    const std::vector<InferenceStep>& steps = node.packed[0].steps;
    job.kernels.infer({steps.data(), steps.size(), x.data, x.ld, y.data, y.ld, rows,
                       {scratch, scratch + job.scratch_floats}, false});
  }
}

void FrozenGraph::read_table(const Job& job, std::size_t node, std::size_t row, std::size_t rows,
                             float* scratch) const {
  const std::size_t made = inputs_.size() + node, cols = widths_[made], ld = padded_ld(cols);
  const Rows x = rows_of(job, nodes_[node].inputs[0], row, scratch), y = rows_of(job, made, row, scratch);
  // An output of the caller's has no room for padded rows.
  const bool apart = places_[made].kind == Place::Kind::output && ld != cols;
  nodes_[node].tables[0].run(job.kernels, x.data, x.ld, rows, apart ? scratch : y.data, apart ? ld : y.ld);
  for (std::size_t r = 0; apart && r < rows; ++r) std::copy_n(scratch + r * ld, cols, y.data + r * y.ld);
}

FrozenGraph::Rows FrozenGraph::rows_of(const Job& job, std::size_t value, std::size_t row, float* scratch) const {
  const Place& place = places_[value];
  switch (place.kind) {
    case Place::Kind::input: {
      const MatrixView<const float>& x = job.x[place.index];
      return {const_cast<float*>(x.data) + row * x.stride, x.stride};   // only read
    }
    case Place::Kind::output: {
      const MatrixView<float>& out = job.out[place.index];
      return {out.data + row * out.stride, out.stride};
    }
    case Place::Kind::buffer: break;
  }
  return {scratch + 2 * job.scratch_floats + job.block_rows * place.offset, round_up(widths_[value], kLane)};
}

void FrozenGraph::join(const Job& job, const Node& node, std::size_t row, std::size_t rows, const Rows& y,
                       std::size_t cols, float* scratch) const {
  std::size_t first = 0;   // column, of a concatenation
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Rows x = rows_of(job, node.inputs[k], row, scratch);
    const std::size_t width = widths_[node.inputs[k]];
    const bool last = k + 1 == node.inputs.size();
    for (std::size_t r = 0; r < rows; ++r) {
      const float* const from = x.data + r * x.ld;
      float* const to = y.data + r * y.ld;
      if (node.kind == FrozenNode::Kind::concatenate || (k == 0 && width == cols))
        std::copy_n(from, width, to + first);
      else if (width != cols)
        broadcast_row(elementwise(node.kind), k, from, width, to, cols);
      else
        combine(job.kernels, node.kind, from, to, cols);
      if (last && node.kind == FrozenNode::Kind::average) divide(to, static_cast<float>(k + 1), to, cols);
    }
    if (node.kind == FrozenNode::Kind::concatenate) first += width;
  }
}

// The nodes that are neither chains nor element by element.
void FrozenGraph::apply(const Job& job, const Node& node, std::size_t row, std::size_t rows, const Rows& y,
                        float* scratch) const {
  const std::size_t width = widths_[node.inputs[0]];
  const FrozenNode& source = node.source;
  const Rows x = rows_of(job, node.inputs[0], row, scratch);
  for (std::size_t r = 0; r < rows; ++r) {
    const float* const from = x.data + r * x.ld;
    float* const to = y.data + r * y.ld;
    if (node.kind == FrozenNode::Kind::dot) {
      const Rows other = rows_of(job, node.inputs[1], row, scratch);
      dot_row(source.dot, vectors_of(source.dot, true, from, width),
              vectors_of(source.dot, false, other.data + r * other.ld, widths_[node.inputs[1]]), to);
    } else if (node.kind == FrozenNode::Kind::category_encoding) {
      encode_row(source.encoding, from, width, to);
    } else if (node.kind == FrozenNode::Kind::parametric_activation) {
      mix_row(job.kernels, source, from, width, to);
    } else {
      const std::size_t count = source.table.size() / source.columns;
      for (std::size_t c = 0; c < width; ++c) {
        const std::size_t index = index_of_feature(from[c], count);
        if (index < count)
          std::copy_n(source.table.data() + index * source.columns, source.columns, to + c * source.columns);
        else
          std::fill_n(to + c * source.columns, source.columns, std::numeric_limits<float>::quiet_NaN());
      }
    }
  }
}

void FrozenGraph::check(Span<const MatrixView<const float>> x, Span<const MatrixView<float>> out) const {
  check_count("x", inputs_.size(), x.size);
  check_count("out", outputs_.size(), out.size);
  for (std::size_t i = 0; i < x.size; ++i)
    if (x[i].cols != widths_[i] || x[i].rows != x[0].rows)
      require_columns(numbered("x", i, x.size), x[i].rows, x[i].cols, x[0].rows, widths_[i]);
  for (std::size_t i = 0; i < out.size; ++i)
    if (out[i].rows != x[0].rows || out[i].cols != n_outputs(i) || out[i].stride < out[i].cols)
      require_shape(numbered("out", i, out.size).c_str(), out[i], x[0].rows, n_outputs(i));
  for (std::size_t i = 0; i < x.size; ++i)
    if (x[i].data == nullptr && x[i].rows > 0) refuse_null(numbered("x", i, x.size).c_str());
  for (std::size_t i = 0; i < out.size; ++i)
    if (out[i].data == nullptr && out[i].rows > 0) refuse_null(numbered("out", i, out.size).c_str());
}

FrozenNetwork FrozenGraph::network() const {
  FrozenNetwork out{inputs_, {}, outputs_};
  for (const Node& node : nodes_) {
    FrozenNode copy = node.source;
    copy.inputs = node.inputs;
    if (!node.packed.empty()) copy.layers = node.packed[0].layers();
    out.nodes.push_back(std::move(copy));
  }
  return out;
}

std::string FrozenGraph::summary() const {
  std::string out;
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    out += (i > 0 ? ", " : "") + inputs_[i].name + " " + std::to_string(widths_[i]);
  out += " -> " + std::to_string(nodes_.size()) + " nodes -> ";
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    out += (i > 0 ? ", " : "") + outputs_[i].name + " " + std::to_string(n_outputs(i));
  return out;
}

}  // namespace fastreg
