// The loops of the constraints. They run over strips of up to 16 columns, which lie in panels (kernels.h) row by row; a
// weight that is a vector is one column of as many rows.
#include "core/constraints.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fastreg {
namespace {

constexpr double kEpsilon = 1e-7;          // Keras's
constexpr std::size_t kSumBlock = 256;     // rows that are summed in float

// Where a strip begins, and the distance from one of its rows to the next.
struct Strip {
  float* data;
  std::size_t stride;
};

Strip strip_of(float* w, std::size_t rows, std::size_t ld, std::size_t strip) {
  if (ld == 1) return {w, 1};
  const std::size_t column = strip * kLane, panel = column / kPanel * kPanel;
  const std::size_t width = std::min(kPanel, ld - panel);
  return {w + panel * rows + (column - panel), width};
}

// The sum of squares in the rows [begin, end) of a column, for sums that float cannot hold.
double large_square(Strip strip, std::size_t begin, std::size_t end, std::size_t column) {
  double square = 0.0;
  for (std::size_t i = begin; i < end; ++i) {
    const double x = static_cast<double>(strip.data[i * strip.stride + column]);
    square += x * x;
  }
  return square;
}

// kWidth is 16 or 1, and known to the compiler.
template <std::size_t kWidth>
void add_squares(Strip strip, std::size_t rows, double* squares) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (std::size_t begin = 0; begin < rows; begin += kSumBlock) {
    float part[kWidth] = {};
    const std::size_t end = std::min(rows, begin + kSumBlock);
    for (std::size_t i = begin; i < end; ++i) {
      const float* const x = strip.data + i * strip.stride;
      for (std::size_t j = 0; j < kWidth; ++j) part[j] += x[j] * x[j];
    }
    bool finite = true;
    for (std::size_t j = 0; j < kWidth; ++j) finite &= part[j] <= kLargest;
    for (std::size_t j = 0; j < kWidth; ++j)
      squares[j] += finite || part[j] <= kLargest ? static_cast<double>(part[j]) : large_square(strip, begin, end, j);
  }
}

template <std::size_t kWidth>
void multiply(Strip strip, std::size_t rows, const float* factors) {
  for (std::size_t i = 0; i < rows; ++i) {
    float* const x = strip.data + i * strip.stride;
    for (std::size_t j = 0; j < kWidth; ++j) x[j] *= factors[j];
  }
}

// Factors that float would flush to 0 are those of the largest weights. They are applied in two steps.
template <std::size_t kWidth>
void scale(Strip strip, std::size_t rows, const double* factors) {
  constexpr double kLeast = std::numeric_limits<float>::min(), kFirst = 0x1p-64;
  float first[kWidth], rest[kWidth];
  bool twice = false;
  for (std::size_t j = 0; j < kWidth; ++j) {
    const bool flushed = factors[j] < kLeast && factors[j] > 0.0;
    first[j] = static_cast<float>(flushed ? kFirst : 1.0);
    rest[j] = static_cast<float>(flushed ? factors[j] / kFirst : factors[j]);
    twice |= flushed;
  }
  if (twice) multiply<kWidth>(strip, rows, first);
  multiply<kWidth>(strip, rows, rest);
}

template <class Body>
void with_width(std::size_t width, Body body) {
  if (width == 1)
    body(std::integral_constant<std::size_t, 1>());
  else
    body(std::integral_constant<std::size_t, kLane>());
}

}  // namespace

double ConstraintPass::NormRule::factor(double square) const {
  const double norm = std::sqrt(square);
  const double wanted = rate * std::clamp(norm, least, most) + (1.0 - rate) * norm;
  return wanted / (kEpsilon + norm);
}

ConstraintPass::Constrained ConstraintPass::constrained(const Segment& segment) {
  Constrained out{segment.offset, segment.info.rows, padded_ld(segment.info.cols), 0, Vectors::elements, {}};
  if (segment.info.vector) {
    out.rows = segment.info.cols;
    out.ld = 1;
  }
  out.width = out.ld == 1 ? 1 : kLane;
  const auto of_norm = [&](const NormAxes& axis, NormRule rule) {
    const bool second = axis.second || (axis.last && !segment.info.vector);
    const bool first = axis.first || (axis.last && segment.info.vector);
    out.vectors = first && second ? Vectors::all : second ? Vectors::rows : Vectors::columns;
    out.rule = rule;
  };
  struct Visitor {
    decltype(of_norm)& norm;
    void operator()(const NonNeg&) const {}
    void operator()(const MaxNorm& c) const { norm(c.axis, {0.0, static_cast<double>(c.max_value), 1.0}); }
    void operator()(const UnitNorm& c) const { norm(c.axis, {1.0, 1.0, 1.0}); }
    void operator()(const MinMaxNorm& c) const {
      norm(c.axis, {static_cast<double>(c.min_value), static_cast<double>(c.max_value), static_cast<double>(c.rate)});
    }
  };
  std::visit(Visitor{of_norm}, *segment.constraint);
  return out;
}

ConstraintPass::ConstraintPass(const Parameters& parameters) {
  std::size_t strips = 0;
  for (const Segment& segment : parameters.segments()) {
    if (!segment.constraint || !segment.info.trainable) continue;
    weights_.push_back(constrained(segment));
    const Constrained& added = weights_.back();
    if (added.vectors == Vectors::all) strips = std::max(strips, added.ld / added.width);
  }
  squares_.assign(strips, 0.0);
}

void ConstraintPass::apply(const Team& team, float* weights) {
  for (const Constrained& weight : weights_) {
    float* const w = weights + weight.offset;
    switch (weight.vectors) {
      case Vectors::elements: {
        const Range mine = team.split(weight.rows * weight.ld, kLane);
        for (std::size_t i = mine.begin; i < mine.end; ++i) w[i] = w[i] < 0.0f ? 0.0f : w[i];   // NaN stays NaN
        break;
      }
      case Vectors::columns: scale_columns(team, weight, w); break;
      case Vectors::rows: scale_rows(team, weight, w); break;
      case Vectors::all: scale_all(team, weight, w); break;
    }
  }
}

void ConstraintPass::scale_columns(const Team& team, const Constrained& weight, float* w) const {
  const Range mine = team.split(weight.ld / weight.width);
  for (std::size_t s = mine.begin; s < mine.end; ++s)
    with_width(weight.width, [&](auto width) {
      const Strip strip = strip_of(w, weight.rows, weight.ld, s);
      double squares[width()] = {};
      double factors[width()];
      add_squares<width()>(strip, weight.rows, squares);
      for (std::size_t j = 0; j < width(); ++j) factors[j] = weight.rule.factor(squares[j]);
      scale<width()>(strip, weight.rows, factors);
    });
}

void ConstraintPass::scale_rows(const Team& team, const Constrained& weight, float* w) const {
  const Range mine = team.split(weight.rows);
  const std::size_t strips = weight.ld / weight.width;
  for (std::size_t i = mine.begin; i < mine.end; ++i)
    with_width(weight.width, [&](auto width) {
      double square = 0.0;
      for (std::size_t s = 0; s < strips; ++s) {
        Strip strip = strip_of(w, weight.rows, weight.ld, s);
        strip.data += i * strip.stride;
        double squares[width()] = {};
        add_squares<width()>(strip, 1, squares);
        for (const double part : squares) square += part;
      }
      double factors[width()];
      std::fill_n(factors, width(), weight.rule.factor(square));
      for (std::size_t s = 0; s < strips; ++s) {
        Strip strip = strip_of(w, weight.rows, weight.ld, s);
        strip.data += i * strip.stride;
        scale<width()>(strip, 1, factors);
      }
    });
}

void ConstraintPass::scale_all(const Team& team, const Constrained& weight, float* w) {
  const std::size_t strips = weight.ld / weight.width;
  const Range mine = team.split(strips);
  with_width(weight.width, [&](auto width) {
    for (std::size_t s = mine.begin; s < mine.end; ++s) {
      double squares[width()] = {};
      add_squares<width()>(strip_of(w, weight.rows, weight.ld, s), weight.rows, squares);
      squares_[s] = 0.0;
      for (const double part : squares) squares_[s] += part;
    }
    team.sync();
    double square = 0.0;
    for (std::size_t s = 0; s < strips; ++s) square += squares_[s];
    double factors[width()];
    std::fill_n(factors, width(), weight.rule.factor(square));
    for (std::size_t s = mine.begin; s < mine.end; ++s)
      scale<width()>(strip_of(w, weight.rows, weight.ld, s), weight.rows, factors);
    team.sync();   // squares_ may be used again
  });
}

}  // namespace fastreg
