// How a team shares the update of all weights: each weight is updated once, by the member that multiplies with its
// panel where the panels can be divided evenly, and to the same bits whatever the size of the team and the cuts.
#include <string>
#include <vector>

#include "check.h"
#include "core/backend.h"
#include "core/optimizer.h"
#include "fastreg/runtime.h"

namespace {

using namespace fastreg;

constexpr std::size_t kSteps = 3;

// Panels of 12,800, 19,200 and 6,400 floats: one chunk, two, and fewer than pays to cut at.
Parameters parameters() {
  Parameters out;
  for (const auto& [in, cols] : std::vector<std::pair<std::size_t, std::size_t>>{{200, 256}, {300, 128}, {100, 256}}) {
    WeightSpec kernel{"kernel", {in, cols}, Zeros{}}, bias{"bias", {cols}, Zeros{}};
    out.add_layer({kernel, bias});
  }
  out.layout();
  return out;
}

std::vector<float> numbers(std::size_t n, std::uint32_t state) {
  std::vector<float> out(n);
  for (float& value : out) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) * 0x1p-24f + 0.5f;
  }
  return out;
}

// The members of a team take their turns, which is allowed where the team does not sync.
std::vector<float> updated(const TrainingSpec& spec, const Parameters& of, std::size_t team, bool cut_at_panels,
                           std::vector<int>* owners) {
  OptimizerState state(spec.optimizer, parameter_runs(of, spec), of.trainable(), cpu_backend(), 0,
                       cut_at_panels ? kernel_ranges(of) : std::vector<KernelRange>{});
  std::vector<float> w = numbers(of.trainable(), 1);
  if (owners != nullptr) owners->assign(w.size(), -1);
  for (std::size_t step = 0; step < kSteps; ++step) {
    const std::vector<float> g = numbers(w.size(), static_cast<std::uint32_t>(step + 2));
    state.advance();
    for (std::size_t rank = 0; rank < team; ++rank) {
      const std::vector<float> before = w;
      state.update(*cpu_backend().kernels, Team{rank, team, nullptr}, w.data(), g.data(), {0.1, 0.01f}, true);
      for (std::size_t i = 0; owners != nullptr && i < w.size(); ++i) {
        if (w[i] == before[i]) continue;
        CHECK((*owners)[i] == -1 || (*owners)[i] == static_cast<int>(rank));
        (*owners)[i] = static_cast<int>(rank);
      }
    }
  }
  for (std::size_t i = 0; i < state.moment_names().size(); ++i)
    w.insert(w.end(), state.moment(i), state.moment(i) + of.trainable());
  w.push_back(static_cast<float>(state.penalty()));
  return w;
}

void test_bits(const TrainingSpec& spec, const char* name) {
  const Parameters of = parameters();
  const std::vector<float> wanted = updated(spec, of, 1, false, nullptr);
  for (const std::size_t team : {1, 2, 3, 4, 7}) {
    check::context = std::string(name) + ", a team of " + std::to_string(team);
    std::vector<int> owners;
    CHECK(updated(spec, of, team, true, &owners) == wanted);
    for (const int owner : owners) CHECK(owner >= 0);
  }
}

void test_owners(std::size_t team) {
  check::context = "owners in a team of " + std::to_string(team);
  const Parameters of = parameters();
  std::vector<int> owners;
  updated({losses::MeanSquaredError{}, Adam{}, {}}, of, team, true, &owners);
  for (const KernelRange& kernel : kernel_ranges(of)) {
    const std::size_t panels = (kernel.end - kernel.begin) / kernel.panel;
    if (kernel.panel < 8192 || panels % team != 0) continue;
    for (std::size_t i = kernel.begin; i < kernel.end; ++i) {
      const std::size_t panel = (i - kernel.begin) / kernel.panel;
      CHECK(owners[i] == static_cast<int>(panel * team / panels));
    }
  }
}

}  // namespace

int main() {
  AdamW decayed;
  decayed.weight_decay = 0.01f;
  Adam averaged;
  averaged.options.use_ema = true;
  Adam gathered;
  gathered.options.gradient_accumulation_steps = 2;
  test_bits({losses::MeanSquaredError{}, Adam{}, {}}, "Adam");
  test_bits({losses::MeanSquaredError{}, decayed, {}}, "AdamW");
  test_bits({losses::MeanSquaredError{}, averaged, {}}, "averages");
  test_bits({losses::MeanSquaredError{}, gathered, {}}, "gradients of two batches");
  test_bits({losses::MeanSquaredError{}, SGD{}, {}}, "SGD");
  for (const std::size_t team : {2, 4}) test_owners(team);
  return report("sharing");
}
