// A minimal test library: conditions that are counted, and printed when they fail, and an exit status.
#pragma once
#include <cstdio>
#include <string>

namespace check {

inline int made = 0, failed = 0;
// A description of the case under test, which is printed with every failure.
inline std::string context;

inline void verify(bool good, const char* what, const char* file, int line) {
  ++made;
  if (good) return;
  constexpr int kPrinted = 40;
  if (++failed <= kPrinted) std::printf("%s:%d: %s [%s]\n", file, line, what, context.c_str());
}

}  // namespace check

#define CHECK(condition) check::verify(static_cast<bool>(condition), #condition, __FILE__, __LINE__)

#define CHECK_THROWS(expression, type)                                           \
  do {                                                                           \
    bool thrown = false;                                                         \
    try {                                                                        \
      static_cast<void>(expression);                                             \
    } catch (const type&) {                                                      \
      thrown = true;                                                             \
    }                                                                            \
    check::verify(thrown, #expression " must throw " #type, __FILE__, __LINE__); \
  } while (false)

// Returns the exit status of main. A program that checked nothing has failed, too.
inline int report(const char* name) {
  std::printf("%s: %d checks, %d failed\n", name, check::made, check::failed);
  return check::failed == 0 && check::made > 0 ? 0 : 1;
}
