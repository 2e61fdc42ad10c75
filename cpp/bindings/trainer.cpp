// Trainer for Python. A fit releases the interpreter lock for the whole run. It takes the lock only for callbacks and,
// between slices of the run, to check whether a signal has arrived.
#include "fastreg/trainer.h"

#include <chrono>
#include <optional>

#include "bindings/description.h"
#include "bindings/functions.h"
#include "bindings/interpreter_lock.h"

namespace fastreg::bindings {
namespace {

OutputTargets output_targets(py::handle y, py::handle sample_weight) {
  OutputTargets out;
  if (py::isinstance<py::array>(y) && py::reinterpret_borrow<py::array>(y).dtype().equal(py::dtype::of<std::int32_t>()))
    out.labels = vector<std::int32_t>(y, "y");
  else
    out.y = matrix(y, "y");
  out.sample_weight = vector<float>(sample_weight, "sample_weight");
  return out;
}

// x and y are an array, or a list of arrays for several inputs or outputs; weights of rows go with y, or are for all.
Dataset dataset(const py::dict& data) {
  Dataset out;
  out.inputs = all_features(data["x"], "x");
  const py::object y = data["y"], weights = data["sample_weight"];
  if (!is_sequence(y)) {
    out.targets.push_back(output_targets(y, weights));
  } else {
    const bool each = is_sequence(weights);
    if (each && py::len(weights) != py::len(y))
      throw py::value_error("sample_weight must be as many as y, " + std::to_string(py::len(y)) + ", got " +
                            std::to_string(py::len(weights)));
    for (const py::handle one : y)
      out.targets.push_back(
          output_targets(one, each ? py::object(weights[py::int_(out.targets.size())]) : weights));
  }
  out.rows = vector<std::uint32_t>(data["rows"], "rows");
  return out;
}

EarlyStopping early_stopping(const py::dict& config) {
  EarlyStopping out;
  out.monitor = config["monitor"].cast<std::size_t>();
  out.maximize = config["mode"].cast<std::string>() == "max";
  out.patience = config["patience"].cast<std::size_t>();
  out.min_delta = config["min_delta"].cast<double>();
  out.has_baseline = !config["baseline"].is_none();
  if (out.has_baseline) out.baseline = config["baseline"].cast<double>();
  out.start_from_epoch = config["start_from_epoch"].cast<std::size_t>();
  out.restore_best_weights = config["restore_best_weights"].cast<bool>();
  return out;
}

// Returns the verdict on an epoch and the new count of epochs waited.
py::tuple judged(const py::dict& config, std::int64_t epoch, double value, double best, std::size_t waited) {
  const EpochVerdict verdict = judge_epoch(early_stopping(config), epoch, value, best, waited);
  const char* name = verdict == EpochVerdict::best ? "best" : verdict == EpochVerdict::stop ? "stop" : "worse";
  return py::make_tuple(name, waited);
}

// Passes epochs and polls to Python callables, no more often than they request.
class PythonObserver final : public FitObserver {
 public:
  struct Callables {
    py::object on_epoch, on_poll, on_rates, on_batch, on_validation;
  };
  PythonObserver(Callables given, double interval)
      : on_epoch_(std::move(given.on_epoch)),
        on_poll_(std::move(given.on_poll)),
        on_rates_(std::move(given.on_rates)),
        on_batch_(std::move(given.on_batch)),
        on_validation_(std::move(given.on_validation)),
        interval_(interval) {}

  bool epoch_ended(std::size_t epoch, const std::vector<double>& logs, bool last) override {
    if (!wants_epochs_) return false;
    const auto now = Clock::now();
    if (!last && now - last_epoch_ < interval_) return false;
    last_epoch_ = now;
    const Locked acquired;
    return called(on_epoch_, epoch, logs, last).cast<bool>();
  }

  void poll(std::size_t epoch, std::size_t step, std::size_t steps, double loss) override {
    if (!on_main_thread_ && !wants_polls_) return;   // signals reach the main thread only
    const Locked acquired;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    const auto now = Clock::now();
    if (!wants_polls_ || now - last_poll_ < std::chrono::milliseconds(100)) return;
    last_poll_ = now;
    called(on_poll_, epoch, step, steps, loss);
  }

  Span<const double> rates(std::size_t first, std::size_t least) override {
    const Locked acquired;
    if (on_rates_.is_none()) return FitObserver::rates(first, least);
    rates_ = called(on_rates_, first, least);
    return vector<double>(rates_, "rates");
  }

  void batch_begins(std::size_t epoch, std::size_t step) override {
    const Locked acquired;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    called(on_batch_, epoch, step, py::none());
  }

  bool batch_ended(std::size_t epoch, std::size_t step, const std::vector<double>& logs) override {
    const Locked acquired;
    return called(on_batch_, epoch, step, logs).cast<bool>();
  }

  std::optional<std::vector<double>> validate() override {
    if (!validates_) return std::nullopt;
    const Locked acquired;
    return called(on_validation_).cast<std::vector<double>>();
  }

 private:
  using Clock = std::chrono::steady_clock;
  py::object on_epoch_, on_poll_, on_rates_, on_batch_, on_validation_, rates_;
  // This is determined beforehand, because on a free-threaded build not even None may be used without the lock.
  bool on_main_thread_ = is_main_thread();
  bool wants_epochs_ = !on_epoch_.is_none(), wants_polls_ = !on_poll_.is_none(), validates_ = !on_validation_.is_none();
  std::chrono::duration<double> interval_;
  Clock::time_point last_epoch_{}, last_poll_ = Clock::now();
};

py::array logs_array(const std::vector<std::vector<double>>& logs, std::size_t columns) {
  py::array_t<double> out({static_cast<py::ssize_t>(logs.size()), static_cast<py::ssize_t>(columns)});
  double* data = out.mutable_data();
  for (const std::vector<double>& row : logs) {   // a row without validation is shorter
    std::fill_n(std::copy(row.begin(), row.end(), data), columns - row.size(),
                std::numeric_limits<double>::quiet_NaN());
    data += columns;
  }
  return out;
}

const char* reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::completed: return "";
    case StopReason::early_stopping: return "early_stopping";
    case StopReason::observer: return "callback";
    case StopReason::stop_signal: return "stop_signal";
    case StopReason::time_limit: return "time_limit";
    case StopReason::exception: return "error";
    case StopReason::diverged: return "diverged";
  }
  return "";
}

py::dict divergence(const Divergence& found) {
  py::dict where;
  where["step"] = found.step;
  where["epoch"] = found.epoch;
  where["rate"] = found.rate;
  where["loss"] = found.loss;
  return where;
}

py::dict fit_result(const FitResult& result, std::size_t columns, py::object exception) {
  py::dict out;
  out["logs"] = logs_array(result.logs, columns);
  out["stopped_by"] = reason_name(result.reason);
  py::list stoppers;
  for (const EarlyStoppingResult& stopper : result.early_stopping) {
    py::dict entry;
    entry["best"] = stopper.best;
    entry["best_epoch"] = stopper.best_epoch;
    entry["stopped_epoch"] = stopper.stopped_epoch;
    entry["restored"] = stopper.restored;
    stoppers.append(entry);
  }
  out["early_stopping"] = stoppers;
  out["diverged"] = py::none();
  if (result.reason == StopReason::diverged) out["diverged"] = divergence(result.divergence);
  out["exception"] = std::move(exception);
  return out;
}

py::tuple no_functions() { return py::make_tuple(py::tuple(), py::tuple()); }

// A trainer, with a reference that keeps its network alive.
struct PyTrainer {
  py::object network;
  std::unique_ptr<Trainer> trainer;
  std::vector<std::size_t> trainable;   // the weights that have moments
};

py::dict fit(PyTrainer& self, const py::dict& data, const py::object& validation, std::size_t batch_size,
             std::size_t epochs, bool shuffle, const py::object& rates, const py::sequence& stopping,
             const py::sequence& stop_signals, double time_limit, const py::object& on_epoch,
             const py::object& on_poll, const py::object& on_rates, double interval, std::size_t steps_per_epoch,
             const py::object& validated, const py::object& last_epoch, const py::object& on_batch,
             const py::object& on_validation, const py::tuple& given_functions) {
  const Dataset train = dataset(data);
  std::optional<Dataset> scored;
  if (!validation.is_none()) scored = dataset(validation.cast<py::dict>());
  FitOptions options{batch_size, epochs, shuffle, vector<double>(rates, "rates"), {}, {}, time_limit};
  options.steps_per_epoch = steps_per_epoch;
  options.validated = vector<std::uint8_t>(validated, "validated");
  options.observe_batches = !on_batch.is_none();
  if (!last_epoch.is_none()) options.last_epoch = last_epoch.cast<const StopSignal&>();
  for (const py::handle config : stopping) options.early_stopping.push_back(early_stopping(config.cast<py::dict>()));
  for (const py::handle signal : stop_signals) options.stop_signals.push_back(signal.cast<const StopSignal&>());
  PythonObserver observer({on_epoch, on_poll, on_rates, on_batch, on_validation}, interval);
  const PythonFunctions functions(given_functions);
  options.functions = functions.all();
  FitResult result;
  py::object exception = py::none();
  try {
    const Unlocked released;
    self.trainer->fit(train, scored ? &*scored : nullptr, options, &observer, result);
  } catch (const py::error_already_set& raised) {
    exception = raised.value();
    if (raised.trace()) exception.attr("__traceback__") = raised.trace();
  } catch (const std::bad_alloc&) {
    if (result.logs.empty()) throw;
    exception = py::handle(PyExc_MemoryError)();   // the epochs until then belong in the history
  }
  return fit_result(result, self.trainer->log_count() * (scored ? 2 : 1), std::move(exception));
}

// Returns the values of the batch and None, or None and where it diverged.
py::tuple train_batch(PyTrainer& self, const py::dict& data, const py::object& rates,
                      const py::tuple& given_functions) {
  const Dataset batch = dataset(data);
  const PythonFunctions functions(given_functions);
  const Span<const double> row = required_vector<double>(rates, "rates");
  FitResult result;
  std::vector<double> logs;
  {
    const Unlocked released;
    logs = self.trainer->train_batch(batch, row, result, functions.all());
  }
  if (result.reason != StopReason::diverged) return py::make_tuple(logs, py::none());
  return py::make_tuple(py::none(), divergence(result.divergence));
}

std::vector<double> test_batch(PyTrainer& self, const py::dict& data, const py::tuple& given_functions) {
  const Dataset batch = dataset(data);
  const PythonFunctions functions(given_functions);
  const Unlocked released;
  return self.trainer->test_batch(batch, functions.all());
}

std::vector<double> evaluate(PyTrainer& self, const py::dict& data, const py::tuple& given_functions) {
  const Dataset scored = dataset(data);
  const PythonFunctions functions(given_functions);
  const Unlocked released;
  return self.trainer->evaluate(scored, functions.all());
}

// Calls f(name, moment, weight, info) for every moment of every trainable weight.
template <class F>
void for_each_moment(const PyTrainer& self, F&& f) {
  const auto& infos = self.network.cast<const Network&>().weights();
  const auto& names = self.trainer->moment_names();
  for (std::size_t m = 0; m < names.size(); ++m)
    for (const std::size_t w : self.trainable) f("optimizer." + names[m] + "." + infos[w].name, m, w, infos[w]);
}

// An array in Python, and where the core writes its values.
FloatArray added_array(const WeightInfo& info, std::vector<float*>& data) {
  FloatArray array(shape_of(info));
  data.push_back(array.mutable_data());
  return array;
}

// The weights, the moments by name, step, epoch, and whether averages are shown, all of the same step. with_weights:
// whether the weights are copied; if not, there are none in their list.
py::tuple get_state(const PyTrainer& self, bool with_weights) {
  py::list weights;
  py::dict moments;
  std::vector<float*> weight_data, moment_data;
  if (with_weights)
    for (const WeightInfo& info : self.network.cast<const Network&>().weights())
      weights.append(added_array(info, weight_data));
  for_each_moment(self, [&](const std::string& name, std::size_t, std::size_t, const WeightInfo& info) {
    moments[py::str(name)] = added_array(info, moment_data);
  });
  Progress progress;
  {
    const Unlocked released;
    progress = self.trainer->get_state({weight_data.data(), weight_data.size()},
                                       {moment_data.data(), moment_data.size()});
  }
  return py::make_tuple(weights, moments, progress.step, progress.epoch, progress.averages_shown);
}

void set_moments(PyTrainer& self, const py::dict& moments) {
  struct Assignment {
    std::size_t moment, weight;
    py::object owner;
    const float* values;
  };
  std::vector<Assignment> all;
  for_each_moment(self, [&](const std::string& name, std::size_t m, std::size_t w, const WeightInfo& info) {
    if (!moments.contains(name.c_str())) throw py::value_error("moments: " + name + " is missing");
    const py::object array = moments[name.c_str()];
    WeightInfo named = info;
    named.name = name;
    all.push_back({m, w, array, weight_values(array, named)});
  });
  if (all.size() != moments.size())
    throw py::value_error("moments must be " + std::to_string(all.size()) + " arrays, got " +
                          std::to_string(moments.size()));
  const Unlocked released;
  for (const Assignment& one : all) self.trainer->set_moment(one.moment, one.weight, one.values);
}

// The name and shape of every moment.
py::dict moment_shapes(const PyTrainer& self) {
  py::dict out;
  for_each_moment(self, [&](const std::string& name, std::size_t, std::size_t, const WeightInfo& info) {
    out[py::str(name)] = py::tuple(py::cast(shape_of(info)));
  });
  return out;
}

// index: the index in moment_shapes(). A file may have very many moments, so they are not searched by name.
void set_moment_part(PyTrainer& self, std::size_t index, std::size_t first, const py::object& values) {
  const py::array array = checked<float>(values, "values", 1);
  const auto* data = static_cast<const float*>(array.data());
  const auto n = static_cast<std::size_t>(array.size());
  const std::size_t each = self.trainable.size();
  if (index >= each * self.trainer->moment_names().size()) throw py::index_error("there is no such moment");
  const Unlocked released;
  self.trainer->set_moment_part(index / each, self.trainable[index % each], first, data, n);
}

std::unique_ptr<PyTrainer> make_trainer(const py::object& network, const py::object& description) {
  const TrainingSpec spec = parse_training(json_of(description));
  auto out = std::make_unique<PyTrainer>();
  out->network = network;
  out->trainer = std::make_unique<Trainer>(network.cast<Network&>(), spec);
  const auto& infos = network.cast<const Network&>().weights();
  for (std::size_t w = 0; w < infos.size(); ++w)
    if (infos[w].trainable) out->trainable.push_back(w);
  return out;
}

void bind_batches(py::class_<PyTrainer>& trainer) {
  trainer.def("train_batch", &train_batch, py::arg("data"), py::arg("rates"),
              optional("functions", no_functions()))
      .def("test_batch", &test_batch, py::arg("data"), optional("functions", no_functions()));
}

// The value of a member function, which may wait for a lock, and so without the interpreter's.
template <class Value>
Value unlocked(const PyTrainer& self, Value (Trainer::*member)() const) {
  const Unlocked released;
  return (self.trainer.get()->*member)();
}

void bind_stopping(py::module_& module) {
  class_of<StopSignal>(module, "StopSignal")
      .def(
          "__init__", [](py::detail::value_and_holder& self) { own(self, std::make_unique<StopSignal>()); },
          py::detail::is_new_style_constructor())
      .def("set", &StopSignal::set)
      .def_property_readonly("is_set", &StopSignal::is_set);

  module.def("judge_epoch", &judged, py::arg("config"), py::arg("epoch"), py::arg("value"), py::arg("best"),
             py::arg("waited"));
}

}  // namespace

void bind_trainer(py::module_& module) {
  bind_stopping(module);
  using Self = PyTrainer;
  py::class_<Self> trainer = class_of<Self>(module, "Trainer");
  bind_batches(trainer);
  trainer
      .def(
          "__init__",
          [](py::detail::value_and_holder& self, const py::object& network, const py::object& description) {
            own(self, make_trainer(network, description));
          },
          py::detail::is_new_style_constructor(), py::arg("network"), py::arg("description"))
      .def_property(
          "step", [](const Self& self) { return unlocked(self, &Trainer::step); },
          [](Self& self, std::uint64_t step) {
            const Unlocked released;
            self.trainer->set_progress(step, self.trainer->epoch());
          })
      .def_property(
          "epoch", [](const Self& self) { return unlocked(self, &Trainer::epoch); },
          [](Self& self, std::uint64_t epoch) {
            const Unlocked released;
            self.trainer->set_progress(self.trainer->step(), epoch);
          })
      .def_property(
          "averages_shown", [](const Self& self) { return unlocked(self, &Trainer::averages_shown); },
          [](Self& self, bool shown) {
            const Unlocked released;
            self.trainer->set_averages_shown(shown);
          })
      .def_property(
          "parallel_threshold", [](const Self& self) { return self.trainer->parallel_threshold(); },
          [](Self& self, double flops) { self.trainer->set_parallel_threshold(flops); })
      .def(
          "set_learning_rate",
          [](Self& self, double rate) {
            const Unlocked released;
            self.trainer->set_learning_rate(rate);
          },
          py::arg("rate"), py::pos_only())
      .def("fit", &fit, py::arg("data"), py::arg("validation"), py::kw_only(), py::arg("batch_size"),
           py::arg("epochs"), py::arg("shuffle"), py::arg("rates"), optional("early_stopping", py::tuple()),
           optional("stop_signals", py::tuple()), optional("time_limit", std::numeric_limits<double>::infinity()),
           optional("on_epoch", py::none()), optional("on_poll", py::none()), optional("on_rates", py::none()),
           optional("interval", 0.0), optional("steps_per_epoch", 0), optional("validated", py::none()),
           optional("last_epoch", py::none()), optional("on_batch", py::none()),
           optional("on_validation", py::none()), optional("functions", no_functions()))
      .def("steps_of_epoch", [](const Self& self, std::size_t rows, std::size_t batch_size) {
            return self.trainer->steps_of_epoch(rows, batch_size);
          }, py::arg("rows"), py::arg("batch_size"), py::pos_only())
      .def_property_readonly("log_count", [](const Self& self) { return self.trainer->log_count(); })
      .def("evaluate", &evaluate, py::arg("data"), optional("functions", no_functions()))
      .def("get_state", [](const Self& self) { return get_state(self, true); })
      .def("get_moments", [](const Self& self) { return py::object(get_state(self, false)[1]); })
      .def("set_moments", &set_moments, py::arg("moments"))
      .def("moment_shapes", &moment_shapes)
      .def("set_moment_part", &set_moment_part, py::arg("index"), py::arg("first"), py::arg("values"));
}

}  // namespace fastreg::bindings
