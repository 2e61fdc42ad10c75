// Model files: values that are written are read back bit by bit, in the published layout; a damaged or hostile file is
// a std::invalid_argument and nothing worse; a save that fails or competes with another leaves a complete file. The
// program prints what failed and exits with a status other than 0. It works in a new folder in the system's temporary
// folder.
#include "fastreg/model_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using namespace fastreg;
namespace fs = std::filesystem;

int failures = 0;

void check(bool good, const std::string& what, int line) {
  if (good) return;
  ++failures;
  std::fprintf(stderr, "test_serialize.cpp:%d: %s\n", line, what.c_str());
}
#define CHECK(condition) check((condition), #condition, __LINE__)

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class Body>
int system_error_of(Body body, const std::string& word) {
  try {
    body();
  } catch (const std::system_error& error) {
    check(has(error.what(), word), std::string("message must name ") + word + ": " + error.what(), __LINE__);
    return error.code().value();
  }
  return 0;
}

template <class Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

fs::path make_folder() {
  std::string name = (fs::temp_directory_path() / "fastreg-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    std::perror("mkdtemp");
    std::exit(2);
  }
  return name;
}

const fs::path folder = make_folder();

std::string in_folder(const std::string& name) { return (folder / name).string(); }

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::vector<std::string> names_in_folder() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void clear_folder() {
  for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
}

std::string file_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

const std::vector<float> kernel = {1.0f, -2.5f, 3.25f, 0.0f, -0.0f, 1e-45f}, bias = {7.0f, 8.0f, 9.0f};

void write_small(const std::string& path) {
  write_model(path, R"({"format":1})", {{"a", {2, 3}, kernel.data()}, {"b", {3}, bias.data()}});
}

void bytes_follow_the_published_layout() {
  const std::string path = in_folder("small");
  write_small(path);
  std::string header =
      R"({"__metadata__":{"fastreg":"{\"format\":1}"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"F32","shape":[3],"data_offsets":[24,36]}})";
  while ((8 + header.size()) % 64 != 0) header += ' ';
  std::string data(36, '\0');
  std::memcpy(data.data(), kernel.data(), 24);
  std::memcpy(data.data() + 24, bias.data(), 12);
  CHECK(bytes_of(path) == file_bytes(header, data));
  CHECK(names_in_folder() == std::vector<std::string>{"small"});
}

bool same(const NamedTensor& got, const TensorView& given) {
  return got.name == given.name && got.shape == given.shape &&
         (got.data.empty() || std::memcmp(got.data.data(), given.data, got.data.size() * sizeof(float)) == 0);
}

void what_is_written_is_read() {
  std::vector<float> values(1000);
  std::iota(values.begin(), values.end(), -500.0f);
  const std::uint32_t nan_with_payload = 0x7FC12345u;
  std::memcpy(&values[3], &nan_with_payload, sizeof nan_with_payload);
  const std::vector<TensorView> tensors = {{"empty", {0, 7}, nullptr},
                                           {"scalar", {}, values.data() + 3},
                                           {"\xC3\x9C\"\\\n/name", {5, 1, 2}, values.data() + 10},
                                           {"", {3}, values.data()},
                                           {"big", {10, 100}, values.data()},
                                           {"empty at the end", {0}, nullptr}};
  const std::string description = "{\"text\":\"\xE7\xBD\x91 \\u0000 \\\" \"}";
  const std::string path = in_folder("\xC3\x9C net");
  write_model(path, description, tensors);
  const ModelFile model = read_model(path);
  CHECK(model.description == description && model.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::size_t n = std::accumulate(tensors[i].shape.begin(), tensors[i].shape.end(), std::size_t{1},
                                          std::multiplies<>());
    CHECK(model.tensors[i].data.size() == n && same(model.tensors[i], tensors[i]));
    CHECK(model.find(tensors[i].name) == &model.tensors[i]);
  }
  CHECK(model.find("absent") == nullptr);
  write_model(path, "", {});
  CHECK(read_model(path).description.empty() && read_model(path).tensors.empty());
}

// Other writers may list the tensors in any order and indent their header.
void headers_of_other_writers_are_read() {
  const std::string path = in_folder("other");
  put(path, file_bytes("{ \"b\" : {\"data_offsets\":[4,8],\"shape\":[1],\"dtype\":\"F32\"},\n \"a\":{\"dtype\":\"F32\","
                       "\"shape\":[],\"data_offsets\":[0,4]}, \"__metadata__\":{\"x\":\"y\",\"fastreg\":\"d\"}}",
                       std::string("\0\0\x80\x3F\0\0\0\x40", 8)));
  const ModelFile model = read_model(path);
  CHECK(model.description == "d" && model.tensors.size() == 2);
  CHECK(model.tensors[0].name == "a" && model.tensors[0].data == std::vector<float>{1.0f});
  CHECK(model.tensors[1].name == "b" && model.tensors[1].data == std::vector<float>{2.0f});
}

void unwritable_models_are_refused_and_leave_nothing() {
  clear_folder();
  const float one = 1.0f;
  const auto refused = [&](const std::string& description, const std::vector<TensorView>& tensors) {
    return message_of([&] { write_model(in_folder("refused"), description, tensors); });
  };
  CHECK(has(refused("", {{"twice", {1}, &one}, {"twice", {1}, &one}}), "refused: JSON: duplicate name \"twice\""));
  CHECK(has(refused("", {{"__metadata__", {1}, &one}}), "duplicate name \"__metadata__\""));
  CHECK(has(refused("\xFF", {}), "invalid UTF-8"));
  CHECK(has(refused("", {{"\xFF", {1}, &one}}), "invalid UTF-8"));
  CHECK(has(refused("", {{"a", {1}, nullptr}}), "tensor \"a\": data is null"));
  CHECK(has(refused("", {{"a", {SIZE_MAX, 2}, &one}}), "tensor \"a\": shape is too large"));
  CHECK(has(refused("", {{"a", {SIZE_MAX / 4}, &one}, {"b", {1}, &one}}), "tensor \"b\": shape is too large"));
  CHECK(has(refused("", {{"a", std::vector<std::size_t>(33, 1), &one}}), "at most 32 dimensions, got 33"));
  CHECK(has(refused(std::string(100'000'000, 'x'), {}), "must not be longer than 100 MB"));
  CHECK(names_in_folder().empty());
}

// An empty text if the file can be loaded, else the message.
std::string refusal_of(const std::string& bytes) {
  const std::string path = in_folder("hostile");
  put(path, bytes);
  try {
    read_model(path);
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()).rfind(path + ": ", 0) == 0);
    CHECK(std::strlen(error.what()) < path.size() + 300);
    return error.what();
  }
  return "";
}

void every_damage_is_refused_or_harmless() {
  write_small(in_folder("small"));
  const std::string good = bytes_of(in_folder("small"));
  CHECK(refusal_of(good).empty());
  for (std::size_t size = 0; size < good.size(); ++size) CHECK(!refusal_of(good.substr(0, size)).empty());
  for (const std::size_t more : {1, 4, 64}) CHECK(!refusal_of(good + std::string(more, '\0')).empty());
  const std::size_t data = good.size() - 36;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int mask : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ mask);
      const bool loads = refusal_of(bytes).empty();
      CHECK(i < data || loads);  // any bits are values
      CHECK(i >= 8 || !loads);   // another header length never fits
    }
    std::string bytes = good;
    if (i < data) CHECK(!refusal_of(bytes.erase(i, 1)).empty());
  }
}

const std::string kMeta = R"("__metadata__":{"fastreg":""})";

// A header whose one tensor has these members, before 8 bytes of data.
std::string with_tensor(const std::string& members) {
  return file_bytes("{" + kMeta + ",\"t\":{" + members + "}}", std::string(8, '\0'));
}
std::string with_offsets(const std::string& offsets) {
  return with_tensor(R"("dtype":"F32","shape":[2],"data_offsets":)" + offsets);
}
std::string with_shape(const std::string& shape) {
  return with_tensor(R"("dtype":"F32","data_offsets":[0,8],"shape":)" + shape);
}
std::string with_header(const std::string& header) { return file_bytes(header, ""); }

std::string with_length(std::uint64_t length) {
  std::string bytes = with_header("{" + kMeta + "}");
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes;
}

void hostile_headers_are_refused_with_the_rule() {
  const struct { std::string bytes, words; } rows[] = {
      {"", "it has 0 bytes"}, {"1234567", "it has 7 bytes"},
      {with_length(0), "must begin with '{'"}, {with_length(UINT64_MAX), "header length must be at most"},
      {with_length(UINT64_MAX - 7), "header length must be at most"}, {with_length(1u << 31), "header length"},
      {with_header("[]"), "must begin with '{'"}, {with_header(" {}"), "must begin with '{'"},
      {with_header("{" + kMeta + "}x"), "nothing may follow"}, {with_header("{" + kMeta), "expected ',' or '}'"},
      {with_header("{\"\xFF\":1}"), "invalid UTF-8"}, {with_header("{}"), "not written by fastreg"},
      {with_header(R"({"__metadata__":{"format":"pt"}})"), "no metadata key fastreg"},
      {with_header(R"({"__metadata__":[]})"), "__metadata__ must be an object"},
      {with_header(R"({"__metadata__":{"fastreg":{}}})"), "\"fastreg\" must be a string"},
      {with_header(R"({"__metadata__":{"fastreg":"","x":1}})"), "\"x\" must be a string"},
      {with_header("{" + kMeta + "," + kMeta + "}"), "duplicate name \"__metadata__\""},
      {with_header("{" + kMeta + R"(,"t":null})"), "tensor \"t\": must have dtype"},
      {with_header("{" + kMeta + ",\"" + std::string(1'000'000, 'n') + "\":1}"), "nnn..."},
      {with_tensor(R"("dtype":"F32","shape":[2])"), "must have dtype, shape and data_offsets"},
      {with_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)"), "and nothing else"},
      {with_tensor(R"("dtype":"BF16","shape":[4],"data_offsets":[0,8])"), "dtype must be F32, got \"BF16\""},
      {with_tensor(R"("dtype":32,"shape":[2],"data_offsets":[0,8])"), "dtype must be F32, got no string"},
      {with_offsets("8"), "data_offsets must be an array"}, {with_offsets("[8]"), "must be two numbers, got 1"},
      {with_offsets("[0,4,8]"), "must be two numbers, got 3"}, {with_offsets("[-8,0]"), "integers in [0, 2^64)"},
      {with_offsets("[0.5,8]"), "integers in [0, 2^64)"}, {with_offsets("[0,18446744073709551616]"), "integers in"},
      {with_offsets("[8,0]"), "must begin at 0"}, {with_offsets("[4,8]"), "must begin at 0"},
      {with_offsets("[0,4]"), "bytes of shape times 4"}, {with_offsets("[0,16]"), "must end within the 8 bytes"},
      {with_offsets("[0,18446744073709551615]"), "must end within the 8 bytes"},
      {with_offsets("[18446744073709551608,18446744073709551615]"), "must begin at 0"},
      {with_shape("2"), "shape must be an array"}, {with_shape("[3]"), "bytes of shape times 4"},
      {with_shape("[-2]"), "integers in [0, 2^64)"}, {with_shape("[4611686018427387906]"), "bytes of shape times 4"},
      {with_shape("[4294967296,4294967296,2]"), "bytes of shape times 4"},
      {with_shape("[0]"), "bytes of shape times 4"},
      {with_shape("[9223372036854775808,4,0]"), "bytes of shape times 4"},
      {file_bytes("{" + kMeta + "}", "1234"), "they take 0 of 4 bytes"},
      {file_bytes("{" + kMeta + R"(,"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                  R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", std::string(12, '\0')),
       "tensor \"b\": data_offsets must begin at 8, without a gap or overlap, got [4, 12]"},
      {with_header("{\"a\":" + std::string(1'000'000, '[')), "nested deeper than 64"}};
  for (const auto& row : rows) {
    const std::string message = refusal_of(row.bytes);
    check(has(message, row.words), "wanted \"" + row.words + "\" in \"" + message + "\"", __LINE__);
  }
  CHECK(refusal_of(with_offsets("[0,8]")).empty() && refusal_of(with_shape("[2,1,1]")).empty());
}

// A sparse file may claim any size, but its header is checked first.
void a_huge_file_is_refused_before_it_is_read() {
  const std::string path = in_folder("huge");
  put(path, with_length(90'000'000'000));
  fs::resize_file(path, 100'000'000'000);
  CHECK(has(message_of([&] { read_model(path); }), "must be at most 100000000, got 90000000000"));
  fs::remove(path);
}

void only_regular_files_are_read() {
  const std::string pipe = in_folder("pipe");
  CHECK(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(has(message_of([&] { read_model(pipe); }), "pipe: must be a regular file"));
  CHECK(has(message_of([] { read_model("/dev/zero"); }), "/dev/zero: must be a regular file"));
  CHECK(has(message_of([] { read_model(std::string("a\0b", 3)); }), "NUL"));
  CHECK(system_error_of([] { read_model(folder.string()); }, "fastreg-test-") == EISDIR);
  CHECK(system_error_of([] { read_model(in_folder("absent")); }, "absent") == ENOENT);
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  CHECK(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

void modes_and_links_are_kept() {
  clear_folder();
  const mode_t before = umask(027);
  write_small(in_folder("net"));
  CHECK(mode_of(in_folder("net")) == 0640);
  CHECK(chmod(in_folder("net").c_str(), 0604) == 0);
  write_small(in_folder("net"));
  CHECK(mode_of(in_folder("net")) == 0604);
  umask(before);

  fs::create_directory(in_folder("deep"));
  put(in_folder("deep/target"), "old");
  fs::create_symlink("target", in_folder("deep/second"));
  fs::create_symlink("deep/second", in_folder("link"));
  write_small(in_folder("link"));
  CHECK(fs::is_symlink(in_folder("link")) && fs::is_symlink(in_folder("deep/second")));
  CHECK(!fs::is_symlink(in_folder("deep/target")));
  CHECK(bytes_of(in_folder("deep/target")) == bytes_of(in_folder("net")));
  fs::create_symlink("new", in_folder("dangling"));
  write_small(in_folder("dangling"));
  CHECK(fs::is_symlink(in_folder("dangling")) && bytes_of(in_folder("new")) == bytes_of(in_folder("net")));
  fs::create_symlink("loop", in_folder("loop"));
  CHECK(system_error_of([] { write_small(in_folder("loop")); }, "loop") == ELOOP);
  CHECK((names_in_folder() == std::vector<std::string>{"dangling", "deep", "link", "loop", "net", "new"}));

  const fs::path here = fs::current_path();
  fs::current_path(folder);
  write_small("relative");
  fs::current_path(here);
  CHECK(read_model(in_folder("relative")).tensors.size() == 2);
}

void refused_saves_leave_what_was_there() {
  clear_folder();
  put(in_folder("net"), "old");
  fs::create_directory(in_folder("folder"));
  CHECK(mkfifo(in_folder("pipe").c_str(), 0600) == 0);
  CHECK(system_error_of([] { write_small(in_folder("folder")); }, "folder") == EISDIR);
  CHECK(system_error_of([] { write_small(in_folder("folder/")); }, "folder") == EISDIR);
  CHECK(system_error_of([] { write_small(in_folder("absent/net")); }, "absent/net") == ENOENT);
  CHECK(system_error_of([] { write_small(in_folder("net/net")); }, "net/net") == ENOTDIR);
  CHECK(system_error_of([] { write_small(""); }, "cannot write") == ENOENT);
  CHECK(has(message_of([] { write_small(in_folder("pipe")); }), "pipe: must be a regular file"));
  CHECK(has(message_of([] { write_small(std::string("a\0b", 3)); }), "NUL"));
  if (geteuid() != 0) {  // root may write anything
    CHECK(chmod(in_folder("net").c_str(), 0444) == 0);
    CHECK(system_error_of([] { write_small(in_folder("net")); }, "net") == EACCES);
    CHECK(chmod(in_folder("net").c_str(), 0644) == 0);
  }
  // A full disk, played by a limit on the size of files.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old {};
  CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const rlimit small{200, old.rlim_max};
  CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK(system_error_of([] { write_small(in_folder("net")); }, "net") == EFBIG);
  CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
  CHECK(bytes_of(in_folder("net")) == "old");
  CHECK((names_in_folder() == std::vector<std::string>{"folder", "net", "pipe"}));
}

// Two threads replace a file again and again. A reader always finds one of the two complete models.
void a_reader_never_sees_half_a_file() {
  clear_folder();
  const std::string path = in_folder("net");
  constexpr std::size_t kSize = 100'000;
  const auto save = [&](float value) {
    const std::vector<float> values(kSize, value);
    write_model(path, std::to_string(value), {{"values", {kSize}, values.data()}});
  };
  save(1.0f);
  std::atomic<bool> stop{false};
  const auto keep_saving = [&](float value) {
    while (!stop) save(value);
  };
  std::thread first(keep_saving, 1.0f), second(keep_saving, 2.0f);
  for (int i = 0; i < 100; ++i) {
    const ModelFile model = read_model(path);
    const float value = model.tensors[0].data[0];
    CHECK(model.description == std::to_string(value));
    CHECK(model.tensors[0].data == std::vector<float>(kSize, value));
  }
  stop = true;
  first.join();
  second.join();
  CHECK(names_in_folder() == std::vector<std::string>{"net"});
}

}  // namespace

int main() {
  bytes_follow_the_published_layout();
  what_is_written_is_read();
  headers_of_other_writers_are_read();
  unwritable_models_are_refused_and_leave_nothing();
  every_damage_is_refused_or_harmless();
  hostile_headers_are_refused_with_the_rule();
  a_huge_file_is_refused_before_it_is_read();
  only_regular_files_are_read();
  modes_and_links_are_kept();
  refused_saves_leave_what_was_there();
  a_reader_never_sees_half_a_file();
  fs::remove_all(folder);
  return failures == 0 ? 0 : 1;
}
