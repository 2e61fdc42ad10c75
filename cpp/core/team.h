// A team is the threads that compute one step together. Every member runs the same code on its own part of each output
// and waits for the others at sync(). This file knows nothing of OpenMP; a backend starts the members (backend.h).
#pragma once
#include <algorithm>
#include <cstddef>

#include "core/kernels.h"

namespace fastreg {

// Waits until all members of the team have arrived. It spins for a short time and then yields the CPU, so that it also
// makes progress where all members share one core.
class Barrier;
void wait(Barrier&);

struct Team {
  std::size_t rank = 0, size = 1;
  Barrier* barrier = nullptr;

  void sync() const {
    if (size > 1) wait(*barrier);
  }
  bool leader() const { return rank == 0; }
  // This member's part of [0, n). Parts begin at multiples of grain.
  Range split(std::size_t n, std::size_t grain = 1) const {
    if (size == 1) return {0, n};
    const std::size_t pieces = (n + grain - 1) / grain;
    return {std::min(n, pieces * rank / size * grain), std::min(n, pieces * (rank + 1) / size * grain)};
  }
};

}  // namespace fastreg
