// A small, strict JSON library. Descriptions and the headers of model files are JSON, and they may come from anyone, so
// their size and depth are bounded. This file knows nothing of networks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fastreg {

// The deepest nesting of arrays and objects that parse_json accepts.
inline constexpr std::size_t kMaxJsonDepth = 64;
// The largest number of values in one text. It limits the memory that parse_json allocates for a hostile text to about
// 150 MB plus its strings.
inline constexpr std::size_t kMaxJsonValues = std::size_t{1} << 20;

// A JSON value. A number is a uint64 if it consists of digits only and fits, so that seeds and offsets are exact; else
// it is a double.
struct Json {
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // the members in the order of insertion; names are unique

  std::variant<std::nullptr_t, bool, double, std::uint64_t, std::string, Array, Object> value;  // initially null

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  // A pointer to the value if it has type T, else null.
  template <class T>
  const T* get() const {
    return std::get_if<T>(&value);
  }
  // The value as a double if it is a number of either kind.
  std::optional<double> number() const;
  // The member of an object with this name; null if there is none or this is not an object.
  const Json* find(std::string_view name) const;
  // Compact text. Strings must be UTF-8. Throws std::invalid_argument for NaN and infinity, which JSON cannot hold.
  std::string dump() const;
};

struct Json::Member {
  std::string name{};
  Json value{};
};

// Throws std::invalid_argument with the byte offset for anything but one JSON value (RFC 8259) in UTF-8: also for
// duplicate names, lone surrogates, numbers outside the range of a double, and more than the two bounds above.
Json parse_json(std::string_view text);

// A value as error messages quote it: its text, cut off after about 60 bytes, so that a hostile value stays short. NaN
// and infinity are "nan" and "inf".
std::string quoted(const Json&);

}  // namespace fastreg
