// Functions of Python as metrics of a trainer.
#pragma once
#include <memory>
#include <vector>

#include "bindings/convert.h"
#include "fastreg/metric_state.h"

namespace fastreg::bindings {

// Calls a function of (targets, outputs, weights or None), which returns a number.
class PythonMetric final : public MetricFunction {
 public:
  explicit PythonMetric(py::object function) : function_(std::move(function)) {}
  double value(const MetricRows& rows) override;

 private:
  py::object function_;
};

// The functions of one call of fit or evaluate. It is made and destroyed with the interpreter lock.
class PythonMetrics {
 public:
  explicit PythonMetrics(const py::sequence& functions);
  const std::vector<MetricFunction*>& all() const { return all_; }

 private:
  std::vector<std::unique_ptr<PythonMetric>> owned_;
  std::vector<MetricFunction*> all_;
};

}  // namespace fastreg::bindings
