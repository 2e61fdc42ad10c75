// Which accesses make a line cross between caches (bench/crossings/lines.h), against the history of all accesses.
#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "lines.h"

namespace {

struct Access {
  unsigned core;
  std::uintptr_t line;
  bool write;
};

// A read crosses if another core has written the line after this one last used it. A write crosses if another core has
// used the line after this one last wrote it.
bool crosses(const std::vector<Access>& before, const Access& now) {
  for (auto past = before.rbegin(); past != before.rend(); ++past) {
    if (past->line != now.line) continue;
    if (past->core == now.core && (past->write || !now.write)) return false;
    if (past->core != now.core && (past->write || now.write)) return true;
  }
  return false;
}

void test_against_history(unsigned cores) {
  check::context = std::to_string(cores) + " cores";
  static bench::Lines lines;
  // Bytes of four lines, two of them at both sides of a page of states.
  constexpr std::uintptr_t kBytes[] = {0, 4096 + 17, (1u << 21) - 1, 1u << 21};
  std::vector<Access> before;
  std::uint32_t state = cores;
  const auto draw = [&](std::uint32_t below) { return ((state = state * 1664525u + 1013904223u) >> 16) % below; };
  std::size_t found = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::uintptr_t byte = (std::uintptr_t{cores} << 43) + kBytes[draw(4)];
    const Access now{draw(cores), byte / bench::Lines::kLine, draw(3) == 0};
    const bool wanted = crosses(before, now);
    CHECK((now.write ? lines.write(now.core, byte) : lines.read(now.core, byte)) == wanted);
    before.push_back(now);
    found += wanted;
  }
  CHECK((found > 0) == (cores > 1));
}

}  // namespace

int main() {
  for (const unsigned cores : {1u, 2u, 3u, bench::Lines::kMostCores}) test_against_history(cores);
  return report("crossings");
}
