// Model files: safetensors with float32 tensors and the JSON description as the one metadata key `fastreg`. A file is
// data and may come from anyone. Knows nothing of what the description says or how tensors are named. Other files are
// written whole in the same way.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace fastreg {

// What the system refuses to do with a file.
class FileError : public std::system_error {
 public:
  FileError(int number, const std::string& action, const std::string& path, const std::string& detail);
  const std::string& path() const { return path_; }      // as it was given
  const std::string& detail() const { return detail_; }  // what beside the file is to blame; mostly empty

 private:
  std::string path_, detail_;
};

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
// A writer that is killed leaves a temporary file beside path (.fastreg-*.tmp); a later one removes it, when it is older
// than an hour. Throws FileError where the system refuses, std::invalid_argument where the tensors or the description
// cannot be a model file (names twice, a header above 100 MB, text that is not UTF-8).
void write_model(const std::string& path, const std::string& description, const std::vector<TensorView>& tensors);

// Throws std::invalid_argument, naming the file and the rule, for anything that is not a whole and sound model file,
// FileError where the system refuses. Allocates for the tensors what the file has room for and no more.
ModelFile read_model(const std::string& path);

struct TensorInfo {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t size = 0;  // values
};

// A model file that stays open: its header is read and checked at once, its values when they are asked for, so that a
// large model is never in memory twice.
class ModelReader {
 public:
  explicit ModelReader(const std::string& path);  // throws as read_model does
  ~ModelReader();
  ModelReader(ModelReader&&) noexcept;
  ModelReader& operator=(ModelReader&&) noexcept;

  const std::string& description() const;
  const std::vector<TensorInfo>& tensors() const;  // in the order of their data
  // Copies n values of a tensor, in row-major order from the value `first` on. Throws std::out_of_range for values that
  // it does not have, std::invalid_argument where the file has shrunk meanwhile.
  void read(std::size_t tensor, std::size_t first, float* out, std::size_t n) const;

 private:
  struct Open;
  std::unique_ptr<Open> open_;
};

// Replaces path by any bytes, as write_model does. Throws FileError, or std::invalid_argument where path is something
// other than a regular file.
void write_file(const std::string& path, std::string_view content);

}  // namespace fastreg
