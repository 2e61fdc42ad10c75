// The formulas of table_layer.h, in double as they are where a table is encoded
// (python/fastreg/table/number_parts.py), so that features are the same to the bit.
#include "core/layers/table_codes.h"

#include <algorithm>
#include <cmath>

#include "fastreg/strict_math.h"
#include "math/codes.h"

namespace fastreg {
namespace {

using Kind = TableColumn::Kind;

std::size_t bins_of(const TableColumn& column) { return column.edges.empty() ? 0 : column.edges.size() - 1; }

std::size_t features_of(const TableColumn& column) {
  switch (column.kind) {
    case Kind::numeric: return 1 + bins_of(column) + (column.missing ? 1 : 0);
    case Kind::categorical: return column.levels.size() + 1;
    case Kind::plain: break;
  }
  return column.count;
}

// The index of the last of n >= 1 increasing numbers that is not above x, or 0. Each step halves what remains, without
// a branch, which half of the time would be predicted wrongly.
template <class Number>
std::size_t last_not_above(const Number* numbers, std::size_t n, Number x) {
  const Number* at = numbers;
  for (std::size_t left = n; left > 1;) {
    const std::size_t half = left / 2;
    at += half * static_cast<std::size_t>(at[half] <= x);
    left -= half;
  }
  return static_cast<std::size_t>(at - numbers);
}

CodePlace place_of_gap(const TableColumn& column, const CodedColumn& rows) {
  return {0.0f, column.missing ? 1.0f : 0.0f, 0, static_cast<std::uint32_t>(rows.end - 1)};
}

CodePlace place_of_number(const TableColumn& column, const CodedColumn& rows, double x) {
  if (std::isnan(x)) return place_of_gap(column, rows);
  x = math::limited(x, math::kLargestCode);
  const auto value = static_cast<float>(math::softly_limited(x, column.centre, column.scale));
  if (rows.bins == 0) return {value, 0.0f, 0, static_cast<std::uint32_t>(rows.first)};
  const std::size_t full = last_not_above(column.edges.data(), rows.bins, x);
  const double weight = math::part_of_bin(x, column.edges[full], column.edges[full + 1]);
  return {value, static_cast<float>(weight), static_cast<std::uint32_t>(full),
          static_cast<std::uint32_t>(rows.ramp + full)};
}

// A kernel finds the places of many numbers; they have the same bits.
void places_of_numbers(const Kernels& kernels, const TableColumn& column, const CodedColumn& rows, const float* x,
                       std::size_t ldx, std::size_t n, CodePlace* out) {
  const std::size_t many = n / kCodedRows * kCodedRows;
  const auto first = static_cast<std::uint32_t>(rows.bins > 0 ? rows.ramp : rows.first);
  if (many > 0)
    kernels.coded_numbers({x, ldx, many, column.centre, column.scale, column.edges.data(), rows.bins, first,
                           place_of_gap(column, rows), out});
  for (std::size_t r = many; r < n; ++r) out[r] = place_of_number(column, rows, static_cast<double>(x[r * ldx]));
}

// The index of each code among the levels, as a table; empty if it would be large compared with their number.
std::vector<std::uint32_t> index_of(const std::vector<std::uint32_t>& levels) {
  std::vector<std::uint32_t> out;
  if (levels.empty() || levels.back() >= 8 * levels.size() + 1024) return out;
  out.assign(levels.back() + 1, static_cast<std::uint32_t>(levels.size()));
  for (std::size_t i = 0; i < levels.size(); ++i) out[levels[i]] = static_cast<std::uint32_t>(i);
  return out;
}

CodePlace place_of_level(const TableColumn& column, const std::vector<std::uint32_t>& table, const CodedColumn& rows,
                         double x) {
  std::size_t index = column.levels.size();
  if (x >= 0.0 && x < 0x1p24 && index > 0) {   // false for NaN
    const std::uint32_t code = static_cast<std::uint32_t>(x);
    if (static_cast<double>(code) == x && code < table.size()) index = table[code];
    if (static_cast<double>(code) == x && table.empty()) {
      const std::size_t found = last_not_above(column.levels.data(), column.levels.size(), code);
      if (column.levels[found] == code) index = found;
    }
  }
  return {0.0f, 1.0f, 0, static_cast<std::uint32_t>(rows.first + index)};
}

}  // namespace

std::size_t code_count(const TableColumns& columns) {
  std::size_t total = 0;
  for (const TableColumn& column : columns.list) total += column.kind == Kind::plain ? column.count : 1;
  return total;
}

std::size_t feature_count(const TableColumns& columns) {
  std::size_t total = 0;
  for (const TableColumn& column : columns.list) total += features_of(column);
  return total;
}

TableLocator::TableLocator(const TableColumns& columns) : columns_(columns) {
  std::size_t first = 0;
  for (std::size_t i = 0; i < columns_.list.size(); ++i) {
    const TableColumn& column = columns_.list[i];
    const bool plain = column.kind == Kind::plain, numeric = column.kind == Kind::numeric;
    tables_.push_back(index_of(column.levels));
    const std::size_t width = plain ? 1 : features_of(column), bins = numeric ? bins_of(column) : 0;
    for (std::size_t k = 0; k < (plain ? column.count : 1); ++k, first += width) {
      rows_.push_back({first, first + width, first, first + 1, bins, plain || numeric,
                       bins > 0 || column.missing || column.kind == Kind::categorical});
      source_.push_back(i);
    }
  }
}

void TableLocator::locate(const Kernels& kernels, std::size_t index, const float* x, std::size_t ldx, std::size_t rows,
                          CodePlace* out) const {
  const TableColumn& column = columns_.list[source_[index]];
  const CodedColumn& own = rows_[index];
  switch (column.kind) {
    case Kind::plain:
      for (std::size_t r = 0; r < rows; ++r) out[r] = {x[r * ldx], 0.0f, 0, static_cast<std::uint32_t>(own.first)};
      break;
    case Kind::numeric:
      places_of_numbers(kernels, column, own, x, ldx, rows, out);
      break;
    case Kind::categorical:
      for (std::size_t r = 0; r < rows; ++r)
        out[r] = place_of_level(column, tables_[source_[index]], own, static_cast<double>(x[r * ldx]));
      break;
  }
}

void TableLocator::sort(std::size_t index, const CodePlace* places, std::size_t rows, CodedRow* sorted,
                        std::uint32_t* starts) const {
  const CodedColumn& own = rows_[index];
  if (!own.has_pick) return;
  const std::size_t n = own.end - own.first;
  const auto adds = [&own](const CodePlace& place) {
    return place.weight != 0.0f || (own.bins > 0 && place.pick == own.ramp + place.full);
  };
  std::fill(starts, starts + n + 1, 0);
  for (std::size_t r = 0; r < rows; ++r)
    if (adds(places[r])) ++starts[places[r].pick - own.first];
  for (std::size_t t = 1; t <= n; ++t) starts[t] += starts[t - 1];
  // From the last row to the first, each group from its end on, so that rows of a group ascend.
  for (std::size_t r = rows; r-- > 0;)
    if (adds(places[r]))
      sorted[--starts[places[r].pick - own.first]] = {static_cast<std::uint32_t>(r), places[r].weight};
}

void TableLocator::encode(const double* codes, float* features) const {
  for (std::size_t c = 0; c < rows_.size(); ++c) {
    const TableColumn& column = columns_.list[source_[c]];
    const CodedColumn& own = rows_[c];
    std::fill(features + own.first, features + own.end, 0.0f);
    if (column.kind == Kind::plain) {
      features[own.first] = static_cast<float>(codes[c]);
      continue;
    }
    const CodePlace place = column.kind == Kind::numeric ? place_of_number(column, own, codes[c])
                                                         : place_of_level(column, tables_[source_[c]], own, codes[c]);
    if (own.has_value) features[own.value_row] = place.value;
    std::fill_n(features + own.ramp, place.full, 1.0f);
    if (place.weight != 0.0f) features[place.pick] = place.weight;   // otherwise `pick` may be another's
  }
}

void TableLocator::product(const Kernels& kernels, const float* x, std::size_t ldx, CodedForward call) const {
  // Rows of a part, which read the kernel anew, and places of it that are kept at once.
  constexpr std::size_t kRows = 128, kPlaces = 2048;
  CodePlace places[kPlaces];
  alignas(64) float scratch[kCodedScratch];
  const Range rows = call.rows;
  call.places = places;
  call.scratch = scratch;
  for (std::size_t r = rows.begin; r < rows.end; r += kRows) {
    call.rows = {r, std::min(rows.end, r + kRows)};
    const std::size_t n = call.rows.end - r, most = kPlaces / n;
    call.stride = n;
    for (std::size_t c = 0; c < rows_.size(); c += call.count) {
      call.count = std::min(most, rows_.size() - c);
      call.columns = rows_.data() + c;
      call.adds = c > 0;
      for (std::size_t k = 0; k < call.count; ++k) locate(kernels, c + k, x + r * ldx + c + k, ldx, n, places + k * n);
      kernels.coded_forward(call);
    }
  }
}

}  // namespace fastreg
