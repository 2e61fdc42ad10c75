// Divides a long computation over rows into slices, between which the program may act (fastreg/pause.h) and other
// threads may use the network. It knows nothing of what is computed.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "core/graph.h"
#include "fastreg/pause.h"

namespace fastreg {

// The items, such as rows, that take little time: a computation of no more is not divided.
inline std::size_t short_slice(const Graph& graph, std::size_t rows_per_item, std::size_t threads) {
  constexpr double kFlops = 2e8;
  constexpr std::size_t kRows = 64 * kBlockRows;
  const double rows = std::min(kFlops / std::max(1.0, graph.flops_per_row()), static_cast<double>(kRows));
  return std::max<std::size_t>(1, static_cast<std::size_t>(rows) / rows_per_item) * threads;
}

// Calls body(begin, end) until all `items` are done, in slices of whole multiples of `unit`. The first one has `first`
// items, and the later ones are as long as about half the time between two pauses takes. Without a pause, body is
// called once. `lock` is held, but not in a pause; around(act) is called to pause, and must call act(). Returns whether
// the weights stayed the same. If they changed in a pause, the rest is not computed, because all items must have the
// same weights.
template <class Body, class Around>
bool in_slices(const Graph& graph, std::unique_lock<NetworkLock>& lock, Pause* pause, std::size_t items,
               std::size_t first, std::size_t unit, Body&& body, Around&& around) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  constexpr double kBetweenPauses = 0.05;
  if (pause == nullptr || items <= first) {
    body(std::size_t{0}, items);
    return true;
  }
  const std::uint64_t changes = graph.changes;
  auto paused = Clock::now(), began = paused;
  std::size_t n = first;
  for (std::size_t begin = 0; begin < items;) {
    const std::size_t end = begin + std::min(n, items - begin);
    body(begin, end);
    begin = end;
    if (begin == items) break;
    const auto now = Clock::now();
    const double factor = 0.5 * kBetweenPauses / std::max(1e-9, Seconds(now - began).count());
    const double next = static_cast<double>(n) * std::clamp(factor, 0.125, 8.0);
    n = std::max<std::size_t>(1, static_cast<std::size_t>(next) / unit) * unit;
    began = now;
    if (Seconds(now - paused).count() < kBetweenPauses) continue;
    around([&] {
      lock.unlock();
      pause->reached();
      lock.lock();
    });
    if (graph.changes != changes) return false;
    paused = began = Clock::now();
  }
  return true;
}

}  // namespace fastreg
