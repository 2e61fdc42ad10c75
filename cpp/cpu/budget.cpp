// How many threads and how much memory this process may use, by its affinity mask, its control group (versions 1 and 2)
// and the environment. For tests, FASTREG_CGROUP_ROOT names a folder that is read instead of /sys/fs/cgroup.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "fastreg/runtime.h"
#include "fastreg/strict_math.h"

namespace fastreg {
namespace {

std::string cgroup_root() {
  const char* root = std::getenv("FASTREG_CGROUP_ROOT");
  return root && *root ? root : "/sys/fs/cgroup";
}

// Runs f, which reads from the stream until nothing more can be read. With `exceptions` set, a lack of memory is an
// exception; by default a stream treats it like the end of the file, and a limit that is in the file would be missed.
template <class F>
void reading(std::istream& stream, F f) {
  stream.exceptions(std::ios::badbit);
  try {
    f();
  } catch (const std::ios::failure&) {
  }
}

// The first two words of a file. They are empty where the file cannot be read.
struct Words {
  std::string first, second;
};
Words read_words(const std::string& path) {
  Words words;
  std::ifstream file(path);
  reading(file, [&] { file >> words.first >> words.second; });
  return words;
}

// The number if it is positive and finite, else nothing: "max" and "-1" mean that there is no limit.
std::optional<double> positive(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0.0)) return std::nullopt;
  return value;
}

// The path of this process in the hierarchy of a controller. An empty controller stands for version 2.
std::string cgroup_path(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::vector<std::string> lines;
  reading(file, [&] {
    for (std::string line; std::getline(file, line);) lines.push_back(line);
  });
  for (const std::string& line : lines) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string wanted = controller.empty() ? ",," : "," + controller + ",";
    if (names.find(wanted) != std::string::npos) return line.substr(second + 1);
  }
  return "/";
}

// The minimum of limit(folder) over this process's group and all enclosing groups. In a container the path may be the
// host's and not exist here; then only the root of the mount is left to read.
template <class Limit>
std::optional<double> least_limit(const std::string& mount, std::string path, Limit limit) {
  std::optional<double> least;
  while (true) {
    const std::optional<double> here = limit(mount + path);
    if (here && (!least || *here < *least)) least = here;
    if (path.empty()) return least;
    path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
  }
}

std::optional<double> smaller_of(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::optional<double> cpu_quota() {
  const std::string root = cgroup_root();
  std::optional<double> least = least_limit(root, cgroup_path(""), [](const std::string& folder) {
    const Words words = read_words(folder + "/cpu.max");
    const auto quota = positive(words.first), period = positive(words.second);
    return quota && period ? std::optional(*quota / *period) : std::nullopt;
  });
  for (const char* mount : {"/cpu", "/cpu,cpuacct"}) {
    least = smaller_of(least, least_limit(root + mount, cgroup_path("cpu"), [](const std::string& folder) {
                         const auto quota = positive(read_words(folder + "/cpu.cfs_quota_us").first);
                         const auto period = positive(read_words(folder + "/cpu.cfs_period_us").first);
                         return quota && period ? std::optional(*quota / *period) : std::nullopt;
                       }));
  }
  return least;
}

std::optional<double> cgroup_memory() {
  const std::string root = cgroup_root();
  const auto v2 = least_limit(root, cgroup_path(""), [](const std::string& folder) {
    return positive(read_words(folder + "/memory.max").first);
  });
  const auto v1 = least_limit(root + "/memory", cgroup_path("memory"), [](const std::string& folder) {
    return positive(read_words(folder + "/memory.limit_in_bytes").first);
  });
  return smaller_of(v1, v2);
}

int affinity_count() {
#if defined(__linux__)
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// The number if it is a whole number >= 1, else nothing.
std::optional<int> count_of(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

// OMP_NUM_THREADS belongs to OpenMP and may be a list, with an entry for each level of nested regions. The first entry
// counts; a value that is not a number is ignored here, since the runtime of OpenMP reports it.
std::optional<int> environment_count() {
  if (const char* own = std::getenv("FASTREG_NUM_THREADS"); own && *own) {
    const std::optional<int> count = count_of(own);
    if (!count) {
      throw std::invalid_argument("FASTREG_NUM_THREADS must be a whole number >= 1, got '" + std::string(own) + "'");
    }
    return count;
  }
  const char* openmp = std::getenv("OMP_NUM_THREADS");
  if (openmp == nullptr) return std::nullopt;
  const std::string list = openmp;
  return count_of(list.substr(0, list.find(',')));
}

int default_threads() {
  int threads = affinity_count();
  if (const std::optional<double> quota = cpu_quota(); quota && *quota < threads) {
    threads = std::max(1, static_cast<int>(std::ceil(*quota)));
  }
  if (const std::optional<int> count = environment_count()) threads = std::min(threads, *count);
  return threads;
}

std::atomic<int> chosen_threads{0};  // 0: the default
thread_local int limit_here = 0;     // 0: none

int process_threads() {
  const int chosen = chosen_threads.load(std::memory_order_relaxed);
  if (chosen > 0) return chosen;
  // An atomic, not a static with a guard: a child forked while another thread holds the guard would wait for ever.
  static std::atomic<int> known{0};
  int threads = known.load(std::memory_order_relaxed);
  if (threads == 0) known.store(threads = default_threads(), std::memory_order_relaxed);
  return threads;
}

}  // namespace

int num_threads() { return limit_here > 0 ? std::min(limit_here, process_threads()) : process_threads(); }

void set_num_threads(int n) {
  if (n < 1) throw std::invalid_argument("set_num_threads: n must be >= 1, got " + std::to_string(n));
  chosen_threads.store(n, std::memory_order_relaxed);
}

int thread_limit() { return limit_here; }

void set_thread_limit(int n) {
  if (n < 0) throw std::invalid_argument("set_thread_limit: n must be >= 0, got " + std::to_string(n));
  limit_here = n;
}

std::size_t memory_limit() {
  const double pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  double bytes = pages * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  if (const std::optional<double> limit = cgroup_memory()) bytes = std::min(bytes, *limit);
  return static_cast<std::size_t>(bytes);
}

}  // namespace fastreg
