// The kernel table: one function pointer for each whole operation that a backend offers, with its contract. The core
// knows this file and backend.h, but no ISA. All types are plain structs, because kernel objects include this file and
// must not contain inline code of other files.
//
// The layout of buffers is the same everywhere:
//   ld(cols)    1 if cols == 1, else cols rounded up to a multiple of 16.
//   rows matrix activations and their gradients: element (i, j) at data[i * ld + j].
//   panels      dense kernels and their gradients, (rows, cols): column panels of 64, each stored row by row. With
//               p = j / 64 and w = min(64, ld - 64 p): element (i, j) at data[p * 64 * rows + i * w + j % 64].
// Every buffer is aligned to 64 bytes, its length is a multiple of 16 floats, and 64 bytes after its end are readable.
// The padding of kernels, biases and gradients is zero, and every operation keeps it zero; the padding of activations
// is finite. An operation runs on the calling thread only and computes the part of the output that it is given; the
// core divides the output among threads (team.h). The value of an output element never depends on that division: its
// terms are added in an order that the shape alone determines.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fastreg/enums.h"
#include "fastreg/strict_math.h"

namespace fastreg {

inline constexpr std::size_t kLane = 16;    // rows and segments are padded to a multiple of this many floats
inline constexpr std::size_t kPanel = 64;   // the number of columns of a panel
inline constexpr std::size_t kStrip = 48;   // the columns of x that copies for matmul_weights have side by side

// A half-open range. Ranges of columns start and end at multiples of kLane, or cover all; those of panels count panels.
struct Range {
  std::size_t begin, end;
};

// A dropout mask as bits: bit e % 16 of mask[e / 16] is 1 if element e of the flat buffer is kept. Null: no dropout.
struct DropoutMask {
  const std::uint16_t* mask;
  float scale;   // 1 / (1 - threshold / 65536), threshold as in DropoutBits
};

// y[rows, panels] = activation(x W + bias): x is rows matrix (n, k), W is panels (k, cols), y rows matrix (n, cols).
// Softmax is not accepted as activation. z, unless it is null, receives the value before the activation (rows matrix,
// ldy). bias may be null. cols == 1 (ldy == 1, one panel) and n == 0 are allowed. If cols > 1, x may have any alignment
// and any ldx >= k, and only its first k columns are read. If the mask of dropout is not null, dropout is applied to y;
// this is allowed only for relu with cols > 1 and z null.
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

// dw[rows, panels] = x^T dy; dw is overwritten. x is a rows matrix (n, in), dy a rows matrix (n, cols), dw panels
// (in, cols). rows is a range of dw's rows, which are x's columns.
// x_copy: null, or room for n inputs_at_once floats, and dy_copy for n kPanel floats of each panel, both aligned to 64
// bytes. Then ldx and lddy are above 1, rows.begin is a multiple of kStrip, and tiles are computed from copies, in an
// order that suits wide layers: all panels of inputs_at_once inputs (a multiple of kStrip), then of the next ones. The
// bits are the same.
struct MatmulWeights {
  const float* x;
  std::size_t ldx;
  const float* dy;
  std::size_t lddy;
  float* dw;
  std::size_t n, in, cols;
  Range rows, panels;
  float *x_copy = nullptr, *dy_copy = nullptr;
  std::size_t inputs_at_once = 0;
};

// dx[rows, panels] = dy W^T: dy is a rows matrix (n, cols), W panels (in, cols), dx a rows matrix (n, in). cols == 1
// (lddy == 1) and in == 1 (lddx == 1, one panel) are allowed. n: the rows of the whole matrix, whatever the range is.
// transposed: null, or room for columns_at_once kPanel floats, aligned to 64 bytes, for that many columns of W at once.
struct MatmulInput {
  const float* dy;
  std::size_t lddy;
  const float* w;
  float* dx;
  std::size_t lddx, n, in, cols;
  Range rows, panels;
  float* transposed = nullptr;
  std::size_t columns_at_once = 0;
};

// dz = scale dy * f'(saved) over rows matrices, in place allowed (dz == dy); db[c] = sum over rows of dz, where db is
// not null. saved is the output of the activation, or its input where the derivative needs that. Not softmax. For relu
// it may also be the output after dropout, with its scale: a dropped element is 0 like one that relu set to 0.
struct ActivationBackward {
  ActivationKind activation;
  const float* saved;
  const float* dy;
  float* dz;
  float* db;
  std::size_t rows, ld;
  Range cols;   // in floats of ld; [0, 1) if ld == 1
  float scale = 1.0f;
};

// Softmax over the first `cols` columns of each row, or another activation of whole rows. Backward, from y:
// dz = y (dy - sum_j dy_j y_j) for softmax. Padding is set to 0.
struct Softmax {
  std::size_t cols, ld;
  const float* z;    // backward: unused
  float* y;          // backward: read
  const float* dy;   // forward: unused
  float* dz;         // forward: unused; backward: may equal dy
  Range rows;
  ActivationKind kind = ActivationKind::softmax;
};

// Batch normalisation of a range of columns over all rows of one batch. gamma and beta may be null, which means 1 and
// 0. forward_train writes mean and inv_std = 1 / sqrt(biased variance + epsilon), updates the moving statistics (moving
// = momentum * moving + (1 - momentum) * batch), and applies the dropout mask to y. rows >= 1. forward_infer uses the
// moving statistics and neither reads nor writes mean, inv_std and the mask.
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

// Normalises single rows: y = gamma (x - mean) inv + beta, in place allowed; gamma and beta may be null, which means 1
// and 0. mean and inv, unless they are null, receive those numbers of each row (mean is 0 except for standard). Padding
// of y is written as 0. statistic is not none.
struct RowNorm {
  RowStatistic statistic;
  float epsilon;
  const float* x;
  float* y;
  const float *gamma, *beta;
  float *mean, *inv;
  std::size_t cols, ld;
  Range rows;
};

// dx from dy (in place allowed) of these rows; the entry for parameters computes dgamma and dbeta (each may be null) of
// a range of columns from all of them. Padding of dx, dgamma and dbeta is written as 0.
struct RowNormBackward {
  RowStatistic statistic;
  const float *x, *dy;
  float* dx;
  const float *gamma, *mean, *inv;
  float *dgamma, *dbeta;
  std::size_t cols, ld;
  Range rows;
};

// y = x scale for a range of columns over all rows; where rectified, elements of x above 0 stay as they are.
struct FeatureScale {
  const float *x, *scale;
  float* y;
  bool rectified;
  std::size_t rows, cols, ld;
  Range range;   // of columns, in floats of ld; [0, 1) if ld == 1
};

// dx from dy, in place allowed, and dscale, which may be null. Its padding is written as 0.
struct FeatureScaleBackward {
  const float *x, *scale, *dy;
  float *dx, *dscale;
  bool rectified;
  std::size_t rows, cols, ld;
  Range range;
};

// Features of single columns of x, a matrix (n, in) of any ldx >= in. Of column j, with the angles in radians
// a_f = 2 pi F_fj x_j + P_fj:
//   y_jo = bias_jo + sum_f W_f,jo cos(a_f),  or without phases
//   y_jo = bias_jo + sum_f W_f,jo cos(a_f) + W_(count + f),jo sin(a_f)
// where jo is column j outputs + o, then rectified if asked for. A row of y has the outputs of each column behind each
// other, and behind those of a column x_j itself if `keeps_input`. frequencies F and phases P are panels (count, in),
// W panels (count or 2 count, in outputs). phases may be null.
struct Periodic {
  const float* x;
  std::size_t ldx;
  const float *frequencies, *phases, *w, *bias;
  std::size_t in, count, outputs;
  bool rectified, keeps_input;
};

// y[rows], whose columns alone are written: ldy may be any number of floats, and padding stays as it is.
struct PeriodicForward {
  Periodic of;
  float* y;
  std::size_t ldy;
  Range rows;
};

// The gradients of a range of columns of x over all rows, from y, which is read only if rectified, and dy, of the same
// ldy. dx has lddx. Each result may be null. Padding stays as it is.
struct PeriodicBackward {
  Periodic of;
  const float *y, *dy;
  std::size_t ldy;
  float* dx;
  std::size_t lddx;
  float *dfrequencies, *dphases, *dw, *dbias;
  std::size_t rows;
  Range columns;
};

// Philox4x32-10 (Salmon et al. 2011), key = seed (low word first), counter = {block low, block high, stream, step}.
struct RandomKey {
  std::uint64_t seed;
  std::uint32_t stream, step;
};

// The keep bits of a flat buffer, in groups of 128 elements (8 words of the mask). The bit of element 128 g + 32 i + 2
// l + h is the comparison `half h (0: low) of word i of block 16 g + l >= threshold`. Writes the words of the mask for
// `groups`.
struct DropoutBits {
  RandomKey key;
  std::uint32_t threshold;   // round(65536 * rate), in [0, 65535]
  std::uint16_t* mask;
  Range groups;
};

// Normal numbers mean + deviation z, in groups of 64: element 64 g + 16 i + l comes from word i of block 16 g + l,
// where words 0 and 1 are the two uniform numbers (w / 256 + 0.5) / 2^24 of one pair of Box and Muller, whose cosine is
// the first, and words 2 and 3 those of another.
struct RandomNormals {
  RandomKey key;
  float mean, deviation;
  float* out;
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
// With g' = grad_scale * g + l1 sign(w) (unless proximal) + 2 l2 w, clamped to [-limit, limit] if limit is not 0 (NaN
// stays NaN), and w' = w - rate * decay * w (decoupled, first), the optimizer's rule (math/rules/) makes new moments
// from g' and the new w from w' and them. proximal: then w = soft(w, eta l1), soft(w, a) = sign(w) max(0, |w| - a),
// where eta is the rule's step size for the element. Where a mean of squares would reach 0x1.fep127, near the largest
// float, the g' of that element is first brought into [-0x1.fefp63, 0x1.fefp63]: no mean overflows, and all larger
// gradients make the same step. Infinity and NaN become NaN. A sum of squares stays at that limit. sums: where not null
// and l1 or l2 is not 0, receives {sum |w|, sum w^2} of the parameters before the step. average: if not null, becomes
// momentum * average + (1 - momentum) * w, with the new w and rounded as weighted_sum does.
struct Update {
  std::size_t optimizer;     // the index of a type that has rules in the list of fastreg/optimizers.h
  const void* description;   // an object of the type at that index
  std::size_t n;
  float* w;
  const float* g;
  float* moment[3];   // the rule's arrays in its order; null where it has fewer
  float rate;
  float correction[4];   // of this step, as the rule defines them
  float decay, l1, l2, grad_scale;
  bool proximal;
  double* sums;
  float limit;
  float* average;
  float momentum;
};

// The gradient of n parameters (any n, any alignment) including penalties, g' = g + l1 sign(w) + 2 l2 w. This is the
// gradient that clipping applies to.
struct WholeGradient {
  const float *w, *g;
  std::size_t n;
  float l1, l2;
};

// out[i] = x[row(i)] for i in rows, with cols columns, converted to the nearest float32 and padded with zeros to ld,
// where row(i) = index ? index[first + i] : first + i. Row r of x begins at element r * stride. No element of x outside
// of its rows is read.
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

// The product of a kernel with the features of rows of a table, which are given as codes. CodePlace says where the
// code of one row and one column of the table lies among the rows of the kernel; its part of the product is value
// W[value_row] + (the sum of the `full` rows from `ramp` on) + weight W[pick].
struct CodePlace {
  float value, weight;
  std::uint32_t full, pick;
};
// The rows of the kernel that belong to one column of the table: [first, end). Without has_value the first term is
// absent, without has_pick the last one, without bins the second one. bins: the rows from `ramp` on; `full` is below.
struct CodedColumn {
  std::size_t first, end, value_row, ramp, bins;
  bool has_value, has_pick;
};

// The places of the numbers of one column. That of row r is x[r * ldx]; rows is a multiple of kCodedRows. There are
// bins + 1 increasing edges, or none. A number has `full` bins below it and picks row first + full. A NaN has the place
// `gap`. The formulas are those of math/codes.h.
inline constexpr std::size_t kCodedRows = 32;
struct CodedNumbers {
  const float* x;
  std::size_t ldx, rows;
  double centre, scale;
  const double* edges;
  std::size_t bins;
  std::uint32_t first;
  CodePlace gap, *places;
};

// Bins of a table's column whose sums are kept at once, and the size of the memory for them.
inline constexpr std::size_t kCodedBins = 128;
inline constexpr std::size_t kCodedScratch = kCodedBins * kPanel;

// y[rows, panels] = bias + the parts of all columns, added in their order; if `adds`, y has the sum of earlier
// columns instead of the bias. The place of row r and column c is places[c * stride + r - rows.begin]. W and prefix
// are panels (kernel_rows, cols), y a rows matrix of any ldy >= cols whose padding is written as 0. If prefix is not
// null, row ramp + t of it is the sum of the t rows of W from `ramp` on; else scratch has room for kCodedScratch
// floats, aligned to 64 bytes. bias may be null. The value of an element depends on its row alone, and has the same
// bits with prefix and without.
struct CodedForward {
  const CodedColumn* columns;
  std::size_t count;
  const CodePlace* places;
  std::size_t stride;
  const float *w, *prefix, *bias;
  float *y, *scratch;
  std::size_t kernel_rows, ldy, cols;
  bool adds;
  Range rows, panels;
};

// A row of a batch, and the weight of its place in some column.
struct CodedRow {
  std::uint32_t row;
  float weight;
};

// dw of a range of the columns: panels (kernel_rows, cols), overwritten. dy is a rows matrix (rows, cols), and the
// place of row r and column c is places[c * stride + r]. The rows that pick row i of the kernel in column c are, in
// ascending order, sorted[c * stride + t] for starts[c + i] <= t < starts[c + i + 1]. Those without a bin whose weight
// is 0 are left out, so that value_row is picked by none. Columns without has_pick need neither.
struct CodedGradient {
  const CodedColumn* columns;
  const CodePlace* places;
  const CodedRow* sorted;
  const std::uint32_t* starts;
  std::size_t stride;
  const float* dy;
  float* dw;
  std::size_t rows, lddy, kernel_rows, cols;
  Range range, panels;
};

struct Bfloat16Products;   // bfloat16.h

// A step of a frozen network (folding.h): y = activation(z); all activations are allowed, those of whole rows too. z is
// x W + bias with W in panels (k, cols) if w is not null; else x, or x scale where x is not above 0, if rectified; else
// (x - mean) scale + bias if scale is not null; else the normalised row if statistic is not none; else x. Vectors are
// padded with zeros to ld(cols). Without w, k == cols. bias may be null if scale is null, or if rectified.
struct InferenceStep {
  const float *w, *bias, *mean, *scale;
  std::size_t k, cols;
  ActivationSpec activation;
  bool rectified = false;
  RowStatistic statistic = RowStatistic::none;
  float epsilon = 0.0f;
  // Where products is not null, the product is one of bfloat16 numbers (bfloat16.h), and tiles is W as its right
  // operand.
  const Bfloat16Products* products = nullptr;
  const std::uint16_t* tiles = nullptr;
  std::size_t terms = 1;
};

// A whole frozen network on a block of rows. x (rows, steps[0].k) and y (rows, last cols) are the caller's arrays of
// any alignment, with ldx and ldy floats from row to row. Nothing beyond their columns is read or written, and they
// must not overlap. scratch: two buffers of rows * (largest ld of a step) floats each, rounded up to a multiple of 16,
// and behind that with room for a packed left operand of the largest k, where there are products of bfloat16 numbers.
// reversed: the panels of a product of one row are visited from last to first, so that what the previous call read last
// is read first. The value of an element depends on its row of x alone: not on the number of rows, on its index, or on
// reversed.
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

// index[i] = the index of the largest of the first `cols` columns of row i, and of the first one if several are equal.
// If the row contains a NaN, it is any index. y is a rows matrix.
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
  // y = f(z) over n floats, for any n. z == y is allowed. Softmax is not accepted, nor is a separate activation.
  void (*activation_forward)(ActivationKind, const float* z, float* y, std::size_t n) noexcept;
  void (*activation_backward)(const ActivationBackward&) noexcept;
  // y = f(x) and dz = f'(x) dy over n floats, for any n, of a separate activation (math/separate_activations.h) that is
  // element by element. In place is allowed.
  void (*separate_forward)(const ActivationSpec&, const float* x, float* y, std::size_t n) noexcept;
  void (*separate_backward)(const ActivationSpec&, const float* x, const float* dy, float* dz, std::size_t n) noexcept;
  void (*softmax_forward)(const Softmax&) noexcept;
  void (*softmax_backward)(const Softmax&) noexcept;
  void (*batch_norm_forward_train)(const BatchNormForward&) noexcept;
  void (*batch_norm_forward_infer)(const BatchNormForward&) noexcept;
  void (*batch_norm_backward)(const BatchNormBackward&) noexcept;
  void (*row_norm_forward)(const RowNorm&) noexcept;
  void (*row_norm_backward)(const RowNormBackward&) noexcept;
  void (*row_norm_parameters)(const RowNormBackward&, Range cols) noexcept;
  void (*feature_scale)(const FeatureScale&) noexcept;
  void (*feature_scale_backward)(const FeatureScaleBackward&) noexcept;
  void (*coded_numbers)(const CodedNumbers&) noexcept;
  void (*coded_forward)(const CodedForward&) noexcept;
  void (*coded_gradient)(const CodedGradient&) noexcept;
  void (*periodic_forward)(const PeriodicForward&) noexcept;
  void (*periodic_backward)(const PeriodicBackward&) noexcept;
  void (*dropout_bits)(const DropoutBits&) noexcept;
  // y = a + b or a * b over n floats (any n), in place allowed.
  void (*combine)(Combination, const float* a, const float* b, float* y, std::size_t n) noexcept;
  // y = kept ? x * scale : 0 over the elements of a range of flat buffers, which is in multiples of 16. x == y is
  // allowed.
  void (*dropout_apply)(const DropoutMask&, const float* x, float* y, Range) noexcept;
  // y = kept ? x * scale + shift : dropped, in the same way.
  void (*dropout_affine)(const DropoutMask&, float shift, float dropped, const float* x, float* y, Range) noexcept;
  void (*loss)(const LossStep&) noexcept;
  void (*largest)(const Largest&) noexcept;
  void (*update)(const Update&) noexcept;
  void (*gather_rows)(const GatherRows&) noexcept;
  // out = a x + b y over n floats (any n, any alignment), rounded once after the product b y; in place allowed.
  void (*weighted_sum)(float a, const float* x, float b, const float* y, float* out, std::size_t n) noexcept;
  // sums = {sum |w|, sum w^2} of n floats, for any n: rounded to float, or as they are where float has no such number.
  void (*penalty_sums)(const float* w, std::size_t n, double* sums) noexcept;
  // Returns the sum of g'^2. It is finite if every g' is, and has the precision of float whatever the size of g'.
  double (*gradient_square)(const WholeGradient&) noexcept;
  // out[i] = g'[i]. In place allowed (out == g).
  void (*whole_gradient)(const WholeGradient&, float* out) noexcept;
  // True if none of n values, converted to float32, is NaN or infinite.
  bool (*all_finite)(const void* x, ElementType type, std::size_t n) noexcept;
  void (*infer)(const Inference&) noexcept;
  // Writes blocks [first, first + n) of the key's stream, 4 words each, in the order of the counter.
  void (*random_words)(const RandomKey&, std::uint64_t first, std::size_t n, std::uint32_t* out) noexcept;
  void (*random_normals)(const RandomNormals&) noexcept;
};

}  // namespace fastreg
