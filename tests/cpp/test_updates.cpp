// The fused updates of the kernel table: every rule on every ISA against its steps in double precision.
#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

struct UpdateCase {
  float l1, l2;
  bool proximal;
  float decay, scale;
  float limit = 0.0f, momentum = 0.0f;   // with a limit there is an average, too
};

// One step of a parameter and its moments in double precision; returns w.
template <class Rule>
double update_reference(const Rule& rule, const Update& u, Double w, double g, Double* moment) {
  double slope = u.grad_scale * g + 2.0 * u.l2 * w.v;
  if (!u.proximal) slope += static_cast<double>(u.l1) * (w.v > 0 ? 1 : w.v < 0 ? -1 : 0);
  if (u.limit != 0.0f) slope = std::clamp<double>(slope, -u.limit, u.limit);
  if constexpr (math::kIsOneFunction<Rule, Double>) {
    return rule.step(w, slope, moment, u.proximal ? u.l1 : 0.0f).v;
  } else {
    const double rate = u.rate;
    const Double direction = rule.direction(w, slope, moment);
    const Double decayed = w.v - rate * u.decay * w.v;
    if (u.proximal) return math::proximal_step<Rule, Double>(rule, decayed, direction, moment, u.l1).v;
    return rule.apply(decayed, direction, moment).v;
  }
}

// How far w and the moments after a step move if the gradient (or its limit) or one moment before it is wrong by a
// rounding: what no arithmetic in float can avoid where a rule subtracts numbers of almost the same size.
template <class Rule>
void add_rounding_of_inputs(const Rule& rule, const Update& u, double w, double g, const Double* before,
                            std::size_t count, double want, const Double* after, double* of_w, double* of_moments) {
  for (std::size_t input = 0; input <= count; ++input) {
    Double moment[math::kMaxMoments];
    for (std::size_t j = 0; j < count; ++j) moment[j] = before[j].v * (j == input ? 1.0 + 2.0 * kHalfUlp : 1.0);
    Update with = u;
    if (input == count && u.limit != 0.0f) with.limit = std::nextafter(u.limit, 1.0f);
    const double moved = update_reference(rule, with, w, g * (input == count ? 1.0 + 2.0 * kHalfUlp : 1.0), moment);
    *of_w += std::abs(moved - want);
    for (std::size_t j = 0; j < count; ++j) of_moments[j] += std::abs(moment[j].v - after[j].v);
  }
}

template <class Description, class Rule>
void test_update(const Kernels& k, const Description& description, Type<Rule>, std::size_t n, const UpdateCase& c,
                 Edge::Side side) {
  constexpr std::size_t kMoments = math::kArrays<Rule>;
  check::context = text(k.isa, {n, c.proximal}) + " update " + text_of(description);
  Edge w(n, side), g(n, side), m0(n, side), m1(n, side), m2(n, side), average(c.limit == 0.0f ? 0 : n, side);
  Edge* const moments[] = {&m0, &m1, &m2};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < kMoments; ++j)   // what follows a mean of squares is like it
      if (j >= Rule::kSquare) (*moments[j])[i] = std::abs((*moments[j])[i]);
    // A mean of squares is at least the square of the mean, which a rule takes from it.
    if constexpr (!Rule::kSpecialised && Rule::kSquare < kMoments)
      for (std::size_t j = 0; j < kMoments; ++j) (*moments[Rule::kSquare])[i] += (*moments[j])[i] * (*moments[j])[i];
    if (i % 5 == 0) w[i] = 0.0f;
  }
  double sums[2] = {-1.0, -1.0};
  Update u{index_of<Description>(Optimizers()),
           &description,
           n,
           w.data(),
           g.data(),
           {},
           0.01f,
           {0.2f, 0.03f, 0.5f, 0.8f},
           c.decay,
           c.l1,
           c.l2,
           c.scale,
           c.proximal,
           sums,
           c.limit,
           nullptr,
           c.momentum};
  if (c.limit != 0.0f) u.average = average.data();
  std::vector<std::vector<float>> before;
  for (std::size_t j = 0; j < kMoments; ++j) {
    u.moment[j] = moments[j]->data();
    before.emplace_back(u.moment[j], u.moment[j] + n);
  }
  const std::vector<float> w0(w.data(), w.data() + n), average0(average.data(), average.data() + average.size());
  k.update(u);
  const Rule rule(description, math::Step{u.rate, u.correction, u.decay});
  double absolute = 0, square = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Double moment[math::kMaxMoments], given[math::kMaxMoments];
    for (std::size_t j = 0; j < kMoments; ++j) moment[j] = given[j] = static_cast<double>(before[j][i]);
    const double old = w0[i], want = update_reference(rule, u, old, g[i], moment);
    double of_w = 0.0, of_moments[math::kMaxMoments] = {};
    if constexpr (!Rule::kSpecialised)
      add_rounding_of_inputs(rule, u, old, g[i], given, kMoments, want, moment, &of_w, of_moments);
    // The step is a few hundredths at most: its relative error of a few ulp, and one rounding of w.
    CHECK(close(w[i], want, 2 * kHalfUlp * (std::abs(old) + 10 * std::abs(want - old) + 0.05) + 4 * of_w));
    for (std::size_t j = 0; j < kMoments; ++j)
      CHECK(close((*moments[j])[i], moment[j].v, 8 * kHalfUlp + 4 * of_moments[j]));
    if (u.average != nullptr) {
      const double mean = double{c.momentum} * average0[i] + (1.0 - double{c.momentum}) * w[i];
      CHECK(close(average[i], mean, 3 * kHalfUlp * (std::abs(average0[i]) + std::abs(w[i]))));
    }
    absolute += std::abs(old);
    square += old * old;
  }
  const double tolerance = kHalfUlp * static_cast<double>(n + 8) * (absolute + 1);
  if (c.l1 == 0.0f && c.l2 == 0.0f) {
    CHECK(sums[0] == -1.0 && sums[1] == -1.0);
  } else {
    CHECK(close(sums[0], absolute, tolerance) && close(sums[1], square, tolerance));
  }
}

void test_updates(const Kernels& k, const std::vector<UpdateCase>& cases) {
  for_each_rule<Double>([&](const auto& description, auto rule) {
    for (const UpdateCase& c : cases) {
      for (const std::size_t n : kSizes) {
        test_update(k, description, rule, n, c, Edge::end);
        test_update(k, description, rule, n, c, Edge::begin);
      }
      test_update(k, description, rule, 1000, c, Edge::end);
    }
  });
}

// A limit bounds infinite gradients, and NaN is no number that it could bound.
void test_limit_of_bad_gradients(const Kernels& k) {
  check::context = text(k.isa, {}) + " limit";
  const SGD description{};
  for (const std::size_t n : kSizes) {
    if (n == 0) continue;
    for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
      std::vector<float> w(n, 1.0f), g(n, 0.0f);
      g[n / 2] = bad;
      Update u{};
      u.optimizer = index_of<SGD>(Optimizers());
      u.description = &description;
      u.n = n;
      u.w = w.data();
      u.g = g.data();
      u.rate = 0.5f;
      u.grad_scale = 1.0f;
      u.limit = 0.25f;
      k.update(u);
      for (std::size_t i = 0; i < n; ++i) {
        if (i == n / 2 && std::isnan(bad)) CHECK(std::isnan(w[i]));
        else CHECK(w[i] == (i != n / 2 ? 1.0f : bad > 0.0f ? 0.875f : 1.125f));
      }
    }
  }
}

}  // namespace

int main() {
  const std::vector<UpdateCase> plain = {{0.0f, 0.0f, false, 0.0f, 0.5f},   {0.03f, 0.02f, false, 0.1f, 0.5f},
                                         {0.0f, 0.02f, true, 0.0f, 0.5f},   {0.5f, 0.02f, true, 0.0f, 0.5f},
                                         {0.03f, 0.02f, false, 0.0f, 1.0f}, {0.5f, 0.02f, true, 0.0f, 1.0f}};
  const std::vector<UpdateCase> clipped = {{0.0f, 0.0f, false, 0.1f, 1.0f, 0.3f, 0.75f},
                                           {0.03f, 0.02f, false, 0.1f, 0.5f, 0.2f, 0.75f},
                                           {0.5f, 0.02f, true, 0.0f, 1.0f, 0.3f, 0.0f}};
  for (const std::string& isa : available_isas()) test_updates(*cpu_kernels(isa.c_str()), plain);
  for (const std::string& isa : available_isas()) {
    test_updates(*cpu_kernels(isa.c_str()), clipped);
    test_limit_of_bad_gradients(*cpu_kernels(isa.c_str()));
  }
  return report("updates");
}
