// The fields of descriptions. A description is written once, as a plain struct with a name, its fields and their
// ranges:
//
//   struct Lion {
//     static constexpr const char* kName = "Lion";
//     float learning_rate = 1e-3f, beta_1 = 0.9f;
//     static constexpr auto kFields =
//         fields(rate_field(&Lion::learning_rate), field("beta_1", &Lion::beta_1, kFraction));
//   };
//
// A List of such types is the registry of their kind. Reading JSON (core/read_fields.h), checking ranges
// (core/check_fields.h) and the schema for Python (core/schema.cpp) are derived from these two. The default of a field
// is the initial value of its member. There are no standard containers here, because kernel objects include
// descriptions, too.
#pragma once
#include <cstddef>

namespace fastreg {

// A type as a value, which can be passed to a function.
template <class T>
struct Type {
  using type = T;
};

// An ordered list of types. The index of a type is the same in the list and in the variant that is made of it.
template <class... T>
struct List {
  static constexpr std::size_t kSize = sizeof...(T);
  template <template <class...> class Template>
  using Into = Template<T...>;
};

// Calls body(Type<T>()) for each type of a list.
template <class... T, class Body>
constexpr void for_each_type(List<T...>, Body&& body) {
  (body(Type<T>()), ...);
}

// A list with another type at its end.
template <class Extra, class... T>
List<T..., Extra> with(List<T...>);

// The index of T in a list, or the size of the list if it is not in it.
template <class T, class... Listed>
consteval std::size_t index_of(List<Listed...>) {
  std::size_t index = 0;
  const bool found = ((__is_same(T, Listed) || (++index, false)) || ... || false);
  return found ? index : sizeof...(Listed);
}

// The values that a number may have. `rule` is the text of messages after "must be". NaN is in no interval.
struct Interval {
  double minimum, maximum;
  bool above_minimum, below_maximum;   // whether the bound itself is excluded
  const char* rule;

  constexpr bool contains(double value) const {
    return (above_minimum ? value > minimum : value >= minimum) && (below_maximum ? value < maximum : value <= maximum);
  }
};

inline constexpr double kLargestFloat = 0x1.fffffep127;
inline constexpr Interval kFinite{-kLargestFloat, kLargestFloat, false, false, "finite (float32)"};
inline constexpr Interval kPositive{0.0, kLargestFloat, true, false, "> 0 and finite (float32)"};
inline constexpr Interval kNotNegative{0.0, kLargestFloat, false, false, ">= 0 and finite (float32)"};
inline constexpr Interval kNotPositive{-kLargestFloat, 0.0, false, false, "<= 0 and finite (float32)"};
inline constexpr Interval kAboveOne{1.0, kLargestFloat, true, false, "> 1 and finite (float32)"};
// For numbers that are added to a divisor, because vector code treats denormals as zero.
inline constexpr Interval kNormal{0x1p-126, kLargestFloat, false, false, ">= 2^-126 and finite (float32)"};
inline constexpr Interval kFraction{0.0, 1.0, false, true, "in [0, 1)"};
inline constexpr Interval kInnerFraction{0.0, 1.0, true, true, "in (0, 1)"};
inline constexpr Interval kClosedFraction{0.0, 1.0, false, false, "in [0, 1]"};
inline constexpr Interval kOpenFraction{0.0, 1.0, true, true, "in (0, 1)"};
inline constexpr Interval kPositiveFraction{0.0, 1.0, true, false, "in (0, 1]"};
inline constexpr Interval kOneToTwo{1.0, 2.0, false, false, "in [1, 2]"};
// For numbers of columns: widths and row indices fit into 31 bits, and sizes of buffers are far from the limit of
// size_t.
inline constexpr Interval kWidth{1.0, 0x1p31, false, true, "in [1, 2^31)"};

inline constexpr Interval kCount{0.0, 0x1p31, false, true, "in [0, 2^31)"};
inline constexpr Interval kIndex = kCount;

// The names of an enum's values, in their order; an enum that is the type of a field specialises it:
//   template <> struct Choices<Average> { static constexpr const char* kNames[] = {"micro", "macro"}; };
template <class Enum>
struct Choices;
template <class Enum>
concept Choice = requires { Choices<Enum>::kNames; };

// The value of a field that is one number or a list of them; in JSON it is always a list.
struct Numbers {
  static constexpr std::size_t kMost = 128;
  float values[kMost];
  std::size_t count;
};

// One field: its name in JSON and in Python, the member, and its interval. `required`: JSON must contain it.
// `schedule`: JSON may contain an object instead of the number, which is not read here.
template <class Owner, class Member>
struct Field {
  const char* name;
  Member Owner::*member;
  Interval interval;
  bool required = false, schedule = false;
};

// A field with its interval. For members that are not numbers, the interval is kFinite and has no meaning.
template <class Owner, class Member>
constexpr Field<Owner, Member> field(const char* name, Member Owner::*member, const Interval& interval = kFinite) {
  return {name, member, interval};
}
template <class Owner, class Member>
constexpr Field<Owner, Member> required_field(const char* name, Member Owner::*member,
                                              const Interval& interval = kFinite) {
  return {name, member, interval, true};
}
// The learning rate of an optimizer, which is a number or a schedule.
template <class Owner>
constexpr Field<Owner, float> rate_field(float Owner::*member) {
  return {"learning_rate", member, kPositive, false, true};
}

// The ordered fields of a description. visit calls body(field) for each.
template <class... F>
struct Fields;
template <>
struct Fields<> {
  template <class Body>
  constexpr void visit(Body&&) const {}
};
template <class First, class... Rest>
struct Fields<First, Rest...> {
  First first;
  Fields<Rest...> rest;
  template <class Body>
  constexpr void visit(Body&& body) const {
    body(first);
    rest.visit(body);
  }
};
constexpr Fields<> fields() { return {}; }
template <class First, class... Rest>
constexpr Fields<First, Rest...> fields(First first, Rest... rest) {
  return {first, fields(rest...)};
}

}  // namespace fastreg
