// TablePredictor as an embedding program uses it: its outputs against the features of the definition in double, written
// without any of the library's code, and the refusal of what does not fit. The Python tests compare whole models.
#include "fastreg/table_predictor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.h"

namespace {

using namespace fastreg;

const double kNan = std::numeric_limits<double>::quiet_NaN();

TableColumns columns() {
  TableColumn number, bare, level, plain;
  number.kind = bare.kind = TableColumn::Kind::numeric;
  number.centre = 1.0, number.scale = 0.5, number.edges = {-1.0, 0.0, 0.25, 4.0}, number.missing = true;
  bare.scale = 2.0;
  level.kind = TableColumn::Kind::categorical;
  level.levels = {0, 2, 7};
  plain.count = 2;
  return {{number, level, plain, bare}};
}
constexpr std::size_t kCodes = 5, kFeatures = 12;

std::vector<double> features(const double* x) {
  std::vector<double> f(kFeatures, 0.0);
  const auto limited = [](double z) { return z / std::sqrt(1.0 + z * z / 9.0); };
  if (std::isnan(x[0])) {
    f[4] = 1.0;
  } else {
    const std::vector<double> edges = columns().list[0].edges;
    f[0] = limited((x[0] - 1.0) * 0.5);
    for (std::size_t t = 0; t < 3; ++t) f[1 + t] = std::clamp((x[0] - edges[t]) / (edges[t + 1] - edges[t]), 0.0, 1.0);
  }
  f[x[1] == 0.0 ? 5 : x[1] == 2.0 ? 6 : x[1] == 7.0 ? 7 : 8] = 1.0;
  f[9] = x[2], f[10] = x[3];
  if (!std::isnan(x[4])) f[11] = limited(x[4] * 2.0);
  return f;
}

// One layer without an activation, or two of them as two outputs.
std::shared_ptr<const Predictor> network(std::size_t in, std::size_t out, std::vector<float>& kernel, bool two) {
  std::mt19937 generator(3);
  std::uniform_real_distribution<float> draw(-1.0f, 1.0f);
  kernel.resize(in * out);
  for (float& w : kernel) w = draw(generator);
  FrozenLayer layer;
  layer.in = in, layer.out = out, layer.kernel = kernel;
  FrozenNetwork all{{{"x", in}}, {}, {}};
  FrozenLayer other = layer;
  std::reverse(other.kernel.begin(), other.kernel.end());
  if (two) all.nodes.push_back({FrozenNode::Kind::chain, {0}, {other}});
  all.nodes.push_back({FrozenNode::Kind::chain, {0}, {layer}});
  all.outputs.push_back({"y", all.nodes.size()});
  if (two) all.outputs.push_back({"second", 1});
  return std::make_shared<const Predictor>(all);
}

std::vector<double> rows_of_codes(std::size_t n) {
  std::mt19937 generator(5);
  std::normal_distribution<double> draw(0.0, 2.0);
  std::vector<double> x(n * kCodes);
  for (std::size_t r = 0; r < n; ++r) {
    double* const row = x.data() + r * kCodes;
    for (std::size_t c = 0; c < kCodes; ++c) row[c] = draw(generator);
    row[1] = static_cast<double>(generator() % 9);
    if (r % 5 == 0) row[0] = row[1] = row[4] = kNan;
  }
  return x;
}

void test_outputs(std::size_t n, bool two) {
  check::context = "rows " + std::to_string(n);
  constexpr std::size_t kOut = 3;
  std::vector<float> kernel;
  const auto limit = std::numeric_limits<float>::infinity();
  const TablePredictor p(network(kFeatures, kOut, kernel, two), {{columns(), true, {}}}, {-0.5f, limit, 1.0});
  CHECK(p.n_codes() == kCodes);
  CHECK(p.n_outputs() == kOut);
  const std::vector<double> x = rows_of_codes(n);
  std::vector<float> out(n * kOut, 7.0f);
  p.predict({x.data(), n, kCodes, kCodes}, {out.data(), n, kOut, kOut});
  for (std::size_t r = 0; r < n; ++r) {
    const std::vector<double> f = features(x.data() + r * kCodes);
    for (std::size_t j = 0; j < kOut; ++j) {
      double sum = 0.0, size = 0.0;
      for (std::size_t i = 0; i < kFeatures; ++i) {
        sum += f[i] * static_cast<double>(kernel[i * kOut + j]);
        size += std::abs(f[i] * static_cast<double>(kernel[i * kOut + j]));
      }
      const double tolerance = 0x1p-23 * (4.0 + kFeatures) * (size + 0.5);
      CHECK(std::abs(static_cast<double>(out[r * kOut + j]) - std::max(sum, -0.5)) <= tolerance);
    }
  }
}

// Codes for a layer of the network: numbers minus their offset, within float32.
void test_codes() {
  check::context = "codes";
  std::vector<float> kernel;
  const auto identity = [&] {
    FrozenLayer layer;
    layer.in = layer.out = kCodes;
    layer.kernel.assign(kCodes * kCodes, 0.0f);
    for (std::size_t i = 0; i < kCodes; ++i) layer.kernel[i * kCodes + i] = 1.0f;
    return std::make_shared<const Predictor>(std::vector{layer});
  }();
  const TablePredictor p(identity, {{columns(), false, {1e9, 5.0, 5.0, 0.0}}}, {});
  const std::vector<double> x = {1e9 + 0.5, 7.0, 2.0, 3.0, -1e300};
  std::vector<float> out(kCodes);
  p.predict({x.data(), 1, kCodes, kCodes}, {out.data(), 1, kCodes, kCodes});
  CHECK((out == std::vector<float>{0.5f, 7.0f, 2.0f, 3.0f, -std::numeric_limits<float>::max()}));
}

// Curves of three outputs, whose values are divided by their sum: below, between and above the points.
void test_curves() {
  check::context = "curves";
  const auto identity = [&] {
    FrozenLayer layer;
    layer.in = layer.out = 3;
    layer.kernel = {1.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f};
    return std::make_shared<const Predictor>(std::vector{layer});
  }();
  TableColumn plain;
  plain.count = 3;
  TableFinish finish;
  finish.curves = {{{0.25, 0.5}, {0.2, 0.6}}, {{0.25, 0.5}, {0.2, 0.6}}, {{0.5}, {0.3}}};
  const TablePredictor p(identity, {{TableColumns{{plain}}, false, {}}}, finish);
  const std::vector<double> x = {0.125, 0.375, 0.5, 0.5, 0.25, 1.0};
  std::vector<float> out(6);
  p.predict({x.data(), 2, 3, 3}, {out.data(), 2, 3, 3});
  const double expected[] = {0.2 / 0.9, 0.4 / 0.9, 0.3 / 0.9, 0.6 / 1.1, 0.2 / 1.1, 0.3 / 1.1};
  for (std::size_t i = 0; i < 6; ++i) CHECK(std::abs(static_cast<double>(out[i]) - expected[i]) <= 0x1p-23);
}

void test_refusals() {
  check::context = "refusals";
  std::vector<float> kernel;
  const auto good = network(kFeatures, 1, kernel, false);
  const auto made = [&](std::vector<TableEncoding> encodings, const TableFinish& finish) {
    return TablePredictor(good, encodings, finish);
  };
  const TablePredictor p = made({{columns(), true, {}}}, {});
  std::vector<double> x(2 * kCodes);
  std::vector<float> out(2);
  CHECK_THROWS(p.predict({x.data(), 2, kCodes - 1, kCodes}, {out.data(), 2, 1, 1}), std::invalid_argument);
  CHECK_THROWS(p.predict({x.data(), 2, kCodes, kCodes}, {out.data(), 1, 1, 1}), std::invalid_argument);
  CHECK_THROWS(made({}, {}), std::invalid_argument);
  CHECK_THROWS(made({{columns(), false, {}}}, {}), std::invalid_argument);
  CHECK_THROWS(made({{columns(), true, {0.0}}}, {}), std::invalid_argument);
  CHECK_THROWS(made({{columns(), true, {kNan, 0.0, 0.0, 0.0}}}, {}), std::invalid_argument);
  TableColumns wrong = columns();
  wrong.list[0].edges = {1.0, 0.0, 2.0, 3.0};
  CHECK_THROWS(made({{wrong, true, {}}}, {}), std::invalid_argument);
  CHECK_THROWS(made({{columns(), true, {}}}, {1.0f, 0.0f, 1.0}), std::invalid_argument);
  CHECK_THROWS(made({{columns(), true, {}}}, {0.0f, 1.0f, -1.0}), std::invalid_argument);
  TableFinish curved;
  curved.curves = {{{0.5, 0.25}, {0.2, 0.6}}};
  CHECK_THROWS(made({{columns(), true, {}}}, curved), std::invalid_argument);
  CHECK_THROWS(TablePredictor(nullptr, {{columns(), true, {}}}, {}), std::invalid_argument);
}

}  // namespace

int main() {
  for (const std::size_t n : {0, 1, 7, 1500})
    for (const bool two : {false, true}) test_outputs(n, two);
  test_codes();
  test_curves();
  test_refusals();
  return report("test_table_predictor");
}
