// The two products of the orthogonal penalty, and what is done to single vectors before, between and after them.
#include "core/orthogonality.h"

#include <cmath>

#include "core/graph.h"

namespace fastreg {
namespace {

constexpr double kLeastNorm = 1e-7;   // Keras's epsilon

// The index of an element in the panels of a matrix (rows, cols).
std::size_t in_panels(std::size_t rows, std::size_t cols, std::size_t row, std::size_t col) {
  const std::size_t panel = col / kPanel * kPanel;
  return panel * rows + row * std::min(kPanel, padded_ld(cols) - panel) + (col - panel);
}

std::size_t panel_floats(std::size_t rows, std::size_t cols) { return round_up(rows * padded_ld(cols), kLane); }

}  // namespace

std::size_t OrthogonalPenalties::place(const Segment& segment, std::size_t row, std::size_t col) {
  return segment.offset + in_panels(segment.info.rows, segment.info.cols, row, col);
}

OrthogonalPenalties::OrthogonalPenalties(const Parameters& parameters, const Backend& backend) {
  for (const Segment& segment : parameters.segments()) {
    const float factor = segment.penalty.orthogonal;
    if (factor == 0.0f || !segment.info.trainable) continue;
    Term term{};
    term.segment = &segment;
    term.columns = segment.penalty.orthogonal_mode == OrthogonalMode::columns;
    term.count = term.columns ? segment.info.cols : segment.info.rows;
    term.length = term.columns ? segment.info.rows : segment.info.cols;
    if (term.count < 2) continue;   // there are no pairs
    const double n = static_cast<double>(term.count);
    term.factor = static_cast<double>(factor) / (n * (n - 1.0));
    const std::size_t units = term.count * padded_ld(term.length), products = term.count * padded_ld(term.count);
    require_memory("regularizers: the products of OrthogonalRegularizer",
                   4.0 * static_cast<double>(units) + static_cast<double>(products));
    term.units = Buffer(backend, round_up(units, kLane));
    term.sums = Buffer(backend, round_up(units, kLane));
    term.units_across = Buffer(backend, panel_floats(term.length, term.count));
    term.units_panels = Buffer(backend, panel_floats(term.count, term.length));
    term.products = Buffer(backend, round_up(products, kLane));
    term.inverse.assign(term.count, 0.0);
    term.absolute.assign(term.count, 0.0);
    terms_.push_back(std::move(term));
  }
}

void OrthogonalPenalties::compute(const Kernels& kernels, const Team& team, const float* weights, float* gradients) {
  for (Term& term : terms_) {
    const Range mine = team.split(term.count, kLane);   // whole lines of the panels that lie across
    normalise(term, mine, weights, term.inverse);
    team.sync();
    const std::size_t ld = padded_ld(term.length), products_ld = padded_ld(term.count);
    kernels.matmul({term.units.data(), ld, term.units_across.data(), nullptr, term.products.data(), nullptr,
                    products_ld, term.length, term.count, ActivationKind::linear, mine, {0, panel_count(term.count)}});
    take_signs(term, mine);
    team.sync();
    if (gradients == nullptr) continue;
    kernels.matmul({term.products.data(), products_ld, term.units_panels.data(), nullptr, term.sums.data(), nullptr, ld,
                    term.count, term.length, ActivationKind::linear, mine, {0, panel_count(term.length)}});
    add_gradient(term, mine, gradients);
    team.sync();
  }
}

void OrthogonalPenalties::normalise(const Term& term, Range mine, const float* weights, std::vector<double>& inverse) {
  const std::size_t ld = padded_ld(term.length);
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    const auto element = [&](std::size_t k) {
      return static_cast<double>(
          weights[term.columns ? place(*term.segment, k, i) : place(*term.segment, i, k)]);
    };
    double square = 0.0;
    for (std::size_t k = 0; k < term.length; ++k) square += element(k) * element(k);
    inverse[i] = 1.0 / std::max(std::sqrt(square), kLeastNorm);
    for (std::size_t k = 0; k < term.length; ++k) {
      const float unit = static_cast<float>(element(k) * inverse[i]);
      term.units.data()[i * ld + k] = unit;
      term.units_panels.data()[in_panels(term.count, term.length, i, k)] = unit;
      term.units_across.data()[in_panels(term.length, term.count, k, i)] = unit;
    }
  }
}

void OrthogonalPenalties::take_signs(Term& term, Range mine) {
  const std::size_t ld = padded_ld(term.count);
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    float* const products = term.products.data() + i * ld;
    products[i] = 0.0f;
    double absolute = 0.0;
    for (std::size_t j = 0; j < term.count; ++j) {
      absolute += std::fabs(static_cast<double>(products[j]));
      products[j] = products[j] > 0.0f ? 1.0f : products[j] < 0.0f ? -1.0f : products[j];   // NaN stays NaN
    }
    term.absolute[i] = absolute;
  }
}

void OrthogonalPenalties::add_gradient(const Term& term, Range mine, float* gradients) {
  const std::size_t ld = padded_ld(term.length);
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    const float *const unit = term.units.data() + i * ld, *const sum = term.sums.data() + i * ld;
    double along = 0.0;
    if (term.inverse[i] < 1.0 / kLeastNorm)
      for (std::size_t k = 0; k < term.length; ++k) along += static_cast<double>(sum[k]) * static_cast<double>(unit[k]);
    const double scale = 2.0 * term.factor * term.inverse[i];
    for (std::size_t k = 0; k < term.length; ++k)
      gradients[term.columns ? place(*term.segment, k, i) : place(*term.segment, i, k)] +=
          static_cast<float>(scale * (static_cast<double>(sum[k]) - along * static_cast<double>(unit[k])));
  }
}

double OrthogonalPenalties::value() const {
  double total = 0.0;
  for (const Term& term : terms_) {
    double sum = 0.0;
    for (const double part : term.absolute) sum += part;
    total += term.factor * sum;
  }
  return total;
}

}  // namespace fastreg
