// The kernels of PeriodicEmbedding, on each instruction set, against plain loops in double precision.
#include <algorithm>

#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

constexpr double kTurn = 6.283185307179586;

struct Shape {
  std::size_t rows, in, count, outputs;
  bool phases, rectified, keeps;
  std::size_t width() const { return outputs + (keeps ? 1 : 0); }
};

struct Net {
  Shape s;
  Panels frequencies, phases, w;
  Guarded<float> bias;

  explicit Net(const Shape& shape)
      : s(shape), frequencies(s.count, s.in), phases(s.count, s.in),
        w(s.phases ? s.count : 2 * s.count, s.in * s.outputs), bias(rounded(s.in * s.outputs)) {
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = i < s.in * s.outputs ? uniform(-1.0f, 1.0f) : 0.0f;
  }
  Periodic call(const Rows& x) const {
    return {x.data.data(), x.stride, frequencies.data.data(), s.phases ? phases.data.data() : nullptr, w.data.data(),
            bias.data(),   s.in,     s.count, s.outputs, s.rectified, s.keeps};
  }
  double angle(double x, std::size_t f, std::size_t j) const {
    return kTurn * double{frequencies.at(f, j)} * x + (s.phases ? double{phases.at(f, j)} : 0.0);
  }
  // An output before it is rectified.
  double output(double x, std::size_t j, std::size_t o) const {
    double total = bias[j * s.outputs + o];
    for (std::size_t f = 0; f < s.count; ++f) {
      total += double{w.at(f, j * s.outputs + o)} * std::cos(angle(x, f, j));
      if (!s.phases) total += double{w.at(s.count + f, j * s.outputs + o)} * std::sin(angle(x, f, j));
    }
    return total;
  }
  // The derivative of an output with respect to the angle of a frequency.
  double slope(double x, std::size_t f, std::size_t j, std::size_t o) const {
    const double sine = w.at(f, j * s.outputs + o) * -std::sin(angle(x, f, j));
    return s.phases ? sine : sine + double{w.at(s.count + f, j * s.outputs + o)} * std::cos(angle(x, f, j));
  }
};

// Angles are at most three turns and a phase. Rounding them moves a term by up to 12 half units in the last place of 1,
// by less than half of that in the mean of several terms; the worst cases reach half of these bounds.
double tolerance(std::size_t terms) { return kHalfUlp * 6.0 * static_cast<double>(terms + 4); }

void test_forward(const Kernels& k, const Net& net, const Rows& x, const Rows& y) {
  const Shape& s = net.s;
  for (std::size_t i = 0; i < s.rows; ++i)
    for (std::size_t j = 0; j < s.in; ++j) {
      for (std::size_t o = 0; o < s.outputs; ++o) {
        const double plain = net.output(x.at(i, j), j, o);
        CHECK(close(y.at(i, j * s.width() + o), s.rectified ? std::max(plain, 0.0) : plain, tolerance(2 * s.count)));
      }
      if (s.keeps) CHECK(y.at(i, j * s.width() + s.outputs) == x.at(i, j));
    }
  // Rows in two parts, and rows that another number of floats separates.
  const std::size_t ldy = s.in * s.width() + 3;
  Guarded<float> other(rounded(s.rows * ldy));
  for (std::size_t i = 0; i < other.size(); ++i) other[i] = 7.0f;
  for (const Range part : {Range{0, s.rows / 3}, Range{s.rows / 3, s.rows}})
    k.periodic_forward({net.call(x), other.data(), ldy, part});
  for (std::size_t i = 0; i < s.rows; ++i) {
    CHECK(std::memcmp(other.data() + i * ldy, &y.data[i * y.stride], (ldy - 3) * sizeof(float)) == 0);
    CHECK(other[i * ldy + ldy - 1] == 7.0f);
  }
  CHECK(other.guards_intact());
}

void test_backward(const Kernels& k, const Net& net, const Rows& x, const Rows& y) {
  const Shape& s = net.s;
  Rows dy(s.rows, s.in * s.width()), dx(s.rows, s.in);
  Panels dfrequencies(s.count, s.in), dphases(s.count, s.in), dw(net.w.rows, net.w.cols);
  Guarded<float> dbias(net.bias.size());
  for (std::size_t i = 0; i < dbias.size(); ++i) dbias[i] = 0.0f;
  const auto call = [&](Range columns) {
    k.periodic_backward({net.call(x), y.data.data(), dy.data.data(), dy.stride, dx.data.data(), dx.stride,
                         dfrequencies.data.data(), dphases.data.data(), dw.data.data(), dbias.data(), s.rows, columns});
  };
  call({0, s.in / 2});
  call({s.in / 2, s.in});
  const double n = static_cast<double>(s.rows), more = tolerance(s.rows + 2 * s.count) * (1.0 + n / 64.0);
  for (std::size_t j = 0; j < s.in; ++j) {
    std::vector<double> own(s.rows);
    for (std::size_t i = 0; i < s.rows; ++i) own[i] = s.keeps ? double{dy.at(i, j * s.width() + s.outputs)} : 0.0;
    const auto gradient = [&](std::size_t i, std::size_t o) {
      const std::size_t at = j * s.width() + o;
      return s.rectified && !(y.at(i, at) > 0.0f) ? 0.0 : double{dy.at(i, at)};
    };
    for (std::size_t f = 0; f < s.count; ++f) {
      double of_frequency = 0.0, of_phase = 0.0;
      for (std::size_t i = 0; i < s.rows; ++i) {
        double angle = 0.0;
        for (std::size_t o = 0; o < s.outputs; ++o) angle += gradient(i, o) * net.slope(x.at(i, j), f, j, o);
        of_phase += angle;
        of_frequency += kTurn * angle * x.at(i, j);
        own[i] += kTurn * angle * net.frequencies.at(f, j);
      }
      const double outputs = static_cast<double>(s.outputs);
      CHECK(close(dfrequencies.at(f, j), of_frequency, 5.0 * outputs * more));
      if (s.phases) CHECK(close(dphases.at(f, j), of_phase, 0.25 * outputs * more));
    }
    for (std::size_t i = 0; i < s.rows; ++i)
      CHECK(close(dx.at(i, j), own[i], 2.0 * static_cast<double>(s.outputs * s.count) * tolerance(s.count)));
    for (std::size_t o = 0; o < s.outputs; ++o) {
      double total = 0.0;
      for (std::size_t i = 0; i < s.rows; ++i) total += gradient(i, o);
      CHECK(close(dbias[j * s.outputs + o], total, more));
      for (std::size_t r = 0; r < net.w.rows; ++r) {
        double sum = 0.0;
        for (std::size_t i = 0; i < s.rows; ++i) {
          const double angle = net.angle(x.at(i, j), r % s.count, j);
          sum += gradient(i, o) * (r < s.count ? std::cos(angle) : std::sin(angle));
        }
        CHECK(close(dw.at(r, j * s.outputs + o), sum, more));
      }
    }
  }
  CHECK(dfrequencies.padding_is_zero() && dphases.padding_is_zero() && dw.padding_is_zero());
  CHECK(dx.data.guards_intact() && dw.data.guards_intact() && dbias.guards_intact());
  // Nothing is written where nothing is wanted, and the gradient of x does not depend on that.
  Rows again(s.rows, s.in);
  k.periodic_backward({net.call(x), y.data.data(), dy.data.data(), dy.stride, again.data.data(), again.stride, nullptr,
                       nullptr, nullptr, nullptr, s.rows, {0, s.in}});
  k.periodic_backward({net.call(x), y.data.data(), dy.data.data(), dy.stride, nullptr, 0, nullptr, nullptr, nullptr,
                       nullptr, s.rows, {0, s.in}});
  for (std::size_t i = 0; i < s.rows; ++i)
    for (std::size_t j = 0; j < s.in; ++j) CHECK(again.at(i, j) == dx.at(i, j));
}

void test_shape(const Kernels& k, const Shape& s) {
  check::context = text(k.isa, {s.rows, s.in, s.count, s.outputs, s.phases, s.rectified, s.keeps}) + " periodic";
  const Net net(s);
  const Rows x(s.rows, s.in, -3.0f, 3.0f);
  Rows y(s.rows, s.in * s.width());
  k.periodic_forward({net.call(x), y.data.data(), y.stride, {0, s.rows}});
  test_forward(k, net, x, y);
  test_backward(k, net, x, y);
  CHECK(y.data.guards_intact());
}

void test_all(const Kernels& k) {
  for (const std::size_t rows : {1, 15, 17, 300})
    for (const bool phases : {true, false})
      for (const bool rectified : {true, false})
        for (const bool keeps : {true, false})
          for (const std::size_t outputs : {1, 2, 3, 4, 7}) {
            test_shape(k, {rows, 2, 3, outputs, phases, rectified, keeps});
            if (rows == 17) test_shape(k, {rows, 20, 2, outputs, phases, rectified, keeps});
          }
  test_shape(k, {5, 1, 70, 1, true, false, false});
  test_shape(k, {5, 70, 1, 2, false, false, true});
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("periodic");
}
