// Reads the members of a JSON object and the values of fields.
#include "core/read_fields.h"

#include <cmath>
#include <stdexcept>

#include "core/activations.h"
#include "core/check_fields.h"

namespace fastreg {

std::optional<std::size_t> find_name(Names names, std::string_view wanted) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (wanted == names[i]) return i;
  return std::nullopt;
}

std::size_t index_of_name(Names names, std::string_view wanted, const std::string& what) {
  if (const auto found = find_name(names, wanted)) return *found;
  std::string known;
  for (const char* name : names) known.append(known.empty() ? "" : ", ").append(name);
  throw std::invalid_argument(what + " must be one of " + known + ", got " + quoted(Json{std::string(wanted)}));
}

Members::Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (object_.get<Json::Object>() == nullptr) fail_type("", "an object", object_);
}

std::size_t Members::type(Names names) {
  const std::size_t kind = choice("type", names);
  where_.append(" (").append(names[kind]).append(")");
  return kind;
}

std::size_t Members::choice(const char* member, Names names) const {
  const std::string& wanted = text(member);
  const auto found = find_name(names, wanted);
  return found ? *found : index_of_name(names, wanted, label(member));
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

void read_value(const Members& members, const char* name, const Interval&, Numbers& out) {
  if (members.find(name) == nullptr) return;
  const Json::Array& list = members.array(name);
  if (list.empty() || list.size() > Numbers::kMost)
    throw std::invalid_argument(members.label(name) + " must be 1 to " + std::to_string(Numbers::kMost) +
                                " numbers, got " + std::to_string(list.size()));
  out.count = list.size();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto number = list[i].number();
    if (!number || !(std::abs(*number) <= kLargestFloat))
      throw std::invalid_argument(members.label(name) + " must be numbers that are finite in float32, got " +
                                  quoted(list[i]));
    out.values[i] = static_cast<float>(*number);
  }
}

void read_value(const Members& members, const char* name, const Interval&, std::optional<std::uint64_t>& out) {
  const Json* json = members.find(name);
  if (json != nullptr && !json->is_null()) out = members.whole(name, "null or an integer in [0, 2^64)");
}

void read_value(const Members& members, const char* name, const Interval& interval, std::uint32_t& out) {
  const std::string rule = std::string("an integer ") + interval.rule;
  if (members.find(name) == nullptr) return;
  const std::uint64_t value = members.whole(name, rule);
  if (value >= 0x80000000u)
    throw std::invalid_argument(members.label(name) + " must be " + rule + ", got " + std::to_string(value));
  out = static_cast<std::uint32_t>(value);
}

void read_value(const Members& members, const char* name, const Interval&, Axis& out) {
  double axis = static_cast<double>(out);
  members.read(name, axis);
  if (axis != 0.0 && axis != -1.0)
    throw std::invalid_argument(members.label(name) + " must be -1 or 0, got " + quoted(members.required(name)));
  out = axis == 0.0 ? Axis::rows : Axis::columns;
}

void read_value(const Members& members, const char* name, const Interval&, ActivationSpec& out) {
  if (const Json* json = members.find(name)) out = read_activation(*json, members.label(name));
}

void read_value(const Members& members, const char* name, const Interval&, Initializer& out) {
  if (const Json* json = members.find(name)) out = read_one_of(Initializers(), *json, members.label(name));
}

void read_value(const Members& members, const char* name, const Interval&, Penalty& out) {
  const Json* json = members.find(name);
  if (json == nullptr || json->is_null()) return;
  const auto read = read_one_of(Regularizers(), *json, members.label(name));
  if (const auto* const orthogonal = std::get_if<OrthogonalRegularizer>(&read))
    out = {0.0f, 0.0f, false, orthogonal->factor, orthogonal->mode};
  else
    out = std::get<Penalty>(read);
}

void read_value(const Members& members, const char* name, const Interval&, Constraint& out) {
  out = read_one_of(Constraints(), members.required(name), members.label(name));
}

// An integer, or an array of different integers, in {0, 1, -1}.
void read_value(const Members& members, const char* name, const Interval&, NormAxes& out) {
  const Json* const json = members.find(name);
  if (json == nullptr) return;
  const auto* const array = json->get<Json::Array>();
  out = {false, false, false};
  for (std::size_t i = 0; i < (array != nullptr ? array->size() : 1); ++i) {
    const auto number = (array != nullptr ? (*array)[i] : *json).number();
    bool* const axis = number == 0.0 ? &out.first : number == 1.0 ? &out.second : number == -1.0 ? &out.last : nullptr;
    if (axis == nullptr || *axis)
      throw std::invalid_argument(members.label(name) + " must be 0, 1, -1 or an array of these, got " + quoted(*json));
    *axis = true;
  }
}

namespace {

constexpr const char* kColumnTypes[] = {"PlainColumn", "NumericColumn", "CategoricalColumn"};   // of TableColumn::Kind

TableColumn read_column(const Json& json, std::string where) {
  Members members(json, std::move(where));
  TableColumn out;
  out.kind = static_cast<TableColumn::Kind>(members.type({std::begin(kColumnTypes), std::end(kColumnTypes)}));
  if (out.kind == TableColumn::Kind::plain) read_value(members, "count", kWidth, out.count);
  if (out.kind == TableColumn::Kind::numeric) {
    members.read("centre", out.centre);
    members.read("scale", out.scale);
    members.read("missing", out.missing);
    if (members.find("edges") != nullptr)
      for (const Json& edge : members.array("edges")) {
        const auto number = edge.number();
        if (!number) throw std::invalid_argument(members.label("edges") + " must be numbers, got " + quoted(edge));
        out.edges.push_back(*number);
      }
  }
  if (out.kind == TableColumn::Kind::categorical)
    for (const Json& level : members.array("levels")) {
      const auto* const number = level.get<std::uint64_t>();
      if (number == nullptr || *number >= 0x1000000)
        throw std::invalid_argument(members.label("levels") + " must be integers in [0, 2^24), got " + quoted(level));
      out.levels.push_back(static_cast<std::uint32_t>(*number));
    }
  return out;
}

}  // namespace

void read_value(const Members& members, const char* name, const Interval&, TableColumns& out) {
  const Json::Array& list = members.array(name);
  for (std::size_t i = 0; i < list.size(); ++i)
    out.list.push_back(read_column(list[i], members.label(name) + "[" + std::to_string(i) + "]"));
}

namespace {

void read_multiplier(const Members& members, const char* name, Multiplier& out) {
  const Json* const json = members.find(name);
  if (json == nullptr) return;
  const auto* const object = json->get<Json::Object>();
  if (object == nullptr) return members.read(name, out.all);
  const Members single(*json, members.label(name));
  for (const auto& [weight, factor] : *object)
    single.read(weight.c_str(), out.single.emplace_back(weight, 1.0f).second);
}

}  // namespace

void read_value(const Members& members, const char*, const Interval&, Multipliers& out) {
  read_multiplier(members, "learning_rate_multiplier", out.learning_rate);
  read_multiplier(members, "weight_decay_multiplier", out.weight_decay);
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
  const Json* const decay = members.find("weight_decay");
  if (decay != nullptr && !decay->is_null() && decay->get<Json::Object>() == nullptr)
    members.read("weight_decay", out.weight_decay);
  members.read("use_ema", out.use_ema);
  members.read("ema_momentum", out.ema_momentum);
  read_steps(members, "ema_overwrite_frequency", out.ema_overwrite_frequency);
  read_steps(members, "gradient_accumulation_steps", out.gradient_accumulation_steps);
}

}  // namespace fastreg
