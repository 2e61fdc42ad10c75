// THE SEAM: a backend is memory functions, a way to start threads and a kernel table.
#pragma once
#include <cstddef>

#include "core/kernels.h"
#include "core/team.h"

namespace fastreg {

struct Backend {
  const char* name;
  const Kernels* kernels;
  // 64-byte aligned (2 MB and huge pages where large), zeroed, with 64 readable bytes behind. Throws std::bad_alloc.
  void* (*allocate)(std::size_t bytes);
  // bytes: what allocate was called with.
  void (*release)(void*, std::size_t bytes) noexcept;
  // Runs body(context, team) on `threads` members, or as many as the system lets start, the caller being rank 0, and
  // returns when all are done. With one member, and in a forked child, it is a plain call. body must not throw. Every
  // member runs with denormals flushed to zero, restored before this returns.
  void (*run)(std::size_t threads, void (*body)(void* context, const Team&), void* context);
};

// The CPU backend with the active ISA; throws as active_isa() does.
const Backend& cpu_backend();
// The CPU kernel table of a named ISA, null where it is not compiled in or not supported here. For tests.
const Kernels* cpu_kernels(const char* isa);

}  // namespace fastreg
