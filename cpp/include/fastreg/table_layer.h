// The description of TableInput, the first layer of a network that reads the columns of a table.
// cpp/core/layers/table_input.cpp has its computation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "fastreg/activations.h"
#include "fastreg/constraints.h"
#include "fastreg/fields.h"
#include "fastreg/initializers.h"
#include "fastreg/multipliers.h"
#include "fastreg/regularizers.h"

namespace fastreg {

// What features a column of the input stands for. Each has a row of the kernel, in the order given here.
// plain        `count` columns of the input, which are features themselves.
// numeric      The softly limited number f = z / sqrt(1 + (z / 3)^2) with z = (x - centre) scale. Then, for T + 1
//              increasing edges, e_t = min(max((x - edge_t) / (edge_{t+1} - edge_t), 0), 1) of the T bins. Then, if
//              `missing`, 1 where x is NaN and else 0. The others are 0 where x is NaN.
// categorical  1 for the level that x is, and else 0; the last one is 1 where x is none of them, also where it is NaN.
struct TableColumn {
  enum class Kind : std::uint8_t { plain, numeric, categorical };
  Kind kind = Kind::plain;
  std::size_t count = 1;                  // only if kind is plain, as for the next ones
  double centre = 0.0, scale = 0.0;
  std::vector<double> edges{};            // none or at least two
  bool missing = false;
  std::vector<std::uint32_t> levels{};    // increasing; float32 is exact for them
};

struct TableColumns {
  std::vector<TableColumn> list{};
};

// y = activation(f W + b), where f are the features that the columns stand for, W: (features, units), b: (units,). It
// reads an input of the network.
struct TableInput {
  static constexpr const char* kName = "TableInput";
  static constexpr bool kReadsInput = true;
  std::size_t units = 1;
  TableColumns columns{};
  ActivationSpec activation{};
  bool use_bias = true;
  Initializer kernel_initializer = GlorotUniform{};
  Initializer bias_initializer = Zeros{};
  Penalty kernel_regularizer{}, bias_regularizer{};
  Penalty activity_regularizer{};   // as that of Dense
  std::optional<Constraint> kernel_constraint{}, bias_constraint{};
  bool trainable = true;
  Multipliers multipliers{};
  static constexpr auto kFields =
      fields(required_field("units", &TableInput::units, kWidth), required_field("columns", &TableInput::columns),
             field("activation", &TableInput::activation), field("use_bias", &TableInput::use_bias),
             field("kernel_initializer", &TableInput::kernel_initializer),
             field("bias_initializer", &TableInput::bias_initializer),
             field("kernel_regularizer", &TableInput::kernel_regularizer),
             field("bias_regularizer", &TableInput::bias_regularizer),
             field("activity_regularizer", &TableInput::activity_regularizer),
             field("kernel_constraint", &TableInput::kernel_constraint),
             field("bias_constraint", &TableInput::bias_constraint), field("trainable", &TableInput::trainable),
             field("multipliers", &TableInput::multipliers));
};

}  // namespace fastreg
