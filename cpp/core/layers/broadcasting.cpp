// Joins element by element of values of which some have a single column, which then stands for every column. The same
// formulas as in joins.cpp and merging.cpp, and the same bits as from values of equal width.
#include <algorithm>

#include "core/layers/layers.h"
#include "core/layers/rows.h"

namespace fastreg {
namespace {

// to = to combined with from, over n columns; from may have one column only.
template <class Combine>
void combine_row(const float* from, std::size_t width, float* to, std::size_t n, Combine combine) {
  if (width == 1) {
    const float one = from[0];
    for (std::size_t j = 0; j < n; ++j) to[j] = combine(to[j], one);
  } else {
    for (std::size_t j = 0; j < n; ++j) to[j] = combine(to[j], from[j]);
  }
}

class BroadcastOperation final : public Operation {
 public:
  BroadcastOperation(Elementwise kind, const Widths& widths)
      : Operation(widths[0], *std::max_element(widths.begin(), widths.end())), kind_(kind), widths_(widths) {}

  void infer(const Pass& pass, const float* const* x, float* y) const override { forward(pass, x, y, nullptr); }
  void forward(const Pass& pass, const float* const* x, float* y, float*) const override {
    const Range rows = pass.team.split(pass.rows);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      float* const to = y + r * out_ld();
      for (std::size_t i = 0; i < widths_.size(); ++i)
        broadcast_row(kind_, i, x[i] + r * padded_ld(widths_[i]), widths_[i], to, out());
      if (kind_ == Elementwise::average) divide(to, static_cast<float>(widths_.size()), to, out());
      std::fill(to + out(), to + out_ld(), 0.0f);
    }
  }
  bool backward_in_place(bool) const override { return false; }
  // The gradient of a single column is the sum of those of the columns that it stands for.
  void backward(const Pass& pass, const float* const* x, const float*, float*,
                const GradientFlow& flow) const override {
    const std::size_t width = widths_[flow.input], ld = padded_ld(width);
    const Range rows = pass.team.split(pass.rows, ld == 1 ? kLane : 1);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      const float* const dy = flow.dy + r * out_ld();
      float* const dx = flow.dx + r * ld;
      if (width == 1) {
        double sum = 0.0;
        for (std::size_t j = 0; j < out(); ++j) sum += static_cast<double>(gradient(x, dy[j], r, j, flow.input));
        dx[0] = static_cast<float>(sum);
      } else {
        for (std::size_t j = 0; j < width; ++j) dx[j] = gradient(x, dy[j], r, j, flow.input);
        std::fill(dx + width, dx + ld, 0.0f);
      }
    }
  }

 private:
  float element(const float* const* x, std::size_t input, std::size_t row, std::size_t column) const {
    const std::size_t width = widths_[input];
    return x[input][row * padded_ld(width) + (width == 1 ? 0 : column)];
  }

  // Of one element of an input, from that of the output.
  float gradient(const float* const* x, float dy, std::size_t row, std::size_t column, std::size_t input) const {
    switch (kind_) {
      case Elementwise::add: return dy;
      case Elementwise::subtract: return input == 0 ? dy : -dy;
      case Elementwise::average: return dy / static_cast<float>(widths_.size());
      case Elementwise::multiply:
        for (std::size_t i = 0; i < widths_.size(); ++i)
          if (i != input) dy *= element(x, i, row, column);
        return dy;
      default: break;
    }
    const Merge kind = kind_ == Elementwise::maximum ? Merge::maximum : Merge::minimum;
    const auto value = [&](std::size_t i) { return element(x, i, row, column); };
    const float share = share_of_extreme(kind, widths_.size(), input, value);
    return share == 0.0f ? 0.0f : dy * share;
  }

  Elementwise kind_;
  Widths widths_;
};

}  // namespace

bool broadcasts(const Widths& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [&](std::size_t width) { return width != inputs[0]; });
}

void broadcast_row(Elementwise kind, std::size_t input, const float* x, std::size_t width, float* y, std::size_t n) {
  if (input == 0) return combine_row(x, width, y, n, [](float, float b) { return b; });
  switch (kind) {
    case Elementwise::add:
    case Elementwise::average: return combine_row(x, width, y, n, [](float a, float b) { return a + b; });
    case Elementwise::subtract: return combine_row(x, width, y, n, [](float a, float b) { return a - b; });
    case Elementwise::multiply: return combine_row(x, width, y, n, [](float a, float b) { return a * b; });
    case Elementwise::maximum: return combine_row(x, width, y, n, greater);
    case Elementwise::minimum: return combine_row(x, width, y, n, lesser);
  }
}

std::unique_ptr<Operation> make_broadcast(Elementwise kind, const Widths& inputs) {
  return std::make_unique<BroadcastOperation>(kind, inputs);
}

}  // namespace fastreg
