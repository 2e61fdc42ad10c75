// How members of a team wait for each other. A member soon stops spinning and yields the CPU, because members that
// share one CPU would otherwise keep each other from arriving.
#include "core/team.h"

#include <thread>

#include "core/barrier.h"

namespace fastreg {
namespace {

constexpr int kSpins = 200;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

// A member reads the generation before it arrives. The last one to arrive resets the count and starts the next
// generation, for which the others wait; so no member can pass the same generation twice.
void Barrier::wait() noexcept {
  const std::uint32_t generation = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_.load(std::memory_order_relaxed)) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    return;
  }
  int spins = 0;
  while (generation_.load(std::memory_order_acquire) == generation) {
    if (++spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void wait(Barrier& barrier) { barrier.wait(); }

}  // namespace fastreg
