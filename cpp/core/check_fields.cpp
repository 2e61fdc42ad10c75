// Checks the values of the fields of descriptions.
#include "core/check_fields.h"

#include <charconv>
#include <stdexcept>
#include <variant>

#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

template <class Number>
std::string shortest(Number value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

}  // namespace

std::string shown(double value) { return shortest(value); }
std::string shown(float value) { return shortest(value); }
std::string shown(std::size_t value) { return shortest(value); }

void Check::fail(const std::string& message) const {
  throw std::invalid_argument(where_.empty() ? message : where_ + ": " + message);
}

void check_value(const Check& check, const char* name, const Interval& interval, float value) {
  check.require(interval.contains(static_cast<double>(value)), name, interval.rule, value);
}

// A value that is computed in double must fit into float32 in the end.
void check_value(const Check& check, const char* name, const Interval& interval, double value) {
  check.require(kFinite.contains(value), name, kFinite.rule, value);
  check.require(interval.contains(value), name, interval.rule, value);
}

void check_value(const Check& check, const char* name, const Interval& interval, std::size_t value) {
  check.require(interval.contains(static_cast<double>(value)), name, interval.rule, value);
}

void check_value(const Check& check, const char* name, const Interval&, const Initializer& value) {
  std::visit([&](const auto& initializer) { check_fields(Check(check.where() + ": " + name), initializer); }, value);
}

void check_value(const Check& check, const char* name, const Interval&, const Penalty& value) {
  check_fields(Check(check.where() + ": " + name), value);
}

void check_value(const Check& check, const char*, const Interval&, const Clipping& value) {
  if (value.kind == ClipKind::none) return;
  check_value(check, clipping_name(value.kind), kPositive, value.limit);
}

void check_value(const Check& check, const char*, const Interval& interval, const UpdateOptions& value) {
  check_value(check, "clipping", interval, value.clipping);
  check_value(check, "weight_decay", kNotNegative, value.weight_decay);
  check_value(check, "ema_momentum", kClosedFraction, value.ema_momentum);
  check_value(check, "gradient_accumulation_steps", kWidth, std::size_t{value.gradient_accumulation_steps});
}

}  // namespace fastreg
