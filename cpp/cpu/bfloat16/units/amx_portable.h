#pragma once
#include "cpu/bfloat16/convert_portable.h"
#include "cpu/bfloat16/tile_portable.h"
#include "cpu/bfloat16/tile_block.h"
