// ops.Updater: an optimizer's one-pass step on an array of the caller's, in place.
#include "bindings/convert.h"
#include "core/description.h"
#include "core/optimizer.h"
#include "fastreg/runtime.h"

namespace fastreg::bindings {
namespace {

// Parameters from which on a second thread pays: the pass is then longer than ~20 us.
constexpr std::size_t kParallelParameters = 200'000;

class Updater {
 public:
  Updater(const std::string& optimizer, const py::object& w, float l1, float l2, bool proximal)
      : array_(checked<float>(w, "w", -1, true)),
        size_(static_cast<std::size_t>(array_.size())),
        state_(parse_optimizer(optimizer), {{0, size_, checked_penalty({l1, l2, proximal}), true}}, size_, cpu_backend()) {}

  void step(const py::object& g, double rate) {
    const py::array gradient = checked<float>(g, "g", -1);
    if (static_cast<std::size_t>(gradient.size()) != size_)
      throw py::value_error("g must have " + std::to_string(size_) + " values, got " + std::to_string(gradient.size()));
    auto* weights = static_cast<float*>(array_.mutable_data());
    const auto* values = static_cast<const float*>(gradient.data());
    const std::size_t threads = size_ < kParallelParameters ? 1 : static_cast<std::size_t>(num_threads());
    state_.advance();
    ++steps_;
    run_released(threads, [&](const Team& team) {
      state_.update(*cpu_backend().kernels, team, weights, values, rate);
    });
  }
  std::uint64_t steps() const { return steps_; }

 private:
  static Penalty checked_penalty(Penalty penalty) {
    if (!(penalty.l1 >= 0.0f)) throw py::value_error("l1 must be >= 0, got " + std::to_string(penalty.l1));
    if (!(penalty.l2 >= 0.0f)) throw py::value_error("l2 must be >= 0, got " + std::to_string(penalty.l2));
    return penalty;
  }

  py::array array_;
  std::size_t size_;
  OptimizerState state_;
  std::uint64_t steps_ = 0;
};

}  // namespace

void bind_updater(py::module_& module) {
  py::class_<Updater>(module, "Updater")
      .def(py::init<const std::string&, const py::object&, float, float, bool>(), py::arg("optimizer"), py::arg("w"),
           py::arg("l1"), py::arg("l2"), py::arg("proximal"))
      .def("step", &Updater::step, py::arg("g"), py::arg("rate"))
      .def_property_readonly("steps", &Updater::steps);
}

}  // namespace fastreg::bindings
