// How a formula is declared, and how a loop that must leave its arrays in registers is. Forced inlining keeps formulas
// out of the symbol table even in a debug build, so no copy compiled for one ISA can be linked into another's code.
#pragma once

#define FASTREG_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define FASTREG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FASTREG_UNROLL _Pragma("GCC unroll 32")
#endif
