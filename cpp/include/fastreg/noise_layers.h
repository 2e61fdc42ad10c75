// The descriptions of the layers that act in training alone: noise, and a penalty of what passes. seed, if it is set,
// is used for the random numbers of a layer instead of the network's.
#pragma once
#include <cstdint>
#include <optional>

#include "fastreg/fields.h"

namespace fastreg {

// The rate of a kind of dropout, which is a number or a schedule (NetworkSpec::scheduled).
template <class Owner>
constexpr Field<Owner, float> drop_field(float Owner::*member, bool required = false) {
  return {"rate", member, kFraction, required, true};
}

// Inverted dropout: rate is the probability to drop an element, in [0, 1); the others are scaled by 1 / (1 - rate).
struct Dropout {
  static constexpr const char* kName = "Dropout";
  float rate = 0.5f;
  std::optional<std::uint64_t> seed = std::nullopt;
  static constexpr auto kFields = fields(drop_field(&Dropout::rate), field("seed", &Dropout::seed));
};

// Sets elements to the limit of selu at -inf with probability rate, and then scales and shifts everything such that
// mean 0 and variance 1 stay as they are.
struct AlphaDropout {
  static constexpr const char* kName = "AlphaDropout";
  float rate = 0.5f;
  std::optional<std::uint64_t> seed = std::nullopt;
  static constexpr auto kFields =
      fields(drop_field(&AlphaDropout::rate, true), field("seed", &AlphaDropout::seed));
};

// Multiplies with normal numbers of mean 1 and standard deviation sqrt(rate / (1 - rate)).
struct GaussianDropout {
  static constexpr const char* kName = "GaussianDropout";
  float rate = 0.5f;
  std::optional<std::uint64_t> seed = std::nullopt;
  static constexpr auto kFields =
      fields(drop_field(&GaussianDropout::rate, true), field("seed", &GaussianDropout::seed));
};

// Adds normal numbers of mean 0 and this standard deviation.
struct GaussianNoise {
  static constexpr const char* kName = "GaussianNoise";
  float stddev = 1.0f;
  std::optional<std::uint64_t> seed = std::nullopt;
  static constexpr auto kFields =
      fields(required_field("stddev", &GaussianNoise::stddev, kNotNegative), field("seed", &GaussianNoise::seed));
};

// y = x; l1 sum |x| + l2 sum x^2, its mean over the rows, is added to the loss.
struct ActivityRegularization {
  static constexpr const char* kName = "ActivityRegularization";
  float l1 = 0.0f, l2 = 0.0f;
  static constexpr auto kFields = fields(field("l1", &ActivityRegularization::l1, kNotNegative),
                                         field("l2", &ActivityRegularization::l2, kNotNegative));
};

}  // namespace fastreg
