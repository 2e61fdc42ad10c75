// Timing for the programs of this folder and for the --bench mode of the kernel tests: the CPU time of a thread, the
// FMA peak, pinning to a CPU, and the JSON line that bench/programs.py reads. It knows no kernel.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <sched.h>
#include <string>
#include <time.h>

namespace bench {

// The CPU time of this thread. Another process on the same core does not count, although it evicts our data from
// caches.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The time of one call in seconds: the best of several measurements of at least `window` seconds each.
template <class Call>
double seconds(Call call, double window = 0.004) {
  const auto time = [&](std::size_t repeats) {
    const double start = thread_seconds();
    for (std::size_t i = 0; i < repeats; ++i) call();
    return thread_seconds() - start;
  };
  std::size_t repeats = 1;
  while (time(repeats) < window) repeats *= 2;
  double best = time(repeats);
  for (int i = 0; i < 8; ++i) best = std::min(best, time(repeats));
  return best / static_cast<double>(repeats);
}

#if defined(__x86_64__)
#define FASTREG_TWELVE(op, r)                                                                                        \
  op " %%" r "12, %%" r "12, %%" r "0\n\t" op " %%" r "12, %%" r "12, %%" r "1\n\t" op " %%" r "12, %%" r "12, %%" r \
     "2\n\t" op " %%" r "12, %%" r "12, %%" r "3\n\t" op " %%" r "12, %%" r "12, %%" r "4\n\t" op " %%" r "12, %%" r \
     "12, %%" r "5\n\t" op " %%" r "12, %%" r "12, %%" r "6\n\t" op " %%" r "12, %%" r "12, %%" r "7\n\t" op " %%" r \
     "12, %%" r "12, %%" r "8\n\t" op " %%" r "12, %%" r "12, %%" r "9\n\t" op " %%" r "12, %%" r "12, %%" r         \
     "10\n\t" op " %%" r "12, %%" r "12, %%" r "11\n\t"
#define FASTREG_CLOBBERS \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "cc"

// Runs twelve independent chains of vfmadd231ps. The values in the registers do not matter, unless they are denormal.
inline void fma_zmm(std::uint64_t n) {
  asm volatile("vzeroall\n1:\n\t" FASTREG_TWELVE("vfmadd231ps", "zmm") "dec %0\n\tjnz 1b\n\tvzeroupper"
               : "+r"(n)
               :
               : FASTREG_CLOBBERS);
}
inline void fma_ymm(std::uint64_t n) {
  asm volatile("vzeroall\n1:\n\t" FASTREG_TWELVE("vfmadd231ps", "ymm") "dec %0\n\tjnz 1b\n\tvzeroupper"
               : "+r"(n)
               :
               : FASTREG_CLOBBERS);
}
#undef FASTREG_TWELVE
#undef FASTREG_CLOBBERS
#endif

// The peak of multiply-adds in GFLOP/s, or 0 if it cannot be measured. The baseline has no fused form and is given half
// of the peak of ymm registers.
inline double peak(const std::string& isa) {
#if defined(__x86_64__)
  constexpr std::uint64_t kRounds = 4000;
  if (isa == "avx512") return 12 * 32 * kRounds / seconds([] { fma_zmm(kRounds); }) / 1e9;
  if (__builtin_cpu_supports("fma")) {
    const double ymm = 12 * 16 * kRounds / seconds([] { fma_ymm(kRounds); }) / 1e9;
    return isa == "avx2" ? ymm : ymm / 2;
  }
#endif
  static_cast<void>(isa);
  return 0.0;
}

// Pins this thread to a CPU; false if that is not possible.
inline bool pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

// Prints one result as a JSON object on a line. `more` holds further members, each with a comma in front.
inline void print_json(const std::string& name, const char* metric, const char* unit, double value,
                       const std::string& more = "") {
  std::printf("{\"name\": \"%s\", \"metric\": \"%s\", \"unit\": \"%s\", \"value\": %.6g%s}\n", name.c_str(), metric,
              unit, value, more.c_str());
}

}  // namespace bench
