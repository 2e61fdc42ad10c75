// Initial weights. Each weight has a random stream of its own, which the seed and the index of the weight determine, so
// adding a layer at the end does not change the weights before it. An initializer with a seed has one stream. Values
// follow Keras: normal initializers that are named after a paper draw from a normal distribution that is truncated at
// two standard deviations and rescaled to keep its variance.
#include <algorithm>
#include <cmath>
#include <span>
#include <variant>
#include <vector>

#include "core/graph.h"

namespace fastreg {
namespace {

constexpr std::uint32_t kInitializerStream = 0x10000000u;   // differs from the streams of dropout layers
constexpr std::uint32_t kSeededStream = 0x18000000u;        // of initializers with a seed of their own
constexpr double kCutNormalDeviation = 0.87962566103423978; // the deviation of a standard normal truncated at +-2

// An endless stream of random numbers, which the kernel table computes one block at a time.
class RandomWords {
 public:
  RandomWords(const Kernels& kernels, RandomKey key) : kernels_(kernels), key_(key), words_(4 * kBlocks) {}

  // Uniform in [0, 1), 24 bits.
  double uniform() {
    if (next_ == words_.size()) {
      kernels_.random_words(key_, block_, kBlocks, words_.data());
      block_ += kBlocks;
      next_ = 0;
    }
    return static_cast<double>(words_[next_++] >> 8) * 0x1p-24;
  }
  double normal() {   // Box and Muller 1958
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  double cut_normal() {
    for (;;)
      if (const double z = normal(); std::fabs(z) <= 2.0) return z;
  }

 private:
  static constexpr std::size_t kBlocks = 256;
  const Kernels& kernels_;
  RandomKey key_;
  std::vector<std::uint32_t> words_;
  std::size_t next_ = 4 * kBlocks;
  std::uint64_t block_ = 0;
};

// A random matrix (rows, cols), row-major, with orthonormal columns, or rows if there are fewer of them. It is the Q of
// a QR decomposition of normal values in which the diagonal of R is positive, so that all such matrices are equally
// likely (Saxe et al. 2014). Each vector loses its components along those before it twice, which is as exact as
// Householder's way (Giraud et al. 2005).
std::vector<double> orthogonal_matrix(RandomWords& words, std::size_t rows, std::size_t cols) {
  const std::size_t length = std::max(rows, cols), count = std::min(rows, cols);
  std::vector<double> vectors(length * count);
  for (std::size_t i = 0; i < count; ++i) {
    double* const own = vectors.data() + i * length;
    for (std::size_t k = 0; k < length; ++k) own[k] = words.normal();
    for (std::size_t j = 0; j < 2 * i; ++j) {
      const double* const other = vectors.data() + j % i * length;
      double along = 0.0;
      for (std::size_t k = 0; k < length; ++k) along += own[k] * other[k];
      for (std::size_t k = 0; k < length; ++k) own[k] -= along * other[k];
    }
    double square = 0.0;
    for (std::size_t k = 0; k < length; ++k) square += own[k] * own[k];
    for (std::size_t k = 0; k < length; ++k) own[k] /= std::sqrt(square);
  }
  if (rows < cols) return vectors;   // the vectors are the rows
  std::vector<double> out(rows * cols);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) out[i * cols + j] = vectors[j * length + i];
  return out;
}

// Draws elements of a weight from the distribution of its initializer. The initializers that scale by the fans have a
// given variance. out: the elements, consecutive in row-major order; first: the index of their first.
struct Draw {
  double fan_in, fan_out;
  std::size_t rows, cols;
  RandomWords& words;
  std::span<float> out{};
  std::size_t first = 0;
  std::vector<double> matrix{};

  void operator()(const Zeros&) const { all(0.0); }
  void operator()(const Ones&) const { all(1.0); }
  void operator()(const Constant& constant) const { all(constant.value); }
  void operator()(const RandomNormal& normal) const {
    each([&] { return normal.mean + normal.stddev * words.normal(); });
  }
  void operator()(const TruncatedNormal& normal) const {
    each([&] { return normal.mean + normal.stddev * words.cut_normal(); });
  }
  void operator()(const RandomUniform& uniform) const {
    each([&] { return uniform.minval + (uniform.maxval - uniform.minval) * words.uniform(); });
  }
  void operator()(const GlorotUniform&) const { uniform(2.0 / (fan_in + fan_out)); }
  void operator()(const GlorotNormal&) const { cut_normal(2.0 / (fan_in + fan_out)); }
  void operator()(const HeUniform&) const { uniform(2.0 / fan_in); }
  void operator()(const HeNormal&) const { cut_normal(2.0 / fan_in); }
  void operator()(const LecunUniform&) const { uniform(1.0 / fan_in); }
  void operator()(const LecunNormal&) const { cut_normal(1.0 / fan_in); }
  void operator()(const VarianceScaling& scaling) const {
    const double fans[] = {fan_in, fan_out, (fan_in + fan_out) / 2.0};
    const double variance = scaling.scale / std::max(1.0, fans[static_cast<std::size_t>(scaling.mode)]);
    if (scaling.distribution == ScaledDistribution::uniform) return uniform(variance);
    if (scaling.distribution == ScaledDistribution::truncated_normal) return cut_normal(variance);
    const double deviation = std::sqrt(variance);
    each([&] { return deviation * words.normal(); });
  }
  void operator()(const IdentityMatrix& identity) const {
    std::size_t next = first;
    each([&] {
      const std::size_t index = next++;
      return index / cols == index % cols ? identity.gain : 0.0;
    });
  }
  void operator()(const Orthogonal& orthogonal) {
    if (matrix.empty()) matrix = orthogonal_matrix(words, rows, cols);
    const double* next = matrix.data() + first;
    each([&] { return orthogonal.gain * *next++; });
  }

  void all(double value) const { std::ranges::fill(out, static_cast<float>(value)); }
  void each(auto next) const {
    for (float& element : out) element = static_cast<float>(next());
  }
  void uniform(double variance) const {
    const double bound = std::sqrt(variance) * std::sqrt(3.0);
    each([&] { return bound * (2.0 * words.uniform() - 1.0); });
  }
  void cut_normal(double variance) const {
    const double deviation = std::sqrt(variance) / kCutNormalDeviation;
    each([&] { return deviation * words.cut_normal(); });
  }
};

void fill(const Graph& graph, std::size_t index) {
  const Segment& segment = graph.parameters.segments()[index];
  const Initializer& initializer = segment.initializer;
  // In Keras, both fans of a vector are its length.
  const double fan_in = static_cast<double>(segment.info.vector ? segment.info.cols : segment.info.rows);
  const Seed own = std::visit(
      [](const auto& chosen) {
        if constexpr (requires { chosen.seed; }) return chosen.seed;
        return Seed();
      },
      initializer);
  RandomKey key{graph.spec.seed, kInitializerStream + static_cast<std::uint32_t>(index), 0};
  if (own) key = {*own, kSeededStream, 0};
  RandomWords words(*graph.backend.kernels, key);
  Draw draw{fan_in, static_cast<double>(segment.info.cols), segment.info.rows, segment.info.cols, words};
  // One block at a time, so that a large weight is never in memory twice.
  constexpr std::size_t kBlock = 1 << 16;
  const std::size_t size = segment.info.size();
  std::vector<float> values(std::min(size, kBlock));
  for (std::size_t first = 0; first < size; first += kBlock) {
    const std::size_t n = std::min(kBlock, size - first);
    draw.out = {values.data(), n};
    draw.first = first;
    std::visit(draw, initializer);
    segment.from_values(first, values.data(), n, graph.weights.data());
  }
}

}  // namespace

void initialize(const Graph& graph) {
  for (std::size_t i = 0; i < graph.parameters.segments().size(); ++i) fill(graph, i);
}

}  // namespace fastreg
