// A mutex that serves in the order of arrival. A fit gives its lock up between slices and wants it back at once: with
// std::mutex it would get it before a waiting prediction wakes up, time and again.
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
