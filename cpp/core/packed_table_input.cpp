// Packs the kernel of a frozen TableInput.
#include "core/packed_table_input.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/check_fields.h"

namespace fastreg {

PackedTableInput::PackedTableInput(const FrozenNode& node)
    : locator_(node.codes),
      rows_(node.table.size() / node.columns),
      cols_(node.columns),
      panels_floats_(round_up(rows_ * padded_ld(cols_), kLane)),
      has_bias_(!node.bias.empty()) {
  const Backend& backend = cpu_backend();
  arena_ = Buffer(backend, 2 * panels_floats_ + round_up(padded_ld(cols_), kLane));
  // The sums are added in the order in which the kernel table adds them, so that the bits are the same.
  std::vector<float> sums(node.table.size(), 0.0f);
  for (const CodedColumn& column : locator_.columns())
    for (std::size_t t = 1; t < column.bins; ++t)
      for (std::size_t j = 0; j < cols_; ++j) {
        const std::size_t at = (column.ramp + t) * cols_ + j;
        sums[at] = sums[at - cols_] + node.table[at - cols_];
      }
  pack_panels({node.table.data(), rows_, cols_, cols_}, arena_.data());
  pack_panels({sums.data(), rows_, cols_, cols_}, arena_.data() + panels_floats_);
  std::copy(node.bias.begin(), node.bias.end(), arena_.data() + 2 * panels_floats_);
}

void PackedTableInput::run(const Kernels& kernels, const float* x, std::size_t ldx, std::size_t rows, float* y,
                      std::size_t ldy) const {
  CodedForward f{};
  f.w = arena_.data();
  f.prefix = arena_.data() + panels_floats_;
  f.bias = has_bias_ ? arena_.data() + 2 * panels_floats_ : nullptr;
  f.y = y;
  f.kernel_rows = rows_;
  f.ldy = ldy;
  f.cols = cols_;
  f.rows = {0, rows};
  f.panels = {0, panel_count(cols_)};
  locator_.product(kernels, x, ldx, f);
}

void check_table_input(const FrozenNode& node, std::size_t width, const std::string& where) {
  const auto require = [&](bool good, const char* rule) {
    if (!good) throw std::invalid_argument(where + ": " + rule);
  };
  check_value(Check(where), "columns", kFinite, node.codes);
  require(code_count(node.codes) == width, "columns must be those of the input");
  require(node.columns > 0 && node.columns <= 0x7FFFFFFF, "must have columns");
  const std::size_t features = feature_count(node.codes);
  require(features <= 0x7FFFFFFF && node.table.size() == features * node.columns,
          "must have a kernel with a row for each feature");
  require(node.bias.empty() || node.bias.size() == node.columns, "must have a bias for each unit, or none");
}

}  // namespace fastreg
