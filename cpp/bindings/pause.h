// Lets Python handle signals, such as that of Ctrl-C, during a long prediction or evaluation.
#pragma once
#include "bindings/interpreter_lock.h"
#include "fastreg/pause.h"

namespace fastreg::bindings {

// Whether this is the thread on which Python handles signals.
inline bool is_main_thread() {
  const py::module_ threading = py::module_::import("threading");
  return threading.attr("main_thread")().attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

// On other threads than the main one only the first pause asks for the interpreter's lock.
class PythonPause final : public Pause {
 public:
  void reached() override {
    if (elsewhere_) return;
    const Locked locked;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    elsewhere_ = !is_main_thread();
  }

 private:
  bool elsewhere_ = false;
};

}  // namespace fastreg::bindings
