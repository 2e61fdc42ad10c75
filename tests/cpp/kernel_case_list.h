// A case of a kernel: a call, its operands and what it writes; and a list of cases, which owns their operands.
#pragma once
#include <functional>

#include "kernel_buffers.h"

namespace fastreg::test {

struct Written {
  const void* data;
  std::size_t bytes;
  double tolerance;   // for floats; if it is negative, the bits must be the same
};

struct Case {
  const char* entry;
  std::string shape;
  double work;        // the work of a call, in `unit`s
  const char* unit;   // flop, byte or element
  std::function<void(const Kernels&)> call;
  std::vector<Written> written;
};

class CaseList {
 public:
  const std::vector<Case>& list() const { return cases_; }

 protected:
  using Floats = Guarded<float>;

  Floats* floats(std::size_t n, float low = -1.0f, float high = 1.0f) {
    auto made = std::make_shared<Floats>(rounded(n));
    for (std::size_t i = 0; i < n; ++i) (*made)[i] = uniform(low, high);
    kept_.push_back(made);
    return made.get();
  }
  template <class T>
  T* kept(std::size_t n) {
    auto made = std::make_shared<Guarded<T>>(n);
    kept_.push_back(made);
    return made->data();
  }
  static Written floats_of(const Floats* x, double tolerance) {
    return {x->data(), x->size() * sizeof(float), tolerance};
  }
  void add(const char* entry, const std::string& shape, double work, const char* unit,
           std::function<void(const Kernels&)> call, std::vector<Written> written) {
    cases_.push_back({entry, shape, work, unit, std::move(call), std::move(written)});
  }

  // Each product and each addition rounds once, and a product of uniform operands is about 1/4.
  static double sum_tolerance(std::size_t n) {
    const auto length = static_cast<double>(n);
    return (length + 8) * 2 * kHalfUlp * (length / 4 + 1);
  }

  void keep(std::shared_ptr<void> operands) { kept_.push_back(std::move(operands)); }

 private:
  std::vector<Case> cases_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace fastreg::test
