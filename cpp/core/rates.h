// The numbers that a fit is given for each step: the learning rate and what else is on a schedule.
#pragma once
#include <cstddef>

#include "fastreg/view.h"

namespace fastreg {

// The columns of the rows of FitOptions::rates: the learning rate, the weight decay if it is scheduled, rates of
// layers.
struct RateColumns {
  bool weight_decay = false;
  std::size_t layers = 0;
  std::size_t count() const { return 1 + (weight_decay ? 1 : 0) + layers; }
};

// Throw std::invalid_argument for a rate that is negative or not finite in float32, or one of a layer that is not in
// [0, 1), and for rows that are not complete.
void check_rate(double rate);
void check_rates(Span<const double> rates, const RateColumns& columns);

}  // namespace fastreg
