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

// Rounds first to 9 of N vectors of blocks, whose four words are c[i][0..3]. N > 1 interleaves independent chains.
template <std::size_t N, class W>
FASTREG_INLINE void philox_rounds(const PhiloxKeys& keys, int first, W (&c)[N][4]) {
  const W m0 = W::set(kPhiloxM0), m1 = W::set(kPhiloxM1);
  for (int round = first; round < 10; ++round) {
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

// Replaces N vectors of counters by random words. Only words c[i][0] are read; the other three are the same for all
// blocks, so that half of the first two rounds is done once.
template <std::size_t N, class W>
FASTREG_INLINE void philox(const PhiloxKeys& keys, std::uint32_t word_1, std::uint32_t word_2, std::uint32_t word_3,
                           W (&c)[N][4]) {
  const std::uint64_t product_2 = std::uint64_t{word_2} * kPhiloxM1;
  const std::uint32_t next_0 = static_cast<std::uint32_t>(product_2 >> 32) ^ word_1 ^ keys.k0[0];
  const std::uint64_t product_0 = std::uint64_t{next_0} * kPhiloxM0;
  const W m0 = W::set(kPhiloxM0), m1 = W::set(kPhiloxM1);
  const W second_0 = W::set(static_cast<std::uint32_t>(product_2) ^ keys.k0[1]);
  const W first_2 = W::set(word_3 ^ keys.k1[0]);
  const W second_2 = W::set(static_cast<std::uint32_t>(product_0 >> 32) ^ keys.k1[1]);
  FASTREG_UNROLL
  for (std::size_t i = 0; i < N; ++i) {
    W high_0, low_0, high_1, low_1;
    multiply(c[i][0], m0, &high_0, &low_0);
    multiply(high_0 ^ first_2, m1, &high_1, &low_1);
    c[i][0] = high_1 ^ second_0;
    c[i][1] = low_1;
    c[i][2] = low_0 ^ second_2;
    c[i][3] = W::set(static_cast<std::uint32_t>(product_0));
  }
  philox_rounds<N>(keys, 2, c);
}

}  // namespace fastreg::math
