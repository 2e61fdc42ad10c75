// The CPU backend: it knows which instruction sets there are and which one is in use, allocates memory and reports
// facts about the build. CMake defines FASTREG_HAVE_<ISA> for each set of kernels that is linked in.
#include "core/backend.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/parallel.h"
#include "fastreg/runtime.h"

#if !defined(FASTREG_VERSION) || !defined(FASTREG_BUILD_TYPE)
#error "CMake defines FASTREG_VERSION and FASTREG_BUILD_TYPE as string literals"
#endif

namespace fastreg {

#if defined(FASTREG_HAVE_BASELINE)
namespace baseline {
extern const Kernels table;
}
#endif
#if defined(FASTREG_HAVE_AVX2)
namespace avx2 {
extern const Kernels table;
}
#endif
#if defined(FASTREG_HAVE_AVX512)
namespace avx512 {
extern const Kernels table;
}
#endif
#if defined(FASTREG_HAVE_NEON)
namespace neon {
extern const Kernels table;
}
#endif

namespace {

#if defined(__x86_64__)
// Clang before version 18 and GCC before version 12 do not know the names of the levels.
// FASTREG_ISAS may leave out the kernels that one of them asks for.
#if defined(__clang__) || __GNUC__ < 12
[[maybe_unused]] bool supports_v2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
[[maybe_unused]] bool supports_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
[[maybe_unused]] bool supports_v4() {
  return supports_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
[[maybe_unused]] bool supports_v2() { return __builtin_cpu_supports("x86-64-v2"); }
[[maybe_unused]] bool supports_v3() { return __builtin_cpu_supports("x86-64-v3"); }
[[maybe_unused]] bool supports_v4() { return __builtin_cpu_supports("x86-64-v4"); }
#endif
#endif

// Slowest first.
std::vector<const Kernels*> supported_kernels() {
  std::vector<const Kernels*> tables;
#if defined(FASTREG_HAVE_BASELINE)
  if (supports_v2()) tables.push_back(&baseline::table);
#endif
#if defined(FASTREG_HAVE_AVX2)
  if (supports_v3()) tables.push_back(&avx2::table);
#endif
#if defined(FASTREG_HAVE_AVX512)
  if (supports_v4()) tables.push_back(&avx512::table);
#endif
#if defined(FASTREG_HAVE_NEON)
  tables.push_back(&neon::table);
#endif
  return tables;
}

const std::vector<const Kernels*>& kernel_tables() {
  static const std::vector<const Kernels*> tables = supported_kernels();
  return tables;
}

const Kernels& choose_kernels() {
  const char* forced = std::getenv("FASTREG_ISA");
  if (forced && *forced) {
    if (const Kernels* kernels = cpu_kernels(forced)) return *kernels;
    std::string choices;
    for (const std::string& isa : available_isas()) choices += (choices.empty() ? "" : ", ") + isa;
    throw std::invalid_argument("FASTREG_ISA must be one of " + choices + " on this CPU, got '" + forced + "'");
  }
  if (kernel_tables().empty()) throw std::runtime_error("this CPU is older than every instruction set compiled in");
  return *kernel_tables().back();
}

// Where the system does not say it, the size is that of many servers. For tests, FASTREG_L2_CACHE is another size.
std::size_t l2_cache() {
  constexpr std::size_t kUsual = std::size_t{1} << 20;
  if (const char* forced = std::getenv("FASTREG_L2_CACHE"); forced && *forced) {
    std::size_t bytes = 0;
    const char* const last = forced + std::strlen(forced);
    const auto [end, error] = std::from_chars(forced, last, bytes);
    if (error != std::errc() || end != last)
      throw std::invalid_argument("FASTREG_L2_CACHE must be a number of bytes, got '" + std::string(forced) + "'");
    return bytes;
  }
#if defined(_SC_LEVEL2_CACHE_SIZE)
  const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : kUsual;
#else
  return kUsual;
#endif
}

constexpr std::size_t kTail = 64;  // readable bytes after the end of every buffer
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kMappedFrom = std::size_t{512} << 10;

constexpr std::size_t padded(std::size_t bytes, std::size_t grain) {
  return (bytes + kTail + grain - 1) / grain * grain;
}

// Whole huge pages, mapped directly. Memory from the heap may have been touched before madvise and then stays on small
// pages, which costs 5 to 10 % of the training time of a wide network.
void* map(std::size_t size) {
  void* const mapped = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const begin = static_cast<char*>(mapped);
  const std::size_t before = (0 - reinterpret_cast<std::uintptr_t>(begin)) % kHugePage;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + size, kHugePage - before);
#if defined(MADV_HUGEPAGE)
  madvise(begin + before, size, MADV_HUGEPAGE);  // an error is ignored: pages then stay small
#endif
  return begin + before;
}

void* allocate(std::size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kHugePage - kTail) throw std::bad_alloc();
  if (bytes >= kMappedFrom) return map(padded(bytes, kHugePage));
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, padded(bytes, 64)) != 0) throw std::bad_alloc();
  std::memset(memory, 0, padded(bytes, 64));
  return memory;
}

void release(void* memory, std::size_t bytes) noexcept {
  if (bytes >= kMappedFrom)
    munmap(memory, padded(bytes, kHugePage));
  else
    std::free(memory);
}

}  // namespace

const Backend& cpu_backend() {
  static const Backend backend = [] {
    const Kernels& kernels = choose_kernels();
    return Backend{"cpu", &kernels, choose_bfloat16_products(kernels), l2_cache(), allocate, release, run_team};
  }();
  return backend;
}

const Kernels* cpu_kernels(const char* isa) {
  for (const Kernels* kernels : kernel_tables()) {
    if (std::strcmp(kernels->isa, isa) == 0) return kernels;
  }
  return nullptr;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Kernels* kernels : kernel_tables()) names.emplace_back(kernels->isa);
  return names;
}

std::string active_isa() { return cpu_backend().kernels->isa; }

BuildInfo build_info() {
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "gcc " __VERSION__;
#endif
  return {FASTREG_VERSION, compiler, FASTREG_BUILD_TYPE};
}

}  // namespace fastreg
