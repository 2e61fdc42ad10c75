// Declares the functions that kernel objects of one instruction set call in each other: the entries of the table, which
// core/kernels.h documents, and activate_block. Everything else in these objects has internal linkage.
#pragma once
#include "core/kernels.h"

namespace fastreg {
namespace FASTREG_ISA {

// matmul.cpp
void matmul(const Matmul&) noexcept;
void matmul_input(const MatmulInput&) noexcept;
void matmul_weights(const MatmulWeights&) noexcept;

// elementwise.cpp
void activation_forward(ActivationKind, const float* z, float* y, std::size_t n) noexcept;
void activation_backward(const ActivationBackward&) noexcept;
void combine(Combination, const float* a, const float* b, float* y, std::size_t n) noexcept;
void dropout_apply(const DropoutMask&, const float* x, float* y, Range) noexcept;
void dropout_affine(const DropoutMask&, float shift, float dropped, const float* x, float* y, Range) noexcept;
void gather_rows(const GatherRows&) noexcept;
bool all_finite(const void* x, ElementType type, std::size_t n) noexcept;
// activation_forward over a block of a rows matrix; width is a multiple of kLane.
void activate_block(ActivationKind, const float* z, float* y, std::size_t ld, std::size_t rows,
                    std::size_t width) noexcept;

// row_norm.cpp
void row_norm_forward(const RowNorm&) noexcept;
void row_norm_backward(const RowNormBackward&) noexcept;
void row_norm_parameters(const RowNormBackward&, Range cols) noexcept;
void feature_scale(const FeatureScale&) noexcept;
void feature_scale_backward(const FeatureScaleBackward&) noexcept;

// codes.cpp
void coded_numbers(const CodedNumbers&) noexcept;

// coded.cpp
void coded_forward(const CodedForward&) noexcept;
void coded_gradient(const CodedGradient&) noexcept;

// periodic.cpp
void periodic_forward(const PeriodicForward&) noexcept;
void periodic_backward(const PeriodicBackward&) noexcept;

// separate.cpp
void separate_forward(const ActivationSpec&, const float* x, float* y, std::size_t n) noexcept;
void separate_backward(const ActivationSpec&, const float* x, const float* dy, float* dz, std::size_t n) noexcept;

// softmax.cpp
void softmax_forward(const Softmax&) noexcept;
void softmax_backward(const Softmax&) noexcept;

// batch_norm.cpp
void batch_norm_forward_train(const BatchNormForward&) noexcept;
void batch_norm_forward_infer(const BatchNormForward&) noexcept;
void batch_norm_backward(const BatchNormBackward&) noexcept;

// loss.cpp
void loss(const LossStep&) noexcept;
void largest(const Largest&) noexcept;

// update.cpp
void update(const Update&) noexcept;
void weighted_sum(float a, const float* x, float b, const float* y, float* out, std::size_t n) noexcept;
void penalty_sums(const float* w, std::size_t n, double* sums) noexcept;

// clip.cpp
double gradient_square(const WholeGradient&) noexcept;
void whole_gradient(const WholeGradient&, float* out) noexcept;

// inference.cpp
void infer(const Inference&) noexcept;

// random.cpp
void dropout_bits(const DropoutBits&) noexcept;
void random_normals(const RandomNormals&) noexcept;
void random_words(const RandomKey&, std::uint64_t first, std::size_t n, std::uint32_t* out) noexcept;

}  // namespace FASTREG_ISA
}  // namespace fastreg
