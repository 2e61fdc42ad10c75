// Reads descriptions from JSON by their fields (fastreg/fields.h). What values are allowed is the business of
// core/check_fields.h; here it is names and JSON types. Errors are std::invalid_argument, and name the place, the
// field, the rule and the value.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"
#include "fastreg/spec.h"

namespace fastreg {

// The index of a name among others; an unknown one is an error that lists them.
std::size_t index_of_name(const std::vector<const char*>& names, std::string_view wanted, const std::string& what);

// The names of a list of descriptions.
template <class... T>
std::vector<const char*> names_of(List<T...>) {
  return {T::kName...};
}

// The members of one JSON object, read by name; `where` starts every message, e.g. "layers[2] (Dropout)".
class Members {
 public:
  Members(const Json& object, std::string where);

  // The index of "type" among the names, which from now on is part of `where`.
  std::size_t type(const std::vector<const char*>& names);

  // These leave `out` as it is where the member is absent.
  void read(const char* member, bool& out) const;
  void read(const char* member, double& out) const;
  void read(const char* member, float& out) const;

  std::uint64_t whole(const char* member, const std::string& rule) const;
  const std::string& text(const char* member) const;
  const Json::Array& array(const char* member) const;
  const Json* find(const char* member) const { return object_.find(member); }
  const Json& required(const char* member) const;

  // How a message names a member: "layers[2] (Dropout): rate", or "n_features" at the top.
  std::string label(const char* member) const;

 private:
  [[noreturn]] void fail_type(const char* member, const char* wanted, const Json& json) const;

  const Json& object_;
  std::string where_;
};

// One field of each type that a description may have; an absent member leaves the default.
void read_value(const Members& members, const char* name, const Interval&, bool& out);
void read_value(const Members& members, const char* name, const Interval&, float& out);
void read_value(const Members& members, const char* name, const Interval&, double& out);
void read_value(const Members& members, const char* name, const Interval& interval, std::size_t& out);
void read_value(const Members& members, const char* name, const Interval&, std::optional<std::uint64_t>& out);
void read_value(const Members& members, const char* name, const Interval&, ActivationKind& out);
void read_value(const Members& members, const char* name, const Interval&, Initializer& out);
void read_value(const Members& members, const char* name, const Interval&, Penalty& out);
void read_value(const Members& members, const char* name, const Interval&, Clipping& out);

template <class Description>
void read_fields(const Members& members, Description& out) {
  Description::kFields.visit([&](const auto& field) {
    if (field.required) members.required(field.name);
    const Json* json = members.find(field.name);
    if (field.schedule && json != nullptr && json->template get<Json::Object>() != nullptr) return;
    read_value(members, field.name, field.interval, out.*field.member);
  });
}

// An object of the list's descriptions, which names its own in "type", as the variant of the list.
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
