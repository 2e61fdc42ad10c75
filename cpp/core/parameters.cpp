// Layout of the flat parameter buffer and its conversion to the row-major arrays that users see.
#include "core/parameters.h"

#include <limits>
#include <stdexcept>

namespace fastreg {
namespace {

// Bytes of a segment must stay far from overflow in every later sum (gradients, moments, snapshots).
constexpr std::size_t kMostFloats = std::numeric_limits<std::size_t>::max() / 1024;

std::size_t element(const WeightInfo& info, bool panels, std::size_t i, std::size_t j) {
  if (!panels) return i * info.cols + j;
  const std::size_t ld = padded_ld(info.cols), panel = j / kPanel * kPanel;
  const std::size_t width = ld - panel < kPanel ? ld - panel : kPanel;
  return panel * info.rows + i * width + (j - panel);
}

std::size_t padded_size(const WeightInfo& info, bool panels) {
  const std::size_t cols = panels ? padded_ld(info.cols) : info.cols;
  if (info.rows != 0 && cols > kMostFloats / info.rows)
    throw std::invalid_argument(info.name + ": shape (" + std::to_string(info.rows) + ", " +
                                std::to_string(info.cols) + ") is larger than any memory");
  return round_up(info.rows * cols, kLane);
}

}  // namespace

void Segment::to_rows(const float* base, float* out) const {
  for (std::size_t i = 0; i < info.rows; ++i)
    for (std::size_t j = 0; j < info.cols; ++j) out[i * info.cols + j] = base[offset + element(info, panels, i, j)];
}

void Segment::from_rows(const float* values, float* base) const {
  for (std::size_t i = 0; i < info.rows; ++i)
    for (std::size_t j = 0; j < info.cols; ++j)
      base[offset + element(info, panels, i, j)] = values[i * info.cols + j];
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

void Parameters::layout() {
  total_ = 0;
  for (const bool trainable : {true, false}) {
    for (Segment& segment : segments_) {
      if (segment.info.trainable != trainable) continue;
      segment.offset = total_;
      segment.padded = padded_size(segment.info, segment.panels);
      total_ += segment.padded;
      if (total_ > kMostFloats) throw std::invalid_argument("layers: the network is larger than any memory");
    }
    if (trainable) trainable_ = total_;
  }
  infos_.clear();
  for (const Segment& segment : segments_) infos_.push_back(segment.info);
}

}  // namespace fastreg
