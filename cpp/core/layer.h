// An operation of a network: what a layer, or a few fused layers, does to a batch. Every member of a team calls the
// same function and computes its own part of the output; the caller syncs the team afterwards. Operations are
// immutable: parameters, gradients and what the forward pass keeps for the backward pass are arguments.
#pragma once
#include <memory>

#include "core/parameters.h"
#include "core/team.h"
#include "fastreg/spec.h"

namespace fastreg {

// One forward or backward pass of a batch. All matrices are rows matrices (kernels.h) with `rows` rows.
struct Pass {
  const Kernels& kernels;
  const Team& team;
  std::size_t rows;
  float* weights;        // the flat buffer; only batch normalisation writes to it (moving statistics)
  float* gradients;      // a buffer with the layout of its trainable part; null in inference
  std::uint64_t seed;
  std::uint32_t step;    // determines the dropout masks, with the seed
  const double* rates = nullptr;   // those of the layers of NetworkSpec::scheduled in this step; null in inference
  float* scratch = nullptr;        // as large as the largest Operation::scratch_floats, or infer_scratch_floats
  std::size_t ldx = 0;             // in inference: of the input, unless it is a rows matrix (Operation::reads_any_rows)
  ProductPrecision precision{};    // of the products of wide layers
  const float* packed_kernel = nullptr;   // in inference: what the operation's pack_kernel wrote, if anything
};

// The gradients that the backward pass of an operation reads and writes.
struct GradientFlow {
  float* dy;              // of the output, a rows matrix; or a column, where row is not null
  const float* row;       // then the gradient is the outer product of that column and this row
  float* dx;              // receives that of an input, a rows matrix; null where none is wanted, unless it is written
                          // in place or from an outer product
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
  // Whether backward adds to the gradients of the weights, which the forward pass of the step has cleared. Elsewhere it
  // overwrites them.
  virtual bool adds_to_gradient() const { return false; }
  // Whether the output equals the input in inference.
  virtual bool identity_in_inference() const { return false; }
  // Whether forward computes statistics of the batch, for which one row is too little.
  virtual bool takes_batch_statistics() const { return false; }
  // The penalty of its output that is part of the loss, where it has one.
  virtual const Penalty* activity_penalty() const { return nullptr; }
  // Whether infer takes an input of any alignment whose rows are any number of floats apart (Pass::ldx), and reads
  // nothing but its columns.
  virtual bool reads_any_rows() const { return false; }
  // Whether each member of a team of two reads every row of its input.
  virtual bool reads_all_rows() const { return false; }
  // How many floats forward keeps for backward, for a batch of `rows` rows.
  virtual std::size_t cache_floats(std::size_t /*rows*/) const { return 0; }
  // How many floats of scratch forward and backward use for a batch of at most `rows` rows. All operations share it.
  virtual std::size_t scratch_floats(std::size_t /*rows*/, const ProductPrecision&) const { return 0; }
  // Of an operation that reads its kernel in another form in inference, for products in reduced precision or as prefix
  // sums: how many floats this packed kernel takes, or 0 where there is none; this member's part of packing it; and how
  // many floats of scratch infer uses with it.
  virtual std::size_t packed_kernel_floats(const ProductPrecision&) const { return 0; }
  virtual void pack_kernel(const Pass&, float* /*to*/) const {}
  virtual std::size_t infer_scratch_floats(std::size_t /*rows*/, const ProductPrecision&) const { return 0; }
  // The number of floating-point operations of forward and backward for one row. It decides whether threads pay.
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
  // Whether backward also accepts dy as an outer product.
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

// This member's part of ld columns, in the units of Range (kernels.h).
inline Range column_split(const Team& team, std::size_t ld) {
  return ld == 1 ? team.split(1) : team.split(ld, kLane);
}

// Gives a product this member's part of its result: of its panels if there is at least one for every member, else of
// its rows. The fields are written one by one into the arguments of the kernel, because a pair that is copied as a
// whole is loaded before its two halves are stored, which costs a small network several percent of a step.
template <class Product>
void take_part(const Team& team, std::size_t rows, std::size_t cols, Product& product) {
  const std::size_t panels = panel_count(cols);
  product.rows = {0, rows};
  product.panels = {0, panels};
  if (team.size == 1) return;
  if (panels >= team.size)
    product.panels = team.split(panels);
  else
    product.rows = team.split(rows, padded_ld(cols) == 1 ? kLane : 1);
}

// This member's part of the elements of a rows matrix.
inline Range element_split(const Pass& pass, std::size_t ld) { return pass.team.split(pass.rows * ld, kLane); }

}  // namespace fastreg
