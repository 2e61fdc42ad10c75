// The table of element types, their conversion to float32, and calls of a Predictor on converted blocks.
#include "bindings/rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "fastreg/strict_math.h"

namespace fastreg::bindings {
namespace {

// Floats of a block that is converted at a time: few enough for the L2 cache, and rows enough for several threads.
constexpr std::size_t kBlockFloats = std::size_t{1} << 16;
constexpr std::size_t kTileRows = 32;

// A float16 of IEEE 754, and a bool, whose byte may be any.
struct Half {
  std::uint16_t bits;
};
struct Bool {
  std::uint8_t byte;
};

// With masks in place of conditions, of which compilers make branches, so that loops of it are vectorised.
float to_float(Half half) {
  const std::uint32_t magnitude = half.bits & 0x7FFFu, sign = static_cast<std::uint32_t>(half.bits & 0x8000u) << 16;
  const std::uint32_t moved = (magnitude << 13) + (112u << 23);   // the exponent's bias is 127 in place of 15
  const std::uint32_t is_special = 0u - static_cast<std::uint32_t>(magnitude >= 0x7C00u);   // infinity, NaN
  const std::uint32_t special = is_special & (112u << 23);
  // Denormals. Vectors convert signed numbers faster.
  const auto tiny = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
  const std::uint32_t is_tiny = 0u - static_cast<std::uint32_t>(magnitude < 0x0400u);
  return std::bit_cast<float>(sign | (tiny & is_tiny) | ((moved + special) & ~is_tiny));
}
float to_float(Bool value) { return value.byte != 0 ? 1.0f : 0.0f; }
template <class T>
float to_float(T value) {
  return static_cast<float>(value);
}

// Whether a number that is infinite as float32 was finite.
template <class T>
bool is_lost([[maybe_unused]] T value, [[maybe_unused]] float converted) {
  if constexpr (std::is_floating_point_v<T> && sizeof(T) > sizeof(float))
    return std::isinf(converted) && !std::isinf(value);
  return false;
}

using Four = float __attribute__((vector_size(16)));

Four load_four(const float* from) {
  Four out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

// Every second of some floats, n of them. The element behind the last one is not read.
void copy_every_second(const float* from, std::size_t n, float* out) {
  std::size_t i = 0;
  for (; i + 8 < n; i += 8) {
    const float* const p = from + 2 * i;
    const Four a = __builtin_shufflevector(load_four(p), load_four(p + 4), 0, 2, 4, 6);
    const Four b = __builtin_shufflevector(load_four(p + 8), load_four(p + 12), 0, 2, 4, 6);
    std::memcpy(out + i, &a, sizeof a);
    std::memcpy(out + i + 4, &b, sizeof b);
  }
  for (; i < n; ++i) out[i] = from[2 * i];
}

// Converts every kStep-th of some elements to n floats. A constant step lets the compiler vectorise the loop.
template <std::size_t kStep, class T>
bool convert_every(const T* from, std::size_t n, float* out) {
  bool lost = false;
  for (std::size_t i = 0; i < n; ++i) lost |= is_lost(from[kStep * i], out[i] = to_float(from[kStep * i]));
  return lost;
}

// Converts n elements that are `step` bytes apart. Returns whether one is lost.
template <class T>
bool convert_line(const char* from, std::ptrdiff_t step, std::size_t n, float* out) {
  constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(T));
  const T* const values = reinterpret_cast<const T*>(from);
  if (step == kSize) return convert_every<1>(values, n, out);
  if constexpr (std::is_same_v<T, float>)
    if (step == 2 * kSize) return copy_every_second(values, n, out), false;
  if constexpr (sizeof(T) <= sizeof(float))   // shuffles of wider elements are slower than the loop below
    if (step == 2 * kSize) return convert_every<2>(values, n, out);
  bool lost = false;
  for (std::size_t i = 0; i < n; ++i, from += step) {
    const T value = *reinterpret_cast<const T*>(from);
    lost |= is_lost(value, out[i] = to_float(value));
  }
  return lost;
}

// Converts four rows and four columns whose elements are neighbours. They are transposed in registers.
template <class T>
bool convert_square(const char* first, std::ptrdiff_t col_step, std::size_t cols, float* out) {
  Four c[4];
  bool lost = false;
  for (std::size_t i = 0; i < 4; ++i) {
    const T* const values = reinterpret_cast<const T*>(first + static_cast<std::ptrdiff_t>(i) * col_step);
    float column[4];
    for (std::size_t r = 0; r < 4; ++r) lost |= is_lost(values[r], column[r] = to_float(values[r]));
    std::memcpy(&c[i], column, sizeof column);
  }
  const Four a = __builtin_shufflevector(c[0], c[1], 0, 4, 1, 5), b = __builtin_shufflevector(c[2], c[3], 0, 4, 1, 5);
  const Four d = __builtin_shufflevector(c[0], c[1], 2, 6, 3, 7), e = __builtin_shufflevector(c[2], c[3], 2, 6, 3, 7);
  const Four rows[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                        __builtin_shufflevector(d, e, 0, 1, 4, 5), __builtin_shufflevector(d, e, 2, 3, 6, 7)};
  for (std::size_t r = 0; r < 4; ++r) std::memcpy(out + r * cols, &rows[r], sizeof rows[r]);
  return lost;
}

// Converts at most kPartRows rows and kPartCols columns. Loops of constant length are unrolled.
constexpr std::size_t kPartRows = 8, kPartCols = 4;
template <class T>
bool convert_part(const Elements& from, const char* first, std::size_t rows, std::size_t cols, float* out) {
  bool lost = false;
  if (rows == kPartRows && cols == kPartCols && from.row_step == static_cast<std::ptrdiff_t>(sizeof(T))) {
    for (std::size_t r = 0; r < kPartRows; r += 4)
      lost |= convert_square<T>(first + r * sizeof(T), from.col_step, from.cols, out + r * from.cols);
    return lost;
  }
  const auto of = [&](std::size_t height, std::size_t width) {
    for (std::size_t r = 0; r < height; ++r)
      for (std::size_t c = 0; c < width; ++c) {
        const T value = *reinterpret_cast<const T*>(first + static_cast<std::ptrdiff_t>(r) * from.row_step +
                                                    static_cast<std::ptrdiff_t>(c) * from.col_step);
        lost |= is_lost(value, out[r * from.cols + c] = to_float(value));
      }
  };
  rows == kPartRows && cols == kPartCols ? of(kPartRows, kPartCols) : of(rows, cols);
  return lost;
}

// Along columns, some rows at a time, whose floats stay in the L1 cache until they are complete.
template <class T>
bool convert_columns(const Elements& from, const char* row, std::size_t n, float* out) {
  bool lost = false;
  for (std::size_t tile = 0; tile < n; tile += kTileRows) {
    const std::size_t end = std::min(tile + kTileRows, n);
    for (std::size_t c = 0; c < from.cols; c += kPartCols)
      for (std::size_t r = tile; r < end; r += kPartRows)
        lost |= convert_part<T>(from,
                                row + static_cast<std::ptrdiff_t>(r) * from.row_step +
                                    static_cast<std::ptrdiff_t>(c) * from.col_step,
                                std::min(kPartRows, end - r), std::min(kPartCols, from.cols - c),
                                out + r * from.cols + c);
  }
  return lost;
}

template <class T>
bool convert_rows(const Elements& from, const char* row, std::size_t n, float* out) {
  bool lost = false;
  for (std::size_t r = 0; r < n; ++r, row += from.row_step)
    lost |= convert_line<T>(row, from.col_step, from.cols, out + r * from.cols);
  return lost;
}

// Converts n rows from row `begin` on. Returns whether every number is within float32.
template <class T>
bool convert(const Elements& from, std::size_t begin, std::size_t n, float* out) {
  const char* const row = from.data + static_cast<std::ptrdiff_t>(begin) * from.row_step;
  // Rows are often shorter than what the loops are unrolled to, so rows that follow each other are one line.
  if (from.row_step == static_cast<std::ptrdiff_t>(from.cols) * from.col_step)
    return !convert_line<T>(row, from.col_step, n * from.cols, out);
  if (std::abs(from.col_step) <= std::abs(from.row_step)) return !convert_rows<T>(from, row, n, out);
  return !convert_columns<T>(from, row, n, out);
}

// A row of the table of element types. core: what the core calls it; none if it does not know it.
struct Type {
  char kind;
  std::size_t size;
  bool (*convert)(const Elements&, std::size_t, std::size_t, float*);
  std::optional<ElementType> core{};
};
const Type kTypes[] = {
    {'f', 4, convert<float>, ElementType::float32},
    {'f', 8, convert<double>, ElementType::float64},
    {'u', 1, convert<std::uint8_t>, ElementType::uint8},
    {'b', 1, convert<Bool>},
    {'f', 2, convert<Half>},
    {'f', sizeof(long double), convert<long double>},
    {'i', 1, convert<std::int8_t>},
    {'i', 2, convert<std::int16_t>},
    {'i', 4, convert<std::int32_t>},
    {'i', 8, convert<std::int64_t>},
    {'u', 2, convert<std::uint16_t>},
    {'u', 4, convert<std::uint32_t>},
    {'u', 8, convert<std::uint64_t>},
};

}  // namespace

std::optional<Rows> Rows::of(const Elements& elements) {
  for (const Type& type : kTypes) {
    if (type.kind != elements.kind || type.size != elements.size) continue;
    Rows out(elements, type.convert);
    const auto size = static_cast<std::ptrdiff_t>(elements.size);
    const bool neighbours = out.elements_.col_step == size && out.elements_.row_step >= 0;
    if (type.core && neighbours && out.elements_.row_step % size == 0)
      out.direct_ = Features(elements.data, *type.core, elements.rows, elements.cols,
                             static_cast<std::size_t>(out.elements_.row_step / size));
    return out;
  }
  return {};
}

// A step that is never taken may be anything, so it becomes what it would be where elements are neighbours.
Rows::Rows(const Elements& elements, Convert convert) : elements_(elements), convert_(convert) {
  const auto size = static_cast<std::ptrdiff_t>(elements.size);
  if (elements.cols == 1) elements_.col_step = size;
  if (elements.rows <= 1) elements_.row_step = static_cast<std::ptrdiff_t>(elements.cols) * size;
}

bool Rows::overlap(const void* begin, std::size_t bytes) const {
  if (elements_.rows == 0 || bytes == 0) return false;
  const std::ptrdiff_t down = static_cast<std::ptrdiff_t>(elements_.rows - 1) * elements_.row_step;
  const std::ptrdiff_t across = static_cast<std::ptrdiff_t>(elements_.cols - 1) * elements_.col_step;
  const std::ptrdiff_t low = std::min<std::ptrdiff_t>(down, 0) + std::min<std::ptrdiff_t>(across, 0);
  const std::ptrdiff_t high = std::max<std::ptrdiff_t>(down, 0) + std::max<std::ptrdiff_t>(across, 0);
  const auto own = reinterpret_cast<std::uintptr_t>(elements_.data), other = reinterpret_cast<std::uintptr_t>(begin);
  return own + static_cast<std::uintptr_t>(low) < other + bytes &&
         other < own + static_cast<std::uintptr_t>(high) + elements_.size;
}

Rows Rows::part(std::size_t first, std::size_t rows) const {
  Elements some = elements_;
  some.data += static_cast<std::ptrdiff_t>(first) * elements_.row_step;
  some.rows = rows;
  return *of(some);
}

bool Rows::predict(const Predictor& predictor, MatrixView<float> out) const {
  if (direct_) return predictor.predict_features(*direct_, out);
  const std::size_t rows = elements_.rows, cols = elements_.cols;
  const std::size_t most = std::max<std::size_t>(1, std::min(rows, kBlockFloats / cols));
  Floats memory(most * cols);
  float* const block = memory.data();
  bool within = true;
  for (std::size_t row = 0; row < rows; row += most) {
    const std::size_t n = std::min(most, rows - row);
    within &= convert_(elements_, row, n, block);
    predictor.predict(MatrixView<const float>{block, n, cols, cols},
                      MatrixView<float>{out.data + row * out.stride, n, out.cols, out.stride});
  }
  return within;
}

}  // namespace fastreg::bindings
