// What kernels that are compiled with this header call in place of a prefetch (cpp/cpu/loops.h).
#pragma once

extern "C" void fastreg_observe_fetch(const void* p) noexcept;
#define FASTREG_FETCH(p) fastreg_observe_fetch(p)
