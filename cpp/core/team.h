// The threads that work on one step together: every member runs the same code on its own part of each output and meets
// the others at sync(). No OpenMP here; a backend starts the members (backend.h).
#pragma once
#include <algorithm>
#include <cstddef>

#include "core/kernels.h"

namespace fastreg {

// Meets all members of a team. Spins a little, then yields the CPU, so that it also ends where all share one core.
class Barrier;
void wait(Barrier&);

struct Team {
  std::size_t rank = 0, size = 1;
  Barrier* barrier = nullptr;

  void sync() const {
    if (size > 1) wait(*barrier);
  }
  bool leader() const { return rank == 0; }
  // This member's part of [0, n), cut at multiples of grain.
  Range split(std::size_t n, std::size_t grain = 1) const {
    const std::size_t pieces = (n + grain - 1) / grain;
    return {std::min(n, pieces * rank / size * grain), std::min(n, pieces * (rank + 1) / size * grain)};
  }
};

}  // namespace fastreg
