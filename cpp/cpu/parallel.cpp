// Starts teams with OpenMP: each run is one parallel region whose size is an argument, and no global setting is
// changed. Two properties of libgomp need care. It hangs in a forked child whose parent has run a region (GCC bug
// 60035), so a child runs everything on the calling thread. And it ends the process where a thread cannot be started,
// so before a region that needs new threads, as many threads and a few more are started as a trial; if the system
// refuses some of them, the team is smaller.
#include "cpu/parallel.h"

#if defined(_OPENMP)
#include <omp.h>
#else  // for builds with the thread sanitizer, which cannot see how libgomp synchronises
#include <exception>
#include <thread>
#include <vector>
#endif
#include <atomic>
#include <chrono>
#include <mutex>
#include <pthread.h>

#include "core/barrier.h"
#include "cpu/simd/denormals.h"
#include "cpu/startable.h"

namespace fastreg {
namespace {

// No team is larger than this.
constexpr std::size_t kMostThreads = 1024;
// The number of threads that a trial starts beyond those of the team. Other code may start as many between the trial
// and the region without harm.
constexpr std::size_t kLeftFree = 2;

std::atomic<bool> forked{false};

[[maybe_unused]] const int fork_handler =
    pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });

void run_alone(void (*body)(void*, const Team&), void* context) {
  const FlushDenormals flush;
  body(context, Team{});
}

#if defined(_OPENMP)

using Clock = std::chrono::steady_clock;

// The number of threads that OpenMP's runtime keeps for the calling thread: the team of its last region. A smaller
// region ends the threads that it does not need.
thread_local std::size_t ready = 1;
// The last member of that team. It no longer exists where another library has run a smaller region on this thread.
thread_local int last_member = 0;
// After a team was smaller than requested, no team larger than the last one is tried before this time.
thread_local Clock::time_point next_try{};
constexpr Clock::duration kPause = std::chrono::seconds(1);

// Held from the trial of a team until the team exists, so that no other thread's trial takes the threads away.
std::mutex growing;

// lock: released as soon as the team exists.
void run_region(std::size_t threads, void (*body)(void*, const Team&), void* context,
                std::unique_lock<std::mutex>* lock = nullptr) {
  Barrier barrier;
  const int asked = static_cast<int>(threads);
  std::size_t made = 1;
  int last = 0;
#pragma omp parallel num_threads(asked)
  {
    // The runtime may start fewer threads than requested.
    const auto size = static_cast<std::size_t>(omp_get_num_threads());
    const auto rank = static_cast<std::size_t>(omp_get_thread_num());
    if (rank == 0) {
      made = size;
      if (lock != nullptr) lock->unlock();
    }
    if (rank + 1 == size) last = this_thread();
    const FlushDenormals flush;
    barrier.set_size(size);
    body(context, Team{rank, size, &barrier});
  }
  ready = made;
  last_member = last;
  if (made < threads) next_try = Clock::now() + kPause;
}

#endif

}  // namespace

#if defined(_OPENMP)

void run_team(std::size_t threads, void (*body)(void*, const Team&), void* context) {
  if (threads <= 1 || forked.load(std::memory_order_relaxed)) return run_alone(body, context);
  if (threads > kMostThreads) threads = kMostThreads;
  if (ready > 1 && !is_thread(last_member)) ready = 1;
  if (threads == ready) return run_region(threads, body, context);
  // For a team of another size the runtime allocates memory, and ends the process where it cannot.
  if (threads < ready) return memory_for(threads) ? run_region(threads, body, context) : run_alone(body, context);
  if (Clock::now() < next_try) {
    if (ready <= 1) return run_alone(body, context);
    return run_region(ready, body, context);
  }
  // While another thread's team grows, the processors are busy anyway; threads must not queue here.
  std::unique_lock lock(growing, std::try_to_lock);
  if (!lock.owns_lock()) return ready <= 1 ? run_alone(body, context) : run_region(ready, body, context);
  // Only the threads beyond those that are ready must be started.
  const std::size_t started = startable_threads(threads - ready + kLeftFree);
  const std::size_t startable = ready + (started > kLeftFree ? started - kLeftFree : 0);
  if (startable < threads) next_try = Clock::now() + kPause;
  if (startable <= 1) {
    lock.unlock();
    return run_alone(body, context);
  }
  run_region(startable, body, context, &lock);
}

#else

void run_team(std::size_t threads, void (*body)(void*, const Team&), void* context) {
  if (threads <= 1 || forked.load(std::memory_order_relaxed)) return run_alone(body, context);
  Barrier barrier;
  std::atomic<std::size_t> size{0};   // 0 while the size is not known yet; the other members wait for it
  const auto member = [&](std::size_t rank) {
    size.wait(0);
    const FlushDenormals flush;
    body(context, Team{rank, size.load(), &barrier});
  };
  std::vector<std::thread> others;
  others.reserve(threads - 1);
  try {
    while (others.size() + 1 < threads) others.emplace_back(member, others.size() + 1);
  } catch (const std::exception&) {
    // The system refuses another thread, or the memory for it. The team is smaller.
  }
  barrier.set_size(others.size() + 1);
  size.store(others.size() + 1);
  size.notify_all();
  member(0);
  for (std::thread& other : others) other.join();
}

#endif

}  // namespace fastreg
