// The descriptions of the initializers: their names, their fields with ranges, and the list of all of them, from which
// everything else is derived. cpp/core/initializers.cpp draws the values, which follow Keras.
#pragma once
#include <cstdint>
#include <limits>
#include <variant>

#include "fastreg/fields.h"

namespace fastreg {

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
  static constexpr auto kFields =
      fields(field("mean", &RandomNormal::mean), field("stddev", &RandomNormal::stddev, kDeviation));
};
// Uniform in [minval, maxval).
struct RandomUniform {
  static constexpr const char* kName = "RandomUniform";
  double minval = -0.05, maxval = 0.05;
  static constexpr auto kFields =
      fields(field("minval", &RandomUniform::minval), field("maxval", &RandomUniform::maxval));

  template <class Fail>
  void check_fields_together(Fail fail) const {
    if (!(minval <= maxval)) fail("maxval", ">= minval", maxval);
  }
};
// RandomNormal, where a value that is more than two standard deviations from the mean is drawn again.
struct TruncatedNormal {
  static constexpr const char* kName = "TruncatedNormal";
  double mean = 0.0, stddev = 0.05;
  static constexpr auto kFields =
      fields(field("mean", &TruncatedNormal::mean), field("stddev", &TruncatedNormal::stddev, kDeviation));
};
struct GlorotUniform {
  static constexpr const char* kName = "GlorotUniform";
  static constexpr auto kFields = fields();
};
struct GlorotNormal {
  static constexpr const char* kName = "GlorotNormal";
  static constexpr auto kFields = fields();
};
struct HeUniform {
  static constexpr const char* kName = "HeUniform";
  static constexpr auto kFields = fields();
};
struct HeNormal {
  static constexpr const char* kName = "HeNormal";
  static constexpr auto kFields = fields();
};
struct LecunUniform {
  static constexpr const char* kName = "LecunUniform";
  static constexpr auto kFields = fields();
};
struct LecunNormal {
  static constexpr const char* kName = "LecunNormal";
  static constexpr auto kFields = fields();
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
  static constexpr auto kFields =
      fields(field("scale", &VarianceScaling::scale, kPositive), field("mode", &VarianceScaling::mode),
             field("distribution", &VarianceScaling::distribution));
};
// For matrices only: gain times a random matrix whose columns are orthonormal, or its rows, if there are fewer of them.
struct Orthogonal {
  static constexpr const char* kName = "Orthogonal";
  static constexpr bool kMatrix = true;
  double gain = 1.0;
  static constexpr auto kFields = fields(field("gain", &Orthogonal::gain));
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
