// How a formula is declared. Forced inlining keeps formulas out of the symbol table even in a debug build, so no copy
// compiled for one ISA can be linked into another's code.
#pragma once

#define FASTREG_INLINE inline __attribute__((always_inline))
