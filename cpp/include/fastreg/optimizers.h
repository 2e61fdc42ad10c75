// The descriptions of the optimizers: their names, their fields with ranges, and the list of all of them, from which
// everything else is derived. The formulas are in cpp/math/rules.h. All types are plain structs, because kernel objects
// include this file.
#pragma once
#include <cstdint>

#include "fastreg/fields.h"

namespace fastreg {

// Clipping of the gradient before the update rule. The gradient includes penalties, but no proximal step, which is not
// a gradient. value: each element is clamped to [-limit, limit]. norm, global_norm: a factor scales the norm of each
// weight, or of all together, to at most limit. In JSON these are three fields, "clipvalue", "clipnorm" and
// "global_clipnorm", of which at most one is not null.
enum class ClipKind : std::uint8_t { none, value, norm, global_norm };
struct Clipping {
  ClipKind kind = ClipKind::none;
  float limit = 0.0f;
};
inline constexpr ClipKind kClippings[] = {ClipKind::value, ClipKind::norm, ClipKind::global_norm};
constexpr const char* clipping_name(ClipKind kind) {
  return kind == ClipKind::value ? "clipvalue" : kind == ClipKind::norm ? "clipnorm" : "global_clipnorm";
}

// What an optimizer has besides its rule. Every optimizer has a member of this type, `options`, and a field of that
// name; everything else of these options is done where they are used.
//
//   weight_decay   decoupled: w = w - rate weight_decay w before the step, for the weights that decay (parameters.h)
//   use_ema        keeps an average of each weight over the updates, average = ema_momentum average +
//                  (1 - ema_momentum) w, which the first update sets to w. After a fit the network has the averages
//   ema_overwrite_frequency      after every so many updates the weights become their averages; 0 is never, null in JSON
//   gradient_accumulation_steps  an update follows so many batches, with the mean of their gradients
struct UpdateOptions {
  Clipping clipping{};
  float weight_decay = 0.0f;
  bool use_ema = false;
  float ema_momentum = 0.99f;
  std::uint32_t ema_overwrite_frequency = 0;
  std::uint32_t gradient_accumulation_steps = 1;
};

struct SGD {
  static constexpr const char* kName = "SGD";
  float learning_rate = 0.01f, momentum = 0.0f;
  bool nesterov = false;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&SGD::learning_rate), field("momentum", &SGD::momentum, kFraction),
             field("nesterov", &SGD::nesterov), field("options", &SGD::options));

  template <class Fail>
  void check_fields_together(Fail fail) const {
    if (nesterov && !(momentum > 0.0f)) fail("momentum", "> 0 with nesterov", momentum);
  }
};

struct Adam {
  static constexpr const char* kName = "Adam";
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Adam::learning_rate), field("beta_1", &Adam::beta_1, kFraction),
             field("beta_2", &Adam::beta_2, kFraction), field("epsilon", &Adam::epsilon, kNormal),
             field("options", &Adam::options));
};

// An optimizer that has a weight_decay of its own, because its default is not 0, has it in the place of that of the
// options.
struct AdamW {
  static constexpr const char* kName = "AdamW";
  float learning_rate = 1e-3f, weight_decay = 4e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&AdamW::learning_rate), field("weight_decay", &AdamW::weight_decay, kNotNegative),
             field("beta_1", &AdamW::beta_1, kFraction), field("beta_2", &AdamW::beta_2, kFraction),
             field("epsilon", &AdamW::epsilon, kNormal), field("options", &AdamW::options));
};

struct RMSprop {
  static constexpr const char* kName = "RMSprop";
  float learning_rate = 1e-3f, rho = 0.9f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&RMSprop::learning_rate), field("rho", &RMSprop::rho, kFraction),
             field("epsilon", &RMSprop::epsilon, kNormal), field("options", &RMSprop::options));
};

struct Lion {
  static constexpr const char* kName = "Lion";
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.99f, weight_decay = 0.0f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Lion::learning_rate), field("beta_1", &Lion::beta_1, kFraction),
             field("beta_2", &Lion::beta_2, kFraction), field("weight_decay", &Lion::weight_decay, kNotNegative),
             field("options", &Lion::options));
};

using Optimizers = List<SGD, Adam, AdamW, RMSprop, Lion>;

}  // namespace fastreg
