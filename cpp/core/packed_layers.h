// The layers of a frozen chain as steps of the kernel table. Their weights are packed into one buffer, the arena. This
// file knows nothing of rows and threads.
#pragma once
#include <string>
#include <vector>

#include "core/parameters.h"
#include "fastreg/predictor.h"

namespace fastreg {

// The time that an element takes for being read and written, expressed as the number of operations that a matrix
// product does in that time.
constexpr double kWorkPerElement = 30.0;

struct PackedLayers {
  // Throws std::invalid_argument if shapes do not match.
  explicit PackedLayers(const std::vector<FrozenLayer>& layers);

  std::vector<InferenceStep> steps;   // their pointers point into the arena
  Buffer arena;
  std::size_t widest = 0;             // the largest ld of a step
  double flops = 0.0, work = 0.0;     // per row

  std::vector<FrozenLayer> layers() const;
  // A description such as " -> 64 relu -> 1 sigmoid".
  std::string summary() const;
};

}  // namespace fastreg
