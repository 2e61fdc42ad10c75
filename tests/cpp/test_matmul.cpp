// Matrix products of the kernel table against sums in double precision, and their promise that splitting the output
// does not change a bit.
#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

struct Sum {
  double value = 0.0, magnitude = 0.0;
  void add(double a, double b) {
    value += a * b;
    magnitude += std::abs(a * b);
  }
  // One rounding for each product and each addition, in any order; the activation is no steeper than 1.2.
  double tolerance(std::size_t k) const { return (static_cast<double>(k) + 8) * 2 * kHalfUlp * (magnitude + 1.0); }
};

Matmul matmul_of(const Rows& x, const Panels& w, const float* bias, Rows& y, float* z, ActivationKind activation) {
  return {x.data.data(), x.stride, w.data.data(), bias,       y.data.data(), z,
          y.stride,      x.cols,   w.cols,        activation, {0, x.rows},   {0, w.panels()}};
}

void test_matmul(const Kernels& k, std::size_t n, std::size_t in, std::size_t out, ActivationKind activation,
                 bool with_z) {
  check::context = text(k.isa, {n, in, out, static_cast<std::size_t>(activation), with_z});
  const Rows x(n, in);
  const Panels w(in, out);
  Guarded<float> bias(rounded(out));
  for (std::size_t j = 0; j < out; ++j) bias[j] = uniform(-1.0f, 1.0f);
  Rows y(n, out), z(n, out);
  const Guarded<float> x_before = [&] {
    Guarded<float> copy(x.data.size());
    std::memcpy(copy.data(), x.data.data(), copy.size() * sizeof(float));
    return copy;
  }();
  k.matmul(matmul_of(x, w, bias.data(), y, with_z ? z.data.data() : nullptr, activation));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      Sum sum;
      sum.add(bias[j], 1.0);
      for (std::size_t c = 0; c < in; ++c) sum.add(x.at(i, c), w.at(c, j));
      CHECK(close(y.at(i, j), test::activation(activation, sum.value), sum.tolerance(in)));
      if (with_z) CHECK(close(z.at(i, j), sum.value, sum.tolerance(in)));
    }
  }
  CHECK(y.padding_is_finite());
  CHECK(y.data.guards_intact() && z.data.guards_intact());
  CHECK(same_bits(x.data, x_before));
}

// Every part by itself has the same bits as in the whole, and writes to no other part.
void test_matmul_split(const Kernels& k, std::size_t n, std::size_t in, std::size_t out, ActivationKind activation) {
  check::context = text(k.isa, {n, in, out, static_cast<std::size_t>(activation)}) + " split";
  const Rows x(n, in);
  const Panels w(in, out);
  Guarded<float> bias(rounded(out));
  for (std::size_t j = 0; j < out; ++j) bias[j] = uniform(-1.0f, 1.0f);
  Rows whole(n, out);
  const Matmul m = matmul_of(x, w, bias.data(), whole, nullptr, activation);
  k.matmul(m);
  for (const std::size_t cut : {std::size_t{1}, n / 3, n / 2, n - 1}) {
    Rows parts(n, out);
    parts.data = Guarded<float>(whole.data.size());
    if (parts.stride == 1) {
      for (std::size_t i = n; i < parts.data.size(); ++i) parts.data[i] = whole.data[i];
    }
    Matmul part = m;
    part.y = parts.data.data();
    for (std::size_t p = w.panels(); p-- > 0;) {
      part.panels = {p, p + 1};
      part.rows = {cut, n};
      k.matmul(part);
      part.rows = {0, cut};
      k.matmul(part);
    }
    part.panels = {0, 0};
    k.matmul(part);
    for (std::size_t i = 0; i < n; ++i) {
      CHECK(std::memcmp(&parts.data[i * parts.stride], &whole.data[i * whole.stride], whole.stride * sizeof(float)) ==
            0);
    }
  }
}

// Dropout after relu, as a whole and in parts: each element is the scaled product, or 0, with the same bits.
void test_matmul_dropout(const Kernels& k, std::size_t n, std::size_t in, std::size_t out) {
  check::context = text(k.isa, {n, in, out}) + " dropout";
  const Rows x(n, in);
  const Panels w(in, out);
  Guarded<float> bias(rounded(out));
  for (std::size_t j = 0; j < out; ++j) bias[j] = uniform(-1.0f, 1.0f);
  Rows plain(n, out), whole(n, out);
  Matmul m = matmul_of(x, w, bias.data(), plain, nullptr, ActivationKind::relu);
  k.matmul(m);
  const Dropped dropped(whole.data.size());
  m.y = whole.data.data();
  m.dropout = dropped.kernel();
  k.matmul(m);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      CHECK(whole.at(i, j) == static_cast<float>(plain.at(i, j) * dropped.factor(i * whole.stride + j)));
    }
  }
  CHECK(whole.padding_is_finite() && whole.data.guards_intact());
  Rows parts(n, out);
  m.y = parts.data.data();
  for (std::size_t p = w.panels(); p-- > 0;) {
    m.panels = {p, p + 1};
    for (const Range rows : {Range{n / 3, n}, Range{0, n / 3}}) {
      m.rows = rows;
      k.matmul(m);
    }
  }
  CHECK(std::memcmp(parts.data.data(), whole.data.data(), n * whole.stride * sizeof(float)) == 0);
}

// Random rows, and room for their dW.
struct Weights {
  Rows x, dy;
  Panels dw;
  Weights(std::size_t n, std::size_t in, std::size_t out) : x(n, in), dy(n, out), dw(in, out) { dy.clear_padding(); }
  MatmulWeights call() {
    return {x.data.data(), x.stride, dy.data.data(), dy.stride, dw.data.data(), x.rows, x.cols,
            dy.cols,       {0, x.cols},  {0, dw.panels()}};
  }
};

void test_weights(const Kernels& k, std::size_t n, std::size_t in, std::size_t out) {
  check::context = text(k.isa, {n, in, out}) + " weights";
  Weights weights(n, in, out);
  auto& [x, dy, dw] = weights;
  MatmulWeights m = weights.call();
  k.matmul_weights(m);
  for (std::size_t i = 0; i < in; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      Sum sum;
      for (std::size_t r = 0; r < n; ++r) sum.add(x.at(r, i), dy.at(r, j));
      CHECK(close(dw.at(i, j), sum.value, sum.tolerance(n)));
    }
  }
  CHECK(dw.padding_is_zero());
  CHECK(dw.data.guards_intact());
  Panels parts(in, out);
  m.dw = parts.data.data();
  const std::size_t cut = out == 1 ? in / 2 / kLane * kLane : in / 3;
  for (std::size_t p = dw.panels(); p-- > 0;) {
    m.panels = {p, p + 1};
    m.rows = {cut, in};
    k.matmul_weights(m);
    m.rows = {0, cut};
    k.matmul_weights(m);
  }
  CHECK(same_bits(parts.data, dw.data));
}

// dW from copies has the same bits, whatever the division into parts, and how many inputs are taken at once.
void test_weights_from_copies(const Kernels& k, std::size_t n, std::size_t in, std::size_t out) {
  check::context = text(k.isa, {n, in, out}) + " weights from copies";
  Weights weights(n, in, out);
  auto& [x, dy, dw] = weights;
  MatmulWeights m = weights.call();
  k.matmul_weights(m);
  for (const std::size_t at_once : {kStrip, 2 * kStrip, 20 * kStrip}) {
    m.inputs_at_once = at_once;
    for (const std::size_t panels : {std::size_t{1}, dw.panels()}) {
      Guarded<float> x_copy(n * at_once), dy_copy(n * kPanel * panels);
      m.x_copy = x_copy.data();
      m.dy_copy = dy_copy.data();
      for (const std::size_t cut : {std::size_t{0}, in / 2 / kStrip * kStrip}) {
        Panels parts(in, out);
        m.dw = parts.data.data();
        for (std::size_t p = dw.panels(); p > 0; p -= panels) {
          m.panels = {p - panels, p};
          for (const Range rows : {Range{cut, in}, Range{0, cut}}) {
            // What is read must have been written.
            for (std::size_t i = 0; i < x_copy.size(); ++i) x_copy[i] = std::nanf("");
            for (std::size_t i = 0; i < dy_copy.size(); ++i) dy_copy[i] = std::nanf("");
            m.rows = rows;
            k.matmul_weights(m);
          }
        }
        CHECK(same_bits(parts.data, dw.data));
        CHECK(parts.data.guards_intact() && x_copy.guards_intact() && dy_copy.guards_intact());
      }
    }
  }
}

// dX has the same bits, however many columns of W are transposed at once.
void test_columns_at_once(const Kernels& k, MatmulInput m, const Rows& dx) {
  Rows other(dx.rows, dx.cols);
  for (const std::size_t columns : {kPanel, 3 * kPanel, 16 * kPanel}) {
    Guarded<float> transposed(columns * kPanel);
    // What is read must have been written.
    for (std::size_t i = 0; i < transposed.size(); ++i) transposed[i] = std::nanf("");
    m.transposed = transposed.data();
    m.columns_at_once = columns;
    other.data = Guarded<float>(dx.data.size());
    m.dx = other.data.data();
    k.matmul_input(m);
    for (std::size_t i = 0; i < dx.rows; ++i) {
      CHECK(std::memcmp(&other.data[i * other.stride], &dx.data[i * dx.stride], dx.stride * sizeof(float)) == 0);
    }
    CHECK(other.data.guards_intact() && transposed.guards_intact());
  }
}

void test_input(const Kernels& k, std::size_t n, std::size_t in, std::size_t out) {
  check::context = text(k.isa, {n, in, out}) + " input";
  Rows dy(n, out);
  dy.clear_padding();
  const Panels w(in, out);
  Rows dx(n, in);
  const std::size_t panels = Panels(1, in).panels();
  MatmulInput m{dy.data.data(), dy.stride, w.data.data(), dx.data.data(), dx.stride,
                n,              in,        out,           {0, n},         {0, panels}};
  k.matmul_input(m);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < in; ++j) {
      Sum sum;
      for (std::size_t c = 0; c < out; ++c) sum.add(dy.at(i, c), w.at(j, c));
      CHECK(close(dx.at(i, j), sum.value, sum.tolerance(out)));
    }
  }
  CHECK(dx.padding_is_finite());
  CHECK(dx.data.guards_intact());
  test_columns_at_once(k, m, dx);
  Rows parts(n, in);
  parts.data = Guarded<float>(dx.data.size());
  m.dx = parts.data.data();
  for (const std::size_t cut : {n / 3, n}) {
    for (std::size_t p = panels; p-- > 0;) {
      m.panels = {p, p + 1};
      m.rows = {cut, n};
      k.matmul_input(m);
      m.rows = {0, cut};
      k.matmul_input(m);
    }
    for (std::size_t i = 0; i < n; ++i) {
      CHECK(std::memcmp(&parts.data[i * parts.stride], &dx.data[i * dx.stride], dx.stride * sizeof(float)) == 0);
    }
    CHECK(parts.data.guards_intact());
  }
}

// A NaN in x makes its own row NaN and no other, also with relu.
void test_nan(const Kernels& k) {
  for (const std::size_t in : {std::size_t{1}, std::size_t{20}}) {
    for (const std::size_t out : {std::size_t{1}, std::size_t{10}, std::size_t{100}}) {
      check::context = text(k.isa, {in, out}) + " NaN";
      Rows x(7, in);
      x.at(3, in / 4) = std::nanf("");
      const Panels w(in, out);
      Rows y(7, out);
      k.matmul(matmul_of(x, w, nullptr, y, nullptr, ActivationKind::relu));
      for (std::size_t i = 0; i < 7; ++i) {
        for (std::size_t j = 0; j < out; ++j) CHECK(std::isnan(y.at(i, j)) == (i == 3));
      }
    }
  }
}

// One row has code of its own, which reads two panels at once. It gives the same bits as in a batch, including the sign
// of a zero, and a missing bias counts as zeros.
void test_row_alone(const Kernels& k, std::size_t in, std::size_t out, bool zeros) {
  check::context = text(k.isa, {in, out, zeros}) + " row alone";
  Rows x(3, in);
  const Panels w(in, out);
  Guarded<float> bias(rounded(out));
  for (std::size_t j = 0; j < bias.size(); ++j) bias[j] = -0.0f;
  for (std::size_t j = 0; zeros && j < in; ++j) x.at(1, j) = 0.0f;
  Rows whole(3, out), alone(3, out);
  Matmul m = matmul_of(x, w, zeros ? bias.data() : nullptr, whole, nullptr, ActivationKind::linear);
  k.matmul(m);
  m.y = alone.data.data();
  for (std::size_t i = 0; i < 3; ++i) {
    m.rows = {i, i + 1};
    k.matmul(m);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      Sum sum;
      for (std::size_t c = 0; c < in; ++c) sum.add(x.at(i, c), w.at(c, j));
      CHECK(close(alone.at(i, j), sum.value, sum.tolerance(in)));
      CHECK(std::memcmp(&alone.at(i, j), &whole.at(i, j), sizeof(float)) == 0);
    }
  }
}

void test_all(const Kernels& k) {
  const std::size_t depths[] = {1, 2, 10, 16, 17, 64, 67};
  const std::size_t widths[] = {1, 2, 3, 5, 8, 10, 12, 13, 15, 16, 17, 33, 48, 63, 64, 65, 130};
  for (const std::size_t n : {0, 1, 2, 5, 7, 13, 32}) {
    for (const std::size_t in : depths) {
      for (const std::size_t out : widths) {
        test_matmul(k, n, in, out, ActivationKind::relu, false);
        test_weights(k, n, in, out);
      }
    }
  }
  for (const ActivationKind activation : element_activations()) {
    for (const std::size_t out : {1, 10, 40, 100}) {
      test_matmul(k, 9, 20, out, activation, false);
      test_matmul(k, 9, 20, out, activation, true);
      test_matmul_split(k, 9, 20, out, activation);
    }
  }
  for (const std::size_t out : widths) {
    test_matmul_split(k, 31, 67, out, ActivationKind::relu);
    test_matmul_split(k, 16, 1, out, ActivationKind::relu);
    if (out > 1) {
      for (const std::size_t n : {1, 14, 32}) test_matmul_dropout(k, n, 64, out);
      test_matmul_dropout(k, 5, 1537, out);
      test_matmul_dropout(k, 5, 1, out);
    }
    test_matmul_split(k, 13, 1100, out, ActivationKind::linear);
    test_matmul(k, 3, 1537, out, ActivationKind::relu, true);
    test_matmul(k, 3, 1537, out, ActivationKind::relu, false);
    test_matmul(k, 3, 1537, out, ActivationKind::tanh, false);
    test_weights(k, 700, 1, out);
    test_weights(k, 700, 3, out);
    test_weights(k, 515, 50, out);
    test_weights(k, 140, 203, out);
    test_weights(k, 1, 203, out);
  }
  for (const std::size_t out : {1, 7, 10, 73}) test_weights(k, 130, 2070, out);
  for (const std::size_t n : {1, 2, 127, 300, 515}) {
    for (const std::size_t in : {2, 47, 48, 50, 145, 203}) {
      for (const std::size_t out : {2, 10, 16, 17, 33, 64, 70, 73, 130, 177}) test_weights_from_copies(k, n, in, out);
    }
  }
  for (const std::size_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 26, 32, 33}) {
    for (const std::size_t in : {1, 5, 16, 33, 64, 65, 80, 300}) {
      for (const std::size_t out : {1, 2, 3, 6, 7, 10, 11, 13, 16, 17, 63, 64, 65, 100, 256, 257, 300, 577})
        test_input(k, n, in, out);
    }
  }
  for (const std::size_t in : {1, 20, 129, 1100}) {
    for (const std::size_t out : {1, 2, 16, 40, 64, 130, 208, 300}) {
      for (const bool zeros : {false, true}) test_row_alone(k, in, out, zeros);
    }
  }
  test_nan(k);
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("matmul");
}
