// The metrics. No kernel includes this file.
#pragma once
#include <cstdint>

namespace fastreg {

enum class MetricKind : std::uint8_t {
  binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, mean_squared_error, mean_absolute_error
};

}  // namespace fastreg
