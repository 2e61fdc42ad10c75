// Checks the values of the fields of descriptions.
#include "core/check_fields.h"

#include <charconv>
#include <stdexcept>
#include <variant>

#include "core/activations.h"
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

std::string Check::where() const {
  std::string text = outer_ == nullptr ? "" : outer_->where();
  if (!text.empty()) text += ": ";
  text += where_;
  return kind_ == nullptr ? text : text + " (" + kind_ + ")";
}

void Check::fail(const std::string& message) const {
  const std::string place = where();
  throw std::invalid_argument(place.empty() ? message : place + ": " + message);
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

void check_value(const Check& check, const char* name, const Interval& interval, const Numbers& value) {
  const bool good = value.count > 0 && value.count <= Numbers::kMost;
  check.require(good, name, "1 to 128 numbers", value.count);
  for (std::size_t i = 0; i < value.count; ++i) check_value(check, name, interval, value.values[i]);
}

void check_value(const Check& check, const char* name, const Interval&, const Initializer& value) {
  std::visit([&](const auto& initializer) { check_fields(Check(check, name), initializer); }, value);
}

void check_value(const Check& check, const char* name, const Interval&, const Penalty& value) {
  check_fields(Check(check, name), value);
  check_fields(Check(check, name), OrthogonalRegularizer{value.orthogonal, value.orthogonal_mode});
}

void check_value(const Check& check, const char* name, const Interval&, const Constraint& value) {
  std::visit([&](const auto& constraint) { check_fields(Check(check, name), constraint); }, value);
}

void check_value(const Check& check, const char*, const Interval&, const Multipliers& value) {
  const auto check_one = [&](const char* name, const Multiplier& multiplier) {
    check_value(check, name, kNotNegative, multiplier.all);
    for (const auto& [weight, factor] : multiplier.single)
      check_value(Check(check, name), weight.c_str(), kNotNegative, factor);
  };
  check_one("learning_rate_multiplier", value.learning_rate);
  check_one("weight_decay_multiplier", value.weight_decay);
}

namespace {

// Numbers up to here: no difference of two is infinite.
constexpr Interval kMeasure{-1e300, 1e300, false, false, "in [-1e300, 1e300]"};

void check_column(const Check& check, const TableColumn& column) {
  check.require(column.kind <= TableColumn::Kind::categorical, "kind", "one of its enumerators",
                static_cast<std::size_t>(column.kind));
  check_value(check, "count", kWidth, column.count);
  for (const auto& [name, value] : {std::pair{"centre", column.centre}, std::pair{"scale", column.scale}})
    check.require(kMeasure.contains(value), name, kMeasure.rule, value);
  check.require(column.edges.size() != 1, "edges", "none or at least two", std::size_t{1});
  check.require(column.edges.size() < 0x1p31, "edges", "fewer than 2^31", column.edges.size());
  check.require(column.levels.size() < 0x1p24, "levels", "at most 2^24", column.levels.size());
  for (std::size_t i = 0; i < column.edges.size(); ++i) {
    check.require(kMeasure.contains(column.edges[i]), "edges", kMeasure.rule, column.edges[i]);
    check.require(i == 0 || column.edges[i - 1] < column.edges[i], "edges", "increasing", column.edges[i]);
  }
  for (std::size_t i = 0; i < column.levels.size(); ++i) {
    check.require(column.levels[i] < 0x1000000, "levels", "integers in [0, 2^24)", std::size_t{column.levels[i]});
    check.require(i == 0 || column.levels[i - 1] < column.levels[i], "levels", "increasing",
                  std::size_t{column.levels[i]});
  }
}

}  // namespace

void check_value(const Check& check, const char* name, const Interval&, const TableColumns& value) {
  if (value.list.empty()) check.fail(std::string(name) + " must have at least one column, got none");
  for (std::size_t i = 0; i < value.list.size(); ++i)
    check_column(Check(check, std::string(name) + "[" + std::to_string(i) + "]"), value.list[i]);
}

void check_value(const Check& check, const char*, const Interval&, const Clipping& value) {
  if (value.kind == ClipKind::none) return;
  check.require(value.kind <= ClipKind::global_norm, "clipping", "a ClipKind that there is",
                static_cast<std::size_t>(value.kind));
  check_value(check, clipping_name(value.kind), kPositive, value.limit);
}

void check_value(const Check& check, const char* name, const Interval&, Axis value) {
  check.require(value == Axis::columns || value == Axis::rows, name, "-1 or 0", static_cast<double>(value));
}

void check_value(const Check& check, const char* name, const Interval&, const ActivationSpec& value) {
  if (const char* const refusal = refusal_of(value)) check.fail(std::string(name) + " " + refusal);
}

void check_value(const Check& check, const char*, const Interval& interval, const UpdateOptions& value) {
  check_value(check, "clipping", interval, value.clipping);
  check_value(check, "weight_decay", kNotNegative, value.weight_decay);
  check_value(check, "ema_momentum", kClosedFraction, value.ema_momentum);
  check_value(check, "gradient_accumulation_steps", kWidth, std::size_t{value.gradient_accumulation_steps});
}

}  // namespace fastreg
