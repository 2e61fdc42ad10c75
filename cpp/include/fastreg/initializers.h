// The descriptions of the initializers: their names, their fields with ranges, and the list of all of them, from which
// everything else is derived. cpp/core/initializers.cpp draws the values, which follow Keras.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <variant>

#include "fastreg/fields.h"

namespace fastreg {

// Determines the values of a random initializer in the place of the network's seed and the index of the weight: two
// weights of the same shape with the same initializer then get the same values, as in Keras.
using Seed = std::optional<std::uint64_t>;

struct Zeros {
  static constexpr const char* kName = "Zeros";
  static constexpr auto kFields = fields();
};
struct Ones {
  static constexpr const char* kName = "Ones";
  static constexpr auto kFields = fields();
};
struct Constant {
  static constexpr const char* kName = "Constant";
  double value = 0.0;
  static constexpr auto kFields = fields(field("value", &Constant::value));
};

inline constexpr Interval kDeviation{0.0, std::numeric_limits<double>::infinity(), false, false, ">= 0"};

struct RandomNormal {
  static constexpr const char* kName = "RandomNormal";
  double mean = 0.0, stddev = 0.05;
  Seed seed{};
  static constexpr auto kFields =
      fields(field("mean", &RandomNormal::mean), field("stddev", &RandomNormal::stddev, kDeviation),
             field("seed", &RandomNormal::seed));
};
// Uniform in [minval, maxval).
struct RandomUniform {
  static constexpr const char* kName = "RandomUniform";
  double minval = -0.05, maxval = 0.05;
  Seed seed{};
  static constexpr auto kFields = fields(field("minval", &RandomUniform::minval),
                                         field("maxval", &RandomUniform::maxval), field("seed", &RandomUniform::seed));

  template <class Fail>
  void check_fields_together(Fail fail) const {
    if (!(minval <= maxval)) fail("maxval", ">= minval", maxval);
  }
};
// RandomNormal, where a value that is more than two standard deviations from the mean is drawn again.
struct TruncatedNormal {
  static constexpr const char* kName = "TruncatedNormal";
  double mean = 0.0, stddev = 0.05;
  Seed seed{};
  static constexpr auto kFields =
      fields(field("mean", &TruncatedNormal::mean), field("stddev", &TruncatedNormal::stddev, kDeviation),
             field("seed", &TruncatedNormal::seed));
};
struct GlorotUniform {
  static constexpr const char* kName = "GlorotUniform";
  Seed seed{};
  static constexpr auto kFields = fields(field("seed", &GlorotUniform::seed));
};
struct GlorotNormal {
  static constexpr const char* kName = "GlorotNormal";
  Seed seed{};
  static constexpr auto kFields = fields(field("seed", &GlorotNormal::seed));
};
struct HeUniform {
  static constexpr const char* kName = "HeUniform";
  Seed seed{};
  static constexpr auto kFields = fields(field("seed", &HeUniform::seed));
};
struct HeNormal {
  static constexpr const char* kName = "HeNormal";
  Seed seed{};
  static constexpr auto kFields = fields(field("seed", &HeNormal::seed));
};
struct LecunUniform {
  static constexpr const char* kName = "LecunUniform";
  Seed seed{};
  static constexpr auto kFields = fields(field("seed", &LecunUniform::seed));
};
struct LecunNormal {
  static constexpr const char* kName = "LecunNormal";
  Seed seed{};
  static constexpr auto kFields = fields(field("seed", &LecunNormal::seed));
};

// What the variance of VarianceScaling is divided by: the number of inputs of a kernel, of its outputs, or their mean.
enum class FanMode : std::uint8_t { fan_in, fan_out, fan_avg };
template <>
struct Choices<FanMode> {
  static constexpr const char* kNames[] = {"fan_in", "fan_out", "fan_avg"};
};
enum class ScaledDistribution : std::uint8_t { truncated_normal, untruncated_normal, uniform };
template <>
struct Choices<ScaledDistribution> {
  static constexpr const char* kNames[] = {"truncated_normal", "untruncated_normal", "uniform"};
};
// Variance scale / n, where mode says n, which is at least 1.
struct VarianceScaling {
  static constexpr const char* kName = "VarianceScaling";
  double scale = 1.0;
  FanMode mode = FanMode::fan_in;
  ScaledDistribution distribution = ScaledDistribution::truncated_normal;
  Seed seed{};
  static constexpr auto kFields =
      fields(field("scale", &VarianceScaling::scale, kPositive), field("mode", &VarianceScaling::mode),
             field("distribution", &VarianceScaling::distribution), field("seed", &VarianceScaling::seed));
};
// For matrices only: gain times a random matrix whose columns are orthonormal, or its rows, if there are fewer of them.
struct Orthogonal {
  static constexpr const char* kName = "Orthogonal";
  static constexpr bool kMatrix = true;
  double gain = 1.0;
  Seed seed{};
  static constexpr auto kFields = fields(field("gain", &Orthogonal::gain), field("seed", &Orthogonal::seed));
};
// For matrices only: gain on the diagonal, 0 elsewhere.
struct IdentityMatrix {
  static constexpr const char* kName = "Identity";
  static constexpr bool kMatrix = true;
  double gain = 1.0;
  static constexpr auto kFields = fields(field("gain", &IdentityMatrix::gain));
};

using Initializers = List<Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal, GlorotUniform,
                          GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, VarianceScaling, Orthogonal,
                          IdentityMatrix>;
using Initializer = Initializers::Into<std::variant>;

}  // namespace fastreg
