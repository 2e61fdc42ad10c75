// Checks and packs the weights of frozen layers, and unpacks them again.
#include "core/packed_layers.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/activations.h"
#include "core/graph.h"
#include "core/reduced_products.h"

namespace fastreg {
namespace {

// The same as kWorkPerElement, for an activation.
constexpr double kWorkPerActivation = 70.0;

void require(bool good, std::size_t index, const char* rule) {
  if (!good) throw std::invalid_argument("frozen layer " + std::to_string(index) + ": " + rule);
}

void check(const std::vector<FrozenLayer>& layers) {
  if (layers.empty()) throw std::invalid_argument("a frozen network has one layer at least");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const FrozenLayer& layer = layers[i];
    require(layer.in > 0 && layer.out > 0, i, "must have inputs and outputs");
    require(i == 0 || layer.in == layers[i - 1].out, i, "must take what the layer before gives");
    if (const char* const refusal = refusal_of(layer.activation))
      require(false, i, ("activation " + std::string(refusal)).c_str());
    require(layer.statistic <= RowStatistic::standard, i, "must have a statistic that there is");
    if (!layer.kernel.empty()) {
      require(layer.kernel.size() / layer.out == layer.in && layer.kernel.size() % layer.out == 0, i,
              "kernel must have in * out values");
      require(layer.bias.empty() || layer.bias.size() == layer.out, i, "bias must have a value for each output");
      require(layer.mean.empty() && layer.scale.empty(), i, "must have a kernel or a scale, not both");
    } else {
      require(layer.in == layer.out, i, "must have as many outputs as inputs where it has no kernel");
      const std::size_t n = layer.scale.empty() ? 0 : layer.out, others = layer.rectified ? 0 : n;
      require(layer.scale.size() == n && layer.mean.size() == others && layer.bias.size() == others, i,
              "mean, scale and bias must have a value for each output, or all be empty");
      require(!layer.rectified || n > 0, i, "must have a scale where it is rectified");
      require(layer.statistic == RowStatistic::none || n == 0, i, "must have no scale where it has a statistic");
      require(layer.epsilon >= 0.0f, i, "epsilon must be >= 0");
    }
    require(layer.kernel.empty() || (!layer.rectified && layer.statistic == RowStatistic::none), i,
            "must have no kernel where it is rectified or has a statistic");
  }
}

double product_flops(const FrozenLayer& layer) {
  return layer.kernel.empty() ? 0.0 : 2.0 * static_cast<double>(layer.in) * static_cast<double>(layer.out);
}

// The activations linear and relu are computed within the product and cost nothing more.
double total_work(const FrozenLayer& layer) {
  const bool cheap = layer.activation.kind == ActivationKind::linear || layer.activation.kind == ActivationKind::relu;
  const double element = (layer.kernel.empty() ? kWorkPerElement : 0.0) + (cheap ? 0.0 : kWorkPerActivation);
  return product_flops(layer) + element * static_cast<double>(padded_ld(layer.out));
}

std::size_t panel_floats(const FrozenLayer& layer) {
  return layer.kernel.empty() ? 0 : round_up(layer.in * padded_ld(layer.out), kLane);
}

std::size_t tile_floats(const FrozenLayer& layer, const ProductPrecision& precision) {
  const bool packed = !layer.kernel.empty() && reduces(precision, layer.in, layer.out);
  return packed ? packed_floats(layer.out, layer.in, precision.terms) : 0;
}

}  // namespace

PackedLayers::PackedLayers(const std::vector<FrozenLayer>& layers, const ProductPrecision& precision) {
  const Backend& backend = cpu_backend();
  check(layers);
  double memory = 0.0;   // a double, because the sizes of a hostile description could overflow an integer
  for (const FrozenLayer& layer : layers)
    memory += static_cast<double>(panel_floats(layer)) + static_cast<double>(tile_floats(layer, precision)) +
              3.0 * static_cast<double>(layer.out);
  require_memory("freeze: this network", memory);
  std::size_t floats = 0, floats_of_tiles = 0;
  for (const FrozenLayer& layer : layers) {
    floats += panel_floats(layer) + 3 * round_up(layer.out, kLane);
    floats_of_tiles += tile_floats(layer, precision);
  }
  arena = Buffer(backend, floats);
  if (floats_of_tiles > 0) tiles = Buffer(backend, floats_of_tiles);
  float *free = arena.data(), *free_tiles = tiles.data();
  const auto place = [&free](const std::vector<float>& values) -> const float* {
    if (values.empty()) return nullptr;
    float* const begin = free;
    std::copy(values.begin(), values.end(), begin);
    free += round_up(values.size(), kLane);
    return begin;
  };
  for (const FrozenLayer& layer : layers) {
    InferenceStep step{};
    step.k = layer.in;
    step.cols = layer.out;
    step.activation = layer.activation;
    step.rectified = layer.rectified;
    step.statistic = layer.statistic;
    step.epsilon = layer.epsilon;
    if (!layer.kernel.empty()) {
      step.w = free;
      pack_panels({layer.kernel.data(), layer.in, layer.out, layer.out}, free);
      free += panel_floats(layer);
    }
    if (const std::size_t size = tile_floats(layer, precision); size > 0) {
      auto* const packed = reinterpret_cast<std::uint16_t*>(free_tiles);
      precision.bfloat16->pack_right({{step.w, Stored::panels, 0, step.k, step.cols, false}, packed, precision.terms,
                                      {0, tile_groups(step.cols)}});
      step.products = precision.bfloat16;
      step.tiles = packed;
      step.terms = precision.terms;
      free_tiles += size;
      buffers.include({0, packed_floats(1, step.k, step.terms)});
    }
    step.bias = place(layer.bias);
    step.mean = place(layer.mean);
    step.scale = place(layer.scale);
    steps.push_back(step);
    flops += product_flops(layer);
    work += total_work(layer);
    buffers.include({padded_ld(layer.out), 0});
  }
}

std::vector<FrozenLayer> PackedLayers::layers() const {
  std::vector<FrozenLayer> out;
  const auto values = [](const float* data, std::size_t n) {
    return data == nullptr ? std::vector<float>() : std::vector<float>(data, data + n);
  };
  for (const InferenceStep& step : steps) {
    FrozenLayer layer{step.k,          step.cols,      {}, {}, {}, {}, step.activation,
                      step.rectified, step.statistic, step.epsilon};
    if (step.w != nullptr) {
      layer.kernel.resize(step.k * step.cols);
      unpack_panels(step.w, {layer.kernel.data(), step.k, step.cols, step.cols});
    }
    layer.bias = values(step.bias, step.cols);
    layer.mean = values(step.mean, step.cols);
    layer.scale = values(step.scale, step.cols);
    out.push_back(std::move(layer));
  }
  return out;
}

std::string PackedLayers::summary() const {
  std::string out;
  for (const InferenceStep& step : steps) {
    out += " -> ";
    if (step.w != nullptr) out += std::to_string(step.cols);
    else if (step.rectified) out += "prelu";
    else if (step.scale != nullptr) out += "normalised";
    else if (step.statistic != RowStatistic::none) out += "normalised rows";
    else out += name(step.activation.kind);
    if ((step.w != nullptr || step.scale != nullptr || step.statistic != RowStatistic::none) &&
        step.activation.kind != ActivationKind::linear)
      out.append(" ").append(name(step.activation.kind));
  }
  return out;
}

}  // namespace fastreg
