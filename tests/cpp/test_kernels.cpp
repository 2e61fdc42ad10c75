// The kernel table but for its matrix products (test_matmul.cpp), losses (test_loss.cpp) and updates
// (test_updates.cpp): every entry on every ISA against plain loops in double precision.
#include <algorithm>

#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

double ulp(double value) { return std::ldexp(1.0, std::max(std::ilogb(value == 0.0 ? 1e-300 : value), -126) - 23); }

// Bounds in units in the last place of the result; of those that multiply x by a factor, in absolute error where no
// better bound is known. What is below the normal floats may be taken for 0.
double activation_tolerance(ActivationKind kind, double x, double y) {
  constexpr double kSmallest = 0x1p-126;
  switch (kind) {
    case ActivationKind::linear:
    case ActivationKind::relu:
    case ActivationKind::leaky_relu:
      return 1.0 * ulp(y);
    case ActivationKind::tanh:
    case ActivationKind::elu:
      return 2.0 * ulp(y);
    case ActivationKind::sigmoid:
    case ActivationKind::softplus:
      return 2.5 * ulp(y) + kSmallest;
    case ActivationKind::silu:
      return 3.0 * ulp(y) + kSmallest;
    default:
      return derivative_from_output(kind) ? 3.0 * ulp(y) + kSmallest : 2e-7 * std::max(1.0, std::abs(x));
  }
}

void test_activation_accuracy(const Kernels& k) {
  std::vector<float> x;
  for (int i = 0; i < 400000; ++i) x.push_back(uniform(-87.0f, 87.0f) * std::pow(uniform(0.0f, 1.0f), 6.0f));
  for (const float special :
       {0.0f, 1e-30f, -1e-30f, 5e-8f, -5e-8f, -87.0f, 87.0f, 1e30f, -1e30f, HUGE_VALF, -HUGE_VALF, std::nanf("")}) {
    x.push_back(special);
  }
  std::vector<float> y(x.size());
  for (const ActivationKind kind : element_activations()) {
    k.activation_forward(kind, x.data(), y.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double want = test::activation(kind, x[i]), tolerance = activation_tolerance(kind, x[i], want);
      const bool good = close(y[i], want, tolerance);
      if (!good) check::context = text(k.isa, {static_cast<std::size_t>(kind)}) + " at " + std::to_string(x[i]);
      CHECK(good);
    }
  }
}

void test_activation_forward(const Kernels& k, std::size_t n) {
  for (const ActivationKind kind : element_activations()) {
    for (const Edge::Side side : {Edge::end, Edge::begin}) {
      check::context = text(k.isa, {n, static_cast<std::size_t>(kind)}) + " flat";
      Edge z(n, side), y(n, side);
      k.activation_forward(kind, z.data(), y.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        const double want = test::activation(kind, z[i]);
        CHECK(close(y[i], want, activation_tolerance(kind, z[i], want)));
      }
      k.activation_forward(kind, z.data(), z.data(), n);
      CHECK(n == 0 || std::memcmp(z.data(), y.data(), n * sizeof(float)) == 0);
    }
  }
}

// Ranges of columns, or the single one.
std::vector<Range> column_parts(std::size_t stride) {
  if (stride <= kLane) return {{0, stride}};
  return {{kLane, stride}, {0, kLane}};
}

void test_activation_backward(const Kernels& k, std::size_t rows, std::size_t cols, ActivationKind kind) {
  check::context = text(k.isa, {rows, cols, static_cast<std::size_t>(kind)}) + " backward";
  const Rows z(rows, cols, -3.0f, 3.0f);
  Rows saved(rows, cols), dy(rows, cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      saved.at(i, j) =
          derivative_from_output(kind) ? static_cast<float>(test::activation(kind, z.at(i, j))) : z.at(i, j);
    }
  }
  dy.clear_padding();
  Rows dz(rows, cols);
  Guarded<float> db(rounded(cols));
  ActivationBackward a{kind, saved.data.data(), dy.data.data(), dz.data.data(), db.data(), rows, dz.stride, {0, 0}};
  k.activation_backward(a);
  CHECK(std::all_of(db.data(), db.data() + db.size(), [](float v) { return v == 0.0f; }));
  for (const Range part : column_parts(dz.stride)) {
    a.cols = part;
    k.activation_backward(a);
  }
  for (std::size_t j = 0; j < cols; ++j) {
    double sum = 0, magnitude = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      const double want = activation_gradient(kind, saved.at(i, j), dy.at(i, j));
      CHECK(close(dz.at(i, j), want, 20 * kHalfUlp));
      sum += want;
      magnitude += std::abs(want);
    }
    CHECK(close(db[j], sum, 2 * kHalfUlp * (static_cast<double>(rows) + 20) * (magnitude + 1)));
  }
  for (std::size_t j = cols; j < db.size(); ++j) CHECK(db[j] == 0.0f);
  CHECK(dz.padding_is_zero());
  CHECK(dz.data.guards_intact() && db.guards_intact());
  const Rows& apart = dz;
  a.dz = dy.data.data();
  a.dy = dy.data.data();
  a.db = nullptr;
  a.cols = {0, dz.stride};
  k.activation_backward(a);
  for (std::size_t i = 0; i < rows * dz.stride; ++i) CHECK(dy.data[i] == apart.data[i]);
}

// outer: the gradient comes as the outer product of a column and a row.
void test_batch_norm(const Kernels& k, std::size_t rows, std::size_t cols, bool affine, bool dropout, bool outer,
                     ActivationKind kind) {
  check::context = text(k.isa, {rows, cols, affine, dropout, outer, static_cast<std::size_t>(kind)}) + " batch norm";
  Rows x(rows, cols, 0.5f, 3.0f), y(rows, cols), dy(rows, cols), dx(rows, cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j)
      x.at(i, j) = static_cast<float>(test::activation(kind, uniform(-1.0f, 2.0f)));
  }
  dy.clear_padding();
  const std::size_t length = rounded(cols);
  Rows column(rows, 1);
  Guarded<float> row(length);
  for (std::size_t j = 0; outer && j < cols; ++j) {
    row[j] = uniform(-1.0f, 1.0f);
    for (std::size_t i = 0; i < rows; ++i) dy.at(i, j) = column.at(i, 0) * row[j];
  }
  Guarded<float> gamma(length), beta(length), mean(length), inv_std(length), moving_mean(length),
      moving_variance(length);
  Guarded<float> dgamma(length), dbeta(length), db(length);
  for (std::size_t j = 0; j < cols; ++j) {
    gamma[j] = uniform(0.5f, 2.0f);
    beta[j] = uniform(-1.0f, 1.0f);
    moving_mean[j] = uniform(-1.0f, 1.0f);
    moving_variance[j] = uniform(0.5f, 1.0f);
  }
  const float old_mean = moving_mean[0], old_variance = moving_variance[0];
  const Dropped dropped(rows * x.stride);
  const DropoutMask mask = dropout ? dropped.kernel() : DropoutMask{nullptr, 0.0f};
  const float momentum = 0.9f, epsilon = 1e-3f;
  for (const Range part : column_parts(x.stride)) {
    k.batch_norm_forward_train({x.data.data(), y.data.data(), affine ? gamma.data() : nullptr,
                                affine ? beta.data() : nullptr, moving_mean.data(), moving_variance.data(), mean.data(),
                                inv_std.data(), momentum, epsilon, mask, rows, x.stride, part});
    k.batch_norm_backward({x.data.data(), outer ? column.data.data() : dy.data.data(), outer ? row.data() : nullptr,
                           dx.data.data(), affine ? gamma.data() : nullptr, mean.data(), inv_std.data(), dgamma.data(),
                           dbeta.data(), mask, kind, db.data(), rows, x.stride, part});
  }
  const auto n = static_cast<double>(rows);
  for (std::size_t j = 0; j < cols; ++j) {
    double mu = 0, variance = 0, sum_dy = 0, sum_dy_xhat = 0, sum_dx = 0;
    for (std::size_t i = 0; i < rows; ++i) mu += x.at(i, j) / n;
    for (std::size_t i = 0; i < rows; ++i) variance += (x.at(i, j) - mu) * (x.at(i, j) - mu) / n;
    const double inverse = 1 / std::sqrt(variance + static_cast<double>(epsilon));
    const double g = affine ? gamma[j] : 1.0, b = affine ? beta[j] : 0.0;
    const auto factor = [&](std::size_t i) { return dropout ? dropped.factor(i * x.stride + j) : 1.0; };
    // Errors of mean and variance grow with inv_std, at most 32 here.
    const double tolerance = 64 * kHalfUlp * inverse * (n / 64 + 4);
    for (std::size_t i = 0; i < rows; ++i) {
      const double xhat = (x.at(i, j) - mu) * inverse, d = dy.at(i, j) * factor(i);
      CHECK(close(y.at(i, j), factor(i) * (g * xhat + b), tolerance));
      sum_dy += d;
      sum_dy_xhat += d * xhat;
    }
    CHECK(close(mean[j], mu, 8 * kHalfUlp) && close(inv_std[j], inverse, tolerance * inverse));
    CHECK(close(dbeta[j], sum_dy, tolerance * 4) && close(dgamma[j], sum_dy_xhat, tolerance * 4));
    for (std::size_t i = 0; i < rows; ++i) {
      const double xhat = (x.at(i, j) - mu) * inverse, d = dy.at(i, j) * factor(i);
      const double slope = activation_gradient(kind, x.at(i, j), 1.0);
      const double want = g * inverse * (d - sum_dy / n - xhat * sum_dy_xhat / n) * slope;
      CHECK(close(dx.at(i, j), want, tolerance * inverse * 4));
      sum_dx += want;
    }
    CHECK(close(db[j], sum_dx, tolerance * inverse * 4 * (n / 8 + 1)));
    if (j == 0) {
      CHECK(close(moving_mean[0], 0.9 * old_mean + 0.1 * mu, 8 * kHalfUlp));
      CHECK(close(moving_variance[0], 0.9 * old_variance + 0.1 * variance, 8 * kHalfUlp));
    }
  }
  CHECK(y.padding_is_finite() && dx.padding_is_zero());
  for (std::size_t j = cols; j < length; ++j) CHECK(db[j] == 0.0f && dgamma[j] == 0.0f && dbeta[j] == 0.0f);
  for (const auto* buffer : {&y.data, &dx.data, &mean, &inv_std, &moving_mean, &dgamma, &dbeta, &db}) {
    CHECK(buffer->guards_intact());
  }
  k.batch_norm_forward_infer({x.data.data(),
                              y.data.data(),
                              affine ? gamma.data() : nullptr,
                              affine ? beta.data() : nullptr,
                              moving_mean.data(),
                              moving_variance.data(),
                              nullptr,
                              nullptr,
                              momentum,
                              epsilon,
                              {nullptr, 0.0f},
                              rows,
                              x.stride,
                              {0, x.stride}});
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      const double inverse = 1 / std::sqrt(static_cast<double>(moving_variance[j]) + static_cast<double>(epsilon));
      const double want = (x.at(i, j) - static_cast<double>(moving_mean[j])) * inverse;
      CHECK(close(y.at(i, j), affine ? want * gamma[j] + beta[j] : want, 100 * kHalfUlp * inverse));
    }
  }
}

void test_dropout_apply(const Kernels& k) {
  check::context = text(k.isa, {}) + " dropout";
  const std::size_t n = 80;
  Guarded<float> x(n), y(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = uniform(-1.0f, 1.0f);
  const Dropped dropped(n);
  k.dropout_apply(dropped.kernel(), x.data(), y.data(), {16, 64});
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(y[i] == (i < 16 || i >= 64 ? 0.0f : static_cast<float>(x[i] * dropped.factor(i))));
  }
  CHECK(y.guards_intact());
}

// Sums and products of any length, in place too.
void test_weighted_sum(const Kernels& k) {
  for (const std::size_t n : {0, 1, 7, 16, 17, 64, 133}) {
    check::context = text(k.isa, {n}) + " weighted_sum";
    std::vector<float> x(n + 17), y(n + 17), out(n + 17, 9.0f);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = 0.5f * static_cast<float>(i) - 3.0f;
      y[i] = 0.25f * static_cast<float>(i * i);
    }
    k.weighted_sum(0.75f, x.data() + 1, -2.0f, y.data(), out.data() + 1, n);
    CHECK(out[0] == 9.0f);
    for (std::size_t i = 0; i < n; ++i) CHECK(out[i + 1] == 0.75f * x[i + 1] - 2.0f * y[i]);   // exact in float
    for (std::size_t i = n + 1; i < out.size(); ++i) CHECK(out[i] == 9.0f);
    std::vector<float> in_place = y;
    k.weighted_sum(0.0f, x.data(), 1.0f, in_place.data(), in_place.data(), n);
    CHECK(in_place == y);
  }
}

void test_combine(const Kernels& k) {
  for (const std::size_t n : {0, 1, 15, 16, 17, 63, 100}) {
    check::context = text(k.isa, {n}) + " combine";
    Guarded<float> a(rounded(n)), b(rounded(n)), y(rounded(n)), in_place(rounded(n));
    for (const Combination combination : {Combination::add, Combination::multiply}) {
      for (std::size_t i = 0; i < rounded(n); ++i) {
        a[i] = uniform(-1.0f, 1.0f);
        b[i] = in_place[i] = uniform(-1.0f, 1.0f);
        y[i] = 7.0f;
      }
      k.combine(combination, a.data(), b.data(), y.data(), n);
      k.combine(combination, a.data(), in_place.data(), in_place.data(), n);
      for (std::size_t i = 0; i < rounded(n); ++i) {
        const float want = combination == Combination::add ? a[i] + b[i] : a[i] * b[i];
        CHECK(y[i] == (i < n ? want : 7.0f));
        CHECK(in_place[i] == (i < n ? want : b[i]));
      }
      CHECK(y.guards_intact() && in_place.guards_intact());
    }
  }
}

// The backward pass through relu and dropout can be computed, with the same bits, from relu's output after dropout.
void test_relu_and_dropout_backward(const Kernels& k, std::size_t rows, std::size_t cols) {
  check::context = text(k.isa, {rows, cols}) + " relu and dropout backward";
  Rows y(rows, cols), dropped_y(rows, cols), dy(rows, cols), through(rows, cols), dz(rows, cols), want(rows, cols);
  dy.clear_padding();
  for (std::size_t e = 0; e < y.data.size(); ++e) y.data[e] = std::max(0.0f, y.data[e]);
  const std::size_t stride = y.stride, all = y.data.size();
  const Dropped dropped(all);
  k.dropout_apply(dropped.kernel(), y.data.data(), dropped_y.data.data(), {0, all});
  k.dropout_apply(dropped.kernel(), dy.data.data(), through.data.data(), {0, all});
  Guarded<float> db(rounded(cols)), want_db(rounded(cols));
  k.activation_backward({ActivationKind::relu,
                         y.data.data(),
                         through.data.data(),
                         want.data.data(),
                         want_db.data(),
                         rows,
                         stride,
                         {0, stride}});
  k.activation_backward({ActivationKind::relu, dropped_y.data.data(), dy.data.data(), dz.data.data(), db.data(), rows,
                         stride, {0, stride}, dropped.scale});
  CHECK(std::memcmp(dz.data.data(), want.data.data(), rows * stride * sizeof(float)) == 0);
  CHECK(same_bits(db, want_db));
}

// The published vectors of Random123 for philox4x32-10: counter, key, words.
struct Known {
  std::uint32_t counter[4], key[2], words[4];
};
constexpr Known kKnown[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

std::uint64_t join(std::uint32_t low, std::uint32_t high) { return static_cast<std::uint64_t>(high) << 32 | low; }

void test_random(const Kernels& k) {
  check::context = text(k.isa, {}) + " random";
  for (const Known& known : kKnown) {
    std::uint32_t words[4];
    k.random_words({join(known.key[0], known.key[1]), known.counter[2], known.counter[3]},
                   join(known.counter[0], known.counter[1]), 1, words);
    CHECK(std::memcmp(words, known.words, sizeof words) == 0);
  }
  const RandomKey key{0x123456789abcdefULL, 3, 9};
  const std::uint64_t first = 0xfffffff0u;  // the counter's low word overflows inside
  for (const std::size_t n : kSizes) {
    check::context = text(k.isa, {n}) + " random";
    Guarded<std::uint32_t> words(4 * n);
    k.random_words(key, first, n, words.data());
    CHECK(words.guards_intact());
    for (std::size_t b = 0; b < n; ++b) {
      std::uint32_t one[4];
      k.random_words(key, first + b, 1, one);
      CHECK(std::memcmp(one, &words[4 * b], sizeof one) == 0);
    }
  }
  for (const std::uint32_t threshold : {0u, 1u, 6554u, 32768u, 65535u}) {
    check::context = text(k.isa, {threshold}) + " dropout bits";
    Guarded<std::uint16_t> mask(8 * 9);
    k.dropout_bits({key, threshold, mask.data(), {5, 8}});
    k.dropout_bits({key, threshold, mask.data(), {0, 5}});
    for (std::size_t g = 0; g < 8; ++g) {
      for (std::size_t l = 0; l < 16; ++l) {
        std::uint32_t words[4];
        k.random_words(key, 16 * g + l, 1, words);
        for (std::size_t i = 0; i < 8; ++i) {
          const std::uint32_t half = words[i / 2] >> (16 * (i % 2)) & 0xffff;
          const std::size_t e = 32 * (i / 2) + 2 * l + i % 2;
          CHECK(((mask[8 * g + e / 16] >> (e % 16)) & 1) == (half >= threshold ? 1 : 0));
        }
      }
    }
    CHECK(std::all_of(&mask[64], &mask[72], [](std::uint16_t word) { return word == 0; }) && mask.guards_intact());
  }
}

template <class T>
void test_gather(const Kernels& k, ElementType type, std::size_t cols) {
  check::context = text(k.isa, {cols, sizeof(T)}) + " gather";
  const std::size_t n = 8, stride = cols + 3;
  EdgeOf<T> x((n - 1) * stride + cols, EdgeOf<T>::end);
  const std::uint32_t index[] = {9, 9, 7, 0, 7, 2};   // the first two belong to the batch before
  for (const bool indexed : {false, true}) {
    Rows out(4, cols);
    const std::vector<float> before(out.data.data(), out.data.data() + cols);
    k.gather_rows({x.data(), type, stride, indexed ? index : nullptr, 2, out.data.data(), cols, out.stride, {1, 4}});
    for (std::size_t j = 0; j < cols; ++j) CHECK(out.at(0, j) == before[j]);
    for (std::size_t i = 1; i < 4; ++i) {
      const std::size_t row = indexed ? index[2 + i] : 2 + i;
      for (std::size_t j = 0; j < cols; ++j) CHECK(out.at(i, j) == static_cast<float>(x[row * stride + j]));
      for (std::size_t j = cols; j < out.stride; ++j) CHECK(out.at(i, j) == 0.0f);
    }
    CHECK(out.data.guards_intact());
  }
}

// Doubles are judged as what they become: the last one that rounds to a finite float32 passes, the next does not.
template <class T>
void test_all_finite(const Kernels& k, ElementType type, std::size_t n, typename EdgeOf<T>::Side side) {
  check::context = text(k.isa, {n, sizeof(T)}) + " all_finite";
  EdgeOf<T> x(n, side);
  const double largest = 0x1.fffffefffffffp127;
  CHECK(k.all_finite(x.data(), type, n));
  for (std::size_t i = 0; i < n; i += n / 40 + 1) {
    const T good = x[i];
    for (const double bad : {HUGE_VAL, -HUGE_VAL, std::nan(""), 0x1.ffffffp127, -1e300}) {
      x[i] = static_cast<T>(bad);
      CHECK(!k.all_finite(x.data(), type, n));
    }
    for (const double extreme : {largest, -largest, 1e-300, -0.0}) {
      x[i] = static_cast<T>(extreme);
      CHECK(k.all_finite(x.data(), type, n));
    }
    x[i] = good;
  }
}

void test_scans(const Kernels& k, std::size_t n) {
  for (const Edge::Side side : {Edge::end, Edge::begin}) {
    test_all_finite<float>(k, ElementType::float32, n, side);
    test_all_finite<double>(k, ElementType::float64, n, static_cast<EdgeOf<double>::Side>(side));
    EdgeOf<std::uint8_t> bytes(n, static_cast<EdgeOf<std::uint8_t>::Side>(side));
    CHECK(k.all_finite(bytes.data(), ElementType::uint8, n));
    check::context = text(k.isa, {n}) + " penalty sums";
    Edge x(n, side);
    double absolute = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) {
      absolute += std::abs(static_cast<double>(x[i]));
      square += static_cast<double>(x[i]) * x[i];
    }
    double sums[2];
    k.penalty_sums(x.data(), n, sums);
    CHECK(close(sums[0], absolute, 1e-5 * absolute) && close(sums[1], square, 1e-5 * square));
    constexpr double kScale = 0x1p120;   // squares leave the range of float, and sums of many numbers do
    for (std::size_t i = 0; i < n; ++i) x[i] *= static_cast<float>(kScale);
    k.penalty_sums(x.data(), n, sums);
    CHECK(close(sums[0] / kScale, absolute, 1e-5 * absolute));
    CHECK(close(sums[1] / kScale / kScale, square, 1e-5 * square));
  }
}

// Near sqrt(FLT_MAX) the squares leave float's range, from 2e-23 on down they would be denormal.
void test_clipping(const Kernels& k, std::size_t n, const WholeGradient& penalties, float size) {
  check::context = text(k.isa, {n, penalties.l1 != 0.0f, penalties.l2 != 0.0f}) + " clipping " + std::to_string(size);
  for (const Edge::Side side : {Edge::end, Edge::begin}) {
    Edge w(n, side), g(n, side), out(n, side);
    double square = 0;
    std::vector<double> whole(n);
    for (std::size_t i = 0; i < n; ++i) {
      g[i] *= size;
      if (i % 5 == 0) w[i] = 0.0f;
      const double sign = w[i] > 0 ? 1 : w[i] < 0 ? -1 : 0;
      whole[i] = g[i] + penalties.l1 * sign + 2.0 * penalties.l2 * w[i];
      square += whole[i] * whole[i];
    }
    const WholeGradient gradient{w.data(), g.data(), n, penalties.l1, penalties.l2};
    CHECK(close(k.gradient_square(gradient), square, 1e-5 * square));
    k.whole_gradient(gradient, out.data());
    for (std::size_t i = 0; i < n; ++i) CHECK(close(out[i], whole[i], 2 * kHalfUlp * (std::abs(g[i]) + 1.0)));
    if (n == 0) continue;
    for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
      g[n / 2] = bad;
      CHECK(!std::isfinite(k.gradient_square(gradient)));
      k.whole_gradient(gradient, out.data());
      CHECK(std::isnan(bad) ? std::isnan(out[n / 2]) : out[n / 2] == bad);
    }
  }
}

void test_all(const Kernels& k) {
  test_activation_accuracy(k);
  for (const std::size_t n : kSizes) {
    test_activation_forward(k, n);
    test_scans(k, n);
    test_clipping(k, n, {}, 1.0f);
    test_clipping(k, n, {nullptr, nullptr, 0, 0.03f, 0.02f}, 1.0f);
    test_clipping(k, n, {nullptr, nullptr, 0, 0.03f, 0.02f}, 1e25f);
    test_clipping(k, n, {nullptr, nullptr, 0, 0.0f, 0.5f}, 1e-15f);
  }
  test_clipping(k, 20000, {nullptr, nullptr, 0, 0.03f, 0.0f}, 1.0f);
  test_clipping(k, 20000, {}, 3e38f);
  for (std::size_t cols = 1; cols <= 150; ++cols) {
    test_gather<float>(k, ElementType::float32, cols);
    test_gather<double>(k, ElementType::float64, cols);
    test_gather<std::uint8_t>(k, ElementType::uint8, cols);
  }
  test_scans(k, 100003);
  for (const std::size_t rows : {1, 2, 7, 33, 600}) {
    for (const std::size_t cols : {1, 2, 15, 16, 17, 35, 64, 100}) {
      for (const ActivationKind kind : element_activations()) test_activation_backward(k, rows, cols, kind);
      test_relu_and_dropout_backward(k, rows, cols);
      for (const ActivationKind kind : element_activations()) {
        if (!derivative_from_output(kind)) continue;
        for (const bool outer : {false, true}) {
          test_batch_norm(k, rows, cols, true, false, outer, kind);
          test_batch_norm(k, rows, cols, false, true, outer, kind);
        }
      }
    }
  }
  test_dropout_apply(k);
  test_combine(k);
  test_weighted_sum(k);
  test_random(k);
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("kernels");
}
