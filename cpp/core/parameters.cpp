// The layout of the flat parameter buffer, and its conversion to and from the row-major arrays that users see.
#include "core/parameters.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <tuple>

namespace fastreg {
namespace {

// The size of a segment stays so small that no later sum of sizes (gradients, moments, snapshots) overflows.
constexpr std::size_t kMostFloats = std::numeric_limits<std::size_t>::max() / 1024;

std::size_t padded_size(const WeightInfo& info, bool panels) {
  const std::size_t cols = panels ? padded_ld(info.cols) : info.cols;
  if (info.rows != 0 && cols > kMostFloats / info.rows)
    throw std::invalid_argument(info.name + ": shape (" + std::to_string(info.rows) + ", " +
                                std::to_string(info.cols) + ") is larger than any memory");
  return round_up(info.rows * cols, kLane);
}

// Cuts each row of the matrix at the boundaries of panels and calls f(offset in the panels, pointer to the piece in the
// matrix, number of floats) for each piece.
template <class T, class F>
void for_each_piece(MatrixView<T> matrix, F&& f) {
  const std::size_t ld = padded_ld(matrix.cols);
  for (std::size_t panel = 0; panel < matrix.cols; panel += kPanel) {
    const std::size_t width = std::min(kPanel, ld - panel), used = std::min(kPanel, matrix.cols - panel);
    for (std::size_t i = 0; i < matrix.rows; ++i)
      f(panel * matrix.rows + i * width, matrix.data + i * matrix.stride + panel, used);
  }
}

}  // namespace

void pack_panels(MatrixView<const float> values, float* panels) {
  for_each_piece(values, [&](std::size_t offset, const float* piece, std::size_t n) {
    std::copy_n(piece, n, panels + offset);
  });
}

void unpack_panels(const float* panels, MatrixView<float> values) {
  for_each_piece(values, [&](std::size_t offset, float* piece, std::size_t n) {
    std::copy_n(panels + offset, n, piece);
  });
}

void require_part(const WeightInfo& info, std::size_t first, std::size_t n) {
  if (first > info.size() || n > info.size() - first)
    throw std::out_of_range(info.name + " has " + std::to_string(info.size()) + " values, got " + std::to_string(n) +
                            " from " + std::to_string(first) + " on");
}

const Segment& Parameters::segment(std::size_t index) const {
  if (index >= segments_.size())
    throw std::out_of_range("weights: the index must be below " + std::to_string(segments_.size()) + ", got " +
                            std::to_string(index));
  return segments_[index];
}

void Segment::to_rows(const float* base, float* out) const {
  if (panels)
    unpack_panels(base + offset, {out, info.rows, info.cols, info.cols});
  else
    std::copy_n(base + offset, info.size(), out);
}

void Segment::from_rows(const float* values, float* base) const {
  if (panels)
    pack_panels({values, info.rows, info.cols, info.cols}, base + offset);
  else
    std::copy_n(values, info.size(), base + offset);
}

void Segment::from_values(std::size_t first, const float* values, std::size_t n, float* base) const {
  float* const out = base + offset;
  if (!panels) {
    std::copy_n(values, n, out + first);
    return;
  }
  const std::size_t ld = padded_ld(info.cols), end = first + n;
  for (std::size_t at = first; at < end;) {
    const std::size_t row = at / info.cols, col = at % info.cols, panel = col / kPanel * kPanel;
    const std::size_t piece = std::min({end - at, info.cols - col, panel + kPanel - col});
    std::copy_n(values, piece, out + panel * info.rows + row * std::min(kPanel, ld - panel) + (col - panel));
    values += piece;
    at += piece;
  }
}

std::size_t Parameters::add(WeightInfo info, bool panels, Penalty penalty, bool decays) {
  Segment segment;
  segment.info = std::move(info);
  segment.penalty = penalty;
  segment.decays = decays;
  segment.panels = panels;
  segments_.push_back(std::move(segment));
  return segments_.size() - 1;
}

void Parameters::add_layer(const std::vector<WeightSpec>& weights) {
  const std::string prefix = "layers." + std::to_string(layers_.size()) + ".";
  layers_.push_back(segments_.size());
  for (const WeightSpec& weight : weights) {
    const bool kernel = weight.is_kernel();
    const std::size_t segment =
        add({prefix + weight.name, kernel ? weight.shape[0] : 1, weight.shape.back(), !kernel, weight.trainable},
            kernel, weight.penalty, weight.decays);
    segments_[segment].initializer = weight.initializer;
    segments_[segment].constraint = weight.constraint;
    segments_[segment].rate_multiplier = weight.rate_multiplier;
    segments_[segment].decay_multiplier = weight.decay_multiplier;
  }
}

std::size_t Parameters::find(std::size_t layer, std::string_view weight) const {
  const Range own = segments_of(layer);
  for (std::size_t i = own.begin; i < own.end; ++i) {
    const std::string_view name = segments_[i].info.name;
    if (name.substr(name.rfind('.') + 1) == weight) return i;
  }
  return kNoSegment;
}

void Parameters::layout() {
  // Numbers the kinds of segments in the order in which they appear; moving statistics come last. This is a map because
  // a file may describe very many layers, each with a penalty of its own.
  std::map<std::tuple<float, float, bool, bool, float, float>, std::size_t> kinds;
  std::vector<std::size_t> kind_of(segments_.size(), segments_.size());
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    const Penalty& penalty = segment.penalty;
    if (segment.info.trainable)
      kind_of[i] = kinds.try_emplace({penalty.l1, penalty.l2, penalty.proximal, segment.decays,
                                      segment.rate_multiplier, segment.decay_multiplier}, kinds.size())
                       .first->second;
  }
  order_.resize(segments_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return kind_of[a] < kind_of[b]; });
  total_ = trainable_ = 0;
  for (const std::size_t i : order_) {
    Segment& segment = segments_[i];
    segment.offset = total_;
    segment.padded = padded_size(segment.info, segment.panels);
    total_ += segment.padded;
    if (total_ > kMostFloats) throw std::invalid_argument("layers: the network is larger than any memory");
    if (segment.info.trainable) trainable_ = total_;
  }
  infos_.clear();
  for (const Segment& segment : segments_) infos_.push_back(segment.info);
}

}  // namespace fastreg
