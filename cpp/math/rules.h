// The list of the update rules, and which of them an optimizer uses. with_rule, in the file of a rule, chooses among
// the rules of an optimizer by its values. rule.h says what a rule is.
#pragma once
#include "math/rules/adadelta.h"
#include "math/rules/adagrad.h"
#include "math/rules/adam.h"
#include "math/rules/adamax.h"
#include "math/rules/ftrl.h"
#include "math/rules/lion.h"
#include "math/rules/nadam.h"
#include "math/rules/radam.h"
#include "math/rules/rmsprop.h"
#include "math/rules/rprop.h"
#include "math/rules/schedule_free.h"
#include "math/rules/sgd.h"

namespace fastreg::math {

// The optimizer whose rule an optimizer uses: its own, except that AdamW uses Adam's, because the loop applies the
// decay.
template <class Optimizer>
FASTREG_INLINE const Optimizer& rule_of(const Optimizer& optimizer) {
  return optimizer;
}
FASTREG_INLINE Adam rule_of(const AdamW& adamw) {
  return {adamw.learning_rate, adamw.beta_1, adamw.beta_2, adamw.epsilon, adamw.amsgrad, {}};
}
template <class Optimizer>
inline constexpr bool kHasRules = __is_same(decltype(rule_of(Optimizer())), const Optimizer&);

}  // namespace fastreg::math
