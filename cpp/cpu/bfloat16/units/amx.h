// The unit amx: tiles in registers of the processor.
#pragma once
#include "cpu/simd/bfloat16/convert_avx512.h"
#include "cpu/simd/bfloat16/sums_avx512.h"
#include "cpu/simd/bfloat16/tile_amx.h"
#include "cpu/bfloat16/tile_block.h"
