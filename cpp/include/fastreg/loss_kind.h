// The losses. The kernel of the losses includes this file; core/kernels.h only declares the type.
#pragma once
#include <cstdint>

namespace fastreg {

enum class LossKind : std::uint8_t {
  mean_squared_error, binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy
};

}  // namespace fastreg
