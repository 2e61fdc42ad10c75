// Plain loops over texts. A number of few digits is the quotient or the product of two doubles that are exact, so that
// it is rounded once; std::from_chars reads all others.
#include "fastreg/cells.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

constexpr bool kLittleEndian = std::endian::native == std::endian::little;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void demand(bool good, const char* rule) {
  if (!good) throw std::invalid_argument(rule);
}

// The number of texts.
std::size_t text_count(const Texts& texts) {
  const auto& offsets = texts.offsets;
  demand(offsets.size > 0, "offsets must have one element at least");
  // The highest bit of what is negative: an offset, or the difference of two that are not. Compilers make vectors of
  // it.
  const auto at = [&offsets](std::size_t i) { return static_cast<std::uint32_t>(offsets[i]); };
  std::uint32_t marks = at(0);
  for (std::size_t i = 1; i < offsets.size; ++i) marks |= at(i) | (at(i) - at(i - 1));
  demand(marks >> 31 == 0, "offsets must ascend from 0 or more");
  demand(static_cast<std::size_t>(offsets[offsets.size - 1]) <= texts.data.size, "offsets must be within the data");
  return offsets.size - 1;
}

struct Text {
  const char* begin;
  std::size_t size;
};

Text text_of(const Texts& texts, std::size_t i) {
  return {texts.data.data + texts.offsets[i], static_cast<std::size_t>(texts.offsets[i + 1] - texts.offsets[i])};
}

// --- numbers ---------------------------------------------------------------------------------------------------------

// Powers of ten that doubles have exactly.
constexpr double kTens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int kMostTens = 22;
constexpr std::uint64_t kWholeTens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
// Digits that a 64-bit integer has in any case, and integers that doubles have exactly.
constexpr std::ptrdiff_t kSafeDigits = 19;
constexpr std::uint64_t kMostExact = std::uint64_t{1} << 53;

bool is_decimal(char c) { return c >= '0' && c <= '9'; }

// Appends digits to an integer, which wraps around where there are too many; returns where they end.
const char* add_digits(const char* at, const char* end, std::uint64_t& number) {
  for (; at != end && is_decimal(*at); ++at) number = 10 * number + static_cast<std::uint64_t>(*at - '0');
  return at;
}

// Reads the digits of an exponent and its sign; false if there are none. Beyond 9999 it counts as that.
bool read_exponent(const char* at, const char* end, int& exponent) {
  const bool negative = at != end && *at == '-';
  if (at != end && (*at == '-' || *at == '+')) ++at;
  if (at == end) return false;
  int found = 0;
  for (; at != end && is_decimal(*at); ++at) found = std::min(10 * found + (*at - '0'), 9999);
  exponent += negative ? -found : found;
  return at == end;
}

template <class T>
T loaded(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

constexpr std::uint64_t each_byte(std::uint64_t byte) { return 0x0101010101010101u * byte; }

// A number as a quotient, whose sign is that of `scale`. Divisions are made later, several at once.
struct Scaled {
  double number, scale;
};
constexpr std::uint64_t kOne = std::bit_cast<std::uint64_t>(1.0);

// Bytes that read_short may look at, whatever the size of a text.
constexpr std::ptrdiff_t kShortReach = 18;

// Converts the first n <= 8 bytes of `bytes`, which are digits, without a loop; `odd` becomes other than 0 if some are
// none. Digits are moved to the end, behind zeros; then neighbours are joined: bytes, pairs and groups of four.
std::uint64_t eight_digits(std::uint64_t bytes, unsigned n, std::uint64_t& odd) {
  std::uint64_t digits = ((bytes ^ each_byte('0')) << (4 * (8 - n))) << (4 * (8 - n));
  odd |= (digits | (digits + each_byte(0x80 - 10))) & each_byte(0x80);
  digits = digits * 10 + (digits >> 8);
  constexpr std::uint64_t kPairs = 0x000000FF000000FFu;
  return ((digits & kPairs) * 0x000F424000000064u + ((digits >> 16) & kPairs) * 0x0000271000000001u) >> 32;
}

// Reads a text with at most 8 digits before and after the point and without an exponent, as most numbers are, with few
// branches, so that several texts are read at once. False if it is another text. kShortReach bytes are readable.
bool read_short(const Text& text, Scaled& out) {
  const std::uint64_t negative = *text.begin == '-' ? 1 : 0;
  const char* const first = text.begin + negative;
  const std::uint64_t size = text.size - negative;
  const std::uint64_t bytes = loaded<std::uint64_t>(first), points = bytes ^ each_byte('.');
  // The lowest of the marked bytes is the first point; marks above it may be wrong.
  const std::uint64_t marks = (points - each_byte(0x01)) & ~points & each_byte(0x80);
  const std::uint64_t whole = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::countr_zero(marks)) / 8, size);
  const std::uint64_t rest = size - whole, decimals = rest > 0 ? rest - 1 : 0;
  if (decimals > 8 || (whole == 8 && rest > 0) || whole + decimals == 0) return false;
  std::uint64_t odd = 0;
  const std::uint64_t high = eight_digits(bytes, static_cast<unsigned>(whole), odd);
  const auto behind = loaded<std::uint64_t>(first + whole + 1);
  const std::uint64_t low = eight_digits(behind, static_cast<unsigned>(decimals), odd);
  const std::uint64_t number = high * kWholeTens[decimals] + low;
  // A signed integer becomes a double by one instruction.
  out.number = static_cast<double>(static_cast<std::int64_t>(number));
  out.scale = std::bit_cast<double>(kOne | negative << 63) * kTens[decimals];
  return odd == 0 && number <= kMostExact;
}

// Reads a text that is not empty; false if it is no plain number or none that a double can hold.
bool read_number(const Text& text, double& out) {
  const char *at = text.begin, *const end = at + text.size;
  const bool negative = *at == '-';
  at += negative ? 1 : 0;
  std::uint64_t number = 0;
  const char* const first = at;
  at = add_digits(at, end, number);
  std::ptrdiff_t digits = at - first;
  int exponent = 0;
  if (at != end && *at == '.') {
    const char* const point = ++at;
    at = add_digits(at, end, number);
    digits += at - point;
    exponent = static_cast<int>(std::min<std::ptrdiff_t>(at - point, 9999));
    exponent = -exponent;
  }
  if (digits == 0) return false;
  if (at != end && ((*at != 'e' && *at != 'E') || !read_exponent(at + 1, end, exponent))) return false;
  if (digits <= kSafeDigits && number <= kMostExact && exponent >= -kMostTens && exponent <= kMostTens) {
    const double whole = static_cast<double>(number);
    const double value = exponent < 0 ? whole / kTens[-exponent] : whole * kTens[exponent];
    out = negative ? -value : value;
    return true;
  }
  const auto [rest, error] = std::from_chars(text.begin, end, out);
  return error == std::errc{} && rest == end;
}

// Reads `count` <= kTexts texts from `begin` on; returns how many, as read_numbers does.
constexpr std::size_t kTexts = 32;
std::size_t read_some(const Texts& texts, std::size_t begin, std::size_t count, double* out) {
  const char* const end = texts.data.end();
  Scaled found[kTexts];
  std::size_t read = 0;
  for (; read < count; ++read) {
    const Text text = text_of(texts, begin + read);
    if (kLittleEndian && text.size > 0 && end - text.begin >= kShortReach && read_short(text, found[read])) continue;
    found[read] = {kNaN, 1.0};
    if (text.size > 0 && !read_number(text, found[read].number)) break;
  }
  for (std::size_t i = 0; i < read; ++i) out[i] = found[i].number / found[i].scale;
  return read;
}

// --- levels ----------------------------------------------------------------------------------------------------------

// The first and the last bytes of a text. Together with its size they are all of a text of up to 16 bytes.
struct Key {
  std::uint64_t first, last;
  std::size_t size;
  bool operator==(const Key&) const = default;
};

Key key_of(const Text& text) {
  const char* const end = text.begin + text.size;
  if (text.size >= 8) return {loaded<std::uint64_t>(text.begin), loaded<std::uint64_t>(end - 8), text.size};
  if (text.size >= 4) return {loaded<std::uint32_t>(text.begin), loaded<std::uint32_t>(end - 4), text.size};
  if (text.size == 0) return {0, 0, 0};
  const std::uint64_t middle = loaded<std::uint8_t>(text.begin + text.size / 2);
  return {loaded<std::uint8_t>(text.begin), middle << 8 | loaded<std::uint8_t>(end - 1), text.size};
}

// Finds levels by their bytes.
class LevelTable {
 public:
  LevelTable(const Texts& levels, std::size_t count)
      : levels_(levels),
        shift_(64 - static_cast<int>(std::bit_width(2 * count + 1))),
        slots_(std::size_t{1} << (64 - shift_)) {
    for (std::size_t i = 0; i < count; ++i) {
      const Text level = text_of(levels, i);
      const Key key = key_of(level);
      Slot& slot = slot_of(level, key);
      if (slot.level == 0) slot = {key, i + 1};
    }
  }

  // The index of the level plus one, 0 if there is none.
  std::size_t find(const Text& text) { return slot_of(text, key_of(text)).level; }

 private:
  struct Slot {
    Key key{};
    std::size_t level = 0;
  };

  // The slot of a text, or the empty one where it belongs. At least half of the slots are empty.
  Slot& slot_of(const Text& text, const Key& key) {
    const std::uint64_t mixed = (key.first ^ std::rotl(key.last, 29) ^ (key.size << 56)) * 0x9E3779B97F4A7C15u;
    for (std::size_t at = mixed >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.level == 0 || (slot.key == key && is_same(text, slot.level - 1))) return slot;
    }
  }

  bool is_same(const Text& text, std::size_t level) const {
    return text.size <= 16 || std::memcmp(text.begin, text_of(levels_, level).begin, text.size) == 0;
  }

  const Texts& levels_;
  int shift_;
  std::vector<Slot> slots_;
};

// --- lines -----------------------------------------------------------------------------------------------------------

// Bytes of a number at most: a sign, "0.00000" and 17 digits, or 17 digits, a point and an exponent.
constexpr std::size_t kNumber = 32;
// Rows that are written before they are appended to the text.
constexpr std::size_t kLines = 256;
// Numbers have no exponent if their first digit stands for a power of ten within these.
constexpr int kLowest = -6, kHighest = 9;

char* put(const char* from, std::size_t n, char* out) {
  std::memcpy(out, from, n);
  return out + n;
}

char* filled(std::size_t n, char* out) {
  std::memset(out, '0', n);
  return out + n;
}

// Powers of five.
constexpr std::uint64_t kFives[] = {1,     5,      25,      125,     625,      3125,      15625,      78125,
                                    390625, 1953125, 9765625, 48828125, 244140625, 1220703125, 6103515625, 30517578125};
// The least share, whose first digit stands for the power kLowest.
constexpr float kLeastShare = 1e-6f;

// Writes a float m / 2^s within [kLeastShare, 1), as probabilities are, as std::to_chars does: of the decimals that are
// rounded to it those of the fewest digits, and of these the nearest. All is exact in whole numbers, which count
// 10^-decimals / 2^shift. What is rounded to the float lies half way to its neighbours at most, and less far where m is
// odd. With so many decimals that some number is, `least` and `most` are the limits of those; then they lose a digit as
// long as one is left.
char* write_share(float value, char* out) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint64_t m = (bits & 0x7FFFFFu) | 0x800000u, odd = m & 1;
  const std::uint32_t s = 150 - (bits >> 23);
  std::uint32_t decimals = (1233 * s + 512) / 4096 + 1;   // 10^-k is at most 3/4 of 2^-s
  const std::uint32_t shift = s + 2 - decimals;
  const std::uint64_t five = kFives[decimals], at = 4 * m * five;
  const std::uint64_t below = m == 0x800000u ? five : 2 * five;   // there the floats below are twice as dense
  std::uint64_t least = ((at - below + odd - 1) >> shift) + 1, most = (at + 2 * five - odd) >> shift, unit = 1;
  for (;; --decimals, unit *= 10) {
    const std::uint64_t fewer_least = (least + 9) / 10, fewer_most = most / 10;
    if (fewer_least > fewer_most) break;
    least = fewer_least;
    most = fewer_most;
  }
  const std::uint64_t step = unit << shift, half_up = at + step / 2, nearest = half_up / step;
  const bool is_half = nearest * step == half_up;   // as near to the number below: the even one is taken
  std::uint64_t digits = std::clamp(is_half ? nearest & ~std::uint64_t{1} : nearest, least, most);
  out = put("0.", 2, out);
  char* const end = out + decimals;
  for (char* to = end; to != out; digits /= 10) *--to = static_cast<char>('0' + digits % 10);
  return end;
}

template <class Number>
char* write_shortest(Number value, char* out) {
  if constexpr (std::is_same_v<Number, float>)
    if (value >= kLeastShare && value < 1.0f) return write_share(value, out);
  if (std::isnan(value)) return put("nan", 3, out);
  if (std::signbit(value)) *out++ = '-';
  value = std::abs(value);
  if (std::isinf(value)) return put("inf", 3, out);
  if (value == 0) return put("0", 1, out);
  char text[kNumber];   // a digit, a point and further digits or neither, e, a sign and two digits or three
  const char* const end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const char* const mark = std::find(static_cast<const char*>(text), end, 'e');
  int power = 0;
  std::from_chars(mark + 2, end, power);
  if (mark[1] == '-') power = -power;
  if (power < kLowest || power > kHighest) {
    out = put(text, static_cast<std::size_t>(mark - text) + 2, out);
    return std::to_chars(out, out + 4, std::abs(power)).ptr;
  }
  const char* const rest = text + 2;   // after the point
  const std::size_t n = mark > rest ? static_cast<std::size_t>(mark - rest) : 0;
  if (power < 0) {
    out = filled(static_cast<std::size_t>(-power - 1), put("0.", 2, out));
    *out++ = text[0];
    return put(rest, n, out);
  }
  *out++ = text[0];
  const auto whole = static_cast<std::size_t>(power);
  if (n <= whole) return filled(whole - n, put(rest, n, out));
  out = put(rest, whole, out);
  *out++ = '.';
  return put(rest + whole, n - whole, out);
}

bool has_labels(const LineColumn& column) { return !column.labels.offsets.empty(); }

// The bytes of a cell of a column at most, after checks of all of them.
std::size_t most_bytes(const LineColumn& column) {
  if (!has_labels(column)) {
    demand(column.values != nullptr || column.rows == 0, "a column must have numbers or labels with offsets");
    return kNumber;
  }
  const std::size_t n = text_count(column.labels);
  demand(column.chosen.size == column.rows, "columns must have the same number of rows");
  bool known = true;
  for (const std::int64_t label : column.chosen) known &= label >= 0 && static_cast<std::uint64_t>(label) < n;
  demand(known, "the number of a label must be that of one");
  std::size_t most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, text_of(column.labels, i).size);
  return most;
}

char* write_cell(const LineColumn& column, std::size_t row, char* out) {
  if (has_labels(column)) {
    const Text label = text_of(column.labels, static_cast<std::size_t>(column.chosen[row]));
    return label.size == 0 ? out : put(label.begin, label.size, out);
  }
  if (column.type == ElementType::float32) return write_shortest(static_cast<const float*>(column.values)[row], out);
  return write_shortest(static_cast<const double*>(column.values)[row], out);
}

}  // namespace

std::size_t read_numbers(const Texts& texts, Span<double> out) {
  const std::size_t n = text_count(texts);
  demand(out.size == n, "out must have an element for each text");
  for (std::size_t begin = 0; begin < n; begin += kTexts) {
    const std::size_t count = std::min(kTexts, n - begin), read = read_some(texts, begin, count, out.data + begin);
    if (read < count) return begin + read;
  }
  return n;
}

void find_levels(const Texts& texts, const Texts& levels, Span<const double> codes, Span<double> out) {
  const std::size_t n = text_count(texts), count = text_count(levels);
  demand(codes.size == count, "codes must have an element for each level");
  demand(out.size == n, "out must have an element for each text");
  LevelTable table(levels, count);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t found = table.find(text_of(texts, i));
    out[i] = found == 0 ? kNaN : codes[found - 1];
  }
}

void to_rows(Span<const double> codes, Span<const double> offsets, Span<float> out) {
  constexpr std::size_t kRows = 64;   // whose float32 stay in the L1 cache
  constexpr double kMost = std::numeric_limits<float>::max();
  const std::size_t cols = offsets.size;
  demand(cols > 0 ? codes.size % cols == 0 : codes.empty(), "codes must have a column for each offset");
  demand(out.size == codes.size, "out must have an element for each code");
  const std::size_t rows = cols > 0 ? codes.size / cols : 0;
  for (std::size_t begin = 0; begin < rows; begin += kRows) {
    const std::size_t end = std::min(rows, begin + kRows);
    for (std::size_t c = 0; c < cols; ++c)
      for (std::size_t r = begin; r < end; ++r)
        out[r * cols + c] = static_cast<float>(std::min(std::max(codes[c * rows + r] - offsets[c], -kMost), kMost));
  }
}

std::string lines_of(Span<const LineColumn> columns) {
  std::size_t width = 1;
  for (const LineColumn& column : columns) {
    demand(column.rows == columns[0].rows, "columns must have the same number of rows");
    demand(column.type == ElementType::float64 || column.type == ElementType::float32,
           "columns must have the type float64 or float32");
    width += most_bytes(column) + 1;
  }
  const std::size_t rows = columns.empty() ? 0 : columns[0].rows;
  std::string out;
  std::vector<char> part(std::min(rows, kLines) * width);
  for (std::size_t begin = 0; begin < rows; begin += kLines) {
    char* at = part.data();
    for (std::size_t row = begin, end = std::min(rows, begin + kLines); row < end; ++row) {
      for (const LineColumn& column : columns) {
        at = write_cell(column, row, at);
        *at++ = ',';
      }
      at[-1] = '\n';
    }
    out.append(part.data(), static_cast<std::size_t>(at - part.data()));
  }
  return out;
}

}  // namespace fastreg
