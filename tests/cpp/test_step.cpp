// A training step has the same gradients whatever teams compute its two halves, from gathering to the outputs and from
// the loss to the gradients. They are different ones where a loss of the program is called in between, or where the
// system refuses a thread. The same holds for the order of the tiles of wide layers, which have memory of each member.
#include <cstring>
#include <vector>

#include "check.h"
#include "core/backend.h"
#include "core/step.h"

namespace {

using namespace fastreg;

constexpr std::size_t kCols = 37, kRows = 420;

struct Data {
  std::vector<float> x;
  std::vector<std::uint8_t> bytes;
  std::vector<std::int32_t> labels;

  Data() : x(kRows * kCols), bytes(x.size()), labels(kRows) {
    std::uint32_t state = 9;
    const auto draw = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
    for (float& value : x) value = static_cast<float>(draw()) * 0x1p-23f - 1.0f;
    for (std::uint8_t& value : bytes) value = static_cast<std::uint8_t>(draw());
    for (std::int32_t& label : labels) label = static_cast<std::int32_t>(draw() % 3);
  }
  Dataset rows(bool as_bytes) const {
    Dataset out;
    if (as_bytes)
      out.x = {bytes.data(), labels.size(), kCols, kCols};
    else
      out.x = {x.data(), labels.size(), kCols, kCols};
    out.labels = {labels.data(), labels.size()};
    return out;
  }
};

template <class Body>
void in_team(std::size_t threads, const Body& body) {
  cpu_backend().run(
      threads, [](void* context, const Team& team) { (*static_cast<const Body*>(context))(team); },
      const_cast<Body*>(&body));
}

// The gradients of each step, whose halves are computed by teams[2 i] and teams[2 i + 1] members. units: of the hidden
// layers.
std::vector<std::vector<float>> gradients(const Dataset& rows, const std::vector<std::size_t>& units,
                                          const Backend& backend, const std::vector<std::size_t>& teams) {
  std::vector<Layer> layers;
  for (const std::size_t width : units) {
    Dense hidden;
    hidden.units = width;
    hidden.activation = ActivationKind::relu;
    layers.push_back(hidden);
  }
  Dense output;
  output.units = 3;
  output.activation = ActivationKind::softmax;
  layers.push_back(output);
  const Graph graph({kCols, 3, layers}, backend);
  initialize(graph);
  const Objective objective({losses::SparseCategoricalCrossentropy{}, Adam{}, {}}, graph);
  const Columns columns = columns_of(rows);
  const std::size_t steps = teams.size() / 2, n = kRows / steps;
  Buffer arena, found(graph.backend, graph.parameters.trainable());
  std::vector<EpochOutputs> epoch = objective.room(columns, columns.size());
  TrainingStep step(graph, objective, columns, n, product_precision(graph.backend, MatmulPrecision::highest), arena,
                    epoch);
  std::vector<std::vector<float>> out;
  for (std::size_t i = 0; i < steps; ++i) {
    const Batch batch{nullptr, i * n, n, i * n};
    const StepPlace place{i, nullptr};
    in_team(teams[2 * i], [&](const Team& team) { step.outputs(team, batch, place, found.data()); });
    in_team(teams[2 * i + 1], [&](const Team& team) { step.gradients(team, batch, place, found.data(), [] {}); });
    out.emplace_back(found.data(), found.data() + found.size());
  }
  return out;
}

void compare(const std::vector<std::vector<float>>& wanted, const std::vector<std::vector<float>>& got) {
  CHECK(wanted.size() == got.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CHECK(wanted[i].size() == got[i].size());
    CHECK(std::memcmp(wanted[i].data(), got[i].data(), wanted[i].size() * sizeof(float)) == 0);
    CHECK(i == 0 || wanted[i] != wanted[0]);
  }
}

}  // namespace

int main() {
  const Data data;
  const std::vector<std::size_t> panels{150};   // three panels: each member reads all rows of x
  for (const bool as_bytes : {false, true}) {
    check::context = as_bytes ? "bytes" : "floats";
    const auto of = [&](const std::vector<std::size_t>& teams) {
      return gradients(data.rows(as_bytes), panels, cpu_backend(), teams);
    };
    compare(of(std::vector<std::size_t>(12, 1)), of({2, 2, 1, 2, 3, 2, 2, 1, 2, 3, 2, 2}));
  }
  // The second layer has both orders of dW and dX: 13 panels of inputs and 17 of outputs, 140 rows, and a cache that
  // holds nothing or everything.
  check::context = "order of tiles";
  Backend small = cpu_backend(), large = cpu_backend();
  small.l2_cache = 1;
  large.l2_cache = std::size_t{1} << 40;
  const auto of = [&](const Backend& backend, const std::vector<std::size_t>& teams) {
    return gradients(data.rows(false), {777, 1040}, backend, teams);
  };
  const auto wanted = of(large, std::vector<std::size_t>(6, 1));
  compare(wanted, of(small, {1, 1, 2, 2, 3, 3}));
  compare(wanted, of(small, std::vector<std::size_t>(6, 3)));
  return report("step");
}
