// The layers of a frozen chain as steps of the kernel table. Their weights are packed into one buffer, the arena. This
// file knows nothing of rows and threads.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "fastreg/predictor.h"

namespace fastreg {

// The time that an element takes for being read and written, expressed as the number of operations that a matrix
// product does in that time.
constexpr double kWorkPerElement = 30.0;

// The size of each of the two buffers that a chain needs (Inference::scratch).
struct ChainBuffers {
  std::size_t widest = 1;         // the largest ld of a step
  std::size_t packed_group = 0;   // the largest left operand of kTileGroup rows, packed
  std::size_t floats(std::size_t rows) const {
    return round_up(rows * widest, kLane) + tile_groups(rows) * packed_group;
  }
  // What a row takes of each buffer, on average over a group; and the fewest rows that a block should have, since a
  // part of a group takes as much as all of it.
  std::size_t row_floats() const { return widest + packed_group / kTileGroup; }
  std::size_t least_rows() const { return packed_group > 0 ? kTileGroup : 1; }
  void include(const ChainBuffers& other) {
    widest = std::max(widest, other.widest);
    packed_group = std::max(packed_group, other.packed_group);
  }
};

struct PackedLayers {
  // precision: of the products of wide layers. Throws std::invalid_argument if shapes do not match.
  PackedLayers(const std::vector<FrozenLayer>& layers, const ProductPrecision& precision);

  std::vector<InferenceStep> steps;   // their pointers point into the arena
  Buffer arena, tiles;                // tiles: the weights of products of bfloat16 numbers once more
  ChainBuffers buffers;
  double flops = 0.0, work = 0.0;     // per row

  std::vector<FrozenLayer> layers() const;
  // A description such as " -> 64 relu -> 1 sigmoid".
  std::string summary() const;
};

}  // namespace fastreg
