// Fuzzes the readers of texts: each line of the input is a text. A number is that of strtod, a level is found exactly
// if it is one, lines of numbers are read as the same numbers, and offsets that leave the data are refused.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "fastreg/cells.h"

namespace {

using namespace fastreg;

void require(bool good) {
  if (!good) std::abort();
}

// The texts of the lines of an input; the memory ends with the last.
struct Lines {
  std::vector<std::int32_t> offsets{0};
  std::vector<char> data;

  Lines(const std::uint8_t* from, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      if (from[i] == '\n')
        offsets.push_back(static_cast<std::int32_t>(data.size()));
      else
        data.push_back(static_cast<char>(from[i]));
    }
    offsets.push_back(static_cast<std::int32_t>(data.size()));
    data.shrink_to_fit();
  }
  std::size_t count() const { return offsets.size() - 1; }
  std::string text(std::size_t i) const { return {data.begin() + offsets[i], data.begin() + offsets[i + 1]}; }
  Texts view(std::size_t begin, std::size_t end) const {
    return {{offsets.data() + begin, end - begin + 1}, {data.data(), data.size()}};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Lines lines(data, size);
  const std::size_t n = lines.count();
  std::vector<double> values(n), codes;
  const std::size_t read = read_numbers(lines.view(0, n), {values.data(), n});
  for (std::size_t i = 0; i < read; ++i) {
    const std::string text = lines.text(i);
    char* end = nullptr;
    const double want = std::strtod(text.c_str(), &end);
    require(text.empty() ? std::isnan(values[i]) : std::memcmp(&want, &values[i], sizeof want) == 0);
    require(end == text.c_str() + text.size());
  }
  LineColumn column;
  column.values = values.data();
  column.rows = read;
  const std::string written = lines_of({&column, 1});
  const char* at = written.c_str();
  for (std::size_t i = 0; i < read; ++i) {
    char* end = nullptr;
    const double again = std::strtod(at, &end);
    require(*end == '\n' && (std::isnan(values[i]) ? std::isnan(again) : again == values[i]));
    at = end + 1;
  }
  const std::size_t levels = n / 2;
  for (std::size_t i = 0; i < levels; ++i) codes.push_back(static_cast<double>(i));
  find_levels(lines.view(levels, n), lines.view(0, levels), {codes.data(), levels}, {values.data(), n - levels});
  for (std::size_t i = levels; i < n; ++i) {
    std::size_t first = 0;
    while (first < levels && lines.text(first) != lines.text(i)) ++first;
    const double found = values[i - levels];
    require(first == levels ? std::isnan(found) : found == static_cast<double>(first));
  }
  if (size < 8) return 0;
  std::int32_t offsets[2];
  std::memcpy(offsets, data, sizeof offsets);
  try {
    double one = 0.0;
    read_numbers({{offsets, 2}, {reinterpret_cast<const char*>(data), size}}, {&one, 1});
    require(offsets[0] >= 0 && offsets[0] <= offsets[1] && static_cast<std::size_t>(offsets[1]) <= size);
  } catch (const std::invalid_argument&) {
    require(offsets[0] < 0 || offsets[0] > offsets[1] || static_cast<std::size_t>(offsets[1]) > size);
  }
  return 0;
}
