// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; 2011), over a type W of
// 32-bit lanes, where each lane computes one block.
#pragma once
#include <cstddef>
#include <cstdint>

#include "math/inline.h"

namespace fastreg::math {

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;

// The ten round keys. They are kept in memory, so that every round reads them as a broadcast operand.
struct PhiloxKeys {
  std::uint32_t k0[10], k1[10];
};

FASTREG_INLINE void philox_schedule(std::uint64_t seed, PhiloxKeys* keys) {
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    keys->k0[round] = k0;
    keys->k1[round] = k1;
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
}

// Replaces N vectors of counters, whose four words are c[i][0..3], by random words. N > 1 interleaves independent
// chains.
template <std::size_t N, class W>
FASTREG_INLINE void philox(const PhiloxKeys& keys, W (&c)[N][4]) {
  const W m0 = W::set(kPhiloxM0), m1 = W::set(kPhiloxM1);
  for (int round = 0; round < 10; ++round) {
    const W k0 = W::set(keys.k0[round]), k1 = W::set(keys.k1[round]);
    FASTREG_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
      W high_0, low_0, high_1, low_1;
      multiply(c[i][0], m0, &high_0, &low_0);
      multiply(c[i][2], m1, &high_1, &low_1);
      c[i][0] = high_1 ^ c[i][1] ^ k0;
      c[i][1] = low_1;
      c[i][2] = high_0 ^ c[i][3] ^ k1;
      c[i][3] = low_0;
    }
  }
}

}  // namespace fastreg::math
