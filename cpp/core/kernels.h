// THE TABLE: one function pointer per whole operation that a backend offers. The core knows this file and backend.h,
// never an ISA. Everything is a plain struct: kernel objects include this file and must stay free of inline code.
//
// Layout, the same everywhere:
//   ld(cols)    1 if cols == 1, else cols rounded up to a multiple of 16.
//   rows matrix activations and their gradients: element (i, j) at data[i * ld + j].
//   panels      dense kernels and their gradients, (rows, cols): column panels of 64, each stored row by row. With
//               p = j / 64 and w = min(64, ld - 64 p): element (i, j) at data[p * 64 * rows + i * w + j % 64].
// Every buffer is 64-byte aligned, its length a multiple of 16 floats, with 64 readable bytes behind it. Padding of
// kernels, biases and gradients is zero and every operation keeps it so; padding of activations is finite.
// One operation runs on the calling thread alone, on the part of the output that it is given; a thread split is the
// core's business (team.h). The value of an output element never depends on the split: its
// additions have one order, which the shape alone decides, whatever tile it falls into.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fastreg/enums.h"
#include "fastreg/strict_math.h"

namespace fastreg {

inline constexpr std::size_t kLane = 16;    // floats that every row and segment is padded to
inline constexpr std::size_t kPanel = 64;   // columns of a panel

// Half-open. Ranges of columns start and end at multiples of kLane (or cover all), ranges of panels count panels.
struct Range {
  std::size_t begin, end;
};

// Dropout as bits: bit e % 16 of mask[e / 16] is 1 where element e of the flat buffer is kept; null means no dropout.
struct DropoutMask {
  const std::uint16_t* mask;
  float scale;   // 1 / (1 - threshold / 65536), threshold as in DropoutBits
};

// y[rows, panels] = activation(x W + bias): x is rows matrix (n, k), W is panels (k, cols), y rows matrix (n, cols).
// Activations other than softmax are applied here; softmax is not accepted. z: where not null, the value before the
// activation goes there too (rows matrix, ldy). bias may be null. cols == 1 (ldy == 1, one panel) and n == 0 are
// allowed. Where cols > 1, x may also have any alignment and any ldx >= k: its first k columns are all that is read.
// dropout is applied to y where its mask is not null: for relu, cols > 1 and z null only.
struct Matmul {
  const float* x;
  std::size_t ldx;
  const float* w;
  const float* bias;
  float* y;
  float* z;
  std::size_t ldy, k, cols;
  ActivationKind activation;
  Range rows, panels;
  DropoutMask dropout{nullptr, 1.0f};
};

// dw[rows, panels] = x^T dy, overwriting: x is rows matrix (n, in), dy rows matrix (n, cols), dw panels (in, cols).
// rows is a range of dw's rows, that is of x's columns.
struct MatmulWeights {
  const float* x;
  std::size_t ldx;
  const float* dy;
  std::size_t lddy;
  float* dw;
  std::size_t n, in, cols;
  Range rows, panels;
};

// dx[rows, panels] = dy W^T: dy is rows matrix (n, cols), W panels (in, cols), dx rows matrix (n, in). cols == 1
// (lddy == 1) and in == 1 (lddx == 1, one panel) are allowed. n is that of the whole, whatever rows are asked for.
struct MatmulInput {
  const float* dy;
  std::size_t lddy;
  const float* w;
  float* dx;
  std::size_t lddx, n, in, cols;
  Range rows, panels;
};

// dz = scale dy * f'(saved) over rows matrices, in place allowed (dz == dy); db[c] = sum over rows of dz, where db is
// not null. saved is the output of the activation, or its input where the derivative needs that. Not softmax. For relu
// it may also be what dropout left of the output, scale being the dropout's: what was dropped is 0 as much as what relu
// cut off.
struct ActivationBackward {
  ActivationKind activation;
  const float* saved;
  const float* dy;
  float* dz;
  float* db;
  std::size_t rows, ld;
  Range cols;   // in floats of ld: [0, 1) where ld == 1
  float scale = 1.0f;
};

// Softmax over the `cols` first columns of each row; backward: dz = y (dy - sum_j dy_j y_j). Padding is written as 0.
struct Softmax {
  std::size_t cols, ld;
  const float* z;    // backward: unused
  float* y;          // backward: read
  const float* dy;   // forward: unused
  float* dz;         // forward: unused; backward: may equal dy
  Range rows;
};

// Batch normalisation of a column range over all rows of one batch. gamma, beta may be null (1 and 0).
// forward_train writes mean and inv_std = 1 / sqrt(biased variance + epsilon), updates the moving statistics
// (moving = momentum * moving + (1 - momentum) * batch), and applies the dropout mask to y. rows >= 1.
// forward_infer uses the moving statistics and neither reads nor writes mean, inv_std and the mask.
struct BatchNormForward {
  const float* x;
  float* y;
  const float *gamma, *beta;
  float *moving_mean, *moving_variance;
  float *mean, *inv_std;
  float momentum, epsilon;
  DropoutMask dropout;
  std::size_t rows, ld;
  Range cols;
};

// dx from dy (in place allowed), dgamma and dbeta (each may be null). dy_row: where not null, dy is a column of `rows`
// floats, and the gradient its outer product with dy_row (not in place). The dropout mask is applied to it first. Then
// dx is multiplied with the derivative of `activation` at x, where x is that activation's output (linear: nothing to
// do; one whose derivative needs its input is not accepted), and db[c] = sum over rows of that, where db is not null.
struct BatchNormBackward {
  const float *x, *dy, *dy_row;
  float* dx;
  const float *gamma, *mean, *inv_std;
  float *dgamma, *dbeta;
  DropoutMask dropout;
  ActivationKind activation;
  float* db;
  std::size_t rows, ld;
  Range cols;
};

// Philox4x32-10 (Salmon et al. 2011), key = seed (low word first), counter = {block low, block high, stream, step}.
struct RandomKey {
  std::uint64_t seed;
  std::uint32_t stream, step;
};

// The keep bits of a flat buffer of elements, 128 elements (8 mask words) a group: the bit of element 128 g + 32 i + 2
// l + h is the comparison `half h (0 low) of word i of block 16 g + l >= threshold`. Writes the mask words of `groups`.
struct DropoutBits {
  RandomKey key;
  std::uint32_t threshold;   // round(65536 * rate), in [0, 65535]
  std::uint16_t* mask;
  Range groups;
};

// One row of the batch at a time: row_loss[i] = unweighted loss of row i (mean over columns where the loss is element
// by element), and dy[i] = weight[i] * grad_scale * d row_loss[i] / dy where dy is not null (in place of y not
// allowed). weight null means 1. from_logits: y holds logits on entry and probabilities on return (sigmoid or softmax),
// and the gradient is with respect to the logits; else y is read only and probabilities are clipped to [1e-7, 1 - 1e-7]
// (where clipped the gradient is 0). The categorical losses divide the outputs of a row by their sum before (by 1e-30
// where the sum is smaller in size), and their gradient includes that of the sum. target: rows matrix like y, or labels
// for losses that take labels. Padding of dy is written as 0.
// kind: the index of the loss in Losses (fastreg/losses.h); loss: its description, a struct of that type.
struct LossStep {
  std::size_t kind;
  const void* loss;
  bool from_logits;
  float* y;
  const float* target;
  const std::int32_t* labels;
  const float* weight;
  float grad_scale;
  float* row_loss;
  float* dy;
  std::size_t cols, ld;
  Range rows;
};

// One pass over n parameters (any n, any alignment): penalty gradient, moments, decoupled decay, step, proximal step.
// With g' = grad_scale * g + l1 sign(w) (unless proximal) + 2 l2 w and w' = w - rate * decay * w (decoupled, first),
// the optimizer's rule (math/rules.h) makes the new moments from g' and the new w from w' and them. proximal: after
// that w = soft(w, eta l1), soft(w, a) = sign(w) max(0, |w| - a), where eta is the rule's step size for the element.
// Where a mean of squares would reach 0x1.fep127, near the largest float, the g' of that element is first brought into
// [-0x1.fefp63, 0x1.fefp63]: no mean overflows, and all larger gradients make the same step. Infinity and NaN become
// NaN. sums: where not null and l1 or l2 is not 0, receives {sum |w|, sum w^2} of the parameters before the step.
struct Update {
  std::size_t optimizer;     // its index in the list of fastreg/optimizers.h, one that has rules of its own
  const void* description;   // of the type at that index
  std::size_t n;
  float* w;
  const float* g;
  float* moment[3];   // in the rule's order; null where it has fewer
  float rate;
  float correction[3];   // 1 - power for each running product of the rule, after this step
  float decay, l1, l2, grad_scale;
  bool proximal;
  float* sums;
};

// The gradient of n parameters (any n, any alignment) with its penalties: g' = g + l1 sign(w) + 2 l2 w, as clipping
// sees it.
struct WholeGradient {
  const float *w, *g;
  std::size_t n;
  float l1, l2;
};

// out[i] = x[row(i)] for i in rows, cols columns each, converted to float32 (to nearest) and padded with zeros to ld;
// row(i) = index ? index[first + i] : first + i. Row r of x begins at element r * stride. No element of x beyond its
// rows is read.
struct GatherRows {
  const void* x;
  ElementType type;
  std::size_t stride;
  const std::uint32_t* index;
  std::size_t first;
  float* out;
  std::size_t cols, ld;
  Range rows;
};

// A step of a frozen network (folding.h): y = activation(x W + bias) where w is not null, W panels (k, cols); else
// y = activation((x - mean) scale + bias) where scale is not null; else y = activation(x). Any activation, softmax too.
// Vectors are padded with zeros to ld(cols). Without w, k == cols. bias may be null where scale is.
struct InferenceStep {
  const float *w, *bias, *mean, *scale;
  std::size_t k, cols;
  ActivationKind activation;
};

// A whole frozen network on a block of rows: x (rows, steps[0].k) and y (rows, last cols) are the caller's own arrays,
// ldx and ldy floats from row to row, of any alignment, and nothing beyond their columns is touched; they must not
// overlap. scratch: two buffers of rows * (largest ld of a step) floats each, a multiple of 16. reversed: visit the
// panels of a product of one row from last to first, so that what the call before read last is read first.
// The value of an element depends on its row of x alone: not on rows, on its place among them, or on reversed.
struct Inference {
  const InferenceStep* steps;
  std::size_t count;
  const float* x;
  std::size_t ldx;
  float* y;
  std::size_t ldy, rows;
  float* scratch[2];
  bool reversed;
};

// index[i] = the place of the largest of the `cols` first columns of row i, the first of several; any place where there
// is a NaN among them. y: rows matrix.
struct Largest {
  const float* y;
  std::size_t cols, ld;
  std::int32_t* index;
  Range rows;
};

enum class Combination : std::uint8_t { add, multiply };

struct Kernels {
  const char* isa;
  void (*matmul)(const Matmul&) noexcept;
  void (*matmul_weights)(const MatmulWeights&) noexcept;
  void (*matmul_input)(const MatmulInput&) noexcept;
  // y = f(z) over n floats (a multiple of 16, or any n: the tail is handled), in place allowed. Not softmax.
  void (*activation_forward)(ActivationKind, const float* z, float* y, std::size_t n) noexcept;
  void (*activation_backward)(const ActivationBackward&) noexcept;
  void (*softmax_forward)(const Softmax&) noexcept;
  void (*softmax_backward)(const Softmax&) noexcept;
  void (*batch_norm_forward_train)(const BatchNormForward&) noexcept;
  void (*batch_norm_forward_infer)(const BatchNormForward&) noexcept;
  void (*batch_norm_backward)(const BatchNormBackward&) noexcept;
  void (*dropout_bits)(const DropoutBits&) noexcept;
  // y = a + b or a * b over n floats (any n), in place allowed.
  void (*combine)(Combination, const float* a, const float* b, float* y, std::size_t n) noexcept;
  // y = kept ? x * scale : 0 over elements [range) of flat buffers, multiples of 16; in place allowed.
  void (*dropout_apply)(const DropoutMask&, const float* x, float* y, Range) noexcept;
  void (*loss)(const LossStep&) noexcept;
  void (*largest)(const Largest&) noexcept;
  void (*update)(const Update&) noexcept;
  void (*gather_rows)(const GatherRows&) noexcept;
  // {sum |w|, sum w^2} of n floats, any n.
  void (*penalty_sums)(const float* w, std::size_t n, float* sums) noexcept;
  // sum g'^2, finite where every g' is, and to float's precision for g' of every size.
  double (*gradient_square)(const WholeGradient&) noexcept;
  // out[i] = g'[i], but within [-limit, limit]; NaN stays NaN.
  void (*gradient_clamp)(const WholeGradient&, float limit, float* out) noexcept;
  // True if none of n values, converted to float32, is NaN or infinite.
  bool (*all_finite)(const void* x, ElementType type, std::size_t n) noexcept;
  void (*infer)(const Inference&) noexcept;
  // Blocks [first, first + n) of the key's stream, 4 words each, in the order of the counter.
  void (*random_words)(const RandomKey&, std::uint64_t first, std::size_t n, std::uint32_t* out) noexcept;
};

}  // namespace fastreg
