// JSON: numbers come back bit by bit, and whatever else a text holds is an error that names rule and byte.
#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>

#include "fastreg/json.h"
#include "texts.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

std::string json_error(const std::string& text) {
  return message_of<std::invalid_argument>([&] { parse_json(text); });
}

void json_is_read_and_written() {
  const struct { const char *text, *written; } rows[] = {
      {" null ", "null"}, {"true", "true"}, {"\t[ ]\r\n", "[]"}, {"{ }", "{}"}, {"-0", "-0"}, {"0", "0"}, {"1.0", "1"},
      {"18446744073709551615", "18446744073709551615"}, {"9007199254740993", "9007199254740993"},
      {"18446744073709551616", "18446744073709551616"}, {"-1", "-1"}, {"1E+2", "100"}, {"1e-7", "1e-07"},
      {"0.1", "0.1"},
      {R"({"b":1,"a":[1,{"":null}]})", R"({"b":1,"a":[1,{"":null}]})"},
      {R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00")", "\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009A\xC3\xA9"
                                                              "\xE2\x82\xAC\xF0\x9F\x98\x80\""},
      {R"("\u0000")", R"("\u0000")"}, {"\"\x7F\"", "\"\x7F\""}};
  for (const auto& row : rows) CHECK_EQUAL(parse_json(row.text).dump(), row.written);
  CHECK(std::signbit(*parse_json("-0").get<double>()));
  CHECK(*parse_json("18446744073709551615").get<std::uint64_t>() == UINT64_MAX);
  CHECK(parse_json("7").number() == 7.0 && !parse_json("\"7\"").number());
  CHECK(parse_json(R"({"a":1})").find("b") == nullptr && parse_json("[1]").find("a") == nullptr);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    CHECK_EQUAL(message_of<std::invalid_argument>([&] { Json{bad}.dump(); }), "JSON: a number must be finite");
  }
}

void json_errors_name_rule_and_byte() {
  const struct { const char *text, *message; } rows[] = {
      {"", "expected a value, at byte 0"}, {"  ", "expected a value, at byte 2"},
      {"tru", "expected a value, at byte 0"},
      {"NaN", "expected a value, at byte 0"}, {"[Infinity]", "expected a value, at byte 1"},
      {"-Infinity", "expected a digit, at byte 1"}, {"+1", "expected a value, at byte 0"},
      {"01", "leading zero, at byte 0"}, {"-01", "leading zero, at byte 1"}, {"1.", "expected a digit, at byte 2"},
      {".5", "expected a value, at byte 0"}, {"1e", "expected a digit, at byte 2"},
      {"1e+", "expected a digit, at byte 3"}, {"0x10", "nothing may follow the value, at byte 1"},
      {"[1e400]", "number outside the range of a double, at byte 1"},
      {"1 2", "nothing may follow the value, at byte 2"},
      {"[1", "expected ',' or ']', at byte 2"}, {"[1,]", "expected a value, at byte 3"},
      {"[,1]", "expected a value, at byte 1"},
      {"{\"a\":1,}", "expected a name in double quotes, at byte 7"},
      {"{a:1}", "expected a name in double quotes, at byte 1"},
      {"{\"a\" 1}", "expected ':', at byte 5"}, {"{\"a\":1 \"b\":2}", "expected ',' or '}', at byte 7"},
      {"{\"a\":1,\"b\":2,\"a\":3}", "duplicate name \"a\", at byte 13"},
      {"{\"a\":1,\"\\u0061\":3}", "duplicate name \"a\", at byte 7"},
      {"[1] // x", "nothing may follow the value, at byte 4"},
      {"\"abc", "string without an end, at byte 0"}, {"\"a\nb\"", "control character in a string, at byte 2"},
      {"\"\\x\"", "unknown escape, at byte 1"}, {"\"\\", "unknown escape, at byte 1"},
      {"\"\\u12\"", "\\u needs four hex digits, at byte 1"}, {"\"\\u-123\"", "\\u needs four hex digits, at byte 1"},
      {"\"\\ud800\"", "lone surrogate, at byte 1"}, {"\"\\ud800\\n\"", "lone surrogate, at byte 1"},
      {"\"\\ud800\\ud800\"", "lone surrogate, at byte 1"}, {"\"\\udc00\"", "lone surrogate, at byte 1"},
      {"\"a\xFF\"", "invalid UTF-8, at byte 2"}, {"\xEF\xBB\xBF{}", "expected a value, at byte 0"}};
  for (const auto& row : rows) CHECK_EQUAL(json_error(row.text), std::string("JSON: ") + row.message);
  CHECK_EQUAL(json_error(std::string("[1\0]", 4)), "JSON: expected ',' or ']', at byte 2");
  CHECK_EQUAL(json_error(std::string("\0", 1)), "JSON: expected a value, at byte 0");
}

void json_is_bounded() {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK_EQUAL(parse_json(nested(kMaxJsonDepth)).dump(), nested(kMaxJsonDepth));
  CHECK_EQUAL(json_error(nested(kMaxJsonDepth + 1)), "JSON: nested deeper than 64, at byte 64");
  CHECK_EQUAL(json_error(std::string(50'000'000, '[')), "JSON: nested deeper than 64, at byte 64");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(has(json_error(objects), "nested deeper than 64"));
  std::string siblings = "[0";
  for (std::size_t i = 0; i <= kMaxJsonDepth; ++i) siblings += ",[],{}";
  CHECK_EQUAL(parse_json(siblings + "]").dump(), siblings + "]");
  std::string wide = "[0";
  for (std::size_t i = 2; i < kMaxJsonValues; ++i) wide += ",0";
  CHECK(parse_json(wide + "]").get<Json::Array>()->size() == kMaxJsonValues - 1);
  CHECK(has(json_error(wide + ",0]"), "more than 1048576 values"));
  CHECK(quoted({std::string(1000, 'x')}).size() < 70);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  CHECK(quoted({kInfinity}) == "inf");
  CHECK(quoted({Json::Array{{-kInfinity}, {std::nan("")}, {1.5}}}) == "[-inf,nan,1.5]");
}

// Every finite double in a sample of bit patterns, and the awkward ones, come back bit by bit.
void json_numbers_are_exact() {
  std::vector<std::uint64_t> patterns;
  for (const double value :
       {5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1e22, 1e23, 123456789012345680.0}) {
    patterns.push_back(std::bit_cast<std::uint64_t>(value));
  }
  for (std::uint64_t i = 1, state = 0; i < 100'000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    patterns.push_back(state ^ state >> 29);
  }
  for (const std::uint64_t pattern : patterns) {
    const double value = std::bit_cast<double>(pattern);
    if (!std::isfinite(value)) continue;
    const auto back = parse_json(Json{value}.dump()).number();
    CHECK_NAMED(back && std::bit_cast<std::uint64_t>(*back) == pattern, "double " + Json{value}.dump());
    CHECK(*parse_json(Json{pattern}.dump()).get<std::uint64_t>() == pattern);
  }
}

// Counts the sequences that the reader takes as one string of these bytes; Unicode says how many there are.
void json_takes_valid_utf8_alone() {
  const auto accepted = [](std::string bytes) {
    try {
      return *parse_json('"' + bytes + '"').get<std::string>() == bytes;
    } catch (const std::invalid_argument&) {
      return false;
    }
  };
  const auto text = [](std::initializer_list<int> bytes) { return std::string(bytes.begin(), bytes.end()); };
  int two = 0, three = 0, four = 0;
  for (int a = 0x80; a < 0x100; ++a) {
    CHECK(!accepted(text({a})));
    for (int b = 0; b < 0x100; ++b) {
      two += accepted(text({a, b}));
      for (const int c : {0x22, 0x7F, 0x80, 0xBF, 0xC0}) {
        three += accepted(text({a, b, c}));
        for (const int d : {0x22, 0x7F, 0x80, 0xBF, 0xC0}) four += accepted(text({a, b, c, d}));
      }
    }
  }
  // How many sequences of two bytes there are, and how many beginnings of longer ones.
  constexpr int kTwo = 0x800 - 0x80, kOfThree = (0x10000 - 0x1000) / 64, kOfFour = 0x100000 / 4096;
  CHECK(two == kTwo);
  // 80 and BF end a sequence of three, 7F is a character of its own.
  CHECK(three == 2 * kOfThree + kTwo);
  CHECK(four == 4 * kOfFour + 2 * kOfThree + kTwo);
}

}  // namespace

int main() {
  json_is_read_and_written();
  json_errors_name_rule_and_byte();
  json_is_bounded();
  json_numbers_are_exact();
  json_takes_valid_utf8_alone();
  return report("json");
}
