// The JSON reader (recursive descent, bounded depth) and writer. Text is never trusted: every byte is checked before it
// is used, and every error is a std::invalid_argument that names the byte offset.
#include "fastreg/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

// The length of the UTF-8 sequence at the start of text, or 0 if it is invalid: overlong, a surrogate or above
// U+10FFFF.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0), second = byte(1);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4 || !continues(1)) return 0;
  if (lead < 0xE0) return 2;
  if (!continues(2)) return 0;
  if (lead < 0xF0) return (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ? 0 : 3;
  if (!continues(3) || (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return 4;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    skip_space();
    Json result = value();
    skip_space();
    if (at_ < text_.size()) fail("nothing may follow the value", at_);
    return result;
  }

 private:
  [[noreturn]] static void fail(const std::string& rule, std::size_t offset) {
    throw std::invalid_argument("JSON: " + rule + ", at byte " + std::to_string(offset));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skip_space() {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  Json value() {
    if (++values_ > kMaxJsonValues) fail("more than " + std::to_string(kMaxJsonValues) + " values", at_);
    switch (peek()) {
      case '{': return {object()};
      case '[': return {array()};
      case '"': return {string()};
      case 't': return literal("true", {true});
      case 'f': return literal("false", {false});
      case 'n': return literal("null", {nullptr});
      default: return number();
    }
  }

  Json literal(std::string_view word, Json result) {
    if (text_.substr(at_, word.size()) != word) fail("expected a value", at_);
    at_ += word.size();
    return result;
  }

  void enter() {
    if (++depth_ > kMaxJsonDepth) fail("nested deeper than " + std::to_string(kMaxJsonDepth), at_);
    ++at_;
    skip_space();
  }

  Json::Array array() {
    enter();
    Json::Array result;
    if (!take(']')) {
      do {
        skip_space();
        result.push_back(value());
        skip_space();
      } while (take(','));
      if (!take(']')) fail("expected ',' or ']'", at_);
    }
    --depth_;
    return result;
  }

  Json::Object object() {
    enter();
    Json::Object result;
    std::vector<std::size_t> offsets;
    if (!take('}')) {
      do {
        skip_space();
        if (peek() != '"') fail("expected a name in double quotes", at_);
        offsets.push_back(at_);
        std::string name = string();
        skip_space();
        if (!take(':')) fail("expected ':'", at_);
        skip_space();
        result.push_back({std::move(name), value()});
        skip_space();
      } while (take(','));
      if (!take('}')) fail("expected ',' or '}'", at_);
    }
    require_unique(result, offsets);
    --depth_;
    return result;
  }

  // Sorts the names, so that a header with many names does not take quadratic time.
  static void require_unique(const Json::Object& members, const std::vector<std::size_t>& offsets) {
    std::vector<std::size_t> order(members.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int sign = members[a].name.compare(members[b].name);
      return sign != 0 ? sign < 0 : a < b;
    });
    const auto same = [&](std::size_t a, std::size_t b) { return members[a].name == members[b].name; };
    const auto twin = std::adjacent_find(order.begin(), order.end(), same);
    if (twin != order.end()) fail("duplicate name " + quoted({members[*twin].name}), offsets[twin[1]]);
  }

  std::string string() {
    const std::size_t start = at_++;
    std::string result;
    for (;;) {
      if (at_ >= text_.size()) fail("string without an end", start);
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return result;
      }
      if (c == '\\') {
        escape(result);
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x20) fail("control character in a string", at_);
      const std::size_t length = std::max(plain_length(), utf8_length(text_.substr(at_, 4)));
      if (length == 0) fail("invalid UTF-8", at_);
      result.append(text_, at_, length);
      at_ += length;
    }
  }

  // The number of characters here that stand for themselves in a string.
  std::size_t plain_length() const {
    const auto special = [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) - 0x20u > 0x5Fu; };
    const auto begin = text_.begin() + static_cast<std::ptrdiff_t>(at_);
    return static_cast<std::size_t>(std::find_if(begin, text_.end(), special) - begin);
  }

  void escape(std::string& out) {
    static constexpr std::string_view kLetters = "\"\\/bfnrt", kMeaning = "\"\\/\b\f\n\r\t";
    const std::size_t start = at_++;
    if (take('u')) {
      append_utf8(out, code_point(start));
      return;
    }
    const std::size_t letter = at_ < text_.size() ? kLetters.find(text_[at_]) : std::string_view::npos;
    if (letter == std::string_view::npos) fail("unknown escape", start);
    out.push_back(kMeaning[letter]);
    ++at_;
  }

  // The code point of an escape whose \u has been read. Also reads the second escape of a surrogate pair.
  std::uint32_t code_point(std::size_t start) {
    const std::uint32_t first = four_hex_digits(start);
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first > 0xDBFF || !take('\\') || !take('u')) fail("lone surrogate", start);
    const std::uint32_t second = four_hex_digits(start);
    if (second < 0xDC00 || second > 0xDFFF) fail("lone surrogate", start);
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  std::uint32_t four_hex_digits(std::size_t start) {
    const std::string_view digits = text_.substr(at_, 4);
    std::uint32_t code = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() < 4 || error != std::errc{} || end != digits.data() + 4) fail("\\u needs four hex digits", start);
    at_ += 4;
    return code;
  }

  void digits(std::size_t start) {
    if (!is_digit(peek())) fail(at_ == start ? "expected a value" : "expected a digit", at_);
    while (is_digit(peek())) ++at_;
  }

  // The grammar is checked here because from_chars accepts more than JSON allows: inf, nan, leading zeros and "1.".
  Json number() {
    const std::size_t start = at_;
    bool integer = !take('-');
    const std::size_t first = at_;
    digits(start);
    if (text_[first] == '0' && at_ > first + 1) fail("leading zero", first);
    if (take('.')) {
      integer = false;
      digits(start);
    }
    if (take('e') || take('E')) {
      integer = false;
      if (!take('+')) take('-');
      digits(start);
    }
    const char *begin = text_.data() + start, *end = text_.data() + at_;
    std::uint64_t whole = 0;
    if (integer && std::from_chars(begin, end, whole).ec == std::errc{}) return {whole};
    double result = 0.0;
    if (std::from_chars(begin, end, result).ec != std::errc{}) fail("number outside the range of a double", start);
    return {result};
  }

  std::string_view text_;
  std::size_t at_ = 0, depth_ = 0, values_ = 0;
};

void write(const Json& json, std::string& out, bool quotes);

void write_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

template <class Number>
void write_number(Number number, std::string& out) {
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// What is no number of JSON is an error, except in the quotations of messages.
struct Writer {
  std::string& out;
  bool quotes = false;

  void operator()(std::nullptr_t) const { out.append("null"); }
  void operator()(bool flag) const { out.append(flag ? "true" : "false"); }
  void operator()(std::uint64_t number) const { write_number(number, out); }
  void operator()(double number) const {
    if (!quotes && !std::isfinite(number)) throw std::invalid_argument("JSON: a number must be finite");
    write_number(number, out);
  }
  void operator()(const std::string& text) const { write_string(text, out); }
  void operator()(const Json::Array& array) const {
    out.push_back('[');
    for (std::size_t i = 0; i < array.size(); ++i) {
      if (i > 0) out.push_back(',');
      write(array[i], out, quotes);
    }
    out.push_back(']');
  }
  void operator()(const Json::Object& object) const {
    out.push_back('{');
    for (std::size_t i = 0; i < object.size(); ++i) {
      if (i > 0) out.push_back(',');
      write_string(object[i].name, out);
      out.push_back(':');
      write(object[i].value, out, quotes);
    }
    out.push_back('}');
  }
};

void write(const Json& json, std::string& out, bool quotes) { std::visit(Writer{out, quotes}, json.value); }

}  // namespace

std::optional<double> Json::number() const {
  if (const auto* real = get<double>()) return *real;
  if (const auto* whole = get<std::uint64_t>()) return static_cast<double>(*whole);
  return std::nullopt;
}

const Json* Json::find(std::string_view name) const {
  const auto* members = get<Object>();
  if (members == nullptr) return nullptr;
  for (const Member& member : *members) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

std::string Json::dump() const {
  std::string out;
  write(*this, out, false);
  return out;
}

Json parse_json(std::string_view text) { return Parser(text).document(); }

std::string quoted(const Json& json) {
  constexpr std::size_t kLongest = 60;
  std::string text;
  write(json, text, true);
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;  // do not cut within a character
  return text.substr(0, end) + "...";
}

}  // namespace fastreg
