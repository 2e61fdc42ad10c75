// How calls of a frozen network divide rows among threads, and the scratch memory that they use.
#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/graph.h"
#include "fastreg/runtime.h"
#include "math/inline.h"

namespace fastreg {

// The total size of the scratch buffers, in floats, up to which they are on the stack.
constexpr std::size_t kStackFloats = 4096;
// The largest size of one scratch buffer in floats, unless a single row, or a group of packed rows, is longer. Where
// layers are very wide, blocks have fewer rows, because a thread keeps its buffers until it ends.
constexpr std::size_t kScratchFloats = std::size_t{1} << 18;
// Owners of scratch memory: a call of a table's predictor, or one that converts the rows of a graph, keeps its own
// while it calls the network's.
struct ScratchOfNetworks;
struct ScratchOfConversions;
struct ScratchOfTables;
// Calls run(memory) with a buffer that the thread keeps from call to call, for batches that are too large for the
// stack. The pointer has no destructor: an object of the program may predict in its own, after those of the thread have
// run, and then has a buffer for each call.
template <class Owner, class Run>
void with_kept(const Backend& backend, std::size_t floats, Run run) {
  thread_local Buffer* kept = nullptr;
  thread_local bool released = false;
  struct Release {
    ~Release() {
      delete std::exchange(kept, nullptr);
      released = true;
    }
  };
  thread_local const Release release;
  if (released) {
    const Buffer own(backend, floats);
    return run(own.data());
  }
  if (kept == nullptr || kept->size() < floats) {
    delete std::exchange(kept, nullptr);   // before the new one is allocated
    kept = new Buffer(backend, floats);
  }
  run(kept->data());
}

// The number of rows of a block, such that blocks have equal sizes and threads equal numbers of blocks. Short calls on
// one thread skip the divisions.
inline std::size_t even_block(std::size_t rows, std::size_t most, std::size_t threads) {
  if (threads == 1 && rows <= most) return rows;
  const std::size_t blocks = round_up((rows + most - 1) / most, threads);
  return (rows + blocks - 1) / blocks;
}

// The number of threads for this many rows. work: the work per row.
inline std::size_t serving_threads(double work, std::size_t rows) {
  const double shares = work * static_cast<double>(rows) / kFlopsPerThread;
  if (shares < 2.0) return 1;
  const std::size_t budget = static_cast<std::size_t>(num_threads());
  return std::min({budget, rows, static_cast<std::size_t>(std::min(shares, 1e6))});
}

// Calls run(scratch) with memory for this many floats, which is on the stack if they are few.
template <class Owner = ScratchOfNetworks, class Run>
FASTREG_INLINE void with_scratch(const Backend& backend, std::size_t floats, Run run) {
  if (floats > kStackFloats) return with_kept<Owner>(backend, floats, run);
  alignas(64) float stack[kStackFloats + kLane];   // kLane more, because kernels may read past the end
  run(stack);
}

}  // namespace fastreg
