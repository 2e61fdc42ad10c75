// Sums of 16 columns and the results that they become, on every processor.
#pragma once
#include "core/bfloat16.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

struct Sums {
  float columns[kTileRows];
  static FASTREG_INLINE Sums zero() { return {}; }
  static FASTREG_INLINE Sums load(const float* from) {
    Sums out;
    for (std::size_t i = 0; i < kTileRows; ++i) out.columns[i] = from[i];
    return out;
  }
  FASTREG_INLINE void store(float* to) const {
    for (std::size_t i = 0; i < kTileRows; ++i) to[i] = columns[i];
  }
};

// Adds a bias, which may be null, and with relu replaces what is below 0 by 0.
class Finish {
 public:
  FASTREG_INLINE Finish(const float* bias, bool relu) : bias_(bias), relu_(relu) {}
  FASTREG_INLINE void put(const Sums& sums, float* to) const {
    for (std::size_t i = 0; i < kTileRows; ++i) {
      const float value = sums.columns[i] + (bias_ != nullptr ? bias_[i] : 0.0f);
      to[i] = relu_ && value < 0.0f ? 0.0f : value;
    }
  }

 private:
  const float* bias_;
  bool relu_;
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
