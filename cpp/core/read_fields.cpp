// Reads the members of a JSON object and the values of fields.
#include "core/read_fields.h"

#include <cmath>
#include <stdexcept>

#include "core/activations.h"

namespace fastreg {

std::size_t index_of_name(const std::vector<const char*>& names, std::string_view wanted, const std::string& what) {
  std::string known;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (wanted == names[i]) return i;
    known.append(i > 0 ? ", " : "").append(names[i]);
  }
  throw std::invalid_argument(what + " must be one of " + known + ", got " + quoted(Json{std::string(wanted)}));
}

Members::Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (object_.get<Json::Object>() == nullptr) fail_type("", "an object", object_);
}

std::size_t Members::type(const std::vector<const char*>& names) {
  const std::size_t kind = index_of_name(names, text("type"), label("type"));
  where_ += std::string(" (") + names[kind] + ")";
  return kind;
}

void Members::read(const char* member, bool& out) const {
  const Json* json = find(member);
  if (json == nullptr) return;
  const bool* flag = json->get<bool>();
  if (flag == nullptr) fail_type(member, "true or false", *json);
  out = *flag;
}

void Members::read(const char* member, double& out) const {
  const Json* json = find(member);
  if (json == nullptr) return;
  const auto number = json->number();
  if (!number) fail_type(member, "a number", *json);
  out = *number;
}

void Members::read(const char* member, float& out) const {
  double number = static_cast<double>(out);
  read(member, number);
  if (std::abs(number) > kLargestFloat) fail_type(member, "finite in float32", required(member));
  out = static_cast<float>(number);
}

std::uint64_t Members::whole(const char* member, const std::string& rule) const {
  const Json& json = required(member);
  const auto* number = json.get<std::uint64_t>();
  if (number == nullptr) fail_type(member, rule.c_str(), json);
  return *number;
}

const std::string& Members::text(const char* member) const {
  const Json& json = required(member);
  const auto* text = json.get<std::string>();
  if (text == nullptr) fail_type(member, "a string", json);
  return *text;
}

const Json::Array& Members::array(const char* member) const {
  const Json& json = required(member);
  const auto* array = json.get<Json::Array>();
  if (array == nullptr) fail_type(member, "an array", json);
  return *array;
}

bool Members::has(const char* member) const {
  const Json* json = find(member);
  return json != nullptr && !json->is_null();
}

const Json& Members::required(const char* member) const {
  const Json* json = find(member);
  if (json == nullptr) throw std::invalid_argument(label(member) + " is missing");
  return *json;
}

std::string Members::label(const char* member) const {
  if (where_.empty()) return *member != '\0' ? member : "description";
  return *member != '\0' ? where_ + ": " + member : where_;
}

void Members::fail_type(const char* member, const char* wanted, const Json& json) const {
  throw std::invalid_argument(label(member) + " must be " + wanted + ", got " + quoted(json));
}

void read_value(const Members& members, const char* name, const Interval&, bool& out) { members.read(name, out); }
void read_value(const Members& members, const char* name, const Interval&, float& out) { members.read(name, out); }
void read_value(const Members& members, const char* name, const Interval&, double& out) { members.read(name, out); }

void read_value(const Members& members, const char* name, const Interval& interval, std::size_t& out) {
  if (members.find(name) != nullptr) out = members.whole(name, std::string("an integer ") + interval.rule);
}

void read_value(const Members& members, const char* name, const Interval&, std::optional<std::uint64_t>& out) {
  const Json* json = members.find(name);
  if (json != nullptr && !json->is_null()) out = members.whole(name, "null or an integer in [0, 2^64)");
}

void read_value(const Members& members, const char* name, const Interval&, ActivationKind& out) {
  if (members.find(name) != nullptr) out = find_activation(members.text(name), members.label(name));
}

void read_value(const Members& members, const char* name, const Interval&, Initializer& out) {
  if (const Json* json = members.find(name)) out = read_one_of(Initializers(), *json, members.label(name));
}

void read_value(const Members& members, const char* name, const Interval&, Penalty& out) {
  const Json* json = members.find(name);
  if (json == nullptr || json->is_null()) return;
  out = std::get<Penalty>(read_one_of(Regularizers(), *json, members.label(name)));
}

void read_value(const Members& members, const char*, const Interval&, Clipping& out) {
  for (const ClipKind kind : kClippings) {
    const Json* json = members.find(clipping_name(kind));
    if (json == nullptr || json->is_null()) continue;
    if (out.kind != ClipKind::none)
      throw std::invalid_argument(members.label(clipping_name(kind)) +
                                  " must be the only limit of gradients, got others too");
    out.kind = kind;
    members.read(clipping_name(kind), out.limit);
  }
}

namespace {

// A number of steps, which fits into 31 bits; null means that the option is not used.
void read_steps(const Members& members, const char* name, std::uint32_t& out) {
  if (!members.has(name)) return;
  const std::string rule = std::string("null or an integer ") + kWidth.rule;
  const std::uint64_t steps = members.whole(name, rule);
  if (!kWidth.contains(static_cast<double>(steps)))
    throw std::invalid_argument(members.label(name) + " must be " + rule + ", got " + std::to_string(steps));
  out = static_cast<std::uint32_t>(steps);
}

}  // namespace

void read_value(const Members& members, const char*, const Interval& interval, UpdateOptions& out) {
  read_value(members, "clipping", interval, out.clipping);
  if (members.has("weight_decay")) members.read("weight_decay", out.weight_decay);
  members.read("use_ema", out.use_ema);
  members.read("ema_momentum", out.ema_momentum);
  read_steps(members, "ema_overwrite_frequency", out.ema_overwrite_frequency);
  read_steps(members, "gradient_accumulation_steps", out.gradient_accumulation_steps);
}

}  // namespace fastreg
