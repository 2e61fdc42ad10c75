// What the process runs on: the active instruction set, the thread budget, build facts. No state but thread counts.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace fastreg {

// Names of the instruction sets compiled in and supported by this CPU, slowest first (baseline avx2 avx512, or neon).
std::vector<std::string> available_isas();
// The one in use: FASTREG_ISA where set, else the last of available_isas().
// Throws std::invalid_argument, naming the choices, if FASTREG_ISA is unknown or unsupported here.
std::string active_isa();

// Thread budget of the process. Default: min(affinity mask, cgroup CPU quota, FASTREG_NUM_THREADS or else
// OMP_NUM_THREADS), at least 1. An explicit set_num_threads(n) is obeyed even above that. Throws for n < 1.
int num_threads();
void set_num_threads(int n);

// The most that num_threads() is for the calling thread, whatever the process has; 0: no limit, as in a new thread.
// Throws for n < 0.
int thread_limit();
void set_thread_limit(int n);

struct BuildInfo {
  std::string version, compiler, build_type;
};
BuildInfo build_info();

// Bytes of memory this process may use: min(physical memory, cgroup limit).
std::size_t memory_limit();

}  // namespace fastreg
