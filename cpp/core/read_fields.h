// Reads descriptions from JSON by their fields (fastreg/fields.h). This file checks names and JSON types;
// core/check_fields.h checks values. Errors are std::invalid_argument and name the path, the field, the rule and the
// value.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fastreg/json.h"
#include "fastreg/spec.h"
#include "fastreg/strict_math.h"

namespace fastreg {

using Names = std::span<const char* const>;

// The index of a name in a list, if it is there.
std::optional<std::size_t> find_name(Names names, std::string_view wanted);

// The same. An unknown name is an error that lists the known ones.
std::size_t index_of_name(Names names, std::string_view wanted, const std::string& what);

// The names of a list of descriptions.
template <class... T>
constexpr std::array<const char*, sizeof...(T)> names_of(List<T...>) {
  return {T::kName...};
}

// The members of one JSON object, read by name; `where` starts every message, e.g. "layers[2] (Dropout)".
class Members {
 public:
  Members(const Json& object, std::string where);

  // The index of the member "type" among the names. The type then becomes part of `where`.
  std::size_t type(Names names);

  // The index of a member among the names.
  std::size_t choice(const char* member, Names names) const;

  // These do not change `out` if the member is absent.
  void read(const char* member, bool& out) const;
  void read(const char* member, double& out) const;
  void read(const char* member, float& out) const;

  std::uint64_t whole(const char* member, const std::string& rule) const;
  const std::string& text(const char* member) const;
  const Json::Array& array(const char* member) const;
  // Whether the member is there and not null.
  bool has(const char* member) const;
  const Json* find(const char* member) const { return object_.find(member); }
  const Json& required(const char* member) const;

  // How a message names a member: "layers[2] (Dropout): rate", or "n_features" at the top.
  std::string label(const char* member) const;

 private:
  [[noreturn]] void fail_type(const char* member, const char* wanted, const Json& json) const;

  const Json& object_;
  std::string where_;
};

// Reads a field, for each type that a field may have. If the member is absent, the default stays.
void read_value(const Members& members, const char* name, const Interval&, bool& out);
void read_value(const Members& members, const char* name, const Interval&, float& out);
void read_value(const Members& members, const char* name, const Interval&, double& out);
void read_value(const Members& members, const char* name, const Interval& interval, std::size_t& out);
void read_value(const Members& members, const char* name, const Interval&, Numbers& out);
void read_value(const Members& members, const char* name, const Interval& interval, std::uint32_t& out);
void read_value(const Members& members, const char* name, const Interval&, std::optional<std::uint64_t>& out);
void read_value(const Members& members, const char* name, const Interval&, Axis& out);
void read_value(const Members& members, const char* name, const Interval&, ActivationSpec& out);
void read_value(const Members& members, const char* name, const Interval&, Initializer& out);
void read_value(const Members& members, const char* name, const Interval&, Penalty& out);
void read_value(const Members& members, const char* name, const Interval&, Constraint& out);
void read_value(const Members& members, const char* name, const Interval&, NormAxes& out);
void read_value(const Members& members, const char* name, const Interval&, TableColumns& out);
void read_value(const Members& members, const char* name, const Interval&, Multipliers& out);
void read_value(const Members& members, const char* name, const Interval&, Clipping& out);
void read_value(const Members& members, const char* name, const Interval&, UpdateOptions& out);

template <Choice Enum>
void read_value(const Members& members, const char* name, const Interval&, Enum& out) {
  if (members.find(name) != nullptr) out = static_cast<Enum>(members.choice(name, Choices<Enum>::kNames));
}

// A field that may be null.
template <class T>
void read_value(const Members& members, const char* name, const Interval& interval, std::optional<T>& out) {
  const Json* json = members.find(name);
  if (json == nullptr) return;
  out.reset();
  if (!json->is_null()) read_value(members, name, interval, out.emplace());
}

template <class Description>
void read_fields(const Members& members, Description& out) {
  Description::kFields.visit([&](const auto& field) {
    if (field.required) members.required(field.name);
    const Json* json = members.find(field.name);
    if (field.schedule && json != nullptr && json->template get<Json::Object>() != nullptr) return;
    read_value(members, field.name, field.interval, out.*field.member);
  });
}

// Reads an object whose "type" names one of the list's descriptions, as the variant of the list.
template <class... T>
std::variant<T...> read_one_of(List<T...> list, const Json& json, std::string where) {
  Members members(json, std::move(where));
  const std::size_t chosen = members.type(names_of(list));
  std::variant<T...> result;
  const auto read = [&]<class Description>(Type<Description>) {
    if (index_of<Description>(list) == chosen) read_fields(members, result.template emplace<Description>());
  };
  (read(Type<T>()), ...);
  return result;
}

}  // namespace fastreg
