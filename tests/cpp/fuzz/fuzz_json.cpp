// Fuzzes the JSON parser and the reader of descriptions: a text is a std::invalid_argument or a value, the text of a
// value is read as the same value, and every hyper-parameter of an accepted description is in its range.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "fastreg/json.h"
#include "fastreg/spec.h"

namespace {

// Whether f succeeds. The only exception that it may throw is a std::invalid_argument with a message.
template <class F>
bool accepted(F f) {
  try {
    f();
    return true;
  } catch (const std::invalid_argument& refused) {
    if (*refused.what() == '\0') std::abort();
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastreg;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const bool is_json = accepted([&] {
    const std::string written = parse_json(text).dump();
    if (parse_json(written).dump() != written) std::abort();
  });
  const auto only_json = [&](bool taken) {
    if (taken && !is_json) std::abort();
  };
  only_json(accepted([&] { validate(parse_network(text)); }));
  only_json(accepted([&] { validate(parse_training(text)); }));
  only_json(accepted([&] { parse_optimizer(text); }));
  return 0;
}
