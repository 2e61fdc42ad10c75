// Teams over OpenMP: one region for each run, its size an argument, no global setting touched. libgomp hangs in a
// forked child whose parent had a region (GCC bug 60035), so a child runs everything on its own thread.
#include "cpu/parallel.h"

#if defined(_OPENMP)
#include <omp.h>
#else  // for the thread sanitizer, which cannot see how libgomp synchronises
#include <thread>
#include <vector>
#endif
#include <atomic>
#include <pthread.h>

#include "core/barrier.h"
#include "cpu/simd/denormals.h"

namespace fastreg {
namespace {

// No work here has more pieces than this, and a runtime that cannot start its threads ends the process.
constexpr std::size_t kMostThreads = 1024;

std::atomic<bool> forked{false};

[[maybe_unused]] const int fork_handler =
    pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });

void run_alone(void (*body)(void*, const Team&), void* context) {
  const FlushDenormals flush;
  body(context, Team{});
}

}  // namespace

void run_team(std::size_t threads, void (*body)(void*, const Team&), void* context) {
  if (threads <= 1 || forked.load(std::memory_order_relaxed)) return run_alone(body, context);
#if defined(_OPENMP)
  Barrier barrier;
  const int asked = static_cast<int>(threads < kMostThreads ? threads : kMostThreads);
#pragma omp parallel num_threads(asked)
  {
    // The runtime may give fewer threads than it was asked for.
    const auto size = static_cast<std::size_t>(omp_get_num_threads());
    const FlushDenormals flush;
    barrier.set_size(size);
    body(context, Team{static_cast<std::size_t>(omp_get_thread_num()), size, &barrier});
  }
#else
  Barrier barrier;
  barrier.set_size(threads);
  const auto member = [&](std::size_t rank) {
    const FlushDenormals flush;
    body(context, Team{rank, threads, &barrier});
  };
  std::vector<std::thread> others;
  for (std::size_t rank = 1; rank < threads; ++rank) others.emplace_back(member, rank);
  member(0);
  for (std::thread& other : others) other.join();
#endif
}

}  // namespace fastreg
