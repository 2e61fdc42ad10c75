// In which order the products of a wide Dense layer compute their tiles. The usual order takes one panel after another,
// each for all rows of the batch. Where the batch does not fit into the L2 cache of a core, it then comes from farther
// away once for each panel, and so do sums that wait for the next block of columns. The other orders take a part of
// the batch that stays in L2 to all panels, or all columns at once. Results have the same bits in every order, so the
// choice may depend on the machine and on the number of threads.
#pragma once
#include <algorithm>
#include <cstddef>

#include "core/kernels.h"

namespace fastreg {

class TileOrder {
 public:
  // The largest batch for which copies are made; strips of longer ones would not stay in L2.
  static constexpr std::size_t kMostDepth = 2048;

  // l2_cache: its size in bytes.
  explicit TileOrder(std::size_t l2_cache) : l2_floats_(l2_cache / sizeof(float)) {}

  // How many rows of a batch of n a product x W takes at once. It is n in the usual order. Otherwise W is read once for
  // each part of the rows, so a part must not be too small; and only long rows are worth it.
  std::size_t rows_at_once(std::size_t n, std::size_t in, std::size_t cols) const {
    return in >= kLongRow && in * cols > 2 * l2_floats_ && n >= kLeastParts * kRowsAtOnce ? kRowsAtOnce : n;
  }

  // How many columns of W a product dy W^T takes at once, by a member that computes this many panels of dx. They are
  // transposed into memory of its own (kernels.h). It is 0 in the usual order, which takes fewer, so that dx is written
  // and read again several times. That costs time where rows are long and dx does not stay in L2.
  std::size_t columns_at_once(std::size_t n, std::size_t cols, std::size_t panels) const {
    if (panels < kLeastPanels || cols < kLongRow || n * cols <= l2_floats_) return 0;
    return std::max(kPanel, whole(l2_floats_ / 4 / kPanel, kPanel));
  }
  // How many floats these columns of all members take together.
  std::size_t floats_of_columns(std::size_t n, std::size_t cols, std::size_t panels) const {
    return panels / kLeastPanels * columns_at_once(n, cols, panels) * kPanel;
  }

  // Whether dW is computed from copies of x and dy (kernels.h), by a member that computes this many panels. Copying
  // pays if x is read several times and its rows are so long that its columns evict each other from the cache.
  bool copies(std::size_t n, std::size_t in, std::size_t panels) const {
    return panels >= kLeastPanels && n >= kLeastDepth && n <= kMostDepth && in >= kLongColumn &&
           n * in > l2_floats_ / 2;
  }
  // How many inputs a product of copies takes at once.
  std::size_t inputs_at_once(std::size_t n) const { return std::max(kStrip, whole(l2_floats_ / 2 / n, kStrip)); }
  // How many floats the copies of all members take together, for batches of at most n rows.
  std::size_t floats_of_copies(std::size_t n, std::size_t panels) const {
    return panels / kLeastPanels * std::max(n * kStrip, l2_floats_ / 2) + panels * n * kPanel;
  }

 private:
  static constexpr std::size_t kRowsAtOnce = 96, kLongRow = 1024, kLeastParts = 4;
  static constexpr std::size_t kLeastPanels = 4, kLeastDepth = 128, kLongColumn = 512;

  static std::size_t whole(std::size_t n, std::size_t grain) { return n / grain * grain; }

  std::size_t l2_floats_;
};

}  // namespace fastreg
