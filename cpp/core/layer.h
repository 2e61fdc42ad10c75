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

// The gradients that the backward pass of an operation reads and writes.
struct GradientFlow {
  float* dy;              // of the output, a rows matrix; or a column, where row is not null
  const float* row;       // then the gradient is the outer product of that column and this row
  float* dx;              // receives that of an input, a rows matrix; null where none is wanted, unless it is written in
                          // place or from an outer product
  std::size_t input = 0;  // of a join: the input whose gradient this is
};

class Operation {
 public:
  // in: width of the input; of a join, that of the first.
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

  // x: a rows matrix for each input.
  virtual void infer(const Pass& pass, const float* const* x, float* y) const = 0;
  virtual void forward(const Pass& pass, const float* const* x, float* y, float* cache) const = 0;

  // What the plan of the backward pass (backward_plan.h) has to know. Whether backward reads y, so that nobody may
  // overwrite it before.
  virtual bool backward_reads_output() const { return false; }
  // True where the gradient of every input is that of the output; there is no call of backward then.
  virtual bool passes_gradient_on() const { return false; }
  // Whether dx lies where dy does; otherwise the two must not overlap. outer: dy is an outer product.
  virtual bool backward_in_place(bool /*outer*/) const { return true; }
  // True where backward takes dy as an outer product too.
  virtual bool takes_outer_product() const { return false; }
  // Where the gradient of x is the outer product of dy, as backward leaves it, and a row of the weights: that row. Null
  // elsewhere. Backward is then called without dx.
  virtual const float* outer_product_row(const float* /*weights*/) const { return nullptr; }
  // From dy, which it may overwrite unless it is a join, to the gradients of the parameters and of an input.
  virtual void backward(const Pass& pass, const float* const* x, const float* y, float* cache,
                        const GradientFlow& flow) const = 0;

 private:
  std::size_t in_, out_;
};

// The part of ld columns that this member works on, in the units of Range (kernels.h).
inline Range column_split(const Team& team, std::size_t ld) {
  return ld == 1 ? team.split(1) : team.split(ld, kLane);
}

}  // namespace fastreg
