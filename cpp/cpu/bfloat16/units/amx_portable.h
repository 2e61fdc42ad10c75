// The portable form of the unit amx: the same tiles in memory.
#pragma once
#include "cpu/simd/bfloat16/convert_portable.h"
#include "cpu/simd/bfloat16/sums_portable.h"
#include "cpu/simd/bfloat16/tile_portable.h"
#include "cpu/bfloat16/tile_block.h"
