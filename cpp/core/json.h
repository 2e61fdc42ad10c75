// A small strict JSON value: what the descriptions and the headers of model files are made of. It may come from anyone,
// so size and depth are bounded. Knows nothing of networks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fastreg/strict_math.h"

namespace fastreg {

// Deepest nesting of arrays and objects that parse_json accepts.
inline constexpr std::size_t kMaxJsonDepth = 64;
// Most values in one text: bounds what parse_json allocates for a hostile text to some 150 MB beside its strings.
inline constexpr std::size_t kMaxJsonValues = std::size_t{1} << 20;

// A number is uint64 where it is written as digits alone and fits, so that seeds and offsets are exact, else double.
struct Json {
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // in the order of insertion, names are unique

  std::variant<std::nullptr_t, bool, double, std::uint64_t, std::string, Array, Object> value;  // null at first

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  // The value if it has type T, else null.
  template <class T>
  const T* get() const {
    return std::get_if<T>(&value);
  }
  // Either kind of number.
  std::optional<double> number() const;
  // The member of an object; null where there is none or this is no object.
  const Json* find(std::string_view name) const;
  // Compact text. Strings must be UTF-8. Throws std::invalid_argument for NaN and infinity, which JSON cannot hold.
  std::string dump() const;
};

struct Json::Member {
  std::string name;
  Json value;
};

// Throws std::invalid_argument with the byte offset for anything but one JSON value (RFC 8259) in UTF-8: also for
// duplicate names, lone surrogates, numbers outside the range of a double, and more than the two bounds above.
Json parse_json(std::string_view text);

// A value as messages quote it: its text, cut after some 60 bytes, so that what is shown of a hostile one stays short.
std::string quoted(const Json&);

}  // namespace fastreg
