// Lets Python handle signals, such as that of Ctrl-C, during a long prediction or evaluation.
#pragma once
#include "bindings/interpreter_lock.h"
#include "fastreg/pause.h"

namespace fastreg::bindings {

// Only the main thread of Python handles signals; on others nothing happens.
class PythonPause final : public Pause {
 public:
  void reached() override {
    const Locked locked;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
};

}  // namespace fastreg::bindings
