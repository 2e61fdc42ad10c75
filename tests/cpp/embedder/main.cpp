// An embedding program, which uses only the installed headers and library: it trains, predicts, serves and checks the
// result.
#include <fastreg/network.h>
#include <fastreg/predictor.h>
#include <fastreg/runtime.h>
#include <fastreg/trainer.h>

#include <cmath>
#include <cstdio>

int main() {
  using namespace fastreg;
  Network network({.n_features = 2, .seed = 1, .layers = {Dense{}}});
  Trainer trainer(network, {.optimizer = SGD{.learning_rate = 0.1f}});
  const float x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  const float y[4] = {1, 4, 3, 6};   // 2 x0 + 3 x1 + 1
  const Dataset data{.x = {x[0], 4, 2, 2}, .y = {y, 4, 1, 1}};
  FitResult result;
  set_num_threads(2);
  trainer.fit(data, nullptr, {.epochs = 500}, nullptr, result);

  const float unseen[2] = {2, -1};
  float prediction = 0;
  network.predict({unseen, 1, 2, 2}, {&prediction, 1, 1, 1});
  std::printf("%s: predicted %g, expected 2\n", active_isa().c_str(), static_cast<double>(prediction));

  const Predictor predictor(network);
  float served = 0;
  predictor.predict({unseen, 1, 2, 2}, {&served, 1, 1, 1});
  std::printf("%s: served %g\n", predictor.summary().c_str(), static_cast<double>(served));
  return std::fabs(prediction - 2.0f) < 1e-3f && std::fabs(served - prediction) < 1e-5f ? 0 : 1;
}
