// Functions of Python as losses and metrics of a trainer.
#pragma once
#include <memory>
#include <vector>

#include "bindings/convert.h"
#include "bindings/pause.h"
#include "fastreg/trainer.h"

namespace fastreg::bindings {

// Calls a function of (targets, outputs, weights or None), which returns a number.
class PythonMetric final : public MetricFunction {
 public:
  explicit PythonMetric(py::object function) : function_(std::move(function)) {}
  double value(const MetricRows& rows) override;

 private:
  py::object function_;
};

// Calls a function of (targets, outputs), which returns float32 arrays: the loss of each row and the gradient.
class PythonLoss final : public LossFunction {
 public:
  explicit PythonLoss(py::object function) : function_(std::move(function)) {}
  void compute(const LossRows& rows) override;

 private:
  py::object function_;
};

// The functions of one call of fit or evaluate, and its pauses. It is made and destroyed with the interpreter lock.
class PythonFunctions {
 public:
  // functions: a sequence of metrics and one of losses.
  explicit PythonFunctions(const py::tuple& functions);
  PythonFunctions(const PythonFunctions&) = delete;   // all_ points into it
  PythonFunctions& operator=(const PythonFunctions&) = delete;
  const ProgramFunctions& all() const { return all_; }

 private:
  std::vector<std::unique_ptr<PythonMetric>> metrics_;
  std::vector<std::unique_ptr<PythonLoss>> losses_;
  PythonPause pause_;
  ProgramFunctions all_;
};

}  // namespace fastreg::bindings
