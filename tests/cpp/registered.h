// What the tests of the kernels run over, taken from the lists of cpp/include/fastreg and cpp/math: every activation,
// and every rule that an optimizer's values can choose. A new one needs no line here.
#pragma once
#include <string>
#include <type_traits>
#include <vector>

#include "core/kernels.h"
#include "double_lane.h"
#include "fastreg/spec.h"
#include "math/activations.h"
#include "math/rules.h"
#include "math/separate_activations.h"

namespace fastreg::test {

// All activations but softmax, which has kernels of its own.
inline std::vector<ActivationKind> element_activations() {
  std::vector<ActivationKind> kinds;
  for_each_type(math::Activations(), [&]<class F>(Type<F>) {
    if constexpr (!std::is_same_v<F, math::Softmax>) kinds.push_back(math::kKind<F>);
  });
  return kinds;
}

// Calls body with the functor of an activation other than softmax.
template <class Body>
void with_functor(ActivationKind kind, Body body) {
  for_each_type(math::Activations(), [&]<class F>(Type<F>) {
    if constexpr (!std::is_same_v<F, math::Softmax>)
      if (kind == math::kKind<F>) body(F());
  });
}

// Calls body(spec, functor) for every separate activation that is element by element, with parameters that fit each.
template <class Body>
void for_each_separate(Body body) {
  for_each_type(math::SeparateActivations(), [&]<class F>(Type<F>) {
    if constexpr (!requires { F::kRows; }) body(ActivationSpec{math::kSeparateKind<F>, 1.5f, 0.25f, 0.5f}, F());
  });
}

// The activation, and its derivative times dy, in double precision; `saved` is the output or the input, as it needs.
inline double activation(ActivationKind kind, double x) {
  double y = 0.0;
  with_functor(kind, [&](auto f) { y = f.forward(Double(x)).v; });
  return y;
}
inline double activation_gradient(ActivationKind kind, double saved, double dy) {
  double dx = 0.0;
  with_functor(kind, [&](auto f) { dx = f.backward(Double(saved), Double(dy)).v; });
  return dx;
}

// An optimizer with its own values, and others for the fields that choose among rules: all fractions at a quarter or at
// 0.9, all switches off or on.
template <class Description>
std::vector<Description> variants() {
  std::vector<Description> all = {Description{}};
  for (const float fraction : {0.25f, 0.9f}) {
    for (const bool on : {false, true}) {
      Description one;
      Description::kFields.visit([&]<class Member>(const Field<Description, Member>& field) {
        if constexpr (std::is_same_v<Member, bool>) one.*field.member = on;
        if constexpr (std::is_same_v<Member, float>)
          if (field.interval.rule == kFraction.rule) one.*field.member = fraction;
      });
      all.push_back(one);
    }
  }
  return all;
}

// Calls body(description, Type<Rule over V>) for each variant of each optimizer that has rules of its own.
template <class V, class Body>
void for_each_rule(Body body) {
  for_each_type(Optimizers(), [&]<class Description>(Type<Description>) {
    if constexpr (math::kHasRules<Description>) {
      for (const Description& description : variants<Description>())
        math::with_rule<V>(description, [&](auto rule) { body(description, rule); });
    }
  });
}

// "Adam beta_1=0.9 beta_2=0.999": the fields that variants change.
template <class Description>
std::string text_of(const Description& description) {
  std::string text = Description::kName;
  Description::kFields.visit([&]<class Member>(const Field<Description, Member>& field) {
    if constexpr (std::is_same_v<Member, bool> || std::is_same_v<Member, float>) {
      if (std::is_same_v<Member, bool> || field.interval.rule == kFraction.rule)
        text += std::string(" ") + field.name + "=" + std::to_string(description.*field.member).substr(0, 5);
    }
  });
  return text;
}

}  // namespace fastreg::test
