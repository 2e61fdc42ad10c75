// The descriptions of the layers that prepare features: integers become rows of a table or indicators, numbers are
// scaled. cpp/core/layers/ has their computations.
#pragma once
#include <cstddef>
#include <optional>

#include "fastreg/constraints.h"
#include "fastreg/fields.h"
#include "fastreg/initializers.h"
#include "fastreg/multipliers.h"
#include "fastreg/regularizers.h"

namespace fastreg {

// Integers up to this one are exact in float32.
inline constexpr Interval kIndices{1.0, 0x1p24, false, false, "in [1, 2^24]"};

// Each column holds an integer in [0, input_dim) and becomes that row of the table embeddings, (input_dim, output_dim).
// Another value makes the row of y NaN.
struct Embedding {
  static constexpr const char* kName = "Embedding";
  std::size_t input_dim = 1, output_dim = 1;
  Initializer embeddings_initializer = RandomUniform{};
  Penalty embeddings_regularizer{};
  std::optional<Constraint> embeddings_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(required_field("input_dim", &Embedding::input_dim, kIndices),
             required_field("output_dim", &Embedding::output_dim, kWidth),
             field("embeddings_initializer", &Embedding::embeddings_initializer),
             field("embeddings_regularizer", &Embedding::embeddings_regularizer),
             field("embeddings_constraint", &Embedding::embeddings_constraint),
             field("trainable", &Embedding::trainable), field("multipliers", &Embedding::multipliers));
};

enum class Encoding : unsigned char { multi_hot, one_hot, count };
template <>
struct Choices<Encoding> {
  static constexpr const char* kNames[] = {"multi_hot", "one_hot", "count"};
};

// Columns that hold integers in [0, num_tokens) become indicators. one_hot: num_tokens columns for each, of which that
// of its integer is 1. multi_hot: num_tokens columns in all, which are 1 where some column has the integer. count: how
// many columns have it. Another value makes the row of y NaN.
struct CategoryEncoding {
  static constexpr const char* kName = "CategoryEncoding";
  std::size_t num_tokens = 1;
  Encoding output_mode = Encoding::multi_hot;
  static constexpr auto kFields = fields(required_field("num_tokens", &CategoryEncoding::num_tokens, kIndices),
                                         field("output_mode", &CategoryEncoding::output_mode));
};

// y = x scale + offset.
struct Rescaling {
  static constexpr const char* kName = "Rescaling";
  float scale = 1.0f, offset = 0.0f;
  static constexpr auto kFields =
      fields(required_field("scale", &Rescaling::scale), field("offset", &Rescaling::offset));
};

// y = (x - mean) / max(sqrt(variance), 1e-7), of each column; invert: x of that y. mean and variance are weights that
// training does not change.
struct Normalization {
  static constexpr const char* kName = "Normalization";
  bool invert = false;
  static constexpr auto kFields = fields(field("invert", &Normalization::invert));
};

}  // namespace fastreg
