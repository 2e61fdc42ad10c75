// Locks that survive a fork. The child of a fork() has only the thread that called it: a lock that another thread held
// would stay locked for ever, and the data that it protects would stay half changed. Therefore a fork waits until it
// holds every lock of this kind, and the child gets new ones. A fit releases its lock at the end of a step; a
// prediction or an evaluation (validation during a fit, too) is waited for until its next pause (core/slices.h) or its
// end. While a fork waits, a thread that holds one of these locks must not wait for any other lock, because a fork()
// from Python holds the interpreter lock.
#pragma once
#include <atomic>
#include <new>
#include <thread>

#include "fastreg/strict_math.h"

namespace fastreg {

// An object that a fork waits for. A class that derives from it is final, calls enlist() at the end of its constructor
// and delist() at the beginning of its destructor.
class ForkGuarded {
 public:
  ForkGuarded(const ForkGuarded&) = delete;
  ForkGuarded& operator=(const ForkGuarded&) = delete;

 protected:
  ForkGuarded() = default;
  ~ForkGuarded() = default;
  void enlist();
  void delist();

 private:
  friend struct ForkHandlers;
  virtual void hold() = 0;                // is called before the fork
  virtual void let_go() = 0;              // is called in the parent after the fork
  virtual void renew() noexcept = 0;      // is called in the child, which has one thread
  ForkGuarded *previous_ = nullptr, *next_ = nullptr;
};

// A mutex that a fork waits for and that is new in the child. A thread must not lock it while it holds another one.
template <class Mutex>
class ForkSafe final : public ForkGuarded {
 public:
  ForkSafe() { enlist(); }
  ~ForkSafe() { delist(); }
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  void hold() override { lock(); }
  void let_go() override { unlock(); }
  // The old mutex must not be destroyed: threads that the child does not have may be waiting for it.
  void renew() noexcept override { new (&mutex_) Mutex; }
  Mutex mutex_;
};

// Whether a fit is running, in a thread that exists. A lock of its owner protects it.
class FitMark final : public ForkGuarded {
 public:
  FitMark() { enlist(); }
  ~FitMark() { delist(); }
  void set() { fitter_ = std::this_thread::get_id(); }
  void clear() { fitter_ = {}; }
  bool is_set() const { return fitter_ != std::thread::id(); }

 private:
  void hold() override {}
  void let_go() override {}
  // In the child, a fit continues only if its own thread called fork(), in an observer.
  void renew() noexcept override {
    if (fitter_ != std::this_thread::get_id()) clear();
  }
  std::thread::id fitter_;
};

// Whether a fork is waiting for locks. A thread that holds one for a long time checks this, releases the lock and calls
// let_fork_pass, which returns after the fork.
extern std::atomic<bool> fork_waits_flag;
inline bool fork_waits() { return fork_waits_flag.load(std::memory_order_relaxed); }
void let_fork_pass();

}  // namespace fastreg
