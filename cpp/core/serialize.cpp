// Reads and writes the safetensors format: the length of the header in 8 little-endian bytes, a JSON header, then the
// values of all tensors without gaps. The header is {"__metadata__": {"fastreg": description}, name: {"dtype": "F32",
// "shape": [...], "data_offsets": [begin, end]}, ...} with offsets in bytes from the end of the header. This file knows
// the format and its rules; file.h opens and replaces files.
#include "fastreg/model_file.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include "core/file.h"
#include "fastreg/json.h"

namespace fastreg {

// In a namespace with a name, because ModelReader::Open has a Header and is visible to other units.
namespace tensor_file {

struct TensorEntry {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t begin = 0, end = 0;  // in bytes from the start of the data
};

struct Header {
  std::string description;
  std::vector<TensorEntry> tensors;
  std::size_t data = 0;  // the offset in the file at which the data begins; read_header sets it
};

}  // namespace tensor_file

namespace {

using tensor_file::Header;
using tensor_file::TensorEntry;

static_assert(std::endian::native == std::endian::little, "model files are little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeader = 100'000'000;  // the limit that the format itself has
constexpr std::size_t kDataAlignment = 64;
constexpr std::size_t kMaxDimensions = 32;  // the limit that every version of NumPy accepts
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kDescription = "fastreg";

[[noreturn]] void fail(const std::string& rule) { throw std::invalid_argument(rule); }

// The size of a float32 tensor in bytes, or nothing if size_t cannot hold it.
std::optional<std::size_t> byte_size(const std::vector<std::size_t>& shape) {
  std::size_t bytes = sizeof(float);
  for (const std::size_t extent : shape) {
    if (extent != 0 && bytes > std::numeric_limits<std::size_t>::max() / extent) return std::nullopt;
    bytes *= extent;
  }
  return bytes;
}

std::string description_of(const Json* metadata) {
  if (metadata == nullptr) fail("no metadata: this safetensors file was not written by fastreg");
  const auto* members = metadata->get<Json::Object>();
  if (members == nullptr) fail("__metadata__ must be an object");
  for (const auto& [name, value] : *members) {
    if (value.get<std::string>() == nullptr) fail("__metadata__: " + quoted({name}) + " must be a string");
  }
  const Json* description = metadata->find(kDescription);
  if (description == nullptr) fail("no metadata key fastreg: this safetensors file was not written by fastreg");
  return *description->get<std::string>();
}

std::vector<std::size_t> whole_numbers(const Json& json, const std::string& what) {
  const auto* array = json.get<Json::Array>();
  if (array == nullptr) fail(what + " must be an array");
  std::vector<std::size_t> result;
  result.reserve(array->size());
  for (const Json& item : *array) {
    const auto* number = item.get<std::uint64_t>();
    if (number == nullptr) fail(what + " must hold integers in [0, 2^64)");
    result.push_back(*number);
  }
  return result;
}

TensorEntry tensor_of(const std::string& name, const Json& json) {
  const std::string where = "tensor " + quoted({name}) + ": ";
  const auto* members = json.get<Json::Object>();
  const Json *dtype = json.find("dtype"), *shape = json.find("shape"), *offsets = json.find("data_offsets");
  if (members == nullptr || members->size() != 3 || dtype == nullptr || shape == nullptr || offsets == nullptr) {
    fail(where + "must have dtype, shape and data_offsets and nothing else");
  }
  const auto* type = dtype->get<std::string>();
  if (type == nullptr || *type != "F32") {
    fail(where + "dtype must be F32, got " + (type != nullptr ? quoted({*type}) : "no string"));
  }
  const auto range = whole_numbers(*offsets, where + "data_offsets");
  if (range.size() != 2) fail(where + "data_offsets must be two numbers, got " + std::to_string(range.size()));
  TensorEntry entry{name, whole_numbers(*shape, where + "shape"), range[0], range[1]};
  if (entry.shape.size() > kMaxDimensions) {
    fail(where + "shape must have at most 32 dimensions, got " + std::to_string(entry.shape.size()));
  }
  return entry;
}

// Sorts the tensors by offset and checks that each begins where the one before ends and that the last ends with the
// data.
void check_layout(std::vector<TensorEntry>& tensors, std::size_t data_bytes) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::size_t at = 0;
  for (const TensorEntry& tensor : tensors) {
    const std::string where = "tensor " + quoted({tensor.name}) + ": data_offsets ";
    const std::string got = ", got [" + std::to_string(tensor.begin) + ", " + std::to_string(tensor.end) + "]";
    if (tensor.begin != at) {
      fail(where + "must begin at " + std::to_string(at) + ", without a gap or overlap" + got);
    }
    if (tensor.end < tensor.begin || tensor.end > data_bytes) {
      fail(where + "must end within the " + std::to_string(data_bytes) + " bytes of data" + got);
    }
    if (byte_size(tensor.shape) != tensor.end - tensor.begin) {
      fail(where + "must span the bytes of shape times 4" + got);
    }
    at = tensor.end;
  }
  if (at != data_bytes) {
    fail("the tensors must fill the file: they take " + std::to_string(at) + " of " + std::to_string(data_bytes) +
         " bytes");
  }
}

Header parse_header(std::string_view text, std::size_t data_bytes) {
  if (text.empty() || text.front() != '{') fail("the header must begin with '{'");
  const Json json = parse_json(text);
  Header header{description_of(json.find(kMetadata)), {}, 0};
  for (const auto& [name, value] : *json.get<Json::Object>()) {
    if (name != kMetadata) header.tensors.push_back(tensor_of(name, value));
  }
  check_layout(header.tensors, data_bytes);
  return header;
}

// Headers are built one member at a time, with moves. Nested initializer lists would copy the variants, and GCC 12
// destroys some of them twice if such a copy runs out of memory.
template <class Value>
void add(Json::Object& object, std::string name, Value value) {
  Json::Member& member = object.emplace_back();
  member.name = std::move(name);
  member.value.value = std::move(value);
}

Json::Array numbers(const std::vector<std::size_t>& values) {
  Json::Array result;
  for (const std::size_t value : values) result.emplace_back().value = std::uint64_t{value};
  return result;
}

// The header, followed by spaces, so that the data begins at a multiple of kDataAlignment.
std::string format_header(const std::string& description, const std::vector<TensorView>& tensors) {
  Json::Object members, metadata;
  add(metadata, kDescription, description);
  add(members, kMetadata, std::move(metadata));
  std::size_t at = 0;
  for (const TensorView& tensor : tensors) {
    const auto bytes = byte_size(tensor.shape);
    if (!bytes || *bytes > std::numeric_limits<std::size_t>::max() - at) {
      fail("tensor " + quoted({tensor.name}) + ": shape is too large");
    }
    if (*bytes > 0 && tensor.data == nullptr) fail("tensor " + quoted({tensor.name}) + ": data is null");
    Json::Object fields;
    add(fields, "dtype", std::string("F32"));
    add(fields, "shape", numbers(tensor.shape));
    add(fields, "data_offsets", numbers({at, at + *bytes}));
    add(members, tensor.name, std::move(fields));
    at += *bytes;
  }
  Json header;
  header.value = std::move(members);
  std::string text = header.dump();
  text.append((kDataAlignment - (kLengthBytes + text.size()) % kDataAlignment) % kDataAlignment, ' ');
  if (text.size() > kMaxHeader) fail("the header must not be longer than 100 MB, got " + std::to_string(text.size()));
  parse_header(text, at);  // a header that the reader would reject must never be written
  return text;
}

Header read_header(InputFile& file) {
  const std::size_t size = file.size();
  if (size < kLengthBytes) fail("not a safetensors file: it has " + std::to_string(size) + " bytes, less than 8");
  std::uint64_t length = 0;
  file.read(&length, sizeof length);
  if (length > size - kLengthBytes || length > kMaxHeader) {
    fail("not a whole safetensors file: the header length must be at most " +
         std::to_string(std::min(size - kLengthBytes, kMaxHeader)) + ", got " + std::to_string(length));
  }
  std::string text(length, '\0');
  file.read(text.data(), text.size());
  Header header = parse_header(text, size - kLengthBytes - length);
  header.data = kLengthBytes + length;
  return header;
}

ModelFile read_all(InputFile& file) {
  Header header = read_header(file);
  ModelFile model{std::move(header.description), {}};
  model.tensors.reserve(header.tensors.size());
  for (TensorEntry& entry : header.tensors) {
    const std::size_t bytes = entry.end - entry.begin;
    NamedTensor& tensor = model.tensors.emplace_back();
    tensor.name = std::move(entry.name);
    tensor.shape = std::move(entry.shape);
    tensor.data.resize(bytes / sizeof(float));
    file.read(tensor.data.data(), bytes);
  }
  return model;
}

}  // namespace

const NamedTensor* ModelFile::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
  return found != tensors.end() ? &*found : nullptr;
}

void write_model(const std::string& path, const std::string& description, const std::vector<TensorView>& tensors) {
  naming(path, [&] {
    const std::string header = format_header(description, tensors);
    const std::uint64_t length = header.size();
    FileReplacement file(path);
    file.write(&length, sizeof length);
    file.write(header.data(), header.size());
    for (const TensorView& tensor : tensors) file.write(tensor.data, *byte_size(tensor.shape));
    file.commit();
  });
}

ModelFile read_model(const std::string& path) {
  return naming(path, [&] {
    InputFile file(path);
    return read_all(file);
  });
}

struct ModelReader::Open {
  explicit Open(const std::string& of) : path(of), file(of), header(read_header(file)) {
    for (const TensorEntry& entry : header.tensors)
      tensors.push_back({entry.name, entry.shape, (entry.end - entry.begin) / sizeof(float)});
  }
  std::string path;
  InputFile file;
  Header header;
  std::vector<TensorInfo> tensors;
};

ModelReader::ModelReader(const std::string& path)
    : open_(naming(path, [&] { return std::make_unique<Open>(path); })) {}
ModelReader::~ModelReader() = default;
ModelReader::ModelReader(ModelReader&&) noexcept = default;
ModelReader& ModelReader::operator=(ModelReader&&) noexcept = default;

const std::string& ModelReader::description() const { return open_->header.description; }
const std::vector<TensorInfo>& ModelReader::tensors() const { return open_->tensors; }

void ModelReader::read(std::size_t tensor, std::size_t first, float* out, std::size_t n) const {
  if (tensor >= open_->tensors.size())
    throw std::out_of_range("ModelReader: tensor must be below " + std::to_string(open_->tensors.size()) + ", got " +
                            std::to_string(tensor));
  const TensorInfo& info = open_->tensors[tensor];
  if (first > info.size || n > info.size - first)
    throw std::out_of_range("ModelReader: " + info.name + " has " + std::to_string(info.size) + " values, got " +
                            std::to_string(n) + " from " + std::to_string(first) + " on");
  const std::size_t offset = open_->header.data + open_->header.tensors[tensor].begin + first * sizeof(float);
  naming(open_->path, [&] { open_->file.read_at(offset, out, n * sizeof(float)); });
}

}  // namespace fastreg
