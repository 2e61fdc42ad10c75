// The kernels of separate activations, of rows that are normalised, of learned factors and of noise, on each
// instruction set, against plain loops in double precision.
#include "kernel_buffers.h"
#include "math/separate_activations.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

void test_separate(const Kernels& k, std::size_t n) {
  for_each_separate([&](const ActivationSpec& spec, auto functor) {
    for (const Edge::Side side : {Edge::end, Edge::begin}) {
      check::context = text(k.isa, {n, static_cast<std::size_t>(spec.kind)}) + " separate";
      Edge x(n, side), dy(n, side), y(n, side), dz(n, side);
      for (std::size_t i = 0; i < n; ++i) x[i] *= 5.0f;
      k.separate_forward(spec, x.data(), y.data(), n);
      k.separate_backward(spec, x.data(), dy.data(), dz.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        const double want = functor.forward(Double(x[i]), spec.parameters).v;
        CHECK(close(y[i], want, 8 * kHalfUlp * (std::abs(want) + std::abs(x[i]))));
        CHECK(close(dz[i], functor.backward(Double(x[i]), Double(dy[i]), spec.parameters).v,
                    64 * kHalfUlp * (1.0 + std::abs(want))));
      }
      k.separate_forward(spec, x.data(), x.data(), n);
      CHECK(n == 0 || std::memcmp(x.data(), y.data(), n * sizeof(float)) == 0);
    }
  });
}

void test_row_activations(const Kernels& k, std::size_t rows, std::size_t cols) {
  for (const ActivationKind kind : {math::kSeparateKind<math::LogSoftmax>, math::kSeparateKind<math::Sparsemax>}) {
    check::context = text(k.isa, {rows, cols, static_cast<std::size_t>(kind)}) + " of rows";
    Rows z(rows, cols, -2.0f, 2.0f), y(rows, cols), dy(rows, cols), dz(rows, cols);
    k.softmax_forward({cols, z.stride, z.data.data(), y.data.data(), nullptr, nullptr, {0, rows}, kind});
    k.softmax_backward({cols, z.stride, nullptr, y.data.data(), dy.data.data(), dz.data.data(), {0, rows}, kind});
    for (std::size_t i = 0; i < rows; ++i) {
      double total = 0.0, gradients = 0.0, support = 0.0, sum = 0.0;
      for (std::size_t j = 0; j < cols; ++j) {
        total += kind == math::kSeparateKind<math::LogSoftmax> ? std::exp(double{y.at(i, j)}) : double{y.at(i, j)};
        const bool in = kind == math::kSeparateKind<math::LogSoftmax> || y.at(i, j) > 0.0f;
        support += in ? 1.0 : 0.0;
        gradients += in ? double{dy.at(i, j)} : 0.0;
        sum += double{dz.at(i, j)};
      }
      const double size = static_cast<double>(cols) + 8;
      CHECK(close(total, 1.0, 8 * kHalfUlp * size));
      CHECK(close(sum, 0.0, 8 * kHalfUlp * size));
      for (std::size_t j = 0; j < cols; ++j) {
        const double share = kind == math::kSeparateKind<math::LogSoftmax> ? std::exp(double{y.at(i, j)})
                             : y.at(i, j) > 0.0f                            ? 1.0 / support
                                                                            : 0.0;
        const double own = share > 0.0 ? double{dy.at(i, j)} : 0.0;
        CHECK(close(dz.at(i, j), own - share * gradients, 8 * kHalfUlp * size));
      }
    }
    CHECK(y.padding_is_zero() && dz.padding_is_zero());
    CHECK(y.data.guards_intact() && dz.data.guards_intact());
  }
}

void test_row_norm(const Kernels& k, std::size_t rows, std::size_t cols, RowStatistic statistic) {
  check::context = text(k.isa, {rows, cols, static_cast<std::size_t>(statistic)}) + " normalised";
  const float epsilon = 1e-3f;
  Rows x(rows, cols, -1.0f, 3.0f), y(rows, cols), dy(rows, cols), dx(rows, cols);
  dy.clear_padding();
  Guarded<float> gamma(rounded(cols)), beta(rounded(cols)), mean(rounded(rows)), inv(rounded(rows));
  Guarded<float> dgamma(rounded(cols)), dbeta(rounded(cols));
  for (std::size_t j = 0; j < cols; ++j) {
    gamma[j] = uniform(0.5f, 2.0f);
    beta[j] = uniform(-1.0f, 1.0f);
  }
  k.row_norm_forward({statistic,
                      epsilon,
                      x.data.data(),
                      y.data.data(),
                      gamma.data(),
                      beta.data(),
                      mean.data(),
                      inv.data(),
                      cols,
                      x.stride,
                      {0, rows}});
  RowNormBackward back{statistic,    x.data.data(), dy.data.data(), dx.data.data(), gamma.data(),
                       mean.data(),  inv.data(),    dgamma.data(),  dbeta.data(),   cols,
                       x.stride,     {0, rows}};
  if (x.stride > kLane) k.row_norm_parameters(back, {0, kLane});
  k.row_norm_parameters(back, {x.stride > kLane ? kLane : 0, x.stride});
  k.row_norm_backward(back);
  const double n = static_cast<double>(cols), tolerance = 32 * kHalfUlp * (n + 8);
  std::vector<double> want_gamma(cols, 0.0), want_beta(cols, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    double centre = 0.0, square = 0.0, shift = 0.0, along = 0.0;
    for (std::size_t j = 0; j < cols; ++j) centre += statistic == RowStatistic::standard ? x.at(i, j) / n : 0.0;
    for (std::size_t j = 0; j < cols; ++j) square += (x.at(i, j) - centre) * (x.at(i, j) - centre);
    const bool unit = statistic == RowStatistic::unit;
    const double scale = 1.0 / std::sqrt(unit ? std::max(square, 1e-12) : square / n + double{epsilon});
    for (std::size_t j = 0; j < cols; ++j) {
      const double g = double{gamma[j]} * double{dy.at(i, j)}, xhat = (x.at(i, j) - centre) * scale;
      if (statistic == RowStatistic::standard) shift += g / n;
      along += unit ? g * xhat : g * xhat / n;
      CHECK(close(y.at(i, j), double{gamma[j]} * xhat + double{beta[j]}, tolerance * (1.0 + scale)));
      want_gamma[j] += double{dy.at(i, j)} * xhat;
      want_beta[j] += double{dy.at(i, j)};
    }
    for (std::size_t j = 0; j < cols; ++j) {
      const double g = double{gamma[j]} * double{dy.at(i, j)}, xhat = (x.at(i, j) - centre) * scale;
      CHECK(close(dx.at(i, j), scale * (g - shift - xhat * along), tolerance * (1.0 + scale) * (1.0 + scale)));
    }
    CHECK(close(inv[i], scale, tolerance * (1.0 + scale) * scale));
  }
  for (std::size_t j = 0; j < cols; ++j) {
    const double more = tolerance * static_cast<double>(rows + 8) * 8;
    CHECK(close(dgamma[j], want_gamma[j], more));
    CHECK(close(dbeta[j], want_beta[j], more));
  }
  for (std::size_t j = cols; j < dgamma.size(); ++j) CHECK(dgamma[j] == 0.0f && dbeta[j] == 0.0f);
  CHECK(y.padding_is_zero() && dx.padding_is_zero());
  CHECK(y.data.guards_intact() && dx.data.guards_intact() && dgamma.guards_intact() && dbeta.guards_intact());
  CHECK(mean.guards_intact() && inv.guards_intact());
  Rows again(rows, cols);   // parts of the rows, in place, and without weights
  std::memcpy(again.data.data(), x.data.data(), x.data.size() * sizeof(float));
  for (const Range part : {Range{0, rows / 2}, Range{rows / 2, rows}})
    k.row_norm_forward({statistic, epsilon, again.data.data(), again.data.data(), nullptr, nullptr, nullptr, nullptr,
                        cols, x.stride, part});
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j)
      CHECK(close(again.at(i, j), (y.at(i, j) - double{beta[j]}) / double{gamma[j]}, 64 * kHalfUlp * (n + 8)));
}

void test_feature_scale(const Kernels& k, std::size_t rows, std::size_t cols, bool rectified) {
  check::context = text(k.isa, {rows, cols, rectified}) + " scaled";
  Rows x(rows, cols, -2.0f, 2.0f), y(rows, cols), dy(rows, cols), dx(rows, cols);
  dy.clear_padding();
  Guarded<float> scale(rounded(cols)), dscale(rounded(cols));
  for (std::size_t j = 0; j < cols; ++j) scale[j] = uniform(-2.0f, 2.0f);
  const Range all{0, x.stride};
  k.feature_scale({x.data.data(), scale.data(), y.data.data(), rectified, rows, cols, x.stride, all});
  k.feature_scale_backward({x.data.data(), scale.data(), dy.data.data(), dx.data.data(), dscale.data(), rectified, rows,
                            cols, x.stride, all});
  for (std::size_t j = 0; j < cols; ++j) {
    double sum = 0.0;
    for (std::size_t i = 0; i < rows; ++i) {
      const bool through = rectified && x.at(i, j) > 0.0f;
      const double factor = through ? 1.0 : double{scale[j]};
      CHECK(close(y.at(i, j), factor * x.at(i, j), 4 * kHalfUlp * 4));
      CHECK(close(dx.at(i, j), factor * dy.at(i, j), 4 * kHalfUlp * 4));
      sum += through ? 0.0 : double{dy.at(i, j)} * double{x.at(i, j)};
    }
    CHECK(close(dscale[j], sum, 4 * kHalfUlp * static_cast<double>(rows + 4) * static_cast<double>(rows + 4)));
  }
  for (std::size_t j = cols; j < dscale.size(); ++j) CHECK(dscale[j] == 0.0f);
  CHECK(y.padding_is_finite() && dx.padding_is_zero());
  CHECK(y.data.guards_intact() && dx.data.guards_intact() && dscale.guards_intact());
}

void test_noise(const Kernels& k) {
  check::context = std::string(k.isa) + " normal numbers";
  constexpr std::size_t kGroups = 5;
  Guarded<float> normals(64 * kGroups);
  Guarded<std::uint32_t> words(64 * kGroups);
  const RandomKey key{0x123456789abcdefULL, 7, 9};
  k.random_normals({key, 0.5f, 2.0f, normals.data(), {0, 2}});
  k.random_normals({key, 0.5f, 2.0f, normals.data(), {2, kGroups}});
  k.random_words(key, 0, 16 * kGroups, words.data());
  for (std::size_t block = 0; block < 16 * kGroups; ++block) {
    for (std::size_t i = 0; i < 4; i += 2) {
      const auto uniform_of = [&](std::size_t word) {
        return (static_cast<double>(words[4 * block + word] >> 8) + 0.5) * 0x1p-24;
      };
      const double radius = std::sqrt(-2.0 * std::log(uniform_of(i))), angle = 6.283185307179586 * uniform_of(i + 1);
      const std::size_t at = 64 * (block / 16) + 16 * i + block % 16;
      CHECK(close(normals[at], 0.5 + 2.0 * radius * std::cos(angle), 4e-6));
      CHECK(close(normals[at + 16], 0.5 + 2.0 * radius * std::sin(angle), 4e-6));
    }
  }
  CHECK(normals.guards_intact());
  check::context = std::string(k.isa) + " dropout with a shift";
  constexpr std::size_t kElements = 640;
  const Dropped dropped(kElements);
  Guarded<float> x(kElements), y(kElements);
  for (std::size_t e = 0; e < kElements; ++e) x[e] = uniform(-1.0f, 1.0f);
  k.dropout_affine(dropped.kernel(), 0.25f, -3.0f, x.data(), y.data(), {0, kElements});
  for (std::size_t e = 0; e < kElements; ++e)
    CHECK(close(y[e], dropped.factor(e) > 0.0 ? 1.25 * double{x[e]} + 0.25 : -3.0, 4 * kHalfUlp));
  CHECK(y.guards_intact());
}

void test_all(const Kernels& k) {
  for (const std::size_t n : kSizes) test_separate(k, n);
  for (const std::size_t rows : {1, 2, 7, 33, 300}) {
    for (const std::size_t cols : {1, 2, 15, 16, 17, 35, 64, 100}) {
      if (cols > 1) test_row_activations(k, rows, cols);
      for (const RowStatistic statistic : {RowStatistic::unit, RowStatistic::root_mean_square, RowStatistic::standard})
        test_row_norm(k, rows, cols, statistic);
      for (const bool rectified : {false, true}) test_feature_scale(k, rows, cols, rectified);
    }
  }
  test_noise(k);
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("rows");
}
