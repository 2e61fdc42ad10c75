// The tiles of AMX: eight registers of 16 rows of 64 bytes. The intrinsics of GCC take the number of a register as a
// literal only, so instructions are written in asm.
#pragma once
#include "core/bfloat16.h"
#include "math/inline.h"

namespace fastreg {
namespace FASTREG_ISA {
namespace {

class TileRegisters {
 public:
  TileRegisters() {
    struct alignas(64) {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    } shape;
    for (int i = 0; i < 8; ++i) {
      shape.row_bytes[i] = 64;
      shape.rows[i] = 16;
    }
    asm volatile("ldtilecfg %0" : : "m"(shape));
  }
  ~TileRegisters() { asm volatile("tilerelease"); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;

  // Tiles of sums, whose rows are `stride` floats apart.
  template <int I>
  void clear() {
    asm volatile("tilezero %%tmm%c0" : : "i"(I));
  }
  template <int I>
  void load_sums(const float* from, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride * sizeof(float)), "i"(I) : "memory");
  }
  template <int I>
  void store_sums(float* to, std::size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride * sizeof(float)), "i"(I) : "memory");
  }
  // A tile of an operand.
  template <int I>
  void load(const std::uint16_t* tile) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(tile), "r"(std::size_t{64}), "i"(I) : "memory");
  }
  // Tile C of sums += tile A of the left operand times tile B of the right one.
  template <int C, int A, int B>
  void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }
};

}  // namespace
}  // namespace FASTREG_ISA
}  // namespace fastreg
