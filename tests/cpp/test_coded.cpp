// Products of a kernel with coded rows of a table, on every ISA against plain loops in double precision over the
// features that the codes stand for.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

// Columns of all kinds, places of rows in them, and the features of these rows.
struct Coded {
  std::vector<CodedColumn> columns;
  std::size_t rows, width = 0;
  std::vector<CodePlace> places;
  std::vector<double> features;

  Coded(std::size_t n, const std::vector<std::size_t>& bins) : rows(n) {
    for (const std::size_t b : bins) add({width, width + 2 + b, width, width + 1, b, true, true});
    add({width, width + 1, width, width + 1, 0, true, false});    // a number itself
    for (int i = 0; i < 6; ++i) add({width, width + 5, width, width + 1, 0, false, true});   // levels
    features.assign(rows * width, 0.0);
    places.resize(rows * columns.size());
    for (std::size_t c = 0; c < columns.size(); ++c)
      for (std::size_t r = 0; r < rows; ++r) place(c, r);
  }

 private:
  void add(const CodedColumn& column) {
    columns.push_back(column);
    width = column.end;
  }
  void place(std::size_t c, std::size_t r) {
    const CodedColumn& column = columns[c];
    CodePlace& to = places[c * rows + r];
    to = {column.has_value ? uniform(-1.0f, 1.0f) : 0.0f, column.has_pick ? uniform(0.0f, 1.0f) : 0.0f, 0, 0};
    const std::uint32_t drawn = static_cast<std::uint32_t>(generator()());
    // The last row of a column stands for missing numbers.
    const bool missing = column.bins == 0 || drawn % 7 == 0;
    to.full = missing ? 0 : drawn % static_cast<std::uint32_t>(column.bins);
    to.pick = static_cast<std::uint32_t>(missing ? column.end - 1 : column.ramp + to.full);
    if (!column.has_value && column.has_pick) to.pick = static_cast<std::uint32_t>(column.first + drawn % 5);
    double* const f = features.data() + r * width;
    if (column.has_value) f[column.value_row] += static_cast<double>(to.value);
    if (column.has_pick) f[to.pick] += static_cast<double>(to.weight);
    for (std::size_t t = 0; t < to.full; ++t) f[column.ramp + t] += 1.0;
  }
};

double tolerance(std::size_t terms, double magnitude) {
  return (static_cast<double>(terms) + 8) * 2 * kHalfUlp * magnitude;
}

CodedForward forward_of(const Coded& coded, const Panels& w, const float* bias, Rows& y, float* scratch) {
  return {coded.columns.data(), coded.columns.size(), coded.places.data(), coded.rows, w.data.data(), nullptr, bias,
          y.data.data(), scratch, coded.width, y.stride, y.cols, false, {0, coded.rows}, {0, w.panels()}};
}

bool same(const Rows& a, const Rows& b) {
  return std::memcmp(a.data.data(), b.data.data(), a.rows * a.stride * sizeof(float)) == 0;
}

void test_forward(const Kernels& k, const Coded& coded, std::size_t cols) {
  const Panels w(coded.width, cols);
  Guarded<float> bias(rounded(cols)), scratch(kCodedScratch);
  for (std::size_t j = 0; j < cols; ++j) bias[j] = uniform(-1.0f, 1.0f);
  Rows y(coded.rows, cols);
  const CodedForward whole = forward_of(coded, w, bias.data(), y, scratch.data());
  k.coded_forward(whole);
  for (std::size_t r = 0; r < coded.rows; ++r)
    for (std::size_t j = 0; j < cols; ++j) {
      double sum = static_cast<double>(bias[j]), magnitude = std::abs(sum);
      for (std::size_t i = 0; i < coded.width; ++i) {
        const double term = coded.features[r * coded.width + i] * static_cast<double>(w.at(i, j));
        sum += term;
        magnitude += std::abs(term);
      }
      CHECK(std::abs(static_cast<double>(y.at(r, j)) - sum) <= tolerance(coded.width, magnitude));
    }
  CHECK(y.data.guards_intact() && scratch.guards_intact() && y.padding_is_zero());

  // Prefix sums of the caller's give the same bits, as do single rows, panels and columns of the table.
  Panels prefix(coded.width, cols);
  for (const CodedColumn& column : coded.columns)
    for (std::size_t j = 0; j < cols; ++j) {
      float sum = 0.0f;
      for (std::size_t t = 0; t < column.bins; ++t) {
        prefix.data[prefix.index(column.ramp + t, j)] = sum;
        sum += w.at(column.ramp + t, j);
      }
    }
  Rows other(coded.rows, cols);
  CodedForward call = forward_of(coded, w, bias.data(), other, nullptr);
  call.prefix = prefix.data.data();
  k.coded_forward(call);
  CHECK(same(y, other));
  Rows parts(coded.rows, cols);
  for (std::size_t r = 0; r < coded.rows; ++r)
    for (std::size_t p = 0; p < w.panels(); ++p)
      for (std::size_t c = 0; c < coded.columns.size(); ++c) {
        call = forward_of(coded, w, bias.data(), parts, scratch.data());
        call.columns += c;
        call.count = 1;
        call.places += c * coded.rows + r;
        call.adds = c > 0;
        call.rows = {r, r + 1};
        call.panels = {p, p + 1};
        k.coded_forward(call);
      }
  CHECK(same(y, parts));
  Rows without(coded.rows, cols);
  k.coded_forward(forward_of(coded, w, nullptr, without, scratch.data()));
  CHECK(coded.rows == 0 || std::abs(without.at(0, 0) + bias[0] - y.at(0, 0)) <= 1e-4f);
}

void test_gradient(const Kernels& k, const Coded& coded, std::size_t cols) {
  Rows dy(coded.rows, cols);
  dy.clear_padding();
  Panels dw(coded.width, cols), parts(coded.width, cols);
  const SortedRows by_pick(coded.columns.data(), coded.columns.size(), coded.places.data(), coded.rows, coded.width);
  CodedGradient g{coded.columns.data(), coded.places.data(), by_pick.rows.data(), by_pick.starts.data(), coded.rows,
                  dy.data.data(), dw.data.data(), coded.rows, dy.stride, coded.width, cols, {0, coded.columns.size()},
                  {0, dw.panels()}};
  k.coded_gradient(g);
  for (std::size_t i = 0; i < coded.width; ++i)
    for (std::size_t j = 0; j < cols; ++j) {
      double sum = 0.0, magnitude = 0.0;
      for (std::size_t r = 0; r < coded.rows; ++r) {
        const double term = coded.features[r * coded.width + i] * static_cast<double>(dy.at(r, j));
        sum += term;
        magnitude += std::abs(static_cast<double>(dy.at(r, j)));   // suffix sums pass through the sums of other bins
      }
      CHECK(std::abs(static_cast<double>(dw.at(i, j)) - sum) <= tolerance(coded.rows + coded.width, magnitude));
    }
  CHECK(dw.data.guards_intact() && dw.padding_is_zero());
  g.dw = parts.data.data();
  for (std::size_t c = 0; c < coded.columns.size(); ++c)
    for (std::size_t p = 0; p < dw.panels(); ++p) {
      g.range = {c, c + 1};
      g.panels = {p, p + 1};
      k.coded_gradient(g);
    }
  CHECK(std::memcmp(dw.data.data(), parts.data.data(), dw.data.size() * sizeof(float)) == 0);
}

// Numbers on edges, beside and beyond them, at the limits of what numbers are, and NaN.
float drawn_number(const std::vector<double>& edges, std::size_t i) {
  constexpr float kMost = std::numeric_limits<float>::max(), kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f, -0.0f, 1e-40f, kMost, -kMost, kInfinity, -kInfinity,
                           std::numeric_limits<float>::quiet_NaN()};
  if (i % 3 == 0) return special[generator()() % std::size(special)];
  if (i % 3 == 1 && !edges.empty()) return static_cast<float>(edges[generator()() % edges.size()]);
  return uniform(-4.0f, 4.0f);
}

void test_numbers(const Kernels& k, std::size_t bins, std::size_t rows, std::size_t ldx) {
  std::vector<double> edges;
  for (std::size_t t = 0; bins > 0 && t <= bins; ++t)
    edges.push_back((edges.empty() ? -3.0 : edges.back()) + static_cast<double>(uniform(0.001f, 12.0f / bins)));
  Guarded<float> x(rows * ldx + 1), places(rows * 4);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = drawn_number(edges, i);
  const double centre = 0.3, scale = 1.7;
  const CodePlace gap{0.0f, 1.0f, 0, 4711};
  auto* const found = reinterpret_cast<CodePlace*>(places.data());
  k.coded_numbers({x.data(), ldx, rows, centre, scale, edges.empty() ? nullptr : edges.data(), bins, 17, gap, found});
  for (std::size_t r = 0; r < rows; ++r) {
    CodePlace want = gap;
    if (const double number = static_cast<double>(x[r * ldx]); !std::isnan(number)) {
      const double limited = std::clamp(number, -1e300, 1e300);
      const double z = std::clamp((limited - centre) * scale, -1e6, 1e6);
      want = {static_cast<float>(z / std::sqrt(1.0 + (z / 3.0) * (z / 3.0))), 0.0f, 0, 17};
      if (bins > 0) {
        while (want.full + 1 < bins && edges[want.full + 1] <= limited) ++want.full;
        const double low = edges[want.full], high = edges[want.full + 1];
        want.weight = static_cast<float>(std::clamp((limited - low) / (high - low), 0.0, 1.0));
        want.pick += want.full;
      }
    }
    CHECK(std::memcmp(&found[r], &want, sizeof want) == 0);
  }
  CHECK(x.guards_intact() && places.guards_intact());
}

}  // namespace

int main() {
  const std::vector<std::vector<std::size_t>> all_bins = {
      {}, {1}, {2, 17}, {127, 128, 129}, {300}, {1, 130, 5, 64, 7, 2}};
  for (const std::string& isa : available_isas())
    for (const std::vector<std::size_t>& bins : all_bins)
      for (const std::size_t rows : {0, 1, 3, 40, 300})
        for (const std::size_t cols : {1, 3, 16, 17, 64, 65, 144}) {
          check::context = isa + ", " + std::to_string(rows) + " rows, " + std::to_string(cols) +
                           " columns, first bins " + std::to_string(bins.empty() ? 0 : bins[0]);
          const Coded coded(rows, bins);
          test_forward(*cpu_kernels(isa.c_str()), coded, cols);
          test_gradient(*cpu_kernels(isa.c_str()), coded, cols);
        }
  for (const std::string& isa : available_isas())
    for (const std::size_t bins : {0, 1, 2, 7, 128, 300})
      for (const std::size_t ldx : {1, 5}) {
        check::context = isa + ", numbers of " + std::to_string(bins) + " bins, " + std::to_string(ldx) + " apart";
        for (const std::size_t chunks : {0, 1, 3})
          test_numbers(*cpu_kernels(isa.c_str()), bins, chunks * kCodedRows, ldx);
      }
  return report("coded");
}
