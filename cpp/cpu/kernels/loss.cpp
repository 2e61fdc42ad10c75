// The loops of the losses over a batch, and of the columns of the largest outputs. The formulas are in math/losses.h
// and math/row_losses.h. A buffer of kLane columns is transposed in registers if a formula has a form for that
// (softmax.h describes the layouts); otherwise a vector holds neighbouring columns of a row.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "cpu/softmax.h"
#include "fastreg/losses.h"
#include "math/row_losses.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

FASTREG_INLINE float row_scale(const LossStep& s, std::size_t i) {
  return s.weight ? s.weight[i] * s.grad_scale : s.grad_scale;
}

// The scales of the rows from i on, one for each lane.
FASTREG_INLINE V lane_scales(const LossStep& s, std::size_t i, std::size_t rows) {
  return s.weight ? V::load_first(s.weight + i, rows) * V(s.grad_scale) : V(s.grad_scale);
}

// Losses that are means over columns. Formula is an element formula of math/losses.h over V.
template <class Formula>
FASTREG_NOINLINE void element_loss_column(const LossStep& s, const Formula formula) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += V::kLanes) {
    const std::size_t n = s.rows.end - i;
    V y = V::load_first(s.y + i, n);
    const auto value = formula.evaluate(y, V::load_first(s.target + i, n));
    value.loss.store_first(s.row_loss + i, n);
    if constexpr (Formula::kReplacesOutput) y.store_first(s.y + i, n);
    if (s.dy) (value.gradient * lane_scales(s, i, n)).store_first(s.dy + i, n);
  }
}

template <class Formula>
FASTREG_NOINLINE void element_loss(const LossStep& s, const Formula formula) {
  const float share = 1.0f / static_cast<float>(s.cols);
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const V scale(row_scale(s, i) * share);
    V total(0.0f);
    for (std::size_t j = 0; j < s.ld; j += V::kLanes) {
      const std::size_t e = i * s.ld + j;
      const auto mask = math::valid<V>(s.cols, j);
      V y = V::load(s.y + e);
      const auto value = formula.evaluate(y, V::load(s.target + e));
      total = total + select(mask, value.loss, V(0.0f));
      if constexpr (Formula::kReplacesOutput) select(mask, y, V(0.0f)).store(s.y + e);
      if (s.dy) select(mask, value.gradient * scale, V(0.0f)).store(s.dy + e);
    }
    s.row_loss[i] = sum(total) * share;
  }
}

// Element losses in blocks. `loss` and `gradient` receive the values of the n floats from y and target on.
constexpr std::size_t kBlock = 256;
struct ElementBlock {
  float* y;
  const float* target;
  float *loss, *gradient;
  std::size_t n;
};

template <class Formula>
FASTREG_NOINLINE void element_block(const ElementBlock& b, const Formula formula) {
  for (std::size_t i = 0; i < b.n; i += V::kLanes) {
    const std::size_t n = b.n - i;
    V y = V::load_first(b.y + i, n);
    const auto value = formula.evaluate(y, V::load_first(b.target + i, n));
    value.loss.store_first(b.loss + i, n);
    value.gradient.store_first(b.gradient + i, n);
    if constexpr (Formula::kReplacesOutput) y.store_first(b.y + i, n);
  }
}

using BlockLoop = void (*)(const LossStep&, const ElementBlock&);

FASTREG_NOINLINE void element_loss_column_in_blocks(const LossStep& s, BlockLoop loop) {
  alignas(64) float loss[kBlock], gradient[kBlock];
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += kBlock) {
    const std::size_t rows = smaller(kBlock, s.rows.end - i);
    loop(s, {s.y + i, s.target + i, loss, gradient, rows});
    for (std::size_t r = 0; r < rows; r += V::kLanes) {
      V::load(loss + r).store_first(s.row_loss + i + r, rows - r);
      if (s.dy) (V::load(gradient + r) * lane_scales(s, i + r, rows - r)).store_first(s.dy + i + r, rows - r);
    }
  }
}

FASTREG_NOINLINE void element_loss_in_blocks(const LossStep& s, BlockLoop loop, float share) {
  alignas(64) float loss[kBlock], gradient[kBlock];
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const V scale(row_scale(s, i) * share);
    V total(0.0f);
    for (std::size_t j = 0; j < s.ld; j += kBlock) {
      const std::size_t e = i * s.ld + j, n = smaller(kBlock, s.ld - j);
      loop(s, {s.y + e, s.target + e, loss, gradient, n});
      for (std::size_t k = 0; k < n; k += V::kLanes) {
        const auto mask = math::valid<V>(s.cols, j + k);
        total = total + select(mask, V::load(loss + k), V(0.0f));
        if (s.dy) select(mask, V::load(gradient + k) * scale, V(0.0f)).store(s.dy + e + k);
      }
    }
    s.row_loss[i] = sum(total) * share;
  }
}

// Losses that need a whole row. Formula is a formula of math/row_losses.h over T.
template <class T, class Formula>
FASTREG_NOINLINE void row_loss(const LossStep& s, const Formula formula) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const math::LossRow<T> row{s.y + i * s.ld, s.target ? s.target + i * s.ld : nullptr, s.labels ? s.labels[i] : 0,
                               s.dy ? s.dy + i * s.ld : nullptr, row_scale(s, i), s.cols, s.ld};
    s.row_loss[i] = formula.template along<V1>(row);
  }
}

// The same for rows of one column, each in a buffer with padding.
template <class Formula>
FASTREG_NOINLINE void padded_row_loss(const LossStep& s, const Formula formula) {
  alignas(64) float y[kLane] = {}, target[kLane] = {}, dy[kLane];
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    y[0] = s.y[i];
    if (s.target) target[0] = s.target[i];
    const math::LossRow<V> row{y, target, s.labels ? s.labels[i] : 0, s.dy ? dy : nullptr, row_scale(s, i), 1, kLane};
    s.row_loss[i] = formula.template along<V1>(row);
    if (s.dy) s.dy[i] = dy[0];
    if (s.from_logits) s.y[i] = y[0];
  }
}

// Calls body with the targets of a block of rows in the form that a formula needs: a vector for each column, or labels.
template <class Loss, class Body>
FASTREG_INLINE V with_lane_targets(const LossStep& s, std::size_t i, std::size_t rows, Body body) {
  if constexpr (Loss::kTargets == Targets::labels) {
    float labels[V::kLanes];
    for (std::size_t r = 0; r < V::kLanes; ++r) labels[r] = static_cast<float>(s.labels[i + smaller(r, rows - 1)]);
    return body(V::load(labels));
  } else {
    V target[kLane];
    load_columns(s.target + i * kLane, rows, target);
    return body(target);
  }
}

template <class Loss, class Formula>
FASTREG_NOINLINE void row_loss_columns(const LossStep& s, const Formula formula) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += V::kLanes) {
    const std::size_t rows = smaller(V::kLanes, s.rows.end - i);
    V z[kLane];
    load_columns(s.y + i * kLane, rows, z);
    const V scale = lane_scales(s, i, rows);
    const V loss = with_lane_targets<Loss>(s, i, rows, [&](const auto& target) FASTREG_LAMBDA {
      return formula.lanes(z, target, scale, s.cols, s.dy != nullptr, [&](const V(&p)[kLane]) FASTREG_LAMBDA {
        store_columns(p, s.y + i * kLane, rows);
      });
    });
    loss.store_first(s.row_loss + i, rows);
    if (s.dy) store_columns(z, s.dy + i * kLane, rows);
  }
}

// Formula: OnOutputs or OnLogits of the loss.
template <class Loss, template <class> class Formula>
FASTREG_INLINE void apply_formula(const LossStep& s, const Loss& loss) {
  using Wide = Formula<V>;
  if constexpr (requires { Wide::kInBlocks; }) {
    constexpr bool kSum = requires { Wide::kSum; };
    const BlockLoop loop = [](const LossStep& step, const ElementBlock& block) {
      element_block(block, Wide(*static_cast<const Loss*>(step.loss)));
    };
    if (s.ld == 1) return element_loss_column_in_blocks(s, loop);
    element_loss_in_blocks(s, loop, kSum ? 1.0f : 1.0f / static_cast<float>(s.cols));
  } else if constexpr (!Wide::kByRow) {
    const Wide formula(loss);
    return s.ld == 1 ? element_loss_column(s, formula) : element_loss(s, formula);
  } else {
    if constexpr (Wide::kHasLanes) {
      if (s.ld == kLane) return row_loss_columns<Loss>(s, Wide(loss));
    }
    if constexpr (requires { Wide::kPadsColumn; })
      s.ld == 1 ? padded_row_loss(s, Wide(loss)) : row_loss<V>(s, Wide(loss));
    else
      s.ld == 1 ? row_loss<V1>(s, Formula<V1>(loss)) : row_loss<V>(s, Wide(loss));
  }
}

template <class Loss>
FASTREG_INLINE void apply_loss(const LossStep& s) {
  const Loss& loss = *static_cast<const Loss*>(s.loss);
  using Formulas = math::FormulaOf<Loss>;
  if constexpr (requires { Formulas::kSmooths; }) {
    if (loss.label_smoothing != 0.0f)
      return s.from_logits ? apply_formula<Loss, Formulas::template SmoothedOnLogits>(s, loss)
                           : apply_formula<Loss, Formulas::template SmoothedOnOutputs>(s, loss);
  }
  if constexpr (Loss::kAbsorbs != ActivationKind::linear) {
    if (s.from_logits) return apply_formula<Loss, Formulas::template OnLogits>(s, loss);
  }
  apply_formula<Loss, Formulas::template OnOutputs>(s, loss);
}

FASTREG_NOINLINE void largest_columns(const Largest& l) {
  for (std::size_t i = l.rows.begin; i < l.rows.end; i += V::kLanes) {
    const std::size_t rows = smaller(V::kLanes, l.rows.end - i);
    V y[kLane];
    load_columns(l.y + i * kLane, rows, y);
    V top = y[0], column(0.0f);
    for (std::size_t j = 1; j < l.cols; ++j) {
      const auto above = y[j] > top;
      top = select(above, y[j], top);
      column = select(above, V(static_cast<float>(j)), column);
    }
    float found[V::kLanes];
    column.store(found);
    for (std::size_t r = 0; r < rows; ++r) l.index[i + r] = static_cast<std::int32_t>(found[r]);
  }
}

}  // namespace

void loss(const LossStep& s) noexcept {
  std::size_t index = 0;
  for_each_type(Losses(), [&](auto type) FASTREG_LAMBDA {
    if (index++ == s.kind) apply_loss<typename decltype(type)::type>(s);
  });
}

void largest(const Largest& l) noexcept {
  if (l.ld == kLane) return largest_columns(l);
  for (std::size_t i = l.rows.begin; i < l.rows.end; ++i) {
    const float* const y = l.y + i * l.ld;
    const float top = l.ld == 1 ? y[0] : math::row_max<V>(y, l.cols, l.ld);
    std::size_t j = 0;
    while (j + 1 < l.cols && !(y[j] == top)) ++j;
    l.index[i] = static_cast<std::int32_t>(j);
  }
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
