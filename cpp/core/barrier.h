// The barrier of a team (team.h). Members count their arrival in one cache line and wait for a change of another.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/team.h"

namespace fastreg {

class Barrier {
 public:
  // Every member calls this with the same size before it waits for the first time.
  void set_size(std::size_t size) noexcept { size_.store(size, std::memory_order_relaxed); }
  void wait() noexcept;

 private:
  alignas(64) std::atomic<std::size_t> arrived_{0};
  std::atomic<std::size_t> size_{1};
  alignas(64) std::atomic<std::uint32_t> generation_{0};
};

}  // namespace fastreg
