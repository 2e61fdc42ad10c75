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

// The mask words of kGroups groups. The high half of a word compares as it stands; the low one is shifted up. Narrow
// vectors give a mask word in several pieces.
template <std::size_t kGroups>
FASTREG_INLINE void mask_groups(const math::PhiloxKeys& keys, const DropoutBits& d, std::size_t group) {
  constexpr std::size_t kVectors = 16 * kGroups / Wide::kLanes, kPieces = 16 / V::Int::kLanes;
  constexpr std::size_t N = kVectors < Wide::kInterleave ? kVectors : Wide::kInterleave;
  const V::Int threshold = V::Int::set(d.threshold << 16);
  V::Int words[kGroups * kPieces][4];
  FASTREG_UNROLL
  for (std::size_t v = 0; v < kVectors; v += N) {
    V::Int part[4][N / 2];
    random_blocks<N>(keys, d.key, 16 * group + v * Wide::kLanes, part);
    FASTREG_UNROLL
    for (std::size_t j = 0; j < N / 2; ++j) {
      FASTREG_UNROLL
      for (std::size_t i = 0; i < 4; ++i) words[v / 2 + j][i] = part[i][j];
    }
  }
  FASTREG_UNROLL
  for (std::size_t g = 0; g < kGroups; ++g) {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint32_t low = 0, high = 0;
      FASTREG_UNROLL
      for (std::size_t piece = 0; piece < kPieces; ++piece) {
        const V::Int word = words[g * kPieces + piece][i];
        low |= ge_bits(word.template shl<16>(), threshold) << (piece * V::Int::kLanes);
        high |= ge_bits(word, threshold) << (piece * V::Int::kLanes);
      }
      d.mask[(group + g) * 8 + 2 * i] = static_cast<std::uint16_t>(low);
      d.mask[(group + g) * 8 + 2 * i + 1] = static_cast<std::uint16_t>(high);
    }
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
