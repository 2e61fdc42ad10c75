// The flat parameter buffer. Each weight is a segment of it, padded to a multiple of kLane floats. The trainable
// weights come first, ordered so that weights with the same penalty are neighbours and the optimizer updates them in
// one pass; the moving statistics follow. The buffers of gradients and moments have the layout of the trainable part.
// Kernels are stored in panels (kernels.h), while users see row-major arrays; only to_rows and from_rows convert
// between the two.
#pragma once
#include <cstddef>
#include <optional>
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

// An array of floats that a backend has allocated: aligned, initialised to zero, and readable a few bytes past its end.
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

// Copies between the row-major array of a kernel and its panels. The padding of the panels stays as it is.
void pack_panels(MatrixView<const float> values, float* panels);
void unpack_panels(const float* panels, MatrixView<float> values);

struct Segment {
  WeightInfo info;
  Penalty penalty;
  Initializer initializer{};
  bool decays = false;          // whether weight decay applies by default, which is so for kernels
  float rate_multiplier = 1.0f, decay_multiplier = 1.0f;
  std::optional<Constraint> constraint{};
  bool panels = false;          // whether it is a kernel and therefore stored in panels
  std::size_t offset = 0, padded = 0;

  void to_rows(const float* base, float* out) const;
  void from_rows(const float* values, float* base) const;   // keeps the padding zero
  // The same for n values only, starting at index `first` in row-major order.
  void from_values(std::size_t first, const float* values, std::size_t n, float* base) const;
};

// Throws std::out_of_range unless the values [first, first + n) of the weight exist.
void require_part(const WeightInfo& info, std::size_t first, std::size_t n);

// The index that stands for a weight that a layer does not have.
inline constexpr std::size_t kNoSegment = static_cast<std::size_t>(-1);

class Parameters {
 public:
  // Adds a segment and returns its index; the offsets are set by layout().
  std::size_t add(WeightInfo info, bool panels, Penalty penalty, bool decays);
  // Adds the weights of the next layer.
  void add_layer(const std::vector<WeightSpec>& weights);
  // Computes the offsets of all segments. Throws std::invalid_argument if the sizes overflow.
  void layout();

  const std::vector<Segment>& segments() const { return segments_; }
  // One of them. Throws std::out_of_range if there is none with this index.
  const Segment& segment(std::size_t index) const;
  // The indices of the segments in the order of their offsets.
  const std::vector<std::size_t>& order() const { return order_; }
  // The segment of a layer's weight, e.g. "bias"; kNoSegment where the layer has none of this name.
  std::size_t find(std::size_t layer, std::string_view weight) const;
  // The indices of a layer's segments.
  Range segments_of(std::size_t layer) const {
    return {layers_[layer], layer + 1 < layers_.size() ? layers_[layer + 1] : segments_.size()};
  }
  // A pointer to a segment in the flat buffer, or in a buffer of the same layout; null for kNoSegment.
  template <class Float>
  Float* in(Float* base, std::size_t segment) const {
    return segment == kNoSegment ? nullptr : base + segments_[segment].offset;
  }
  // The same within the gradients; null also for a weight that is not trained and so has none.
  float* gradient(float* base, std::size_t segment) const {
    return segment == kNoSegment || !segments_[segment].info.trainable ? nullptr : base + segments_[segment].offset;
  }
  const std::vector<WeightInfo>& infos() const { return infos_; }
  std::size_t trainable() const { return trainable_; }   // in floats, including padding
  std::size_t total() const { return total_; }

 private:
  std::vector<Segment> segments_;
  std::vector<std::size_t> layers_;   // the first segment of each layer
  std::vector<std::size_t> order_;
  std::vector<WeightInfo> infos_;
  std::size_t trainable_ = 0, total_ = 0;
};

}  // namespace fastreg
