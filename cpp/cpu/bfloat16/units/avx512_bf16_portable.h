// The portable form of the unit avx512_bf16: the same sums, one number at a time.
#pragma once
#include "cpu/simd/bfloat16/convert_portable.h"
#include "cpu/simd/bfloat16/dot_portable.h"
#include "cpu/bfloat16/dot_block.h"
