// Forks and locks. A child of fork() has the forking thread alone: a lock that another thread held would stay shut in it
// for ever, and what that thread was changing would stay half changed. So a fork waits until it holds every lock of this
// kind, and in the child each of them is as new. A fit gives its lock up at the end of a step; a prediction or an
// evaluation, validation included, is waited for to its end. While a fork waits, nobody
// who holds one of these locks may wait for another lock of any kind: fork() in Python holds the interpreter lock.
#pragma once
#include <atomic>
#include <new>
#include <thread>

#include "fastreg/strict_math.h"

namespace fastreg {

// What is brought to rest before a fork. A class that derives from it is final, enlists itself as the last act of its
// constructor and delists itself as the first one of its destructor.
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
  virtual void hold() = 0;                // before the fork
  virtual void let_go() = 0;              // in the parent, after it
  virtual void renew() noexcept = 0;      // in the child, which has one thread
  ForkGuarded *previous_ = nullptr, *next_ = nullptr;
};

// A mutex that a fork waits for and that is new in the child. It must not be locked while another one is held.
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
  // What waits in the old one are threads that the child does not have; it must not be destroyed.
  void renew() noexcept override { new (&mutex_) Mutex; }
  Mutex mutex_;
};

// Whether a fit is under way, in a thread that exists. Guarded by a lock of its owner's.
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
  // A fit goes on in the child if its own thread forked, in an observer.
  void renew() noexcept override {
    if (fitter_ != std::this_thread::get_id()) clear();
  }
  std::thread::id fitter_;
};

// Whether a fork waits for locks: who holds one for long gives it up soon and then calls let_fork_pass, which returns
// after the fork.
extern std::atomic<bool> fork_waits_flag;
inline bool fork_waits() { return fork_waits_flag.load(std::memory_order_relaxed); }
void let_fork_pass();

}  // namespace fastreg
