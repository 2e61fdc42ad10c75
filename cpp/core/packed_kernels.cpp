// Lays out and packs the kernels of a network.
#include "core/packed_kernels.h"

#include <algorithm>
#include <utility>

#include "core/graph.h"

namespace fastreg {

void PackedKernels::prepare(const Graph& graph, const ProductPrecision& precision, std::size_t rows,
                            std::size_t threads) {
  const bool same = laid_out_ && precision.bfloat16 == precision_.bfloat16 && precision.terms == precision_.terms;
  if (same && (packed_.empty() || (is_packed_ && changes_ == graph.changes))) return;
  if (!same) {
    std::size_t floats = 0;
    for (const auto& operation : graph.operations) floats += operation->packed_kernel_floats(precision);
    require_memory("predict: the packed kernels", static_cast<double>(floats));
    laid_out_ = is_packed_ = false;   // as long as an allocation may fail
    precision_ = {};
    packed_.clear();
    std::vector<float*> packed(floats > 0 ? graph.operations.size() : 0, nullptr);
    tiles_ = Buffer(graph.backend, floats);
    float* next = tiles_.data();
    for (std::size_t i = 0; i < packed.size(); ++i) {
      const std::size_t size = graph.operations[i]->packed_kernel_floats(precision);
      if (size > 0) packed[i] = next;
      next += size;
    }
    packed_ = std::move(packed);
    precision_ = precision;
    laid_out_ = true;
  }
  if (packed_.empty()) return;
  if (!same || changes_ != graph.changes) rows_since_ = 0;
  changes_ = graph.changes;
  rows_since_ += std::min(rows, kBlockRows);
  is_packed_ = precision.bfloat16 != nullptr || rows_since_ >= kBlockRows;
  if (!is_packed_) return;
  struct Job {
    const Graph& graph;
    const PackedKernels& kernels;
  } job{graph, *this};
  graph.backend.run(
      threads,
      [](void* context, const Team& team) {
        const Job& given = *static_cast<Job*>(context);
        const Graph& g = given.graph;
        Pass pass{*g.backend.kernels, team, 0, g.weights.data(), nullptr, 0, 0};
        pass.precision = given.kernels.precision_;
        for (std::size_t i = 0; i < g.operations.size(); ++i)
          if (given.kernels.packed_[i] != nullptr) g.operations[i]->pack_kernel(pass, given.kernels.packed_[i]);
      },
      &job);
}

}  // namespace fastreg
