// What the process runs on: the active instruction set, the thread budget and facts about the build. The only state is
// the thread counts that a caller has set.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "fastreg/enums.h"

namespace fastreg {

// The names of the instruction sets that are compiled in and supported by this CPU, slowest first: baseline, avx2,
// avx512, or neon.
std::vector<std::string> available_isas();
// The instruction set in use: the one that the environment variable FASTREG_ISA names, else the last of
// available_isas(). Throws std::invalid_argument, naming the choices, if FASTREG_ISA is unknown or not supported here.
std::string active_isa();

// The name of what computes matrix products with bfloat16 operands faster than those of float32: "amx", "avx512_bf16"
// or "" if the CPU has nothing of the kind. It is fixed for the life of the process and never found by timing. For
// tests the environment variable FASTREG_MATMUL_UNIT names another: "none", a unit that the CPU has though it is not
// faster, or the portable form of a unit, such as "amx_portable".
std::string matmul_unit();
// Whether a precision is computed as its name says. Otherwise it stands for highest: medium without a unit, high
// without one for which three products are faster than one of float32 numbers (amx).
bool matmul_precision_computes(MatmulPrecision precision);

// The thread budget of the process. The default is the minimum of the number of CPUs in the affinity mask, the CPU
// quota of the control group, and FASTREG_NUM_THREADS or else OMP_NUM_THREADS, but at least 1. set_num_threads(n)
// overrides it, even with a larger number, and throws std::invalid_argument for n < 1.
int num_threads();
void set_num_threads(int n);

// The upper bound of num_threads() for the calling thread alone. 0 means no limit, as in a new thread. set_thread_limit
// throws std::invalid_argument for n < 0.
int thread_limit();
void set_thread_limit(int n);

struct BuildInfo {
  std::string version{}, compiler{}, build_type{};
};
BuildInfo build_info();

// How many bytes of memory this process may use: the minimum of the physical memory and the limit of the control group.
std::size_t memory_limit();

}  // namespace fastreg
