// The whole state of a trainer at once, and some weights of a network. tests/test_resume.py reads the state while
// another thread fits.
#include <stdexcept>
#include <vector>

#include "check.h"
#include "fastreg/trainer.h"

namespace {

using namespace fastreg;

constexpr std::size_t kRows = 40, kFeatures = 3;

NetworkSpec network_spec() {
  Dense hidden, output;
  hidden.units = 5;
  output.units = 1;
  return {kFeatures, 1, {hidden, BatchNormalization{}, output}};   // whose averages are not trained
}

std::vector<float*> places(std::vector<std::vector<float>>& arrays) {
  std::vector<float*> out;
  for (std::vector<float>& array : arrays) out.push_back(array.data());
  return out;
}

template <class Rule>
void test_it_is_what_the_parts_say(std::size_t expected_moments) {
  Network network(network_spec());
  Trainer trainer(network, {losses::MeanSquaredError{}, Rule{}, {}});
  std::vector<float> x(kRows * kFeatures), y(kRows);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * i % 17) / 17.0f;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i * kFeatures] - x[i * kFeatures + 1];
  Dataset data;
  data.x = {x.data(), kRows, kFeatures, kFeatures};
  data.y = {y.data(), kRows, 1, 1};
  const double rate = 1e-2;
  FitOptions options{16, 2, true, {&rate, 1}, {}};
  FitResult result;
  trainer.fit(data, nullptr, options, nullptr, result);

  std::vector<std::vector<float>> weights, moments, each_weight, each_moment;
  for (std::size_t i = 0; i < network.weights().size(); ++i) {
    each_weight.emplace_back(network.weights()[i].size());
    network.get_weight(i, each_weight.back().data());
  }
  for (std::size_t m = 0; m < trainer.moment_names().size(); ++m)
    for (std::size_t i = 0; i < network.weights().size(); ++i) {
      if (!network.weights()[i].trainable) continue;
      each_moment.emplace_back(network.weights()[i].size());
      trainer.get_moment(m, i, each_moment.back().data());
    }
  CHECK(each_moment.size() == expected_moments);
  for (const std::vector<float>& one : each_weight) weights.emplace_back(one.size());
  for (const std::vector<float>& one : each_moment) moments.emplace_back(one.size());
  const std::vector<float*> to_weights = places(weights), to_moments = places(moments);
  const Progress found =
      trainer.get_state({to_weights.data(), to_weights.size()}, {to_moments.data(), to_moments.size()});
  CHECK(weights == each_weight);
  CHECK(moments == each_moment);
  CHECK(found.step == 6 && found.epoch == 2 && !found.averages_shown);

  std::vector<std::vector<float>> alone;
  for (const std::vector<float>& one : each_moment) alone.emplace_back(one.size());
  const std::vector<float*> to_alone = places(alone);
  CHECK(trainer.get_state({}, {to_alone.data(), to_alone.size()}).step == 6);
  CHECK(alone == each_moment);
  CHECK_THROWS(trainer.get_state({to_weights.data(), to_weights.size() - 1}, {to_moments.data(), to_moments.size()}),
               std::invalid_argument);
  CHECK_THROWS(trainer.get_state({to_weights.data(), to_weights.size()}, {to_moments.data(), to_moments.size() + 1}),
               std::invalid_argument);
}

void test_some_weights_are_set() {
  Network network(network_spec());
  std::vector<std::vector<float>> before, after;
  for (const WeightInfo& info : network.weights()) {
    before.emplace_back(info.size());
    after.emplace_back(info.size());
  }
  network.get_weights({places(before).data(), before.size()});
  const std::vector<float> kernel(before[0].size(), 7.0f), bias(before[1].size(), 8.0f);
  const float* const both[] = {kernel.data(), bias.data()};
  network.set_weights({both + 1, 1}, 1);
  before[1] = bias;
  network.get_weights({places(after).data(), after.size()});
  CHECK(after == before);
  network.set_weights({both, 2});   // from the first on
  before[0] = kernel;
  network.get_weights({places(after).data(), after.size()});
  CHECK(after == before);
  CHECK_THROWS(network.set_weights({both, 2}, network.weights().size() - 1), std::out_of_range);
  CHECK_THROWS(network.set_weights({both, 0}, network.weights().size() + 1), std::out_of_range);
  network.get_weights({places(after).data(), after.size()});
  CHECK(after == before);
}

}  // namespace

int main() {
  test_it_is_what_the_parts_say<Adam>(2 * 6);
  test_it_is_what_the_parts_say<SGD>(0);
  test_some_weights_are_set();
  return report("state");
}
