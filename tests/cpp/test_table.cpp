// Calls every entry of the kernel table at sizes of real layers: each instruction set must give the results of the
// baseline (NEON on ARM).
//   test_table                      compares
//   test_table --bench CPU ISA      compares, then times the same calls there, as JSON lines (bench/timing.h)
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "../../bench/timing.h"
#include "kernel_cases.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

// All members of the table but the name of the instruction set are functions.
constexpr std::size_t kEntries = sizeof(Kernels) / sizeof(void (*)()) - 1;

// The tolerance is one of numbers of about 1; larger ones are rounded in proportion to their size.
bool agrees(const Written& got, const Written& want) {
  if (want.tolerance < 0) return std::memcmp(got.data, want.data, want.bytes) == 0;
  const auto *a = static_cast<const float*>(got.data), *b = static_cast<const float*>(want.data);
  for (std::size_t i = 0; i < want.bytes / sizeof(float); ++i) {
    if (!close(a[i], b[i], want.tolerance * std::max(1.0, std::abs(static_cast<double>(b[i]))))) return false;
  }
  return true;
}

void compare(const std::string& isa, const Cases& cases, const Cases& reference) {
  const Kernels& k = *cpu_kernels(isa.c_str());
  for (std::size_t i = 0; i < cases.list().size(); ++i) {
    const Case &mine = cases.list()[i], &theirs = reference.list()[i];
    mine.call(k);
    for (std::size_t j = 0; j < mine.written.size(); ++j) {
      check::context = isa + " " + mine.entry + " " + mine.shape + ", output " + std::to_string(j);
      CHECK(agrees(mine.written[j], theirs.written[j]));
    }
  }
}

void time_cases(const Kernels& k, const Cases& cases) {
  const double peak = bench::peak(k.isa);
  for (const Case& c : cases.list()) {
    const double seconds = bench::seconds([&] { c.call(k); });
    const std::string name = std::string(c.entry) + ", " + c.shape, unit = c.unit;
    char more[128];
    std::snprintf(more, sizeof more, ", \"isa\": \"%s\", \"peak\": %.4g, \"nanoseconds\": %.1f", k.isa, peak,
                  seconds * 1e9);
    if (unit == "element")
      bench::print_json(name, "time", "ns an element", seconds * 1e9 / c.work, more);
    else
      bench::print_json(name, "rate", unit == "flop" ? "GFLOP/s" : "GB/s", c.work / seconds * 1e-9, more);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> isas = available_isas();
  const bool timing = argc == 4 && std::string(argv[1]) == "--bench";
  const std::string timed_isa = timing ? argv[3] : "";
  const bool known = !timing || std::find(isas.begin(), isas.end(), timed_isa) != isas.end();
  if ((argc > 1 && !timing) || !known || (timing && !bench::pin(std::atoi(argv[2])))) {
    std::fprintf(stderr, "usage: test_table [--bench CPU ISA], both of which must be available here\n");
    return 2;
  }
  std::string plainest = isas.front();
  for (const std::string& isa : isas) {
    if (isa == "baseline") plainest = isa;
  }
  const Cases reference;
  std::set<std::string> entries;
  for (const Case& c : reference.list()) {
    c.call(*cpu_kernels(plainest.c_str()));
    entries.insert(c.entry);
  }
  check::context = "every entry of the table has a case in kernel_cases.h";
  CHECK(entries.size() == kEntries);
  for (const std::string& isa : isas) {
    const Cases cases;
    compare(isa, cases, reference);
    if (isa != timed_isa) continue;
    // A member of a team flushes denormals to zero, as while training.
    std::pair<const Kernels*, const Cases*> run{cpu_kernels(isa.c_str()), &cases};
    cpu_backend().run(
        1,
        [](void* context, const Team&) {
          const auto [k, timed] = *static_cast<decltype(run)*>(context);
          time_cases(*k, *timed);
        },
        &run);
  }
  if (!timing) return report("table");
  return check::failed == 0 ? 0 : 1;
}
