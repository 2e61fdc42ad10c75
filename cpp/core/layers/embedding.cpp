// Embedding: each column of x, an integer, becomes that row of a table. The backward pass touches only the rows of the
// batch: the forward pass of a step clears the rows of the gradient that the step before has written, which it
// remembers, and the backward pass adds to them. What the optimizer does to the whole table afterwards is its own pass.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/layers/layers.h"
#include "core/layers/rows.h"

namespace fastreg {
namespace {

// What a step remembers, in the cache of the operation: the table whose gradient it wrote, and the rows of it.
struct Written {
  const float* gradient;   // null before the first step
  std::uint64_t count;
  std::uint32_t* rows() { return reinterpret_cast<std::uint32_t*>(reinterpret_cast<float*>(this) + kLane); }
};
static_assert(sizeof(Written) <= kLane * sizeof(float));

class EmbeddingOperation final : public Operation {
 public:
  EmbeddingOperation(const Embedding& spec, const OperationContext& context)
      : Operation(context.inputs[0], width_of(spec, context.inputs)),
        parameters_(context.parameters),
        table_(parameters_.find(context.index, "embeddings")),
        count_(spec.input_dim),
        dim_(spec.output_dim),
        trainable_(spec.trainable) {}

  bool trainable() const override { return trainable_; }
  bool adds_to_gradient() const override { return true; }
  std::size_t cache_floats(std::size_t rows) const override { return trainable_ ? kLane + rows * in() : 0; }
  double flops_per_row() const override { return 3.0 * static_cast<double>(out()); }

  void infer(const Pass& pass, const float* const* x, float* y) const override {
    const float* const table = parameters_.in(pass.weights, table_);
    const Range rows = pass.team.split(pass.rows, out_ld() == 1 ? kLane : 1);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* const to = y + r * out_ld();
      for (std::size_t c = 0; c < in(); ++c) look_up(table, x[0][r * in_ld() + c], to + c * dim_);
      std::fill(to + out(), to + out_ld(), 0.0f);
    }
  }

  void forward(const Pass& pass, const float* const* x, float* y, float* cache) const override {
    if (trainable_) clear_gradient(pass, x[0], *reinterpret_cast<Written*>(cache));
    infer(pass, x, y);
  }

  bool backward_in_place(bool) const override { return false; }
  // A row of the table belongs to one member, which adds to it in the order of the batch.
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    float* const gradient = parameters_.gradient(pass.gradients, table_);
    for (std::size_t r = 0; gradient != nullptr && r < pass.rows; ++r)
      for (std::size_t c = 0; c < in(); ++c) {
        const std::size_t index = index_of_feature(x[0][r * in_ld() + c], count_);
        if (index == count_ || index % pass.team.size != pass.team.rank) continue;
        const float* const from = flow.dy + r * out_ld() + c * dim_;
        for_each_piece(index, [&](std::size_t offset, std::size_t first, std::size_t n) {
          float* const to = gradient + offset;
          for (std::size_t j = 0; j < n; ++j) to[j] += from[first + j];
        });
      }
    if (flow.dx == nullptr) return;
    const Range part = pass.team.split(pass.rows * in_ld(), kLane);
    std::fill(flow.dx + part.begin, flow.dx + part.end, 0.0f);
  }

 private:
  // Calls f(offset in the table, first column, number of columns) for the parts of a row of the table, which lie in
  // panels.
  template <class F>
  void for_each_piece(std::size_t index, F&& f) const {
    const std::size_t ld = padded_ld(dim_);
    for (std::size_t first = 0; first < dim_; first += kPanel)
      f(first * count_ + index * std::min(kPanel, ld - first), first, std::min(kPanel, dim_ - first));
  }

  void look_up(const float* table, float feature, float* to) const {
    const std::size_t index = index_of_feature(feature, count_);
    if (index == count_) {
      std::fill_n(to, dim_, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    for_each_piece(index, [&](std::size_t offset, std::size_t first, std::size_t n) {
      std::copy_n(table + offset, n, to + first);
    });
  }

  void clear_gradient(const Pass& pass, const float* x, Written& written) const {
    float* const gradient = parameters_.gradient(pass.gradients, table_);
    if (gradient == nullptr) return;
    if (written.gradient != gradient) {   // the first step of a run: whatever an earlier run has left
      const Range all = pass.team.split(parameters_.segments()[table_].padded, kLane);
      std::fill(gradient + all.begin, gradient + all.end, 0.0f);
    } else {
      const std::uint32_t* const rows = written.rows();
      for (std::size_t i = 0; i < written.count; ++i) {
        if (rows[i] == count_ || rows[i] % pass.team.size != pass.team.rank) continue;
        for_each_piece(rows[i], [&](std::size_t offset, std::size_t, std::size_t n) {
          std::fill_n(gradient + offset, n, 0.0f);
        });
      }
    }
    pass.team.sync();
    const Range mine = pass.team.split(pass.rows, kLane);
    for (std::size_t r = mine.begin; r < mine.end; ++r)
      for (std::size_t c = 0; c < in(); ++c)
        written.rows()[r * in() + c] = static_cast<std::uint32_t>(index_of_feature(x[r * in_ld() + c], count_));
    if (pass.team.leader()) {
      written.gradient = gradient;
      written.count = pass.rows * in();
    }
  }

  const Parameters& parameters_;
  std::size_t table_, count_, dim_;
  bool trainable_;
};

}  // namespace

std::vector<WeightSpec> weights_of(const Embedding& layer, const Widths&) {
  return {{"embeddings",
           {layer.input_dim, layer.output_dim},
           layer.embeddings_initializer,
           layer.embeddings_regularizer,
           true,
           true,
           layer.embeddings_constraint}};
}

std::size_t width_of(const Embedding& layer, const Widths& inputs) { return inputs[0] * layer.output_dim; }

std::unique_ptr<Operation> make_operation(const Embedding& layer, const OperationContext& context) {
  return std::make_unique<EmbeddingOperation>(layer, context);
}

}  // namespace fastreg
