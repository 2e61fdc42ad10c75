// Random words, normal numbers and dropout masks from Philox4x32-10. kernels.h specifies which bit of a mask comes from
// which word.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/simd/simd.h"
#include "math/normal.h"
#include "math/rng.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

alignas(64) constexpr std::uint32_t kCounting[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Computes N vectors of V::kLanes blocks each, from block `first` on: words[v][i] holds word i of the blocks of vector
// v.
template <std::size_t N>
FASTREG_INLINE void random_blocks(const math::PhiloxKeys& keys, const RandomKey& key, std::uint64_t first,
                                  V::Int (&words)[N][4]) {
  const std::uint32_t low = static_cast<std::uint32_t>(first), high = static_cast<std::uint32_t>(first >> 32);
  if (low <= UINT32_MAX - N * V::kLanes) {
    FASTREG_UNROLL
    for (std::size_t v = 0; v < N; ++v) {
      words[v][0] = V::Int::set(low + static_cast<std::uint32_t>(v * V::kLanes)) + V::Int::load(kCounting);
    }
    math::philox<N>(keys, high, key.stream, key.step, words);
    return;
  }
  for (std::size_t v = 0; v < N; ++v) {   // the high words of the counters differ
    std::uint32_t counters[2][V::kLanes];
    for (std::size_t i = 0; i < V::kLanes; ++i) {
      counters[0][i] = static_cast<std::uint32_t>(first + v * V::kLanes + i);
      counters[1][i] = static_cast<std::uint32_t>((first + v * V::kLanes + i) >> 32);
    }
    words[v][0] = V::Int::load(counters[0]);
    words[v][1] = V::Int::load(counters[1]);
    words[v][2] = V::Int::set(key.stream);
    words[v][3] = V::Int::set(key.step);
  }
  math::philox_rounds<N>(keys, 0, words);
}

// Writes the mask words of as many groups as N vectors hold blocks for.
template <std::size_t N>
FASTREG_INLINE void mask_groups(const math::PhiloxKeys& keys, const DropoutBits& d, std::size_t group) {
  constexpr std::size_t kPieces = 16 / V::kLanes;   // vectors per group
  const V::Int threshold = V::Int::set(d.threshold << 16 | d.threshold);
  V::Int words[N][4];
  random_blocks<N>(keys, d.key, 16 * group, words);
  FASTREG_UNROLL
  for (std::size_t g = 0; g < N / kPieces; ++g) {
    FASTREG_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint32_t bits = 0;
      FASTREG_UNROLL
      for (std::size_t piece = 0; piece < kPieces; ++piece) {
        bits |= halves_ge_bits(words[g * kPieces + piece][i], threshold) << (2 * piece * V::kLanes);
      }
      __builtin_memcpy(d.mask + (group + g) * 8 + 2 * i, &bits, sizeof bits);
    }
  }
}

// Writes the 64 numbers of a group: words 0 and 1 of a block make one pair, words 2 and 3 another.
FASTREG_NOINLINE void normal_group(const math::PhiloxKeys& keys, const RandomNormals& r, std::size_t group) {
  constexpr std::size_t kPieces = 16 / V::kLanes;
  V::Int words[kPieces][4];
  random_blocks<kPieces>(keys, r.key, 16 * group, words);
  std::uint32_t bits[4][16];
  FASTREG_UNROLL
  for (std::size_t piece = 0; piece < kPieces; ++piece) {
    for (std::size_t i = 0; i < 4; ++i) words[piece][i].store(bits[i] + piece * V::kLanes);
  }
  float uniform[4][16];
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t l = 0; l < 16; ++l) {
      uniform[i][l] = (static_cast<float>(static_cast<std::int32_t>(bits[i][l] >> 8)) + 0.5f) * 0x1p-24f;
    }
  }
  const V mean(r.mean), deviation(r.deviation);
  float* const out = r.out + 64 * group;
  for (std::size_t i = 0; i < 4; i += 2) {
    for (std::size_t l = 0; l < 16; l += V::kLanes) {
      V first, second;
      math::normal_pair(V::load(uniform[i] + l), V::load(uniform[i + 1] + l), &first, &second);
      fma(deviation, first, mean).store(out + 16 * i + l);
      fma(deviation, second, mean).store(out + 16 * (i + 1) + l);
    }
  }
}

}  // namespace

void random_normals(const RandomNormals& r) noexcept {
  math::PhiloxKeys keys;
  math::philox_schedule(r.key.seed, &keys);
  for (std::size_t g = r.groups.begin; g < r.groups.end; ++g) normal_group(keys, r, g);
}

void dropout_bits(const DropoutBits& d) noexcept {
  math::PhiloxKeys keys;
  math::philox_schedule(d.key.seed, &keys);
  constexpr std::size_t kVectors = 4, kTogether = kVectors * V::kLanes / 16;   // groups at a time
  std::size_t g = d.groups.begin;
  for (; g + kTogether <= d.groups.end; g += kTogether) mask_groups<kVectors>(keys, d, g);
  if constexpr (kTogether > 1) {
    for (; g < d.groups.end; ++g) mask_groups<kVectors / kTogether>(keys, d, g);
  }
}

void random_words(const RandomKey& key, std::uint64_t first, std::size_t n, std::uint32_t* out) noexcept {
  math::PhiloxKeys keys;
  math::philox_schedule(key.seed, &keys);
  for (std::size_t done = 0; done < n; done += V::kLanes) {
    V::Int words[1][4];
    random_blocks<1>(keys, key, first + done, words);
    std::uint32_t columns[4][V::kLanes];
    for (std::size_t i = 0; i < 4; ++i) words[0][i].store(columns[i]);
    const std::size_t count = n - done < V::kLanes ? n - done : V::kLanes;
    for (std::size_t b = 0; b < count; ++b) {
      for (std::size_t i = 0; i < 4; ++i) out[(done + b) * 4 + i] = columns[i][b];
    }
  }
}

}  // namespace FASTREG_ISA
}  // namespace fastreg
