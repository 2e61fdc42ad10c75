// The seam between the core and the hardware: a backend is memory functions, a way to start threads, and a kernel
// table.
#pragma once
#include <cstddef>
#include <vector>

#include "core/bfloat16.h"
#include "core/kernels.h"
#include "core/team.h"

namespace fastreg {

struct Backend {
  const char* name;
  const Kernels* kernels;
  const Bfloat16Products* bfloat16;   // null where no unit computes them faster than products of float32 numbers
  std::size_t l2_cache;   // the size in bytes of the L2 cache of a core; it determines orders of work, never results
  // Returns memory that is aligned to 64 bytes (large blocks to 2 MB, in huge pages), initialised to zero, and readable
  // for 64 bytes past its end. Throws std::bad_alloc.
  void* (*allocate)(std::size_t bytes);
  // bytes: the number of bytes that allocate was called with.
  void (*release)(void*, std::size_t bytes) noexcept;
  // Runs body(context, team) on `threads` members, or on fewer if the system refuses to start a thread. The calling
  // thread has rank 0. Returns when all members are done. With one member, and in a forked child, it is a plain call.
  // body must not throw. Every member runs with denormals flushed to zero; the caller's mode is restored before this
  // returns.
  void (*run)(std::size_t threads, void (*body)(void* context, const Team&), void* context);
};

// How a backend computes products in this precision.
ProductPrecision product_precision(const Backend& backend, MatmulPrecision precision);

// The CPU backend with the active ISA; throws as active_isa() does.
const Backend& cpu_backend();
// The CPU kernel table of an ISA, or null if it is not compiled in or not supported by this CPU. For tests.
const Kernels* cpu_kernels(const char* isa);
// The products of bfloat16 numbers that run on this CPU, and those that a process with these kernels has: those that
// the environment variable FASTREG_MATMUL_UNIT names, else those of the CPU's own unit where it is fast.
std::vector<const Bfloat16Products*> bfloat16_products();
const Bfloat16Products* choose_bfloat16_products(const Kernels& kernels);

}  // namespace fastreg
