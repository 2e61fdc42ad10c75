// Rows of an array as a Predictor reads them: in place or, where the core does not know the element type or the
// elements of a row are not neighbours, converted to float32 a block at a time.
#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "fastreg/predictor.h"

namespace fastreg::bindings {

// Where the elements of a matrix lie: element (r, c) is at data + r * row_step + c * col_step, and aligned.
struct Elements {
  const char* data;
  std::size_t rows, cols;
  std::ptrdiff_t row_step, col_step;
  char kind;          // 'b' for bools, whose bytes may be any, 'i', 'u' or 'f', as NumPy has it
  std::size_t size;   // of an element, in bytes
};

// Memory for some floats, on the stack if they are few.
class Floats {
 public:
  explicit Floats(std::size_t count) : many_(count > kFew ? count : 0) {}
  float* data() { return many_.empty() ? few_ : many_.data(); }

 private:
  static constexpr std::size_t kFew = 1024;
  alignas(64) float few_[kFew];
  std::vector<float> many_;
};

class Rows {
 public:
  // Null for element types that are not known. cols >= 1.
  static std::optional<Rows> of(const Elements& elements);

  // Whether a finite element may be infinite as float32.
  bool may_be_beyond_float32() const { return elements_.kind == 'f' && elements_.size > sizeof(float); }
  // Whether the elements lie in a part of the memory that overlaps these bytes.
  bool overlap(const void* begin, std::size_t bytes) const;
  // `rows` of them, from row `first` on.
  Rows part(std::size_t first, std::size_t rows) const;
  // out = predictor(rows); returns what Predictor::predict_features does. It may allocate a block of rows.
  bool predict(const Predictor& predictor, MatrixView<float> out) const;

 private:
  // Converts rows to float32, one behind the other. Returns whether finite numbers stayed finite.
  using Convert = bool (*)(const Elements& from, std::size_t begin, std::size_t n, float* out);

  Rows(const Elements& elements, Convert convert);

  Elements elements_;
  Convert convert_;
  std::optional<Features> direct_;   // what the core reads itself
};

}  // namespace fastreg::bindings
