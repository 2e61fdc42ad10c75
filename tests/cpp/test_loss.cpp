// Softmax and the losses of the kernel table, on every ISA, against plain loops in double precision.
#include "fastreg/loss_kind.h"
#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

using Vector = std::vector<double>;

Vector row(const Rows& m, std::size_t i) {
  Vector values(m.cols);
  for (std::size_t j = 0; j < m.cols; ++j) values[j] = m.at(i, j);
  return values;
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

struct Expected {
  double loss = 0.0;
  Vector probabilities, gradient;
  double terms = 1.0;   // the size of what may cancel in the gradient
};

constexpr double kLow = 1e-7f, kHigh = 1.0f - 1e-7f, kSmallestSum = 1e-30f;

double clipped(double p) { return std::min(kHigh, std::max(kLow, p)); }
bool inside(double p) { return p >= kLow && p <= kHigh; }

// Row loss and unscaled gradient with respect to y.
Expected expected(LossKind kind, bool from_logits, const Vector& y, const Vector& t) {
  Expected e{0.0, y, Vector(y.size()), 1.0};
  const auto n = static_cast<double>(y.size());
  if (kind == LossKind::mean_squared_error) {
    for (std::size_t j = 0; j < y.size(); ++j) {
      e.loss += (y[j] - t[j]) * (y[j] - t[j]) / n;
      e.gradient[j] = 2 * (y[j] - t[j]) / n;
    }
  } else if (kind == LossKind::binary_crossentropy) {
    for (std::size_t j = 0; j < y.size(); ++j) {
      if (from_logits) {
        e.loss += (std::max(y[j], 0.0) - y[j] * t[j] + std::log1p(std::exp(-std::abs(y[j])))) / n;
        e.probabilities[j] = 1 / (1 + std::exp(-y[j]));
        e.gradient[j] = (e.probabilities[j] - t[j]) / n;
      } else {
        const double p = clipped(y[j]);
        e.loss -= (t[j] * std::log(p) + (1 - t[j]) * std::log1p(-p)) / n;
        e.gradient[j] = inside(y[j]) ? (p - t[j]) / (p * (1 - p)) / n : 0.0;
      }
    }
  } else if (from_logits) {
    const double lse = log_sum_exp(y);
    e.probabilities = softmax(y);
    double mass = 0;
    for (std::size_t j = 0; j < y.size(); ++j) {
      e.loss += t[j] == 0.0 ? 0.0 : t[j] * (lse - y[j]);
      mass += t[j];
    }
    for (std::size_t j = 0; j < y.size(); ++j) e.gradient[j] = e.probabilities[j] * mass - t[j];
  } else {
    // Each output is divided by the sum, on which the others depend as well.
    double sum = 0, mass = 0;
    for (const double v : y) sum += v;
    if (std::abs(sum) < kSmallestSum) sum = kSmallestSum;
    for (std::size_t j = 0; j < y.size(); ++j) {
      e.loss -= t[j] * std::log(clipped(y[j] / sum));
      if (inside(y[j] / sum)) mass += t[j];
    }
    for (std::size_t j = 0; j < y.size(); ++j) {
      const double pull = inside(y[j] / sum) ? t[j] * sum / y[j] : 0.0;
      e.gradient[j] = (mass - pull) / sum;
      e.terms = std::max(e.terms, (mass + pull) / sum);
    }
  }
  return e;
}

void test_loss(const Kernels& k, LossKind kind, bool from_logits, std::size_t rows, std::size_t cols, bool weighted) {
  check::context = text(k.isa, {static_cast<std::size_t>(kind), from_logits, rows, cols, weighted}) + " loss";
  const bool probabilities = !from_logits && kind != LossKind::mean_squared_error;
  Rows y(rows, cols, probabilities ? 0.01f : -9.0f, probabilities ? 0.99f : 9.0f), target(rows, cols, 0.0f, 1.0f);
  if (probabilities && rows > 2) {
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
  const bool sparse = kind == LossKind::sparse_categorical_crossentropy;
  const Rows before = [&] {
    Rows copy(rows, cols);
    std::memcpy(copy.data.data(), y.data.data(), y.data.size() * sizeof(float));
    return copy;
  }();
  Rows dy(rows, cols);
  const float scale = 0.25f;
  LossStep step{kind,
                from_logits,
                y.data.data(),
                sparse ? nullptr : target.data.data(),
                sparse ? labels.data() : nullptr,
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
    Vector t = row(target, i);
    if (sparse) {
      std::fill(t.begin(), t.end(), 0.0);
      t[static_cast<std::size_t>(labels[i])] = 1.0;
    }
    const Expected e = expected(kind, from_logits, row(before, i), t);
    // Sums over columns of terms up to 100 in size; the gradient of clipped probabilities reaches 100 too.
    CHECK(close(row_loss[i], e.loss, kHalfUlp * (2 * n + 30) * (std::abs(e.loss) + 10)));
    const double factor = scale * (weighted ? weight[i] : 1.0);
    for (std::size_t j = 0; j < cols; ++j) {
      const double want = e.gradient[j] * factor;
      CHECK(close(dy.at(i, j), want, kHalfUlp * (2 * n + 30) * (std::abs(want) + e.terms)));
      CHECK(close(y.at(i, j), e.probabilities[j], from_logits ? kHalfUlp * (n + 30) : 0.0) ||
            kind == LossKind::mean_squared_error);
    }
  }
  CHECK(dy.padding_is_zero() && y.padding_is_finite());
  CHECK(dy.data.guards_intact() && y.data.guards_intact() && row_loss.guards_intact());

  Rows again(rows, cols);
  std::memcpy(again.data.data(), before.data.data(), before.data.size() * sizeof(float));
  Guarded<float> only(rows);
  step.y = again.data.data();
  step.row_loss = only.data();
  step.dy = nullptr;
  step.rows = {0, rows};
  k.loss(step);
  CHECK(same_bits(only, row_loss));
}

void test_nan(const Kernels& k, LossKind kind, std::size_t cols) {
  check::context = text(k.isa, {static_cast<std::size_t>(kind), cols}) + " NaN";
  Rows y(3, cols), target(3, cols, 0.0f, 1.0f);
  y.at(1, cols / 2) = std::nanf("");
  const std::int32_t labels[3] = {0, 0, 0};
  float row_loss[3];
  k.loss({kind,
          true,
          y.data.data(),
          target.data.data(),
          labels,
          nullptr,
          1.0f,
          row_loss,
          nullptr,
          cols,
          y.stride,
          {0, 3}});
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

void test_all(const Kernels& k) {
  constexpr LossKind kKinds[] = {LossKind::mean_squared_error, LossKind::binary_crossentropy,
                                 LossKind::categorical_crossentropy, LossKind::sparse_categorical_crossentropy};
  for (const std::size_t rows : {1, 3, 4, 5, 8, 15, 16, 17, 35}) {
    for (const std::size_t cols : {1, 2, 3, 10, 15, 16, 17, 19, 35, 100}) {
      test_softmax(k, rows, cols);
      test_largest(k, rows, cols);
      for (const LossKind kind : kKinds) {
        for (const bool from_logits : {false, true}) {
          test_loss(k, kind, from_logits, rows, cols, false);
          test_loss(k, kind, from_logits, rows, cols, true);
        }
      }
    }
  }
  for (const LossKind kind : kKinds) {
    for (const std::size_t cols : {1, 10, 40}) test_nan(k, kind, cols);
  }
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("loss");
}
