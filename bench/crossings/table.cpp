// The kernel table of the traced program: that of the baseline kernels, of which some entries say which arrays they are
// given before they run. CMake compiles the table itself under the name plain_table.
#include <string>

#include "core/kernels.h"
#include "trace.h"

namespace fastreg::baseline {
extern const Kernels plain_table, table;
}  // namespace fastreg::baseline

namespace {

using namespace fastreg;
using bench::name;
using bench::Phase;

std::size_t floats(std::size_t n) { return n * sizeof(float); }
std::size_t ld(std::size_t cols) { return cols == 1 ? 1 : (cols + kLane - 1) / kLane * kLane; }
std::string shape(std::size_t in, std::size_t cols) { return std::to_string(in) + "x" + std::to_string(cols); }

Phase say(const GatherRows& m) {
  bench::begin_step();
  name("order of rows", m.index, (m.first + m.rows.end) * sizeof(std::uint32_t));
  name("batch of x", m.out, floats(m.rows.end * m.ld));
  return Phase::gather;
}
Phase say(const DropoutBits& m) {
  name("masks", m.mask, m.groups.end * 8 * sizeof(std::uint16_t));
  return Phase::masks;
}
Phase say(const Matmul& m) {
  name("W " + shape(m.k, m.cols), m.w, floats(m.k * ld(m.cols)));
  name("b " + shape(m.k, m.cols), m.bias, floats(ld(m.cols)));
  name("y " + shape(m.k, m.cols), m.y, floats(m.rows.end * m.ldy));
  name("z " + shape(m.k, m.cols), m.z, floats(m.rows.end * m.ldy));
  return Phase::forward;
}
Phase say(const LossStep& m) {
  name("labels", m.labels, m.rows.end * sizeof(std::int32_t));
  name("targets", m.target, floats(m.rows.end * m.ld));
  name("losses of rows", m.row_loss, floats(m.rows.end));
  name("gradients of values", m.dy, floats(m.rows.end * m.ld));
  return Phase::loss;
}
Phase say(const ActivationBackward&) { return Phase::activation; }
Phase say(const MatmulWeights& m) {
  name("copies of x", m.x_copy, floats(m.n * m.inputs_at_once));
  name("copies of dy", m.dy_copy, floats(m.n * (m.panels.end - m.panels.begin) * kPanel));
  return Phase::dw;
}
Phase say(const MatmulInput& m) {
  name("gradients of values", m.dx, floats(m.n * m.lddx));
  return Phase::dx;
}
Phase say(const Update& m) {
  bench::name_beside("gradient", m.g, floats(m.n), m.w);
  for (const float* const moment : m.moment) bench::name_beside("moments", moment, floats(m.n), m.w);
  name("sums of penalties", m.sums, floats(4));
  return Phase::update;
}

// The entry at `kEntry`, in its phase.
template <auto kEntry, class Arguments>
void run(const Arguments& arguments) noexcept {
  const Phase before = bench::enter(say(arguments));
  (baseline::plain_table.*kEntry)(arguments);
  bench::enter(before);
}

Kernels traced() {
  Kernels made = baseline::plain_table;
  made.gather_rows = run<&Kernels::gather_rows, GatherRows>;
  made.dropout_bits = run<&Kernels::dropout_bits, DropoutBits>;
  made.matmul = run<&Kernels::matmul, Matmul>;
  made.loss = run<&Kernels::loss, LossStep>;
  made.activation_backward = run<&Kernels::activation_backward, ActivationBackward>;
  made.matmul_weights = run<&Kernels::matmul_weights, MatmulWeights>;
  made.matmul_input = run<&Kernels::matmul_input, MatmulInput>;
  made.update = run<&Kernels::update, Update>;
  return made;
}

}  // namespace

const fastreg::Kernels fastreg::baseline::table = traced();
