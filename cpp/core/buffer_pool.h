// Numbered buffers of rows matrices, for a plan that is made once. The buffer that was released last is taken next, so
// that values that are alive at different times share one. The pool itself has no memory; it only determines numbers
// and sizes.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

namespace fastreg {

class BufferPool {
 public:
  std::size_t take(std::size_t ld) {
    std::size_t buffer = lds_.size();
    if (free_.empty()) {
      lds_.push_back(ld);
    } else {
      buffer = free_.back();
      free_.pop_back();
      lds_[buffer] = std::max(lds_[buffer], ld);
    }
    return buffer;
  }
  void give_back(std::size_t buffer) { free_.push_back(buffer); }
  // The number of floats of a row of each buffer.
  const std::vector<std::size_t>& lds() const { return lds_; }

 private:
  std::vector<std::size_t> lds_, free_;
};

}  // namespace fastreg
