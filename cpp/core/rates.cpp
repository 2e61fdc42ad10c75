// Checks the numbers of the steps of a fit.
#include "core/rates.h"

#include <sstream>
#include <stdexcept>
#include <string>

#include "fastreg/fields.h"
#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

void check_number(const char* name, const Interval& interval, double value) {
  if (interval.contains(value)) return;
  std::ostringstream text;
  text << name << " must be " << interval.rule << ", got " << value;
  throw std::invalid_argument(text.str());
}

}  // namespace

void check_rate(double rate) {
  check_number("learning_rate", {0.0, kLargestFloat, false, false, ">= 0 and finite in float32"}, rate);
}

void check_rates(Span<const double> rates, const RateColumns& columns) {
  const std::size_t count = columns.count();
  if (rates.size % count != 0 || (rates.empty() && count > 1))
    throw std::invalid_argument("rates must have " + std::to_string(count) + " numbers for each step, got " +
                                std::to_string(rates.size));
  for (std::size_t i = 0; i < rates.size; ++i) {
    const std::size_t column = i % count;
    if (column == 0)
      check_rate(rates[i]);
    else if (column == 1 && columns.weight_decay)
      check_number("weight_decay", kNotNegative, rates[i]);
    else
      check_number("the rate of a layer", kFraction, rates[i]);
  }
}

}  // namespace fastreg
