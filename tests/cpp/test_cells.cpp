// Numbers, levels and lines of a table's texts, against strtod and the standard library's containers.
#include "fastreg/cells.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.h"

namespace {

using namespace fastreg;

// Texts one after the other; the memory ends with the last of them, so that a sanitizer sees what is read behind it.
struct Owned {
  std::vector<std::int32_t> offsets{0};
  std::vector<char> data;
  explicit Owned(const std::vector<std::string>& list) {
    for (const std::string& text : list) {
      data.insert(data.end(), text.begin(), text.end());
      offsets.push_back(static_cast<std::int32_t>(data.size()));
    }
    data.shrink_to_fit();
  }
  Texts view() const { return {{offsets.data(), offsets.size()}, {data.data(), data.size()}}; }
};

std::string number(std::mt19937& random) {
  std::string out = random() % 2 ? "-" : "";
  const unsigned whole = random() % 12, decimals = random() % 12;
  for (unsigned i = 0; i < whole; ++i) out += static_cast<char>('0' + random() % 10);
  if (decimals > 0 || whole == 0) out += whole + decimals > 0 ? "." : "0";
  for (unsigned i = 0; i < decimals; ++i) out += static_cast<char>('0' + random() % 10);
  if (random() % 4 == 0) out += "e-" + std::to_string(random() % 30);
  return out;
}

void test_numbers() {
  std::mt19937 random(1);
  std::vector<std::string> list;
  for (int i = 0; i < 5000; ++i) list.push_back(number(random));
  const Owned texts(list);
  std::vector<double> found(list.size());
  CHECK(read_numbers(texts.view(), {found.data(), found.size()}) == list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    check::context = list[i];
    const double want = std::strtod(list[i].c_str(), nullptr);
    CHECK(std::memcmp(&found[i], &want, sizeof want) == 0);
  }
  check::context = "";
  const Owned odd({"1", "", "x", "2"});
  std::vector<double> few(4, -7.0);
  CHECK(read_numbers(odd.view(), {few.data(), few.size()}) == 2);
  CHECK(few[0] == 1.0 && std::isnan(few[1]) && few[3] == -7.0);
}

void test_levels() {
  std::mt19937 random(2);
  std::vector<std::string> levels, list;
  std::map<std::string, double> codes;
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) {
    std::string level(random() % 30, 'a');
    for (char& c : level) c = static_cast<char>('a' + (random() % 8 == 0));
    levels.push_back(level);
    values.push_back(static_cast<double>(random() % 1000));
    codes.emplace(level, values.back());   // the first of equal ones stays
  }
  for (int i = 0; i < 4000; ++i) {
    list.push_back(levels[random() % levels.size()]);
    if (!list.back().empty() && random() % 2) list.back()[random() % list.back().size()] ^= 1;
  }
  const Owned texts(list), known(levels);
  std::vector<double> found(list.size());
  find_levels(texts.view(), known.view(), {values.data(), values.size()}, {found.data(), found.size()});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto at = codes.find(list[i]);
    CHECK(at == codes.end() ? std::isnan(found[i]) : found[i] == at->second);
  }
}

void test_lines() {
  const std::vector<double> numbers{0.1, -1e10, 1e9, 1e-6, 1e-7, std::nan("")};
  const std::vector<float> floats{0.1f, 2.0f, -0.0f, INFINITY, 16777216.0f, 1234.5f};
  const std::vector<std::int64_t> chosen{1, 0, 1, 1, 0, 0};
  const Owned labels({"no", "yes"});
  LineColumn columns[3];
  columns[0].chosen = {chosen.data(), 6};
  columns[0].labels = labels.view();
  columns[1].values = numbers.data();
  columns[2].values = floats.data();
  columns[2].type = ElementType::float32;
  for (LineColumn& column : columns) column.rows = 6;
  CHECK(lines_of({columns, 3}) ==
        "yes,0.1,0.1\nno,-1e+10,2\nyes,1000000000,-0\nyes,0.000001,inf\nno,1e-7,16777216\nno,nan,1234.5\n");
  std::mt19937_64 random(3);
  std::vector<double> many(3000);
  for (double& value : many) {
    const std::uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof value);
    if (std::isnan(value)) value = 1.0;
  }
  LineColumn one;
  one.values = many.data();
  one.rows = many.size();
  const std::string text = lines_of({&one, 1});
  const char* at = text.c_str();
  for (const double value : many) {
    char* end = nullptr;
    CHECK(std::strtod(at, &end) == value && *end == '\n');
    at = end + 1;
  }
  CHECK(*at == '\0');
}

// Floats below one: any, the limits, both neighbours of powers of two and of ten, and floats of few bits, some of which
// lie half way between two decimals.
std::vector<float> shares() {
  std::vector<float> out{1e-6f, std::nextafter(1e-6f, 0.0f), std::nextafter(1.0f, 0.0f), 1.0f, 0.0f, -0.25f};
  std::mt19937 random(4);
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const std::uint32_t bits = 0x35000000u + random() % 0x0A800000u;   // from 4.8e-7 to 1
    float value = 0.0f;
    std::memcpy(&value, &bits, sizeof value);
    out.push_back(value);
  }
  const auto add = [&out](float value) {
    for (const float to : {0.0f, 1.0f}) out.push_back(std::nextafter(value, to));
    out.push_back(value);
  };
  for (int power = 1; power < 20; ++power) add(std::ldexp(1.0f, -power));
  for (int digit = 1; digit < 10; ++digit)
    for (int power = 1; power < 7; ++power) add(static_cast<float>(digit * std::pow(10.0, -power)));
  for (const int bits : {12, 16})
    for (int i = 1; i < 1 << bits; ++i) out.push_back(std::ldexp(static_cast<float>(i), -bits));
  return out;
}

void test_shares() {
  const std::vector<float> values = shares();
  LineColumn column;
  column.values = values.data();
  column.rows = values.size();
  column.type = ElementType::float32;
  const std::string text = lines_of({&column, 1});
  std::string want;
  for (const float value : values) {
    char digits[64];
    const bool fixed = std::abs(value) >= 1e-6f || value == 0.0f;
    const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
    std::string line(digits, std::to_chars(digits, digits + sizeof digits, value, format).ptr);
    if (!fixed) line.erase(line.find("e-0") + 2, 1);
    want += line + "\n";
  }
  CHECK(text == want);
}

void test_rows() {
  const std::vector<double> codes{1.0, std::nan(""), 1e300, 10.0, 20.0, -1e300}, offsets{0.0, 10.0};
  std::vector<float> out(6);
  to_rows({codes.data(), 6}, {offsets.data(), 2}, {out.data(), 6});
  const float most = std::numeric_limits<float>::max();
  CHECK(out[0] == 1.0f && out[1] == 0.0f && std::isnan(out[2]) && out[3] == 10.0f && out[4] == most && out[5] == -most);
  const Span<const double> odd{codes.data(), 5}, moved{offsets.data(), 2};
  const Span<float> to{out.data(), 5};
  CHECK_THROWS(to_rows(odd, moved, to), std::invalid_argument);
}

}  // namespace

int main() {
  test_numbers();
  test_levels();
  test_lines();
  test_shares();
  test_rows();
  return report("test_cells");
}
