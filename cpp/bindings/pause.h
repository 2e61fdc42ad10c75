// Lets Python handle signals, such as that of Ctrl-C, during a long prediction or evaluation.
#pragma once
#include <pybind11/pybind11.h>

#include "fastreg/pause.h"

namespace fastreg::bindings {

// Only the main thread of Python handles signals; on others nothing happens.
class PythonPause final : public Pause {
 public:
  void reached() override {
    const pybind11::gil_scoped_acquire acquired;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }
};

}  // namespace fastreg::bindings
