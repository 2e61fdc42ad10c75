// A mutex that threads lock in the order in which they asked for it. A fit releases its lock between slices and locks
// it again at once; with std::mutex it would get the lock before a waiting prediction wakes up, every time.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace fastreg {

class FairMutex {
 public:
  void lock() {
    std::unique_lock guard(mutex_);
    const std::uint64_t ticket = next_++;
    served_.wait(guard, [&] { return ticket == now_; });
  }
  void unlock() {
    {
      const std::lock_guard guard(mutex_);
      ++now_;
    }
    served_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable served_;
  std::uint64_t next_ = 0, now_ = 0;
};

}  // namespace fastreg
