// Files and descriptions that claim more data than they contain are refused with little memory and in little time. All
// allocations of operator new are counted here, and the address space is limited, so that mapped buffers count, too.
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"
#include "fastreg/model_file.h"
#include "fastreg/network.h"

namespace {

std::atomic<std::size_t> allocated{0};   // bytes, ever

}  // namespace

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  allocated += bytes;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new(std::size_t bytes) {
  void* const memory = operator new(bytes, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace fastreg;

const std::string path =
    (std::filesystem::temp_directory_path() / ("fastreg_test_hostile_" + std::to_string(getpid()))).string();

std::string described(const std::string& features, const std::string& layers) {
  return R"({"format":1,"n_features":)" + features + R"(,"layers":[)" + layers + "]}";
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '"' ? "\\\"" : std::string(1, c);
  return out;
}

// A model file that holds no tensors.
void put_file(const std::string& description) {
  const std::string header = R"({"__metadata__":{"fastreg":")" + escaped(description) + "\"}}";
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  std::ofstream(path, std::ios::binary) << bytes + header;
}

std::string refusal(std::size_t& bytes) {
  allocated = 0;
  try {
    load_network(path);
  } catch (const std::invalid_argument& refused) {
    bytes = allocated;
    return refused.what();
  }
  return "not refused";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Limits the address space, during its lifetime, to this much more than what is in use. Sanitizers need more than any
// limit.
class LittleSpace {
 public:
  explicit LittleSpace(std::size_t bytes) {
    getrlimit(RLIMIT_AS, &before_);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    std::ifstream("/proc/self/statm") >> pages_;
    rlimit now = before_;
    now.rlim_cur = pages_ * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE)) + bytes;
    setrlimit(RLIMIT_AS, &now);
#else
    static_cast<void>(bytes);
#endif
  }
  ~LittleSpace() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
  std::size_t pages_ = 0;
};

void test_promises_are_compared_with_the_file() {
  const std::string dense = R"({"type":"Dense","units":8000})", norm = R"({"type":"BatchNormalization"})";
  const std::string promises[] = {
      described("8000", dense),
      described("8000", dense + "," + norm),
      described("2147483647", norm),
      described("1", R"({"type":"Dense","units":2147483647,"use_bias":false})"),
      described("60000", R"({"type":"Dense","units":60000})"),
  };
  for (const std::string& promise : promises) {
    check::context = promise;
    put_file(promise);
    const LittleSpace space(std::size_t{32} << 20);
    std::size_t bytes = 0;
    const std::string message = refusal(bytes);
    CHECK(has(message, path + ": tensor layers.0.") && has(message, "is missing"));
    CHECK(bytes < 100'000);
  }
}

// Every weight is checked by name and shape: the same total number of values is not enough.
void test_names_and_shapes_are_compared() {
  const std::string description = described("2", R"({"type":"Dense","units":3})");
  const std::vector<float> values(16, 0.5f);
  const auto message = [&](const std::vector<TensorView>& tensors) {
    write_model(path, description, tensors);
    std::size_t bytes = 0;
    return refusal(bytes);
  };
  const float* data = values.data();
  CHECK(message({{"layers.0.kernel", {2, 3}, data}, {"layers.0.bias", {3}, data}}) == "not refused");
  CHECK(has(message({{"layers.0.kernel", {2, 3}, data}, {"layers.0.beta", {3}, data}}), "layers.0.bias is missing"));
  CHECK(has(message({{"layers.0.kernel", {3, 2}, data}, {"layers.0.bias", {3}, data}}),
            "layers.0.kernel must have shape (2, 3), got (3, 2)"));
  CHECK(has(message({{"layers.0.kernel", {2, 3}, data}, {"layers.0.bias", {1, 3}, data}}),
            "layers.0.bias must have shape (3,), got (1, 3)"));
  CHECK(has(message({{"layers.0.kernel", {9}, data}}), "layers.0.kernel must have shape (2, 3), got (9,)"));
}

// Very many layers, each with a penalty of its own, must not take quadratic time. With it, a file of 20,000 took 10 s.
void test_many_layers_are_refused_soon() {
  std::string layers;
  for (int i = 1; i <= 50'000; ++i)
    layers += std::string(i > 1 ? "," : "") + R"({"type":"Dense","units":1,"kernel_regularizer":{"type":"L1L2","l2":)" +
              std::to_string(i) + "}}";
  put_file(described("1", layers));
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  std::size_t bytes = 0;
  CHECK(has(refusal(bytes), "layers.0.kernel is missing"));
  getrusage(RUSAGE_SELF, &after);
  const auto seconds = after.ru_utime.tv_sec - before.ru_utime.tv_sec;
  CHECK(seconds < 60);
  CHECK(bytes < std::size_t{1} << 30);
}

}  // namespace

int main() {
  test_promises_are_compared_with_the_file();
  test_names_and_shapes_are_compared();
  test_many_layers_are_refused_soon();
  std::filesystem::remove(path);
  return report("hostile");
}
