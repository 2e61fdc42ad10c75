// Checks descriptions by the intervals of their fields (fastreg/fields.h). Errors are std::invalid_argument and name
// the path, the field, the rule and the value. This file knows nothing of JSON.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "fastreg/spec.h"

namespace fastreg {

// The shortest decimal that reads as the value.
std::string shown(double value);
std::string shown(float value);
std::string shown(std::size_t value);

// Throws errors whose messages start with a place, e.g. "layers[2] (Dropout): kernel_regularizer". The text is put
// together for an error only; its parts must live as long as the check.
class Check {
 public:
  // A kind stands in brackets behind the place.
  explicit Check(std::string_view where, const char* kind = nullptr) : where_(where), kind_(kind) {}
  // A place within that of another check.
  Check(const Check& outer, std::string_view where) : outer_(&outer), where_(where) {}

  template <class Number>
  void require(bool good, const char* field, const char* rule, Number value) const {
    if (!good) fail(std::string(field) + " must be " + rule + ", got " + shown(value));
  }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  std::string where() const;

  const Check* outer_ = nullptr;
  std::string_view where_;
  const char* kind_ = nullptr;
};

// Checks a field, for each type that a field may have.
void check_value(const Check& check, const char* name, const Interval& interval, float value);
void check_value(const Check& check, const char* name, const Interval& interval, double value);
void check_value(const Check& check, const char* name, const Interval& interval, std::size_t value);
void check_value(const Check& check, const char* name, const Interval& interval, const Numbers& value);
void check_value(const Check& check, const char* name, const Interval&, const Initializer& value);
void check_value(const Check& check, const char* name, const Interval&, const Penalty& value);
void check_value(const Check& check, const char* name, const Interval&, const Constraint& value);
void check_value(const Check& check, const char* name, const Interval&, const Multipliers& value);
void check_value(const Check& check, const char* name, const Interval&, const TableColumns& value);
void check_value(const Check& check, const char* name, const Interval&, const Clipping& value);
void check_value(const Check& check, const char* name, const Interval&, const ActivationSpec& value);
inline void check_value(const Check& check, const char* name, const Interval& interval, std::uint32_t value) {
  check_value(check, name, interval, static_cast<std::size_t>(value));
}
void check_value(const Check& check, const char* name, const Interval&, Axis value);
void check_value(const Check& check, const char* name, const Interval&, const UpdateOptions& value);
inline void check_value(const Check&, const char*, const Interval&, bool) {}
inline void check_value(const Check&, const char*, const Interval&, const NormAxes&) {}
inline void check_value(const Check&, const char*, const Interval&, const std::optional<std::uint64_t>&) {}

template <Choice Enum>
void check_value(const Check& check, const char* name, const Interval&, Enum value) {
  check.require(static_cast<std::size_t>(value) < std::size(Choices<Enum>::kNames), name, "one of its enumerators",
                static_cast<std::size_t>(value));
}
template <class T>
void check_value(const Check& check, const char* name, const Interval& interval, const std::optional<T>& value) {
  if (value) check_value(check, name, interval, *value);
}

template <class Description>
void check_fields(const Check& check, const Description& description) {
  Description::kFields.visit([&](const auto& field) {
    check_value(check, field.name, field.interval, description.*field.member);
  });
  const auto fail = [&](const char* name, const char* rule, auto value) { check.require(false, name, rule, value); };
  if constexpr (requires { description.check_fields_together(fail); }) description.check_fields_together(fail);
}

// Checks a description of a kind such as "optimizer". Messages start with, for example, "optimizer (SGD)".
template <class Description>
void check_description(const std::string& where, const Description& description) {
  check_fields(Check(where, Description::kName), description);
}

}  // namespace fastreg
