// The flat parameter buffer: every trainable weight first, those of equal penalty side by side so that the optimizer
// takes them in one pass, then the moving statistics, each a segment padded to kLane floats. Gradients and moments are
// twins of its trainable part. Kernels are stored in panels (kernels.h); users see row-major arrays, and only to_rows
// and from_rows know the difference.
#pragma once
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/weights.h"
#include "fastreg/network.h"
#include "fastreg/view.h"

namespace fastreg {

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }
constexpr std::size_t padded_ld(std::size_t cols) { return cols == 1 ? 1 : round_up(cols, kLane); }
constexpr std::size_t panel_count(std::size_t cols) { return (padded_ld(cols) + kPanel - 1) / kPanel; }

// Floats owned through a backend: aligned, zeroed, readable a little past the end.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Backend& backend, std::size_t floats)
      : backend_(&backend), data_(static_cast<float*>(backend.allocate(floats * sizeof(float)))), size_(floats) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) backend_->release(data_, size_ * sizeof(float));
  }
  float* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const Backend* backend_ = nullptr;
  float* data_ = nullptr;
  std::size_t size_ = 0;
};

// Between the row-major array of a kernel and its panels. The padding of the panels is left as it is.
void pack_panels(MatrixView<const float> values, float* panels);
void unpack_panels(const float* panels, MatrixView<float> values);

struct Segment {
  WeightInfo info;
  Penalty penalty;
  Initializer initializer{};
  bool decays = false;          // takes AdamW's weight decay: kernels only
  bool panels = false;          // a kernel, stored in panels
  std::size_t offset = 0, padded = 0;

  void to_rows(const float* base, float* out) const;
  void from_rows(const float* values, float* base) const;   // keeps the padding zero
  // The same for n of the values, in row-major order from the value `first` on.
  void from_values(std::size_t first, const float* values, std::size_t n, float* base) const;
};

// Throws std::out_of_range unless a weight has the values [first, first + n).
void require_part(const WeightInfo& info, std::size_t first, std::size_t n);

// Stands for a weight that is switched off.
inline constexpr std::size_t kNoSegment = static_cast<std::size_t>(-1);

class Parameters {
 public:
  // Adds a segment and returns its index; the offsets are set by layout().
  std::size_t add(WeightInfo info, bool panels, Penalty penalty, bool decays);
  // Adds the weights of the next layer.
  void add_layer(const std::vector<WeightSpec>& weights);
  // Places all segments. Throws std::invalid_argument where the sizes overflow.
  void layout();

  const std::vector<Segment>& segments() const { return segments_; }
  // Indices of the segments in the order of their offsets.
  const std::vector<std::size_t>& order() const { return order_; }
  // The segment of a layer's weight, e.g. "bias"; kNoSegment where the layer has none of this name.
  std::size_t find(std::size_t layer, std::string_view weight) const;
  // A segment within the flat buffer; null for kNoSegment.
  float* in(float* base, std::size_t segment) const {
    return segment == kNoSegment ? nullptr : base + segments_[segment].offset;
  }
  // The same within the gradients; null also for a weight that is not trained and so has none.
  float* gradient(float* base, std::size_t segment) const {
    return segment == kNoSegment || !segments_[segment].info.trainable ? nullptr : base + segments_[segment].offset;
  }
  const std::vector<WeightInfo>& infos() const { return infos_; }
  std::size_t trainable() const { return trainable_; }   // floats, padding included
  std::size_t total() const { return total_; }

 private:
  std::vector<Segment> segments_;
  std::vector<std::size_t> layers_;   // the first segment of each layer
  std::vector<std::size_t> order_;
  std::vector<WeightInfo> infos_;
  std::size_t trainable_ = 0, total_ = 0;
};

}  // namespace fastreg
