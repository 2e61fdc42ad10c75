// Buffers for the tests of the kernel table, in the layouts of core/kernels.h and between guards that no kernel may
// touch.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <type_traits>
#include <unistd.h>
#include <vector>

#include "check.h"
#include "core/backend.h"
#include "core/kernels.h"
#include "fastreg/runtime.h"
#include "registered.h"

namespace fastreg::test {

inline std::size_t rounded(std::size_t n) { return (n + kLane - 1) / kLane * kLane; }
inline std::size_t ld(std::size_t cols) { return cols == 1 ? 1 : rounded(cols); }

inline std::mt19937& generator() {
  static std::mt19937 engine(7);
  return engine;
}
inline float uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator()); }

// n elements between two guards. The guard after the end also serves as the 64 bytes that kernels may read; it consists
// of NaN, so that a kernel that uses them in a result is detected.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t n) : size_(n), memory_(new(std::align_val_t{64}) T[n + 2 * kGuard]) {
    std::memset(memory_.get(), 0, (n + 2 * kGuard) * sizeof(T));
    std::memset(memory_.get(), 0xff, kGuard * sizeof(T));
    std::memset(memory_.get() + kGuard + n, 0xff, kGuard * sizeof(T));
  }
  T* data() { return memory_.get() + kGuard; }
  const T* data() const { return memory_.get() + kGuard; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  std::size_t size() const { return size_; }
  bool guards_intact() const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(memory_.get());
    for (std::size_t i = 0; i < kGuard * sizeof(T); ++i) {
      if (bytes[i] != 0xff || bytes[(kGuard + size_) * sizeof(T) + i] != 0xff) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 64 / sizeof(T) < 16 ? 16 : 64 / sizeof(T);
  struct Free {
    void operator()(T* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::size_t size_;
  std::unique_ptr<T[], Free> memory_;
};

// A rows matrix. Its padding is finite but not zero, as after an activation; clear_padding sets it to zero, as in a
// gradient.
struct Rows {
  std::size_t rows, cols, stride;
  Guarded<float> data;
  Rows(std::size_t r, std::size_t c, float low = -1.0f, float high = 1.0f)
      : rows(r), cols(c), stride(ld(c)), data(rounded(r * stride)) {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = uniform(low, high);
  }
  float& at(std::size_t i, std::size_t j) { return data[i * stride + j]; }
  float at(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
  void clear_padding() {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = cols; j < stride; ++j) at(i, j) = 0.0f;
    }
  }
  bool padding_is_zero() const {
    return padding([](float v) { return v == 0.0f; });
  }
  bool padding_is_finite() const {
    return padding([](float v) { return std::isfinite(v); });
  }

 private:
  template <class Test>
  bool padding(Test good) const {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = cols; j < stride; ++j) {
        if (!good(at(i, j))) return false;
      }
    }
    return true;
  }
};

// A dense kernel in panels. Its padding is zero.
struct Panels {
  std::size_t rows, cols;
  Guarded<float> data;
  Panels(std::size_t r, std::size_t c) : rows(r), cols(c), data(rounded(r * ld(c))) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) data[index(i, j)] = uniform(-1.0f, 1.0f);
    }
  }
  std::size_t index(std::size_t i, std::size_t j) const {
    const std::size_t p = j / kPanel, stride = ld(cols);
    const std::size_t width = stride - p * kPanel < kPanel ? stride - p * kPanel : kPanel;
    return p * kPanel * rows + i * width + j % kPanel;
  }
  float at(std::size_t i, std::size_t j) const { return data[index(i, j)]; }
  std::size_t panels() const { return (ld(cols) + kPanel - 1) / kPanel; }
  bool padding_is_zero() const {
    std::vector<bool> used(data.size());
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) used[index(i, j)] = true;
    }
    for (std::size_t e = 0; e < data.size(); ++e) {
      if (!used[e] && data[e] != 0.0f) return false;
    }
    return true;
  }
};

// The rows of a batch by the row of the kernel that they pick in each column of a table, as CodedGradient takes them.
struct SortedRows {
  std::vector<CodedRow> rows;
  std::vector<std::uint32_t> starts;

  SortedRows(const CodedColumn* columns, std::size_t count, const CodePlace* places, std::size_t n,
             std::size_t kernel_rows)
      : rows(count * n), starts(kernel_rows + count) {
    for (std::size_t c = 0; c < count; ++c) {
      const CodedColumn& column = columns[c];
      std::uint32_t found = 0;
      for (std::size_t i = column.first; i < column.end; ++i) {
        starts[c + i] = found;
        for (std::size_t r = 0; r < n; ++r) {
          const CodePlace& place = places[c * n + r];
          const bool in_bin = column.bins > 0 && place.pick == column.ramp + place.full;
          if (column.has_pick && place.pick == i && (in_bin || place.weight != 0.0f))
            rows[c * n + found++] = {static_cast<std::uint32_t>(r), place.weight};
        }
      }
      starts[c + column.end] = found;
    }
  }
};

// A dropout mask over n floats.
struct Dropped {
  Guarded<std::uint16_t> mask;
  float scale = 0.0f;
  explicit Dropped(std::size_t n) : mask(n / 16 + 1) {
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = static_cast<std::uint16_t>(generator()());
    scale = 1.25f;
  }
  DropoutMask kernel() const { return {mask.data(), scale}; }
  double factor(std::size_t e) const { return (mask[e / 16] >> (e % 16)) & 1 ? 1.25 : 0.0; }
};

// n elements that end exactly where readable memory ends, or begin where it begins, for buffers that a caller owns.
template <class T>
class EdgeOf {
 public:
  enum Side { end, begin };
  EdgeOf(std::size_t n, Side side) : size_(n) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t room = (n * sizeof(T) + page - 1) / page * page + page;
    bytes_ = room + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + page, room, PROT_READ | PROT_WRITE);
    data_ = reinterpret_cast<T*>(side == end ? base_ + page + room - n * sizeof(T) : base_ + page);
    for (std::size_t i = 0; i < n; ++i) {
      if constexpr (std::is_floating_point_v<T>)
        data_[i] = std::uniform_real_distribution<T>(-1, 1)(generator());
      else
        data_[i] = static_cast<T>(generator()());
    }
  }
  ~EdgeOf() { munmap(base_, bytes_); }
  EdgeOf(const EdgeOf&) = delete;
  EdgeOf& operator=(const EdgeOf&) = delete;
  T* data() { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_, bytes_;
  char* base_;
  T* data_;
};
using Edge = EdgeOf<float>;

inline bool same_bits(const Guarded<float>& a, const Guarded<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

constexpr double kHalfUlp = 0x1p-24;

inline bool close(double got, double want, double tolerance) {
  if (std::isnan(want) || std::isinf(want)) return std::isnan(want) ? std::isnan(got) : got == want;
  return std::abs(got - want) <= tolerance;
}

inline std::string text(const char* what, std::initializer_list<std::size_t> sizes) {
  std::string s = what;
  for (const std::size_t n : sizes) s.append(" ").append(std::to_string(n));
  return s;
}

// Sizes around the width w of the vectors of every ISA: 0, 1, w - 1, w, w + 1 and 2 w + 3 for w in 4, 8, 16.
constexpr std::size_t kSizes[] = {0, 1, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 19, 35};

}  // namespace fastreg::test
