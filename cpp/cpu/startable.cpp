// Finds out how many threads can be started by starting threads that do nothing. The limits themselves (RLIMIT_NPROC,
// pids.max of every enclosing control group, RLIMIT_AS, kernel.threads-max) are not read, because what they allow
// depends on privileges, on user namespaces and on what else counts towards them.
#include "cpu/startable.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace fastreg {
namespace {

// An upper bound of the bytes that the runtime allocates for a team: a constant part and a part for each member.
constexpr std::size_t kReserve = 65536, kReservePerThread = 2048;
// How many times wait_until_gone checks whether a thread still exists.
constexpr int kMostLooks = 100000;

struct Gate {
  std::atomic<int> open{0};
};

struct Probe {
  pthread_t thread;
  Gate* gate;
  std::atomic<int> id{0};
  Probe* before;
};

void* wait_for_gate(void* given) {
  auto& probe = *static_cast<Probe*>(given);
  probe.id.store(this_thread(), std::memory_order_release);
  probe.gate->open.wait(0);
  return nullptr;
}

// Bytes from a size as OpenMP writes it: "16m", "512 K", "2048" (kilobytes). 0 where the runtime ignores the text, too.
std::size_t stack_size(const char* text) {
  if (text == nullptr) return 0;
  while (std::isspace(static_cast<unsigned char>(*text))) ++text;
  std::size_t value = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc()) return 0;
  const char* unit = rest;
  while (std::isspace(static_cast<unsigned char>(*unit))) ++unit;
  unsigned shift = 10;
  switch (std::tolower(static_cast<unsigned char>(*unit))) {
    case 'b': shift = 0; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    default: break;
  }
  return value > (SIZE_MAX >> shift) ? 0 : value << shift;
}

// The attributes with which the runtime starts its threads. good() is false where they cannot be created.
class Attributes {
 public:
  Attributes() noexcept : good_(pthread_attr_init(&value_) == 0) {
    std::size_t bytes = stack_size(std::getenv("OMP_STACKSIZE"));
    if (bytes == 0) bytes = stack_size(std::getenv("GOMP_STACKSIZE"));
    if (good_ && bytes > 0) pthread_attr_setstacksize(&value_, bytes);   // like the runtime, ignores an error
  }
  ~Attributes() {
    if (good_) pthread_attr_destroy(&value_);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  bool good() const { return good_; }
  const pthread_attr_t* get() const { return &value_; }

 private:
  pthread_attr_t value_;
  bool good_;
};

// A thread that was joined still counts towards the limits for a moment.
void wait_until_gone(int id) {
  for (int look = 0; look < kMostLooks && is_thread(id); ++look) sched_yield();
}

}  // namespace

int this_thread() noexcept { return static_cast<int>(syscall(SYS_gettid)); }

bool is_thread(int id) noexcept { return syscall(SYS_tgkill, getpid(), id, 0) == 0; }

bool memory_for(std::size_t threads) noexcept {
  void* const reserve = std::malloc(kReserve + kReservePerThread * threads);
  std::free(reserve);
  return reserve != nullptr;
}

std::size_t startable_threads(std::size_t wanted) noexcept {
  const Attributes attributes;
  if (!attributes.good()) return 0;
  Gate gate;
  Probe* last = nullptr;
  std::size_t started = 0;
  while (started < wanted) {
    auto* const memory = static_cast<Probe*>(std::malloc(sizeof(Probe)));
    if (memory == nullptr) break;
    auto* const probe = new (memory) Probe{{}, &gate, {}, last};
    if (pthread_create(&probe->thread, attributes.get(), wait_for_gate, probe) != 0) {
      std::free(memory);
      break;
    }
    last = probe;
    ++started;
  }
  const bool enough = memory_for(started);
  gate.open.store(1);
  gate.open.notify_all();
  while (last != nullptr) {
    Probe* const probe = last;
    last = probe->before;
    pthread_join(probe->thread, nullptr);
    wait_until_gone(probe->id.load(std::memory_order_acquire));
    std::free(probe);
  }
  return enough ? started : 0;
}

}  // namespace fastreg
