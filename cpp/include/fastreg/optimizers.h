// The descriptions of the optimizers: their names, their fields with ranges, and the list of all of them, from which
// everything else is derived. The formulas are in cpp/math/rules/. All types are plain structs, because kernel objects
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
//   ema_overwrite_frequency      after every so many updates the weights become their averages; 0, or null in JSON, is
//                                never
//   gradient_accumulation_steps  an update follows so many batches, with the mean of their gradients
struct UpdateOptions {
  Clipping clipping{};
  float weight_decay = 0.0f;
  bool use_ema = false;
  float ema_momentum = 0.99f;
  std::uint32_t ema_overwrite_frequency = 0;
  std::uint32_t gradient_accumulation_steps = 1;
};

// A weight decay, which is a number or a schedule.
template <class Owner>
constexpr Field<Owner, float> decay_field(float Owner::*member) {
  return {"weight_decay", member, kNotNegative, false, true};
}

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
  bool amsgrad = false;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Adam::learning_rate), field("beta_1", &Adam::beta_1, kFraction),
             field("beta_2", &Adam::beta_2, kFraction), field("epsilon", &Adam::epsilon, kNormal),
             field("amsgrad", &Adam::amsgrad), field("options", &Adam::options));
};

// An optimizer that has a weight_decay of its own, because its default is not 0, has it in the place of that of the
// options.
struct AdamW {
  static constexpr const char* kName = "AdamW";
  float learning_rate = 1e-3f, weight_decay = 4e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  bool amsgrad = false;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&AdamW::learning_rate), decay_field(&AdamW::weight_decay),
             field("beta_1", &AdamW::beta_1, kFraction), field("beta_2", &AdamW::beta_2, kFraction),
             field("epsilon", &AdamW::epsilon, kNormal), field("amsgrad", &AdamW::amsgrad),
             field("options", &AdamW::options));
};

struct RMSprop {
  static constexpr const char* kName = "RMSprop";
  float learning_rate = 1e-3f, rho = 0.9f, momentum = 0.0f, epsilon = 1e-7f;
  bool centered = false;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&RMSprop::learning_rate), field("rho", &RMSprop::rho, kFraction),
             field("momentum", &RMSprop::momentum, kFraction), field("epsilon", &RMSprop::epsilon, kNormal),
             field("centered", &RMSprop::centered), field("options", &RMSprop::options));
};

struct Lion {
  static constexpr const char* kName = "Lion";
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.99f, weight_decay = 0.0f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Lion::learning_rate), field("beta_1", &Lion::beta_1, kFraction),
             field("beta_2", &Lion::beta_2, kFraction), decay_field(&Lion::weight_decay),
             field("options", &Lion::options));
};

struct Nadam {
  static constexpr const char* kName = "Nadam";
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Nadam::learning_rate), field("beta_1", &Nadam::beta_1, kFraction),
             field("beta_2", &Nadam::beta_2, kFraction), field("epsilon", &Nadam::epsilon, kNormal),
             field("options", &Nadam::options));
};

struct RAdam {
  static constexpr const char* kName = "RAdam";
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-8f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&RAdam::learning_rate), field("beta_1", &RAdam::beta_1, kFraction),
             field("beta_2", &RAdam::beta_2, kFraction), field("epsilon", &RAdam::epsilon, kNormal),
             field("options", &RAdam::options));
};

struct Adamax {
  static constexpr const char* kName = "Adamax";
  float learning_rate = 1e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Adamax::learning_rate), field("beta_1", &Adamax::beta_1, kFraction),
             field("beta_2", &Adamax::beta_2, kFraction), field("epsilon", &Adamax::epsilon, kNormal),
             field("options", &Adamax::options));
};

struct Adagrad {
  static constexpr const char* kName = "Adagrad";
  float learning_rate = 1e-3f, initial_accumulator_value = 0.1f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Adagrad::learning_rate),
             field("initial_accumulator_value", &Adagrad::initial_accumulator_value, kNotNegative),
             field("epsilon", &Adagrad::epsilon, kNormal), field("options", &Adagrad::options));
};

struct Adadelta {
  static constexpr const char* kName = "Adadelta";
  float learning_rate = 1e-3f, rho = 0.95f, epsilon = 1e-7f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Adadelta::learning_rate), field("rho", &Adadelta::rho, kFraction),
             field("epsilon", &Adadelta::epsilon, kNormal), field("options", &Adadelta::options));
};

// learning_rate is the first step size of every weight. step_size_max holds where it is below step_size_min.
struct Rprop {
  static constexpr const char* kName = "Rprop";
  float learning_rate = 0.01f, eta_minus = 0.5f, eta_plus = 1.2f, step_size_min = 1e-6f, step_size_max = 50.0f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Rprop::learning_rate), field("eta_minus", &Rprop::eta_minus, kInnerFraction),
             field("eta_plus", &Rprop::eta_plus, kAboveOne), field("step_size_min", &Rprop::step_size_min, kPositive),
             field("step_size_max", &Rprop::step_size_max, kPositive), field("options", &Rprop::options));
};

struct Ftrl {
  static constexpr const char* kName = "Ftrl";
  float learning_rate = 1e-3f, learning_rate_power = -0.5f, initial_accumulator_value = 0.1f,
        l1_regularization_strength = 0.0f, l2_regularization_strength = 0.0f,
        l2_shrinkage_regularization_strength = 0.0f, beta = 0.0f;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&Ftrl::learning_rate), field("learning_rate_power", &Ftrl::learning_rate_power, kNotPositive),
             field("initial_accumulator_value", &Ftrl::initial_accumulator_value, kNotNegative),
             field("l1_regularization_strength", &Ftrl::l1_regularization_strength, kNotNegative),
             field("l2_regularization_strength", &Ftrl::l2_regularization_strength, kNotNegative),
             field("l2_shrinkage_regularization_strength", &Ftrl::l2_shrinkage_regularization_strength, kNotNegative),
             field("beta", &Ftrl::beta, kNotNegative), field("options", &Ftrl::options));
};

struct ScheduleFreeAdamW {
  static constexpr const char* kName = "ScheduleFreeAdamW";
  float learning_rate = 2.5e-3f, beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-8f;
  std::size_t warmup_steps = 0;
  UpdateOptions options{};
  static constexpr auto kFields =
      fields(rate_field(&ScheduleFreeAdamW::learning_rate), field("beta_1", &ScheduleFreeAdamW::beta_1, kFraction),
             field("beta_2", &ScheduleFreeAdamW::beta_2, kFraction),
             field("epsilon", &ScheduleFreeAdamW::epsilon, kNormal),
             field("warmup_steps", &ScheduleFreeAdamW::warmup_steps, kCount),
             field("options", &ScheduleFreeAdamW::options));

  template <class Fail>
  void check_fields_together(Fail fail) const {
    if (options.use_ema) fail("use_ema", "false, as this optimizer averages weights itself", std::size_t{1});
  }
};

using Optimizers = List<SGD, Adam, AdamW, RMSprop, Lion, Nadam, RAdam, Adamax, Adagrad, Adadelta, Rprop, Ftrl,
                        ScheduleFreeAdamW>;

}  // namespace fastreg
