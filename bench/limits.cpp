// Measures the limits of the machine and prints them as JSON lines, which bench/programs.py reads:
//   bench_limits all CPU...      the FMA peak, the bandwidths of caches and memory, and the speed of the bare memory
//                                traffic of optimizer steps, with a thread pinned to each CPU
//   bench_limits ping CPU CPU    the time in ns for a cache line to go from one CPU to another and back
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/backend.h"
#include "fastreg/runtime.h"
#include "limit_loops.h"
#include "timing.h"

namespace {

using fastreg::cpu_backend;
using Cpus = std::vector<int>;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Release {
  std::size_t bytes;
  void operator()(float* p) const { cpu_backend().release(p, bytes); }
};
using Memory = std::unique_ptr<float, Release>;

// The thread that uses the memory also touches it first. Large blocks have huge pages, like the library's own buffers.
Memory memory(std::size_t floats) {
  const std::size_t bytes = floats * sizeof(float);
  Memory made(static_cast<float*>(cpu_backend().allocate(bytes)), Release{bytes});
  std::fill_n(made.get(), floats, 1.0f);
  return made;
}

const bench::LimitLoops& loops() {
  const std::string isa = fastreg::active_isa();
  if (const bench::LimitLoops* built = bench::limit_loops(isa.c_str())) return *built;
  throw std::runtime_error("there are no loops for " + isa);
}

// All threads call prepare() and then, together, work(state) `turns` times. Returns the median of seven measurements in
// seconds per call, because the updates that are compared with it are medians, too.
template <class Prepare, class Work>
double together(const Cpus& cpus, std::size_t turns, Prepare prepare, Work work) {
  constexpr std::size_t kRounds = 7;
  std::atomic<std::size_t> arrived{0}, left{0};
  const auto meet = [&](std::atomic<std::size_t>& counter, std::size_t round) {
    counter.fetch_add(1);
    while (counter.load() < cpus.size() * (round + 1)) std::this_thread::yield();
  };
  std::array<double, kRounds> times{};
  const auto body = [&](std::size_t rank) {
    bench::pin(cpus[rank]);
    auto state = prepare();
    work(state);
    for (std::size_t round = 0; round < kRounds; ++round) {
      meet(arrived, round);
      const double start = now();
      for (std::size_t i = 0; i < turns; ++i) work(state);
      meet(left, round);
      if (rank == 0) times[round] = (now() - start) / static_cast<double>(turns);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < cpus.size(); ++rank) threads.emplace_back(body, rank);
  for (std::thread& thread : threads) thread.join();
  std::sort(times.begin(), times.end());
  return times[kRounds / 2];
}

volatile float sink;

void print(const std::string& name, const char* unit, double value) { bench::print_json(name, "rate", unit, value); }

void bandwidths(const Cpus& cpus) {
  constexpr std::size_t kKilo = 1024, kMega = 1024 * kKilo;
  constexpr struct {
    const char* name;
    std::size_t bytes;
  } kSizes[] = {{"32 KB", 32 * kKilo}, {"512 KB", 512 * kKilo}, {"8 MB", 8 * kMega}, {"256 MB", 256 * kMega}};
  const auto threads = static_cast<double>(cpus.size());
  for (const auto& size : kSizes) {
    const std::size_t n = size.bytes / sizeof(float), turns = std::max<std::size_t>(1, 512 * kMega / size.bytes);
    const double moved = static_cast<double>(size.bytes) * threads * 1e-9;
    const auto prepare = [&] { return memory(n); };
    const double reading = together(cpus, turns, prepare, [&](Memory& x) { sink = loops().read(x.get(), n); });
    const double writing = together(cpus, turns, prepare, [&](Memory& x) { loops().write(x.get(), n); });
    print(std::string("read ") + size.name, "GB/s", moved / reading);
    print(std::string("write ") + size.name, "GB/s", moved / writing);
  }
}

// The threads share the whole vector, as they do in an Updater.
void traffic(const Cpus& cpus) {
  constexpr const char* kRules[] = {"sgd", "rmsprop", "adam"};
  for (std::size_t moments = 0; moments < 3; ++moments) {
    for (const std::size_t total : {10'000, 1'000'000, 50'000'000}) {
      const std::size_t n = total / cpus.size() / 16 * 16, turns = std::max<std::size_t>(1, 40'000'000 / total);
      const auto prepare = [&] {
        std::vector<Memory> arrays;
        for (std::size_t i = 0; i < 2 + moments; ++i) arrays.push_back(memory(n));
        arrays.resize(4);
        return arrays;
      };
      const double time = together(cpus, turns, prepare, [&](std::vector<Memory>& a) {
        loops().update(a[0].get(), a[1].get(), a[2].get(), a[3].get(), n);
      });
      const auto bytes = static_cast<double>(12 + 8 * moments) * static_cast<double>(n * cpus.size());
      char name[64];
      std::snprintf(name, sizeof name, "%s traffic, %.0e parameters", kRules[moments], static_cast<double>(total));
      std::string text = name;
      text.erase(text.find("e+0") + 1, 2);
      print(text, "GB/s", bytes * 1e-9 / time);
    }
  }
}

void all(const Cpus& cpus) {
  double sum = 0;
  std::vector<double> peaks(cpus.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    threads.emplace_back([&, i] {
      bench::pin(cpus[i]);
      peaks[i] = bench::peak(fastreg::active_isa());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const double peak : peaks) sum += peak;
  print("multiply-adds", "GFLOP/s", sum);
  bandwidths(cpus);
  traffic(cpus);
}

void ping(int here, int there) {
  constexpr int kTurns = 4000;
  alignas(64) static std::atomic<int> ball{0};
  const auto play = [&](int cpu, int mine) {
    bench::pin(cpu);
    for (int turn = 0; turn < kTurns; ++turn) {
      // If both threads run on one CPU, the other one cannot continue while this one waits.
      for (int spins = 0; ball.load(std::memory_order_acquire) != 2 * turn + mine; ++spins) {
        if (spins > 10000) std::this_thread::yield();
      }
      ball.store(2 * turn + mine + 1, std::memory_order_release);
    }
  };
  std::thread other(play, there, 1);
  const double start = now();
  play(here, 0);
  other.join();
  bench::print_json("round trip", "time", "ns", (now() - start) / kTurns * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  Cpus cpus;
  for (int i = 2; i < argc; ++i) cpus.push_back(std::atoi(argv[i]));
  if (mode == "all" && !cpus.empty()) {
    all(cpus);
  } else if (mode == "ping" && cpus.size() == 2) {
    ping(cpus[0], cpus[1]);
  } else {
    std::fprintf(stderr, "usage: bench_limits all CPU... | bench_limits ping CPU CPU\n");
    return 2;
  }
  return 0;
}
