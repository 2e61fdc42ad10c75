// Model files: safetensors with float32 tensors and the JSON description as the one metadata key `fastreg`. A file is
// data and may come from anyone. Knows nothing of what the description says or how tensors are named.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fastreg {

// Row-major values that stay the caller's.
struct TensorView {
  std::string name;
  std::vector<std::size_t> shape;
  const float* data = nullptr;
};

struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::vector<float> data;
};

struct ModelFile {
  std::string description;
  std::vector<NamedTensor> tensors;  // in the order of their data

  // Null where there is none of this name.
  const NamedTensor* find(std::string_view name) const;
};

// Replaces path in one step: whatever happens, it holds either its old content or all of the new. A symbolic link is
// followed. A new file has the mode 0666 less the umask, an existing one keeps its own; the directory must be readable.
// Throws std::system_error naming the file where the system refuses, std::invalid_argument where the tensors or the
// description cannot be a model file (names twice, a header above 100 MB, text that is not UTF-8).
void write_model(const std::string& path, const std::string& description, const std::vector<TensorView>& tensors);

// Throws std::invalid_argument, naming the file and the rule, for anything that is not a whole and sound model file,
// std::system_error where the system refuses. Allocates for the tensors what the file has room for and no more.
ModelFile read_model(const std::string& path);

}  // namespace fastreg
