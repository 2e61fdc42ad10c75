// Model files: safetensors with float32 tensors and with the JSON description under the metadata key `fastreg`. A file
// may come from anyone; reading one never runs code. This header knows nothing of what a description says or how
// tensors are named. write_file replaces a file of any other content in the same safe way.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace fastreg {

// The error for what the system refuses to do with a file.
class FileError : public std::system_error {
 public:
  FileError(int number, const std::string& action, const std::string& path, const std::string& detail);
  const std::string& path() const { return path_; }      // the path as the caller gave it
  const std::string& detail() const { return detail_; }  // the cause, where it is not the file itself; mostly empty

 private:
  std::string path_, detail_;
};

// A tensor whose row-major values belong to the caller.
struct TensorView {
  std::string name{};
  std::vector<std::size_t> shape{};
  const float* data = nullptr;
};

struct NamedTensor {
  std::string name{};
  std::vector<std::size_t> shape{};
  std::vector<float> data{};
};

struct ModelFile {
  std::string description{};
  std::vector<NamedTensor> tensors{};  // in the order of their data

  // The tensor with this name, or null if there is none.
  const NamedTensor* find(std::string_view name) const;
};

// Replaces path in one step: whatever happens, the file holds either all of its old content or all of the new one. A
// symbolic link is followed. A new file has the mode 0666 minus the umask, an existing one keeps its mode. The
// directory must be readable. A process that is killed while it writes leaves a temporary file beside path
// (.fastreg-*.tmp); a later call removes it once it is older than an hour. Throws FileError if the system refuses, and
// std::invalid_argument if the tensors or the description cannot be a model file (duplicate names, a header above 100
// MB, text that is not UTF-8).
void write_model(const std::string& path, const std::string& description, const std::vector<TensorView>& tensors);

// Throws std::invalid_argument, naming the file and the rule, unless the file is a complete and valid model file, and
// FileError if the system refuses. It allocates no more memory for the tensors than the size of the file allows.
ModelFile read_model(const std::string& path);

struct TensorInfo {
  std::string name{};
  std::vector<std::size_t> shape{};
  std::size_t size = 0;  // the number of values
};

// A model file that stays open. The header is read and checked by the constructor, the values when they are asked for,
// so that a large model is never in memory twice.
class ModelReader {
 public:
  explicit ModelReader(const std::string& path);  // throws as read_model does
  ~ModelReader();
  ModelReader(ModelReader&&) noexcept;
  ModelReader& operator=(ModelReader&&) noexcept;

  const std::string& description() const;
  const std::vector<TensorInfo>& tensors() const;  // in the order of their data
  // Copies n values of a tensor, starting at index `first` in row-major order. Throws std::out_of_range if there is no
  // such tensor or it does not have these values, and std::invalid_argument if the file has shrunk since it was opened.
  void read(std::size_t tensor, std::size_t first, float* out, std::size_t n) const;

 private:
  struct Open;
  std::unique_ptr<Open> open_;
};

// Replaces path by any content, as write_model does. Throws FileError, or std::invalid_argument if path is something
// other than a regular file.
void write_file(const std::string& path, std::string_view content);

}  // namespace fastreg
