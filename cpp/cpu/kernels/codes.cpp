// The places of a table's numbers among the rows of a kernel. Each step is a loop over all rows of a chunk, so that
// their searches wait for memory together, and roots and divisions are those of vectors.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/loops.h"
#include "math/codes.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// The index of the last of n >= 1 increasing numbers that is not above x, or 0. Each step halves what remains, without
// a branch, which half of the time would be predicted wrongly.
FASTREG_INLINE void last_not_above(const double* numbers, std::size_t n, const double* x, std::uint32_t* at) {
  for (std::size_t i = 0; i < kCodedRows; ++i) at[i] = 0;
  for (std::size_t left = n; left > 1;) {
    const auto half = static_cast<std::uint32_t>(left / 2);
    for (std::size_t i = 0; i < kCodedRows; ++i)
      at[i] += half * static_cast<std::uint32_t>(numbers[at[i] + half] <= x[i]);
    left -= half;
  }
}

void places_of_chunk(const CodedNumbers& c, const float* given, CodePlace* places) {
  double x[kCodedRows];
  std::uint32_t full[kCodedRows] = {};
  float value[kCodedRows], weight[kCodedRows] = {};
  for (std::size_t i = 0; i < kCodedRows; ++i)
    x[i] = math::limited(static_cast<double>(given[i * c.ldx]), math::kLargestCode);
  for (std::size_t i = 0; i < kCodedRows; ++i)
    value[i] = static_cast<float>(math::softly_limited(x[i], c.centre, c.scale));
  if (c.bins > 0) {
    double low[kCodedRows], high[kCodedRows];
    last_not_above(c.edges, c.bins, x, full);
    for (std::size_t i = 0; i < kCodedRows; ++i) {
      low[i] = c.edges[full[i]];
      high[i] = c.edges[full[i] + 1];
    }
    for (std::size_t i = 0; i < kCodedRows; ++i)
      weight[i] = static_cast<float>(math::part_of_bin(x[i], low[i], high[i]));
  }
  for (std::size_t i = 0; i < kCodedRows; ++i) places[i] = {value[i], weight[i], full[i], c.first + full[i]};
  for (std::size_t i = 0; i < kCodedRows; ++i)
    if (x[i] != x[i]) places[i] = c.gap;
}

}  // namespace

void coded_numbers(const CodedNumbers& c) noexcept {
  for (std::size_t r = 0; r < c.rows; r += kCodedRows) places_of_chunk(c, c.x + r * c.ldx, c.places + r);
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
