// Softmax and the losses of the kernel table on every ISA: softmax against a plain loop, the losses against their own
// formulas, in double precision.
#include "double_lane.h"
#include "fastreg/losses.h"
#include "kernel_buffers.h"
#include "math/row_losses.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

using Vector = std::vector<double>;

Vector row(const Rows& m, std::size_t i) {
  Vector values(m.cols);
  for (std::size_t j = 0; j < m.cols; ++j) values[j] = m.at(i, j);
  return values;
}

Rows copy_of(const Rows& m) {
  Rows copy(m.rows, m.cols);
  std::memcpy(copy.data.data(), m.data.data(), m.data.size() * sizeof(float));
  return copy;
}

double log_sum_exp(const Vector& z) {
  const double top = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double v : z) sum += std::exp(v - top);
  return top + std::log(sum);
}

Vector softmax(const Vector& z) {
  Vector p = z;
  for (double& v : p) v = std::exp(v - log_sum_exp(z));
  return p;
}

void test_softmax(const Kernels& k, std::size_t rows, std::size_t cols) {
  check::context = text(k.isa, {rows, cols}) + " softmax";
  Rows z(rows, cols, -20.0f, 20.0f), y(rows, cols), dy(rows, cols), dz(rows, cols);
  if (rows > 1) z.at(1, cols / 2) = 1000.0f;
  for (const Range part : {Range{rows / 3, rows}, Range{0, rows / 3}}) {
    k.softmax_forward({cols, z.stride, z.data.data(), y.data.data(), nullptr, nullptr, part});
    k.softmax_backward({cols, z.stride, nullptr, y.data.data(), dy.data.data(), dz.data.data(), part});
  }
  for (std::size_t i = 0; i < rows; ++i) {
    const Vector p = softmax(row(z, i)), d = row(dy, i);
    double dot = 0;
    for (std::size_t j = 0; j < cols; ++j) dot += p[j] * d[j];
    for (std::size_t j = 0; j < cols; ++j) {
      // exp turns the rounding of z - max into a relative error as large as z - max itself.
      const double depth = log_sum_exp(row(z, i)) - static_cast<double>(z.at(i, j));
      const double tolerance = (static_cast<double>(cols) + 10 + depth) * kHalfUlp * (p[j] + 1e-30);
      CHECK(close(y.at(i, j), p[j], tolerance));
      CHECK(close(dz.at(i, j), p[j] * (d[j] - dot), 6 * tolerance));
    }
  }
  CHECK(y.padding_is_zero() && dz.padding_is_zero());
  CHECK(y.data.guards_intact() && dz.data.guards_intact());
}

// The same formula in double precision: losses of a row, outputs, gradient. y and t as they go in.
struct Expected {
  double loss = 0.0;
  Vector outputs, gradient;
};

template <class Loss, template <class> class Formula>
Expected expected_of(const Loss& loss, const Vector& y, const Vector& t, std::int32_t label) {
  Expected e{0.0, y, Vector(y.size())};
  const Formula<Double> formula(loss);
  if constexpr (Formula<Double>::kByRow) {
    e.loss = formula.template along<Double>(
        math::LossRow<Double>{e.outputs.data(), t.data(), label, e.gradient.data(), 1.0, y.size(), y.size()});
  } else {
    constexpr bool kSum = requires { Formula<Double>::kSum; };
    const double n = kSum ? 1.0 : static_cast<double>(y.size());
    for (std::size_t j = 0; j < y.size(); ++j) {
      Double output(y[j]);
      const auto value = formula.evaluate(output, t[j]);
      e.loss += value.loss.v / n;
      e.gradient[j] = value.gradient.v / n;
      e.outputs[j] = output.v;
    }
  }
  return e;
}

template <class Loss>
Expected expected(const Loss& loss, bool from_logits, const Vector& y, const Vector& t, std::int32_t label) {
  using Formulas = math::FormulaOf<Loss>;
  if constexpr (requires { Formulas::kSmooths; }) {
    if (loss.label_smoothing != 0.0f)
      return from_logits ? expected_of<Loss, Formulas::template SmoothedOnLogits>(loss, y, t, label)
                         : expected_of<Loss, Formulas::template SmoothedOnOutputs>(loss, y, t, label);
  }
  if constexpr (Loss::kAbsorbs != ActivationKind::linear) {
    if (from_logits) return expected_of<Loss, Formulas::template OnLogits>(loss, y, t, label);
  }
  return expected_of<Loss, Formulas::template OnOutputs>(loss, y, t, label);
}

// The largest error of the gradient from rounding y and values computed from it, estimated by differences of the
// formula.
template <class Loss>
Vector gradient_noise(const Loss& loss, bool from_logits, const Vector& y, const Vector& t, std::int32_t label) {
  const Expected e = expected(loss, from_logits, y, t, label);
  Vector noise(y.size());
  for (std::size_t k = 0; k < y.size(); ++k) {
    Vector moved = y;
    moved[k] += kHalfUlp * std::abs(y[k]);
    const Expected other = expected(loss, from_logits, moved, t, label);
    for (std::size_t j = 0; j < y.size(); ++j) noise[j] += std::abs(other.gradient[j] - e.gradient[j]);
  }
  return noise;
}

template <class Loss>
bool fits(const Loss& loss, std::size_t cols) {
  if constexpr (requires { loss.refuses(cols); }) return loss.refuses(cols) == nullptr;
  return true;
}

template <class Loss>
void test_loss(const Kernels& k, const Loss& loss, bool from_logits, std::size_t rows, std::size_t cols,
               bool weighted) {
  if (!fits(loss, cols)) return;
  check::context = text(k.isa, {from_logits, rows, cols, weighted}) + " " + Loss::kName;
  const bool shares = !from_logits && Loss::kTargets != Targets::values;
  Rows y(rows, cols, shares ? 0.01f : -9.0f, shares ? 0.99f : 9.0f), target(rows, cols, 0.0f, 1.0f);
  if (shares && rows > 2) {
    y.at(0, 0) = 0.0f;
    y.at(1, cols - 1) = 1.0f;
  }
  if (from_logits && rows > 2) y.at(2, 0) = 90.0f;
  std::vector<std::int32_t> labels(rows);
  Guarded<float> weight(rows), row_loss(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    labels[i] = static_cast<std::int32_t>(generator()() % cols);
    weight[i] = uniform(0.0f, 2.0f);
  }
  constexpr bool kLabels = Loss::kTargets == Targets::labels;
  const Rows before = copy_of(y);
  Rows dy(rows, cols);
  const float scale = 0.25f;
  LossStep step{index_of<Loss>(Losses()),
                &loss,
                from_logits,
                y.data.data(),
                kLabels ? nullptr : target.data.data(),
                kLabels ? labels.data() : nullptr,
                weighted ? weight.data() : nullptr,
                scale,
                row_loss.data(),
                dy.data.data(),
                cols,
                y.stride,
                {0, 0}};
  for (const Range part : {Range{rows / 3, rows}, Range{0, rows / 3}}) {
    step.rows = part;
    k.loss(step);
  }
  const auto n = static_cast<double>(cols);
  for (std::size_t i = 0; i < rows; ++i) {
    const Vector t = row(target, i);
    const Expected e = expected(loss, from_logits, row(before, i), t, labels[i]);
    // Sums over columns of terms up to 100 in size; the gradient of clipped probabilities reaches 100 too.
    CHECK(close(row_loss[i], e.loss, kHalfUlp * (2 * n + 30) * (std::abs(e.loss) + 10)));
    const Vector noise = gradient_noise(loss, from_logits, row(before, i), t, labels[i]);
    const double factor = scale * (weighted ? weight[i] : 1.0);
    for (std::size_t j = 0; j < cols; ++j) {
      const double want = e.gradient[j] * factor;
      CHECK(close(dy.at(i, j), want, kHalfUlp * (2 * n + 30) * (std::abs(want) + 1.0) + 30 * noise[j] * factor));
      CHECK(close(y.at(i, j), e.outputs[j], from_logits ? kHalfUlp * (n + 30) : 0.0));
    }
  }
  CHECK(dy.padding_is_zero() && y.padding_is_finite());
  CHECK(dy.data.guards_intact() && y.data.guards_intact() && row_loss.guards_intact());

  Rows again = copy_of(before);
  Guarded<float> only(rows);
  step.y = again.data.data();
  step.row_loss = only.data();
  step.dy = nullptr;
  step.rows = {0, rows};
  k.loss(step);
  CHECK(same_bits(only, row_loss));
}

template <class Loss>
void test_nan(const Kernels& k, const Loss& loss, bool from_logits, std::size_t cols) {
  if (!fits(loss, cols)) return;
  check::context = text(k.isa, {from_logits, cols}) + " NaN " + Loss::kName;
  Rows y(3, cols, 0.1f, 0.9f), target(3, cols, 0.0f, 1.0f);
  y.at(1, cols / 2) = std::nanf("");
  const std::int32_t labels[3] = {0, 0, 0};
  float row_loss[3];
  k.loss({index_of<Loss>(Losses()), &loss, from_logits, y.data.data(), target.data.data(), labels, nullptr, 1.0f,
          row_loss, nullptr, cols, y.stride, {0, 3}});
  CHECK(std::isfinite(row_loss[0]) && std::isnan(row_loss[1]) && std::isfinite(row_loss[2]));
}

// Among equals the first one; values of a few kinds only make for many of them.
void test_largest(const Kernels& k, std::size_t rows, std::size_t cols) {
  check::context = text(k.isa, {rows, cols}) + " largest";
  Rows y(rows, cols, 1.0f, 2.0f);   // padding is larger than any column
  constexpr float kValues[] = {-HUGE_VALF, -1.5f, -0.0f, 0.0f, 0.5f, 0.75f};
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t kinds = 1 + generator()() % 6;
    for (std::size_t j = 0; j < cols; ++j) y.at(i, j) = kValues[generator()() % kinds];
  }
  Guarded<std::int32_t> index(rows);
  const Largest whole{y.data.data(), cols, y.stride, index.data(), {0, 0}};
  for (const Range part : {Range{rows / 3, rows}, Range{0, rows / 3}}) {
    Largest call = whole;
    call.rows = part;
    k.largest(call);
  }
  for (std::size_t i = 0; i < rows; ++i) {
    const float* const row = &y.data[i * y.stride];
    CHECK(index[i] == std::max_element(row, row + cols) - row);
  }
  CHECK(index.guards_intact());
  y.at(rows / 2, cols / 2) = std::nanf("");
  Largest call = whole;
  call.rows = {0, rows};
  k.largest(call);
  for (std::size_t i = 0; i < rows; ++i) CHECK(index[i] >= 0 && index[i] < static_cast<std::int32_t>(cols));
}

// Each loss with its defaults, and starting from logits and with smoothed labels where it can.
template <class Test>
void for_each_loss(Test test) {
  for_each_type(Losses(), [&]<class Loss>(Type<Loss>) {
    test(Loss(), false);
    if constexpr (Loss::kAbsorbs != ActivationKind::linear) test(Loss(), true);
    if constexpr (requires(Loss loss) { loss.label_smoothing; }) {
      Loss smoothed;
      smoothed.label_smoothing = 0.1f;
      test(smoothed, false);
      test(smoothed, true);
    }
  });
}

void test_all(const Kernels& k) {
  for (const std::size_t rows : {1, 3, 4, 5, 8, 15, 16, 17, 35}) {
    for (const std::size_t cols : {1, 2, 3, 10, 15, 16, 17, 19, 35, 100}) {
      test_softmax(k, rows, cols);
      test_largest(k, rows, cols);
      for_each_loss([&](const auto& loss, bool from_logits) {
        test_loss(k, loss, from_logits, rows, cols, false);
        test_loss(k, loss, from_logits, rows, cols, true);
      });
    }
  }
  for_each_loss([&](const auto& loss, bool from_logits) {
    if (from_logits || loss.kTargets == Targets::values)
      for (const std::size_t cols : {1, 10, 40}) test_nan(k, loss, from_logits, cols);
  });
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("loss");
}
