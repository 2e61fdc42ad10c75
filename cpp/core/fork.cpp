// The list of objects that a fork waits for, and the handlers that the system calls before and after every fork().
#include "core/fork.h"

#include <pthread.h>

#include <mutex>

namespace fastreg {

// Initialised at compile time and never destroyed, because other threads may run before and after main().
constinit std::atomic<bool> fork_waits_flag{false};

namespace {
constinit std::mutex list_lock;   // is held during a fork
constinit ForkGuarded* first_guarded = nullptr;
}  // namespace

struct ForkHandlers {
  template <class F>
  static void each(F f) {
    for (ForkGuarded* guarded = first_guarded; guarded != nullptr; guarded = guarded->next_) f(*guarded);
  }
  static void prepare() {
    list_lock.lock();
    fork_waits_flag.store(true, std::memory_order_relaxed);
    each([](ForkGuarded& guarded) { guarded.hold(); });
  }
  static void parent() {
    fork_waits_flag.store(false, std::memory_order_relaxed);
    each([](ForkGuarded& guarded) { guarded.let_go(); });
    list_lock.unlock();
  }
  static void child() {
    fork_waits_flag.store(false, std::memory_order_relaxed);
    each([](ForkGuarded& guarded) { guarded.renew(); });
    new (&list_lock) std::mutex;
  }
  static void insert(ForkGuarded& guarded) {
    const std::lock_guard guard(list_lock);
    guarded.next_ = first_guarded;
    if (first_guarded != nullptr) first_guarded->previous_ = &guarded;
    first_guarded = &guarded;
  }
  static void remove(ForkGuarded& guarded) {
    const std::lock_guard guard(list_lock);
    (guarded.previous_ != nullptr ? guarded.previous_->next_ : first_guarded) = guarded.next_;
    if (guarded.next_ != nullptr) guarded.next_->previous_ = guarded.previous_;
  }
};

namespace {
[[maybe_unused]] const int registered =
    pthread_atfork(ForkHandlers::prepare, ForkHandlers::parent, ForkHandlers::child);
}  // namespace

void ForkGuarded::enlist() { ForkHandlers::insert(*this); }
void ForkGuarded::delist() { ForkHandlers::remove(*this); }

void let_fork_pass() { const std::lock_guard guard(list_lock); }

}  // namespace fastreg
