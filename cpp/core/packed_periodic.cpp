// Packs the weights of a frozen PeriodicEmbedding.
#include "core/packed_periodic.h"

#include <algorithm>
#include <stdexcept>

#include "core/layers/layers.h"

namespace fastreg {
namespace {

// The floats of a matrix in panels.
std::size_t panels_of(std::size_t rows, std::size_t cols) { return round_up(rows * padded_ld(cols), kLane); }

}  // namespace

PackedPeriodic::PackedPeriodic(const FrozenNode& node, std::size_t in) {
  const PeriodicEmbedding& layer = node.periodic;
  const std::size_t count = layer.n_frequencies, outputs = in * layer.units;
  const std::size_t of_column = panels_of(count, in), terms = layer.use_phases ? count : 2 * count;
  arena_ = Buffer(cpu_backend(), 2 * of_column + panels_of(terms, outputs) + round_up(padded_ld(outputs), kLane));
  float* const frequencies = arena_.data();
  float* const phases = frequencies + of_column;
  float* const w = phases + of_column;
  float* const bias = w + panels_of(terms, outputs);
  pack_panels({node.frequencies.data(), count, in, in}, frequencies);
  if (layer.use_phases) pack_panels({node.phases.data(), count, in, in}, phases);
  pack_panels({node.table.data(), terms, outputs, outputs}, w);
  std::copy(node.bias.begin(), node.bias.end(), bias);
  call_ = {nullptr, 0,     frequencies, layer.use_phases ? phases : nullptr, w, bias, in,
           count,   layer.units, layer.rectify, layer.keep_input};
}

void PackedPeriodic::run(const Kernels& kernels, const float* x, std::size_t ldx, std::size_t rows, float* y,
                         std::size_t ldy) const {
  Periodic call = call_;
  call.x = x;
  call.ldx = ldx;
  kernels.periodic_forward({call, y, ldy, {0, rows}});
}

std::size_t check_periodic(const FrozenNode& node, std::size_t width, const std::string& where) {
  const PeriodicEmbedding& layer = node.periodic;
  const auto require = [&](bool good, const char* rule) {
    if (!good) throw std::invalid_argument(where + ": " + rule);
  };
  require(kIndices.contains(static_cast<double>(layer.units)), "must have units in [1, 2^24]");
  require(kIndices.contains(static_cast<double>(layer.n_frequencies)), "must have frequencies in [1, 2^24]");
  require(width_of(layer, {width}) <= 0x7FFFFFFF, "must have fewer than 2^31 columns");
  const std::size_t outputs = width * layer.units, terms = layer.n_frequencies * (layer.use_phases ? 1 : 2);
  require(node.frequencies.size() == layer.n_frequencies * width, "must have a row of columns for each frequency");
  require(node.phases.size() == (layer.use_phases ? node.frequencies.size() : 0), "must have as many phases");
  require(node.table.size() == terms * outputs, "must have a kernel with a row for each cosine and sine");
  require(node.bias.size() == outputs, "must have a bias for each output");
  return width_of(layer, {width});
}

}  // namespace fastreg
