// The unit avx512_bf16: sums of pairs in vectors of AVX-512.
#pragma once
#include "cpu/simd/bfloat16/convert_avx512.h"
#include "cpu/simd/bfloat16/dot_avx512.h"
#include "cpu/bfloat16/dot_block.h"
