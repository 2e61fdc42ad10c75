// What tests of texts and messages share: checks with words of their own, and the message of
// an error.
#pragma once
#include <string>

#include "check.h"

namespace fastreg::test {

inline void check_named(bool good, const std::string& what, const char* file, int line) {
  check::verify(good, what.c_str(), file, line);
}
#define CHECK_NAMED(condition, what) check_named((condition), (what), __FILE__, __LINE__)

inline void check_equal(const std::string& got, const std::string& wanted, const char* file, int line) {
  check_named(got == wanted, "got      " + got + "\n  wanted   " + wanted, file, line);
}
#define CHECK_EQUAL(got, wanted) check_equal((got), (wanted), __FILE__, __LINE__)

// The message of the Error that body must throw.
template <class Error, class Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace fastreg::test
