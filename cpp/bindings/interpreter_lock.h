// Gives up and takes the interpreter's lock, and calls functions of Python while a run of the core is under way.
//
// While the interpreter ends, Python before 3.14 ends every daemon thread that asks for its lock by pthread_exit, which
// unwinds the stack. Functions that must not throw are on it, so the whole process would end in std::terminate. Such a
// thread waits here for the end of the process instead, as it does in Python from 3.14 on.
#pragma once
#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <thread>
#include <utility>

namespace fastreg::bindings {

namespace py = pybind11;

// While it exists, the thread may only be unwound by an exception of C++; it is made to wait if pthread_exit does it.
class NoThreadExit {
 public:
  NoThreadExit() = default;
  NoThreadExit(const NoThreadExit&) = delete;
  NoThreadExit& operator=(const NoThreadExit&) = delete;
  ~NoThreadExit() {
    while (!passed_ && std::uncaught_exceptions() == exceptions_) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  void passed() { passed_ = true; }

 private:
  bool passed_ = false;
  int exceptions_ = std::uncaught_exceptions();   // pthread_exit does not count
};

// A function of its own: what unwinds the stack must meet the guard before a destructor, which must not throw.
[[gnu::noinline]] inline void take_lock_again(PyThreadState* state) {
  NoThreadExit guard;
  PyEval_RestoreThread(state);
  guard.passed();
}

// The interpreter's lock is given up while this exists.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() { take_lock_again(state_); }

 private:
  PyThreadState* state_;
};

// The interpreter's lock is held while this exists.
class Locked {
 public:
  Locked() { guard_.passed(); }

 private:
  NoThreadExit guard_;   // comes first, since it guards the constructor of the other
  py::gil_scoped_acquire lock_;
};

// The result of a function of Python. Python may end the thread within it, too.
template <class... Args>
py::object called(const py::object& function, Args&&... args) {
  const py::tuple given = py::make_tuple(std::forward<Args>(args)...);
  NoThreadExit guard;
  PyObject* const result = PyObject_Call(function.ptr(), given.ptr(), nullptr);
  guard.passed();
  if (result == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
}

}  // namespace fastreg::bindings
