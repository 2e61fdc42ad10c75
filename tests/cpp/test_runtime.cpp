// The CPU backend apart from its kernels: instruction sets, memory, teams and their barrier, the thread budget.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "check.h"
#include "core/backend.h"
#include "core/team.h"
#include "fastreg/ops.h"
#include "fastreg/runtime.h"

namespace {

using namespace fastreg;

// Runs body in a child process, which reads the environment for the first time. Returns whether body returned true.
template <class Body>
bool in_child(Body body) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

template <class Body>
bool throws_invalid(Body body) {
  try {
    body();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

void test_isa() {
  const std::vector<std::string> isas = available_isas();
  CHECK(!isas.empty());
  for (const std::string& isa : isas) {
    check::context = isa;
    CHECK(cpu_kernels(isa.c_str()) != nullptr && cpu_kernels(isa.c_str())->isa == isa);
    CHECK(in_child([&] {
      setenv("FASTREG_ISA", isa.c_str(), 1);
      return active_isa() == isa && cpu_backend().kernels == cpu_kernels(isa.c_str());
    }));
  }
  check::context.clear();
  CHECK(cpu_kernels("sse9") == nullptr);
  CHECK(in_child([] {
    setenv("FASTREG_ISA", "sse9", 1);
    return throws_invalid([] { active_isa(); }) && throws_invalid([] { cpu_backend(); });
  }));
  CHECK(in_child([&] {
    unsetenv("FASTREG_ISA");
    return active_isa() == isas.back();
  }));
}

void test_memory() {
  const Backend& backend = cpu_backend();
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{4}, std::size_t{1000}, (std::size_t{512} << 10) - 1,
                                  std::size_t{2} << 20, std::size_t{5} << 20}) {
    auto* memory = static_cast<unsigned char*>(backend.allocate(bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
    bool zero = true;
    for (std::size_t i = 0; i < bytes + 64; ++i) zero = zero && memory[i] == 0;
    CHECK(zero);
    std::memset(memory, 1, bytes);
    backend.release(memory, bytes);
  }
  backend.release(nullptr, 0);
  CHECK_THROWS(backend.allocate(SIZE_MAX - 10), std::bad_alloc);
  CHECK(memory_limit() > (std::size_t{64} << 20));
}

// A team finds the one bad value wherever it is, in rows with and without gaps.
void test_finite() {
  const std::size_t rows = 2001, cols = 1000, stride = 1003;
  std::vector<float> x(rows * stride, 1.0f);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (const std::size_t step : {cols, stride}) {
      const Features all{x.data(), rows, cols, step};
      CHECK(ops::all_finite(all));
      for (const std::size_t row : {std::size_t{0}, std::size_t{999}, rows - 1}) {
        float& last = x[row * step + cols - 1];
        last = std::numeric_limits<float>::infinity();
        CHECK(!ops::all_finite(all));
        last = 1.0f;
      }
    }
    x[cols] = std::numeric_limits<float>::quiet_NaN();   // in a gap
    CHECK(ops::all_finite(Features(x.data(), rows, cols, stride)));
    x[cols] = 1.0f;
  }
  set_num_threads(1);
}

struct Members {
  std::atomic<std::size_t> seen{0}, ranks{0}, size{0};
  std::vector<long> slots = std::vector<long>(16);
  bool in_step = true;
};

// In each round, every member writes its own slot and, after the barrier, reads those of the others.
void rounds(void* context, const Team& team) {
  auto& members = *static_cast<Members*>(context);
  ++members.seen;
  members.ranks += team.rank;
  members.size = team.size;
  for (long round = 1; round <= 3000; ++round) {
    members.slots[team.rank] = round;
    team.sync();
    bool in_step = true;
    for (std::size_t other = 0; other < team.size; ++other) in_step = in_step && members.slots[other] == round;
    team.sync();
    if (!in_step) members.in_step = false;
  }
}

void test_teams() {
  for (const std::size_t threads : {1, 2, 3, 7}) {
    check::context = std::to_string(threads);
    Members members;
    cpu_backend().run(threads, rounds, &members);
    CHECK(members.seen == threads && members.size == threads && members.ranks == threads * (threads - 1) / 2);
    CHECK(members.in_step);
  }
  check::context = "fork";
  CHECK(in_child([] {
    Members members;
    cpu_backend().run(4, rounds, &members);
    return members.seen == 1 && members.size == 1;
  }));
  check::context.clear();
}

// The product of two small normal numbers, which is 0 where denormals are flushed.
float tiny_product() {
  volatile float small = 1e-30f;
  return small * small * 0.0f + small * 1e-10f;
}

void test_denormals() {
  CHECK(tiny_product() != 0.0f);
  for (const std::size_t threads : {1, 3}) {
    std::atomic<int> kept{0};
    cpu_backend().run(
        threads,
        [](void* context, const Team&) {
          if (tiny_product() != 0.0f) ++*static_cast<std::atomic<int>*>(context);
        },
        &kept);
    CHECK(kept == 0);
    CHECK(tiny_product() != 0.0f);
  }
}

int threads_with(const char* own, const char* openmp, const std::filesystem::path& cgroup) {
  const auto set = [](const char* name, const char* value) { value ? setenv(name, value, 1) : unsetenv(name); };
  int result[2];
  if (pipe(result) != 0) return -1;
  in_child([&] {
    set("FASTREG_NUM_THREADS", own);
    set("OMP_NUM_THREADS", openmp);
    set("FASTREG_CGROUP_ROOT", cgroup.c_str());
    int threads = 0;
    if (throws_invalid([&] { threads = num_threads(); })) threads = -2;
    return write(result[1], &threads, sizeof threads) == sizeof threads;
  });
  int threads = -1;
  if (read(result[0], &threads, sizeof threads) != sizeof threads) threads = -1;
  close(result[0]);
  close(result[1]);
  return threads;
}

void test_budget() {
  const auto root = std::filesystem::temp_directory_path() / ("fastreg-" + std::to_string(getpid()));
  const auto write_file = [&](const char* name, const char* text) {
    std::filesystem::create_directories((root / name).parent_path());
    std::ofstream(root / name) << text << '\n';
  };
  std::filesystem::create_directories(root);
  const int all = threads_with(nullptr, nullptr, root);
  CHECK(all >= 1 && all <= static_cast<int>(std::thread::hardware_concurrency()));
  CHECK(threads_with("1", nullptr, root) == 1 && threads_with(nullptr, "1", root) == 1);
  CHECK(threads_with(nullptr, "1,4", root) == 1 && threads_with("1", "64", root) == 1);
  CHECK(threads_with("100000", nullptr, root) == all && threads_with(nullptr, "many", root) == all);
  for (const char* wrong : {"0", "-1", "two", "2x", "1.5"}) CHECK(threads_with(wrong, nullptr, root) == -2);
  write_file("cpu.max", "50000 100000");
  CHECK(threads_with(nullptr, nullptr, root) == 1);
  write_file("cpu.max", "max 100000");
  CHECK(threads_with(nullptr, nullptr, root) == all);
  write_file("cpu/cpu.cfs_quota_us", "100000");
  write_file("cpu/cpu.cfs_period_us", "100000");
  CHECK(threads_with(nullptr, nullptr, root) == 1);
  write_file("cpu/cpu.cfs_quota_us", "-1");
  CHECK(threads_with(nullptr, nullptr, root) == all);
  write_file("memory.max", "12345678");
  CHECK(in_child([&] {
    setenv("FASTREG_CGROUP_ROOT", root.c_str(), 1);
    return memory_limit() == 12345678;
  }));
  std::filesystem::remove_all(root);

  set_num_threads(all + 5);
  CHECK(num_threads() == all + 5);
  CHECK_THROWS(set_num_threads(0), std::invalid_argument);
  CHECK_THROWS(set_num_threads(-3), std::invalid_argument);
  CHECK(num_threads() == all + 5);

  // A limit is its thread's own.
  CHECK(thread_limit() == 0);
  set_thread_limit(2);
  CHECK(thread_limit() == 2 && num_threads() == 2);
  int other = 0, own = 0;
  std::thread([&] {
    other = num_threads();
    set_thread_limit(1);
    own = num_threads();
  }).join();
  CHECK(other == all + 5 && own == 1 && num_threads() == 2);
  set_thread_limit(all + 6);
  CHECK(num_threads() == all + 5);
  CHECK_THROWS(set_thread_limit(-1), std::invalid_argument);
  set_thread_limit(0);
  CHECK(num_threads() == all + 5);
}

void test_build_info() {
  const BuildInfo info = build_info();
  CHECK(!info.version.empty() && !info.compiler.empty() && !info.build_type.empty());
}

}  // namespace

// The children come first: they must not inherit a choice that this process has made already.
int main() {
  test_isa();
  test_budget();
  test_memory();
  test_finite();
  test_teams();
  test_denormals();
  test_build_info();
  return report("runtime");
}
