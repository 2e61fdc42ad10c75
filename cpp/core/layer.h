// An operation of a network: what a layer, or a few layers fused into one, does to a batch. Every member of a team
// calls the same function and works on its own part of the output; the caller syncs the team afterwards. Operations are
// immutable: parameters, gradients and what a batch leaves for its way back are handed in.
#pragma once
#include <memory>

#include "core/parameters.h"
#include "core/team.h"
#include "fastreg/spec.h"

namespace fastreg {

// A pass of one batch. Matrices are rows matrices (kernels.h) of `rows` rows.
struct Pass {
  const Kernels& kernels;
  const Team& team;
  std::size_t rows;
  float* weights;        // the flat buffer; written by batch normalisation alone (moving statistics)
  float* gradients;      // twin of its trainable part; null in inference
  std::uint64_t seed;
  std::uint32_t step;    // keys the dropout masks
};

// A gradient on its way back: a rows matrix, or, where row is not null, the outer product of a column and that row.
struct Gradient {
  float* data;
  const float* row = nullptr;
};

// What is wanted of the gradient of an operation's input: nothing, either form, or a matrix.
enum class Wanted { nothing, any, matrix };

class Operation {
 public:
  Operation(std::size_t in, std::size_t out) : in_(in), out_(out) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  std::size_t in_ld() const { return padded_ld(in_); }
  std::size_t out_ld() const { return padded_ld(out_); }

  virtual bool trainable() const { return false; }
  // True where inference leaves its input as it is.
  virtual bool identity_in_inference() const { return false; }
  // Floats that forward leaves for backward, for a batch of `rows` rows.
  virtual std::size_t cache_floats(std::size_t /*rows*/) const { return 0; }
  // Floating-point operations of forward and backward for one row; decides whether threads pay.
  virtual double flops_per_row() const { return 0.0; }

  virtual void infer(const Pass& pass, const float* x, float* y) const = 0;
  virtual void forward(const Pass& pass, const float* x, float* y, float* cache) const = 0;
  // True where backward takes dy as an outer product too.
  virtual bool takes_outer_product() const { return false; }
  // From dy, which it may overwrite, to the gradient of x: returns where it lies, in dy's buffer or in `spare`. Where
  // nothing is wanted only the gradients of the parameters are computed.
  virtual Gradient backward(const Pass& pass, const float* x, const float* y, float* cache, Gradient dy, float* spare,
                            Wanted wanted) const = 0;

 private:
  std::size_t in_, out_;
};

// The part of ld columns that this member works on, in the units of Range (kernels.h).
inline Range column_split(const Team& team, std::size_t ld) {
  return ld == 1 ? team.split(1) : team.split(ld, kLane);
}

}  // namespace fastreg
