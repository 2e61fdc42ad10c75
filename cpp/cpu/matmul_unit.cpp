// Which unit of this processor computes products of bfloat16 numbers. CMake defines FASTREG_HAVE_<UNIT> for each one
// that is linked in. The choice depends on the kind of the processor and never on a measurement, since results have
// other bits on another unit.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "core/backend.h"
#include "fastreg/runtime.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fastreg {

#define FASTREG_DECLARE_UNIT(unit)      \
  namespace unit {                      \
  extern const Bfloat16Products table;  \
  }
#if defined(FASTREG_HAVE_AMX)
FASTREG_DECLARE_UNIT(amx)
#endif
#if defined(FASTREG_HAVE_AVX512_BF16)
FASTREG_DECLARE_UNIT(avx512_bf16)
#endif
FASTREG_DECLARE_UNIT(amx_portable)
FASTREG_DECLARE_UNIT(avx512_bf16_portable)

namespace {

#if defined(__x86_64__)
struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};
// All zero where the processor does not have the leaf.
Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

bool has_avx512_bf16() { return cpu_kernels("avx512") != nullptr && (cpuid(7, 1).a >> 5 & 1u) != 0; }

// The units of Zen 4 and Zen 5 multiply bfloat16 numbers twice as fast as float32 numbers; those of Intel's processors
// do not. Zen 3 and its predecessors have no such unit.
bool has_fast_avx512_bf16() {
  const Registers maker = cpuid(0, 0);
  const bool amd = maker.b == 0x68747541u && maker.d == 0x69746e65u && maker.c == 0x444d4163u;   // "AuthenticAMD"
  const unsigned version = cpuid(1, 0).a, family = (version >> 8 & 0xfu) + (version >> 20 & 0xffu);
  return amd && family >= 0x19u && has_avx512_bf16();
}

// Asks the kernel for the state of the tiles, which it may refuse. What it grants holds for the whole process. A build
// without kernels of AVX-512 does not ask.
[[maybe_unused]] bool has_amx() {
#if defined(__linux__)
  constexpr unsigned kTiles = 1u << 24, kBfloat16 = 1u << 22;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  if ((cpuid(7, 0).d & (kTiles | kBfloat16)) != (kTiles | kBfloat16) || !has_avx512_bf16()) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace

std::vector<const Bfloat16Products*> bfloat16_products() {
  std::vector<const Bfloat16Products*> units;
#if defined(FASTREG_HAVE_AMX)
  static const bool amx = has_amx();
  if (amx) units.push_back(&amx::table);
#endif
#if defined(FASTREG_HAVE_AVX512_BF16)
  if (has_avx512_bf16()) units.push_back(&avx512_bf16::table);
#endif
  units.push_back(&amx_portable::table);
  units.push_back(&avx512_bf16_portable::table);
  return units;
}

const Bfloat16Products* choose_bfloat16_products(const Kernels& kernels) {
  const std::vector<const Bfloat16Products*> units = bfloat16_products();
  const char* const forced = std::getenv("FASTREG_MATMUL_UNIT");
  if (forced && *forced) {
    if (std::strcmp(forced, "none") == 0) return nullptr;
    std::string choices = "none";
    for (const Bfloat16Products* unit : units) {
      if (std::strcmp(forced, unit->unit) == 0) return unit;
      choices.append(", ").append(unit->unit);
    }
    throw std::invalid_argument("FASTREG_MATMUL_UNIT must be one of " + choices + " on this CPU, got '" + forced + "'");
  }
#if defined(__x86_64__)
  if (std::strcmp(kernels.isa, "avx512") == 0) {
    if (std::strcmp(units[0]->unit, "amx") == 0) return units[0];
    if (std::strcmp(units[0]->unit, "avx512_bf16") == 0 && has_fast_avx512_bf16()) return units[0];
  }
#endif
  return nullptr;
}

ProductPrecision product_precision(const Backend& backend, MatmulPrecision precision) {
  if (precision > MatmulPrecision::medium)
    throw std::invalid_argument("MatmulPrecision must be one of its enumerators, got " +
                                std::to_string(static_cast<unsigned>(precision)));
  if (precision == MatmulPrecision::highest || backend.bfloat16 == nullptr) return {};
  if (precision == MatmulPrecision::medium) return {backend.bfloat16, 1};
  return backend.bfloat16->three_products ? ProductPrecision{backend.bfloat16, 2} : ProductPrecision{};
}

std::string matmul_unit() {
  const Bfloat16Products* const unit = cpu_backend().bfloat16;
  return unit ? unit->unit : "";
}

bool matmul_precision_computes(MatmulPrecision precision) {
  const bool reduced = product_precision(cpu_backend(), precision).bfloat16 != nullptr;
  return reduced || precision == MatmulPrecision::highest;
}

}  // namespace fastreg
