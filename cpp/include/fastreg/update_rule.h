// The update rules. Their kernel includes this file; core/kernels.h only declares the type.
#pragma once
#include <cstdint>

namespace fastreg {

enum class UpdateRule : std::uint8_t { sgd, momentum, nesterov, adam, rmsprop };

}  // namespace fastreg
