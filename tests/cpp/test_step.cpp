// A training step has the same gradients whatever teams compute its two halves, from gathering to the outputs and from
// the loss to the gradients. They are different ones where a loss of the program is called in between, or where the
// system refuses a thread.
#include <cstring>
#include <vector>

#include "check.h"
#include "core/backend.h"
#include "core/step.h"

namespace {

using namespace fastreg;

constexpr std::size_t kBatch = 70, kCols = 37, kSteps = 6;

struct Data {
  std::vector<float> x;
  std::vector<std::uint8_t> bytes;
  std::vector<std::int32_t> labels;

  Data() : x(kSteps * kBatch * kCols), bytes(x.size()), labels(kSteps * kBatch) {
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

// The gradients of each step, whose halves are computed by teams[2 i] and teams[2 i + 1] members.
std::vector<std::vector<float>> gradients(const Dataset& rows, const std::vector<std::size_t>& teams) {
  Dense hidden, output;
  hidden.units = 150;   // three panels: each member reads all rows of x
  hidden.activation = ActivationKind::relu;
  output.units = 3;
  output.activation = ActivationKind::softmax;
  const Graph graph({kCols, 3, {hidden, output}}, cpu_backend());
  initialize(graph);
  const Objective objective({losses::SparseCategoricalCrossentropy{}, Adam{}, {}}, graph);
  const Columns columns = columns_of(rows);
  Buffer arena, found(graph.backend, graph.parameters.trainable());
  std::vector<EpochOutputs> epoch = objective.room(columns, columns.size());
  TrainingStep step(graph, objective, columns, kBatch, product_precision(graph.backend, MatmulPrecision::highest),
                    arena, epoch);
  std::vector<std::vector<float>> out;
  for (std::size_t i = 0; i < kSteps; ++i) {
    const Batch batch{nullptr, i * kBatch, kBatch, i * kBatch};
    const StepPlace place{i, nullptr};
    in_team(teams[2 * i], [&](const Team& team) { step.outputs(team, batch, place, found.data()); });
    in_team(teams[2 * i + 1], [&](const Team& team) { step.gradients(team, batch, place, found.data(), [] {}); });
    out.emplace_back(found.data(), found.data() + found.size());
  }
  return out;
}

}  // namespace

int main() {
  const Data data;
  for (const bool as_bytes : {false, true}) {
    check::context = as_bytes ? "bytes" : "floats";
    const auto wanted = gradients(data.rows(as_bytes), std::vector<std::size_t>(2 * kSteps, 1));
    const auto got = gradients(data.rows(as_bytes), {2, 2, 1, 2, 3, 2, 2, 1, 2, 3, 2, 2});
    for (std::size_t i = 0; i < kSteps; ++i) {
      CHECK(wanted[i].size() == got[i].size());
      CHECK(std::memcmp(wanted[i].data(), got[i].data(), wanted[i].size() * sizeof(float)) == 0);
      CHECK(i == 0 || wanted[i] != wanted[0]);
    }
  }
  return report("step");
}
