// Macros for formulas, which are always inlined, and for loops that must be unrolled so that arrays stay in registers.
// Forced inlining keeps formulas out of the symbol table even in a debug build, so that no copy compiled for one ISA
// can be linked into the code of another.
#pragma once

#define FASTREG_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define FASTREG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FASTREG_UNROLL _Pragma("GCC unroll 32")
#endif
