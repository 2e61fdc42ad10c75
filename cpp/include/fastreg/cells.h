// Cells of a table that are texts: their numbers and levels, and results as lines of text. Texts lie one after the
// other in memory, as those of Arrow do.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "fastreg/view.h"

namespace fastreg {

// Text i is the bytes [offsets[i], offsets[i + 1]) of the data. There is one offset more than texts, and at least one.
struct Texts {
  Span<const std::int32_t> offsets{};
  Span<const char> data{};
};

// Writes the number of each text to `out`, NaN for an empty text. A text must be a plain decimal number: a minus sign
// or none, digits with at most one point before, after or among them, and an exponent or none. The number is the
// nearest double. Returns how many texts were read: all, or those before the first that is no such number or is beyond
// all doubles; what follows in `out` is not written then.
// Throws std::invalid_argument if offsets descend or leave the data, or `out` does not have an element for each text.
std::size_t read_numbers(const Texts& texts, Span<double> out);

// Writes to `out`, for each text, the code of the first level that is the same bytes, and NaN if there is none.
// Throws std::invalid_argument as read_numbers does, and if there is not a code for each level.
void find_levels(const Texts& texts, const Texts& levels, Span<const double> codes, Span<double> out);

// Writes codes, given column by column, row by row as float32, as a TableInput reads them: each minus the offset of its
// column, limited to finite numbers; NaN stays.
// Throws std::invalid_argument if the codes are not a whole number of rows, or `out` does not have as many elements.
void to_rows(Span<const double> codes, Span<const double> offsets, Span<float> out);

// A column of lines: either the numbers at `values`, float32 or float64, or labels by their numbers at `chosen`.
struct LineColumn {
  const void* values = nullptr;
  ElementType type = ElementType::float64;
  Span<const std::int64_t> chosen{};
  Texts labels{};   // without offsets if the column has numbers
  std::size_t rows = 0;
};

// The rows of columns of equal length as lines of cells with commas between them. A number has as few digits as tell it
// from its neighbours, and an exponent below 1e-6 and from 1e10 on, as Arrow writes it; labels are written as they are.
// Throws std::invalid_argument if columns have different numbers of rows, or a label's number is that of no label.
std::string lines_of(Span<const LineColumn> columns);

}  // namespace fastreg
