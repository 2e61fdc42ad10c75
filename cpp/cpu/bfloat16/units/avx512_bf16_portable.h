#pragma once
#include "cpu/bfloat16/convert_portable.h"
#include "cpu/bfloat16/dot_portable.h"
#include "cpu/bfloat16/dot_block.h"
