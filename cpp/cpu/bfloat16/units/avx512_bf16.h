#pragma once
#include "cpu/bfloat16/convert_avx512.h"
#include "cpu/bfloat16/dot_avx512.h"
#include "cpu/bfloat16/dot_block.h"
