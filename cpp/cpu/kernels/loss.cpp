// The losses and the places of the largest outputs, row by row. A buffer of at most kLane columns is taken by columns,
// as softmax.h has it; wider rows run along the vector.
//
//   z logits, p probabilities, t target, lse = log(sum_j e^(z_j - max)), scale = weight * grad_scale of a row
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "cpu/simd/simd.h"
#include "cpu/softmax.h"
#include "fastreg/loss_kind.h"
#include "math/losses.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

FASTREG_INLINE float row_scale(const LossStep& s, std::size_t i) {
  return s.weight ? s.weight[i] * s.grad_scale : s.grad_scale;
}

// Scales of the rows from i on, one a lane.
FASTREG_INLINE V lane_scales(const LossStep& s, std::size_t i, std::size_t rows) {
  return s.weight ? V::load_first(s.weight + i, rows) * V(s.grad_scale) : V(s.grad_scale);
}

// Losses that are a mean over columns; E is a struct of math/losses.h.
template <class E>
FASTREG_NOINLINE void element_loss_column(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += V::kLanes) {
    const std::size_t n = s.rows.end - i;
    V y = V::load_first(s.y + i, n);
    const auto value = E::evaluate(y, V::load_first(s.target + i, n));
    value.loss.store_first(s.row_loss + i, n);
    if constexpr (E::kReplacesOutput) y.store_first(s.y + i, n);
    if (s.dy) (value.gradient * lane_scales(s, i, n)).store_first(s.dy + i, n);
  }
}

template <class E>
FASTREG_NOINLINE void element_loss(const LossStep& s) {
  if (s.ld == 1) return element_loss_column<E>(s);
  const float share = 1.0f / static_cast<float>(s.cols);
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const V scale(row_scale(s, i) * share);
    V total(0.0f);
    for (std::size_t j = 0; j < s.ld; j += V::kLanes) {
      const std::size_t e = i * s.ld + j;
      const auto mask = valid<V>(s.cols, j);
      V y = V::load(s.y + e);
      const auto value = E::evaluate(y, V::load(s.target + e));
      total = total + select(mask, value.loss, V(0.0f));
      if constexpr (E::kReplacesOutput) select(mask, y, V(0.0f)).store(s.y + e);
      if (s.dy) select(mask, value.gradient * scale, V(0.0f)).store(s.dy + e);
    }
    s.row_loss[i] = sum(total) * share;
  }
}

// sum_j t_j (lse - (z_j - max)); the gradient is p sum_j t_j - t, so targets need not sum to 1.
FASTREG_NOINLINE void categorical_logits_columns(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += V::kLanes) {
    const std::size_t rows = smaller(V::kLanes, s.rows.end - i);
    V z[kLane], shifted[kLane], t[kLane];
    load_columns(s.y + i * kLane, rows, z);
    load_columns(s.target + i * kLane, rows, t);
    const V lse = softmax_columns(z, shifted, s.cols);
    store_columns(z, s.y + i * kLane, rows);
    V loss(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < s.cols; ++j) {
      loss = fma(t[j], lse - shifted[j], loss);
      mass = mass + t[j];
    }
    loss.store_first(s.row_loss + i, rows);
    if (!s.dy) continue;
    const V scale = lane_scales(s, i, rows);
    for (std::size_t j = 0; j < s.cols; ++j) z[j] = scale * (z[j] * mass - t[j]);
    store_columns(z, s.dy + i * kLane, rows);
  }
}

template <class T>
FASTREG_NOINLINE void categorical_logits_rows(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    float* const y = s.y + i * s.ld;
    const float* const t = s.target + i * s.ld;
    const float top = row_max<T>(y, s.cols, s.ld);
    T mass(0.0f), linear(0.0f);
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) {
      const auto mask = valid<T>(s.cols, j);
      const T tj = select(mask, T::load(t + j), T(0.0f));
      mass = mass + tj;
      linear = fma(tj, select(mask, T::load(y + j) - T(top), T(0.0f)), linear);
    }
    const float lse = softmax_row<T>(y, y, top, s.cols, s.ld);
    const float total = sum(mass);
    s.row_loss[i] = total * lse - sum(linear);
    if (!s.dy) continue;
    const T scale(row_scale(s, i));
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) {
      const T dy = scale * (T::load(y + j) * T(total) - T::load(t + j));
      select(valid<T>(s.cols, j), dy, T(0.0f)).store(s.dy + i * s.ld + j);
    }
  }
}

// Turns the scaled probabilities of row i into the gradient: only the label's column differs.
FASTREG_INLINE void subtract_label(const LossStep& s, std::size_t i) {
  const std::size_t e = i * s.ld + static_cast<std::size_t>(s.labels[i]);
  s.dy[e] = row_scale(s, i) * (s.y[e] - 1.0f);
}

FASTREG_NOINLINE void sparse_logits_columns(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; i += V::kLanes) {
    const std::size_t rows = smaller(V::kLanes, s.rows.end - i);
    float labels[V::kLanes];
    for (std::size_t r = 0; r < V::kLanes; ++r) labels[r] = static_cast<float>(s.labels[i + smaller(r, rows - 1)]);
    V z[kLane], shifted[kLane];
    load_columns(s.y + i * kLane, rows, z);
    const V lse = softmax_columns(z, shifted, s.cols);
    store_columns(z, s.y + i * kLane, rows);
    const V scale = lane_scales(s, i, rows), label = V::load(labels);
    V chosen(0.0f);
    for (std::size_t j = 0; j < s.cols; ++j) {
      const auto here = label == V(static_cast<float>(j));
      chosen = select(here, shifted[j], chosen);
      z[j] = scale * select(here, z[j] - V(1.0f), z[j]);
    }
    (lse - chosen).store_first(s.row_loss + i, rows);
    if (s.dy) store_columns(z, s.dy + i * kLane, rows);
  }
}

template <class T>
FASTREG_NOINLINE void sparse_logits_rows(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    float* const y = s.y + i * s.ld;
    const float top = row_max<T>(y, s.cols, s.ld);
    const float chosen = y[s.labels[i]] - top;
    s.row_loss[i] = softmax_row<T>(y, y, top, s.cols, s.ld) - chosen;
    if (!s.dy) continue;
    const T scale(row_scale(s, i));
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) (scale * T::load(y + j)).store(s.dy + i * s.ld + j);
    subtract_label(s, i);
  }
}

// The sum of a row's outputs, as the divisor that makes shares of them.
template <class T>
FASTREG_INLINE float share_divisor(const LossStep& s, std::size_t i) {
  T total(0.0f);
  for (std::size_t j = 0; j < s.ld; j += T::kLanes)
    total = total + select(valid<T>(s.cols, j), T::load(s.y + i * s.ld + j), T(0.0f));
  return math::CategoricalCrossentropy::divisor(sum(total));
}

template <class T>
FASTREG_NOINLINE void categorical_rows(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const float divisor = share_divisor<T>(s, i);
    T total(0.0f), mass(0.0f);
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) {
      const std::size_t e = i * s.ld + j;
      const auto mask = valid<T>(s.cols, j);
      const auto value = math::CategoricalCrossentropy::evaluate(T::load(s.y + e), T::load(s.target + e), T(divisor));
      total = total + select(mask, value.loss, T(0.0f));
      mass = mass + select(mask, value.mass, T(0.0f));
      if (s.dy) value.pull.store(s.dy + e);
    }
    s.row_loss[i] = sum(total);
    if (!s.dy) continue;
    const T whole(sum(mass)), scale(row_scale(s, i) / divisor);
    for (std::size_t j = 0; j < s.ld; j += T::kLanes) {
      const std::size_t e = i * s.ld + j;
      select(valid<T>(s.cols, j), (whole - T::load(s.dy + e)) * scale, T(0.0f)).store(s.dy + e);
    }
  }
}

template <class T>
FASTREG_NOINLINE void sparse_rows(const LossStep& s) {
  for (std::size_t i = s.rows.begin; i < s.rows.end; ++i) {
    const std::size_t e = i * s.ld + static_cast<std::size_t>(s.labels[i]);
    const float divisor = share_divisor<T>(s, i);
    const auto value = math::CategoricalCrossentropy::evaluate(V1(s.y[e]), V1(1.0f), V1(divisor));
    s.row_loss[i] = value.loss.v;
    if (!s.dy) continue;
    const float scale = row_scale(s, i) / divisor;
    const T others(value.mass.v * scale);
    for (std::size_t j = 0; j < s.ld; j += T::kLanes)
      select(valid<T>(s.cols, j), others, T(0.0f)).store(s.dy + i * s.ld + j);
    s.dy[e] = (value.mass.v - value.pull.v) * scale;
  }
}

void categorical_loss(const LossStep& s) {
  if (!s.from_logits) return s.ld == 1 ? categorical_rows<V1>(s) : categorical_rows<V>(s);
  if (s.ld == kLane) return categorical_logits_columns(s);
  s.ld == 1 ? categorical_logits_rows<V1>(s) : categorical_logits_rows<V>(s);
}

void sparse_loss(const LossStep& s) {
  if (!s.from_logits) return s.ld == 1 ? sparse_rows<V1>(s) : sparse_rows<V>(s);
  if (s.ld == kLane) return sparse_logits_columns(s);
  s.ld == 1 ? sparse_logits_rows<V1>(s) : sparse_logits_rows<V>(s);
}

FASTREG_NOINLINE void largest_columns(const Largest& l) {
  for (std::size_t i = l.rows.begin; i < l.rows.end; i += V::kLanes) {
    const std::size_t rows = smaller(V::kLanes, l.rows.end - i);
    V y[kLane];
    load_columns(l.y + i * kLane, rows, y);
    V top = y[0], place(0.0f);
    for (std::size_t j = 1; j < l.cols; ++j) {
      const auto above = y[j] > top;
      top = select(above, y[j], top);
      place = select(above, V(static_cast<float>(j)), place);
    }
    float places[V::kLanes];
    place.store(places);
    for (std::size_t r = 0; r < rows; ++r) l.index[i + r] = static_cast<std::int32_t>(places[r]);
  }
}

}  // namespace

void loss(const LossStep& s) noexcept {
  switch (s.kind) {
    case LossKind::mean_squared_error:
      return element_loss<math::SquaredError>(s);
    case LossKind::binary_crossentropy:
      return s.from_logits ? element_loss<math::BinaryCrossentropyFromLogits>(s)
                           : element_loss<math::BinaryCrossentropy>(s);
    case LossKind::categorical_crossentropy:
      return categorical_loss(s);
    case LossKind::sparse_categorical_crossentropy:
      return sparse_loss(s);
  }
}

void largest(const Largest& l) noexcept {
  if (l.ld == kLane) return largest_columns(l);
  for (std::size_t i = l.rows.begin; i < l.rows.end; ++i) {
    const float* const y = l.y + i * l.ld;
    const float top = l.ld == 1 ? y[0] : row_max<V>(y, l.cols, l.ld);
    std::size_t j = 0;
    while (j + 1 < l.cols && !(y[j] == top)) ++j;
    l.index[i] = static_cast<std::int32_t>(j);
  }
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
