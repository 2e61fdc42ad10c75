// The CPU kernel table of one instruction set. This folder is compiled once for each instruction set, with FASTREG_ISA
// set to its name, which is also a namespace. Everything here has internal linkage, except the table and the functions
// that entries.h declares. No container, algorithm or inline function of std:: may appear, because a copy compiled with
// AVX could be linked into code that runs on older machines.
#include "core/kernels.h"
#include "cpu/kernels/entries.h"
#include "cpu/simd/simd.h"

namespace fastreg {
namespace FASTREG_ISA {

extern const Kernels table;
constinit const Kernels table = {
    .isa = FASTREG_QUOTE(FASTREG_ISA),
    .matmul = matmul,
    .matmul_weights = matmul_weights,
    .matmul_input = matmul_input,
    .activation_forward = activation_forward,
    .activation_backward = activation_backward,
    .separate_forward = separate_forward,
    .separate_backward = separate_backward,
    .softmax_forward = softmax_forward,
    .softmax_backward = softmax_backward,
    .batch_norm_forward_train = batch_norm_forward_train,
    .batch_norm_forward_infer = batch_norm_forward_infer,
    .batch_norm_backward = batch_norm_backward,
    .row_norm_forward = row_norm_forward,
    .row_norm_backward = row_norm_backward,
    .row_norm_parameters = row_norm_parameters,
    .feature_scale = feature_scale,
    .feature_scale_backward = feature_scale_backward,
    .coded_numbers = coded_numbers,
    .coded_forward = coded_forward,
    .coded_gradient = coded_gradient,
    .periodic_forward = periodic_forward,
    .periodic_backward = periodic_backward,
    .dropout_bits = dropout_bits,
    .combine = combine,
    .dropout_apply = dropout_apply,
    .dropout_affine = dropout_affine,
    .loss = loss,
    .largest = largest,
    .update = update,
    .gather_rows = gather_rows,
    .weighted_sum = weighted_sum,
    .penalty_sums = penalty_sums,
    .gradient_square = gradient_square,
    .whole_gradient = whole_gradient,
    .all_finite = all_finite,
    .infer = infer,
    .random_words = random_words,
    .random_normals = random_normals,
};

}  // namespace FASTREG_ISA
}  // namespace fastreg
