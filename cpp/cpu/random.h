// Random words and dropout masks from Philox4x32-10; kernels.h fixes which bit belongs to which word.
#pragma once
#include "core/kernels.h"
#include "cpu/simd/simd.h"
#include "math/rng.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

// Words of N vectors of blocks from `first` on: words[i] holds word i of N Wide::kLanes blocks in order.
template <std::size_t N>
FASTREG_INLINE void random_blocks(const math::PhiloxKeys& keys, const RandomKey& key, std::uint64_t first,
                                  V::Int (&words)[4][N / 2]) {
  Wide c[N][4];
  FASTREG_UNROLL
  for (std::size_t i = 0; i < N; ++i) {
    c[i][0] = Wide::counting_from(first + i * Wide::kLanes);
    c[i][1] = c[i][0].high();
    c[i][2] = Wide::set(key.stream);
    c[i][3] = Wide::set(key.step);
  }
  math::philox<N>(keys, c);
  FASTREG_UNROLL
  for (std::size_t i = 0; i < 4; ++i) {
    FASTREG_UNROLL
    for (std::size_t j = 0; j < N / 2; ++j) words[i][j] = narrow(c[2 * j][i], c[2 * j + 1][i]);
  }
}

// The mask words of kGroups groups. The high half of a word compares as it stands; the low one is shifted up.
template <std::size_t kGroups>
FASTREG_INLINE void mask_groups(const math::PhiloxKeys& keys, const DropoutBits& d, std::size_t group) {
  constexpr std::size_t kBlocks = 16 * kGroups, kVectors = kBlocks / Wide::kLanes;
  constexpr std::size_t N = kVectors < Wide::kInterleave ? kVectors : Wide::kInterleave;
  const V::Int threshold = V::Int::set(d.threshold << 16);
  std::uint32_t bits[kGroups][8] = {};
  FASTREG_UNROLL
  for (std::size_t part = 0; part < kVectors / N; ++part) {
    V::Int words[4][N / 2];
    random_blocks<N>(keys, d.key, 16 * group + part * N * Wide::kLanes, words);
    FASTREG_UNROLL
    for (std::size_t j = 0; j < N / 2; ++j) {
      const std::size_t block = (part * N / 2 + j) * V::Int::kLanes;
      FASTREG_UNROLL
      for (std::size_t i = 0; i < 4; ++i) {
        bits[block / 16][2 * i] |= ge_bits(words[i][j].template shl<16>(), threshold) << (block % 16);
        bits[block / 16][2 * i + 1] |= ge_bits(words[i][j], threshold) << (block % 16);
      }
    }
  }
  FASTREG_UNROLL
  for (std::size_t g = 0; g < kGroups; ++g) {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < 8; ++i) d.mask[(group + g) * 8 + i] = static_cast<std::uint16_t>(bits[g][i]);
  }
}

void dropout_bits(const DropoutBits& d) noexcept {
  math::PhiloxKeys keys;
  math::philox_schedule(d.key.seed, &keys);
  constexpr std::size_t kTogether = 2;
  std::size_t g = d.groups.begin;
  for (; g + kTogether <= d.groups.end; g += kTogether) mask_groups<kTogether>(keys, d, g);
  for (; g < d.groups.end; ++g) mask_groups<1>(keys, d, g);
}

void random_words(const RandomKey& key, std::uint64_t first, std::size_t n, std::uint32_t* out) noexcept {
  math::PhiloxKeys keys;
  math::philox_schedule(key.seed, &keys);
  constexpr std::size_t N = 2, kBlocks = N * Wide::kLanes;
  for (std::size_t done = 0; done < n; done += kBlocks) {
    V::Int words[4][N / 2];
    random_blocks<N>(keys, key, first + done, words);
    std::uint32_t columns[4][kBlocks];
    for (std::size_t i = 0; i < 4; ++i) words[i][0].store(columns[i]);
    const std::size_t count = n - done < kBlocks ? n - done : kBlocks;
    for (std::size_t b = 0; b < count; ++b) {
      for (std::size_t i = 0; i < 4; ++i) out[(done + b) * 4 + i] = columns[i][b];
    }
  }
}

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
