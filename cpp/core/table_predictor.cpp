// The public TablePredictor: blocks of rows are encoded into scratch memory, which the frozen network reads.
#include "fastreg/table_predictor.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/check_fields.h"
#include "core/layers/table_codes.h"
#include "core/packed_layers.h"
#include "core/serving.h"
#include "core/shapes.h"
#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

// Rows that are encoded at once.
constexpr std::size_t kMostRows = 1024;
// Probabilities below this count as this.
constexpr double kLeastProbability = 1e-7;

// The network with its first output alone, without the nodes that only others need.
FrozenNetwork first_output_of(FrozenNetwork network) {
  network.outputs.resize(1);
  const std::size_t inputs = network.inputs.size();
  std::vector<bool> needed(inputs + network.nodes.size(), false);
  needed[network.outputs[0].value] = true;
  for (std::size_t i = network.nodes.size(); i-- > 0;)
    if (needed[inputs + i])
      for (const std::size_t value : network.nodes[i].inputs) needed[value] = true;
  std::vector<std::size_t> number(needed.size());
  std::vector<FrozenNode> kept;
  for (std::size_t value = 0; value < needed.size(); ++value) {
    number[value] = value < inputs ? value : inputs + kept.size();
    if (value < inputs || !needed[value]) continue;
    kept.push_back(std::move(network.nodes[value - inputs]));
    for (std::size_t& read : kept.back().inputs) read = number[read];
  }
  network.nodes = std::move(kept);
  network.outputs[0].value = number[network.outputs[0].value];
  return network;
}

std::shared_ptr<const Predictor> with_one_output(std::shared_ptr<const Predictor> network) {
  if (network == nullptr) throw std::invalid_argument("a table's predictor must have a network");
  if (network->outputs().size() == 1) return network;
  return std::make_shared<const Predictor>(first_output_of(network->network()));
}

void require(bool good, const std::string& where, const std::string& rule) {
  if (!good) throw std::invalid_argument(where + rule);
}

// Probabilities at a temperature, in place.
void temper(float* p, std::size_t n, double temperature) {
  const auto clipped = [](float value) {
    return std::clamp(static_cast<double>(value), kLeastProbability, 1.0 - kLeastProbability);
  };
  if (n == 1) {
    const double share = clipped(p[0]), logit = (std::log(share) - std::log1p(-share)) / temperature;
    p[0] = static_cast<float>(1.0 / (1.0 + std::exp(-logit)));
    return;
  }
  double top = -std::numeric_limits<double>::infinity(), total = 0.0;
  const auto logit = [&](std::size_t k) { return std::log(clipped(p[k])) / temperature; };
  for (std::size_t k = 0; k < n; ++k) top = std::max(top, logit(k));
  for (std::size_t k = 0; k < n; ++k) total += std::exp(logit(k) - top);
  for (std::size_t k = 0; k < n; ++k) p[k] = static_cast<float>(std::exp(logit(k) - top) / total);
}

double on_curve(const CalibrationCurve& curve, double share) {
  if (std::isnan(share)) return share;
  const auto above = std::upper_bound(curve.x.begin(), curve.x.end(), share);
  if (above == curve.x.begin()) return curve.y.front();
  if (above == curve.x.end()) return curve.y.back();
  const auto i = static_cast<std::size_t>(above - curve.x.begin());
  const double slope = (curve.y[i] - curve.y[i - 1]) / (curve.x[i] - curve.x[i - 1]);
  return slope * (share - curve.x[i - 1]) + curve.y[i - 1];
}

// Probabilities by their curves, in place.
void calibrate(float* p, const std::vector<CalibrationCurve>& curves) {
  double total = 0.0;
  for (std::size_t k = 0; k < curves.size(); ++k) total += on_curve(curves[k], static_cast<double>(p[k]));
  if (curves.size() == 1) total = 1.0;
  for (std::size_t k = 0; k < curves.size(); ++k)
    p[k] = static_cast<float>(on_curve(curves[k], static_cast<double>(p[k])) / total);
}

void check_curve(const CalibrationCurve& curve, const std::string& where) {
  require(!curve.x.empty() && curve.x.size() == curve.y.size(), where, " must have as many x as y, and one at least");
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    require(std::isfinite(curve.x[i]) && (i == 0 || curve.x[i] > curve.x[i - 1]), where,
            ".x must be finite and ascend strictly");
    require(curve.y[i] >= kLeastProbability && curve.y[i] <= 1.0 - kLeastProbability &&
                (i == 0 || curve.y[i] >= curve.y[i - 1]),
            where, ".y must be within [1e-7, 1 - 1e-7] and must not fall");
  }
}

}  // namespace

struct TablePredictor::Parts {
  // How an input is made.
  struct Source {
    TableLocator locator;
    bool dense;
    std::vector<double> offsets;   // of each code
    std::size_t cols, first;       // of the input; floats a row of all inputs before it
  };

  std::shared_ptr<const Predictor> network;
  TableFinish finish;
  std::vector<Source> sources;
  std::size_t n_codes = 0, n_outputs = 0, row_floats = 0;
  double work = 0.0;

  Parts(std::shared_ptr<const Predictor> given, const std::vector<TableEncoding>& encodings, const TableFinish& wanted)
      : network(with_one_output(std::move(given))), finish(wanted) {
    const std::vector<NetworkInput>& inputs = network->inputs();
    require(encodings.size() == inputs.size(), "encodings",
            " must be " + std::to_string(inputs.size()) + ", one for each input of the network, got " +
                std::to_string(encodings.size()));
    for (std::size_t i = 0; i < encodings.size(); ++i) add(encodings[i], inputs[i].n_features, i);
    require(finish.lower <= finish.upper, "limits", " must be a lower and an upper one, not NaN");
    require(finish.temperature > 0.0 && std::isfinite(finish.temperature), "temperature", " must be finite and > 0");
    n_outputs = network->n_outputs();
    require(finish.curves.empty() || finish.curves.size() == n_outputs, "curves",
            " must be none, or one for each of the " + std::to_string(n_outputs) + " outputs, got " +
                std::to_string(finish.curves.size()));
    for (std::size_t k = 0; k < finish.curves.size(); ++k)
      check_curve(finish.curves[k], "curves[" + std::to_string(k) + "]");
    work = network->work_per_row() + kWorkPerElement * static_cast<double>(row_floats);
  }

  void add(const TableEncoding& encoding, std::size_t width, std::size_t index) {
    const std::string where = "encodings[" + std::to_string(index) + "]";
    check_value(Check(where), "columns", kFinite, encoding.columns);
    const std::size_t codes = code_count(encoding.columns);
    const std::size_t cols = encoding.dense ? feature_count(encoding.columns) : codes;
    require(cols == width, where, " must make the " + std::to_string(width) + " columns of its input, makes " +
                                      std::to_string(cols));
    require(index == 0 || codes == n_codes, where, " must read rows of as many codes as the one before");
    require(encoding.offsets.empty() || encoding.offsets.size() == encoding.columns.list.size(), where,
            " must have an offset for each column, or none");
    std::vector<double> offsets;
    for (std::size_t c = 0; c < encoding.columns.list.size(); ++c) {
      const TableColumn& column = encoding.columns.list[c];
      const bool moved = column.kind == TableColumn::Kind::numeric && !encoding.offsets.empty();
      require(!moved || std::isfinite(encoding.offsets[c]), where, " must have finite offsets");
      offsets.insert(offsets.end(), column.kind == TableColumn::Kind::plain ? column.count : 1,
                     moved ? encoding.offsets[c] : 0.0);
    }
    n_codes = codes;
    sources.push_back({TableLocator(encoding.columns), encoding.dense, std::move(offsets), cols, row_floats});
    row_floats += cols;
  }

  // Encodes rows [begin, end) of a block of `rows` rows. scratch has the inputs one after the other.
  void encode(MatrixView<const double> x, std::size_t begin, std::size_t end, std::size_t rows, float* scratch) const {
    for (const Source& source : sources)
      for (std::size_t r = begin; r < end; ++r) {
        const double* const codes = x.data + r * x.stride;
        float* const to = scratch + source.first * rows + r * source.cols;
        if (source.dense) {
          source.locator.encode(codes, to);
          continue;
        }
        for (std::size_t c = 0; c < source.cols; ++c)
          to[c] = static_cast<float>(std::clamp(codes[c] - source.offsets[c], -kLargestFloat, kLargestFloat));
      }
  }

  void run_block(MatrixView<const double> x, MatrixView<float> out, float* scratch) const;
};

void TablePredictor::Parts::run_block(MatrixView<const double> x, MatrixView<float> out, float* scratch) const {
  struct Job {
    const Parts& parts;
    MatrixView<const double> x;
    float* scratch;
  } job{*this, x, scratch};
  const std::size_t threads = serving_threads(kWorkPerElement * static_cast<double>(row_floats), x.rows);
  cpu_backend().run(
      threads,
      [](void* context, const Team& team) {
        const Job& j = *static_cast<Job*>(context);
        const Range mine = team.split(j.x.rows);
        j.parts.encode(j.x, mine.begin, mine.end, j.x.rows, j.scratch);
      },
      &job);
  constexpr std::size_t kFew = 16;
  MatrixView<const float> few[kFew];
  std::vector<MatrixView<const float>> many(sources.size() > kFew ? sources.size() : 0);
  MatrixView<const float>* const inputs = many.empty() ? few : many.data();
  for (std::size_t i = 0; i < sources.size(); ++i)
    inputs[i] = {scratch + sources[i].first * x.rows, x.rows, sources[i].cols, sources[i].cols};
  network->predict({inputs, sources.size()}, {&out, 1});
  for (std::size_t r = 0; r < out.rows; ++r) {
    float* const row = out.data + r * out.stride;
    for (std::size_t k = 0; k < out.cols; ++k) row[k] = std::clamp(row[k], finish.lower, finish.upper);
    if (finish.temperature != 1.0) temper(row, out.cols, finish.temperature);
    if (!finish.curves.empty()) calibrate(row, finish.curves);
  }
}

TablePredictor::TablePredictor(std::shared_ptr<const Predictor> network, const std::vector<TableEncoding>& encodings,
                               const TableFinish& finish)
    : parts_(std::make_unique<const Parts>(std::move(network), encodings, finish)) {}
TablePredictor::~TablePredictor() = default;
TablePredictor::TablePredictor(TablePredictor&&) noexcept = default;
TablePredictor& TablePredictor::operator=(TablePredictor&&) noexcept = default;

std::size_t TablePredictor::n_codes() const { return parts_->n_codes; }
std::size_t TablePredictor::n_outputs() const { return parts_->n_outputs; }
double TablePredictor::work_per_row() const { return parts_->work; }

void TablePredictor::predict(MatrixView<const double> x, MatrixView<float> out) const {
  const Parts& parts = *parts_;
  if (x.cols != parts.n_codes)
    throw std::invalid_argument("codes must have " + std::to_string(parts.n_codes) + " columns, got " +
                                std::to_string(x.cols));
  require_shape("out", out, x.rows, parts.n_outputs);
  require_data("codes", x.data, x.rows);
  require_data("out", out.data, x.rows);
  const std::size_t most = std::clamp<std::size_t>(kScratchFloats / parts.row_floats, 1, kMostRows);
  with_scratch<ScratchOfTables>(cpu_backend(), parts.row_floats * std::min(most, x.rows), [&](float* scratch) {
    for (std::size_t row = 0; row < x.rows; row += most) {
      const std::size_t rows = std::min(most, x.rows - row);
      parts.run_block({x.data + row * x.stride, rows, x.cols, x.stride},
                      {out.data + row * out.stride, rows, out.cols, out.stride}, scratch);
    }
  });
}

}  // namespace fastreg
