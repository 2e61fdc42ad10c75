#pragma once
#include "cpu/bfloat16/convert_avx512.h"
#include "cpu/bfloat16/tile_amx.h"
#include "cpu/bfloat16/tile_block.h"
