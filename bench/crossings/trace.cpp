// The trace of trace.h. Threads note crossings in lists of their own; names are given to them at the end.
#include "trace.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "lines.h"

namespace bench {
namespace {

struct Crossing {
  std::uintptr_t address;
  Phase phase;
  bool write;
};

struct Member {
  std::size_t core = 0, step = 0;
  std::vector<Crossing> crossings;
  std::set<std::uintptr_t> atomics;   // lines that it has seen atomic operations on
};

struct Array {
  std::uintptr_t end = 0;
  std::string name;
  std::optional<std::uintptr_t> beside;   // where the array to which it belongs begins
};

Lines lines;
std::size_t first_step = 0, end_step = 0, most_threads = 0;
std::mutex guard;   // of the next two
std::vector<Member*> members;
std::map<std::uintptr_t, Array> arrays;
std::set<std::uintptr_t> atomics;

thread_local Member* member = nullptr;   // null while the thread takes no part
thread_local Phase phase = Phase::none;

// While it exists, the thread takes no part. The templates that this file uses may be the copies that the traced code
// has compiled, which call touch().
class Aside {
 public:
  Aside() : member_(std::exchange(member, nullptr)) {}
  ~Aside() { member = member_; }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  Member* get() const { return member_; }

 private:
  Member* member_;
};

std::uintptr_t number(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }
std::uintptr_t line_of(std::uintptr_t address) { return address / Lines::kLine; }

void note(Member& own, std::uintptr_t address, bool write) {
  const auto core = static_cast<unsigned>(own.core);
  const bool crosses = write ? lines.write(core, address) : lines.read(core, address);
  if (crosses && own.step >= first_step && own.step < end_step) own.crossings.push_back({address, phase, write});
}

const std::pair<const std::uintptr_t, Array>* find(std::uintptr_t address) {
  auto after = arrays.upper_bound(address);
  if (after == arrays.begin()) return nullptr;
  --after;
  return address < after->second.end ? &*after : nullptr;
}

std::string array_of(std::uintptr_t address) {
  if (atomics.count(line_of(address)) != 0) return "barrier";
  const auto* const found = find(address);
  if (found == nullptr) return "the run's own";
  const Array& array = found->second;
  if (!array.beside) return array.name;
  const auto* const owner = find(*array.beside + (address - found->first));
  return array.name + " of " + (owner != nullptr ? owner->second.name : "others");
}

void add(const void* begin, std::size_t bytes, const std::string& name, std::optional<std::uintptr_t> beside) {
  const Aside aside;
  const std::lock_guard lock(guard);
  Array& array = arrays[number(begin)];
  array.end = std::max(array.end, number(begin) + bytes);
  if (array.name.empty()) array = {array.end, name, beside};
}

}  // namespace

const char* name_of(Phase of) {
  static constexpr const char* kNames[] = {"between", "gather", "masks",  "forward", "loss",
                                           "act. backward", "dW", "dX", "update"};
  return kNames[static_cast<std::size_t>(of)];
}

void count_steps(std::size_t first, std::size_t end, std::size_t threads) {
  first_step = first;
  end_step = end;
  most_threads = threads;
}

void begin_step() {
  if (member != nullptr) {
    ++member->step;
    return;
  }
  const std::lock_guard lock(guard);
  if (members.size() == most_threads) return;
  members.push_back(new Member);   // outlives its thread
  members.back()->core = members.size() - 1;
  members.back()->crossings.reserve(std::size_t{1} << 20);
  member = members.back();
}

Phase enter(Phase next) { return std::exchange(phase, next); }

void name(const std::string& array, const void* begin, std::size_t bytes) {
  if (begin != nullptr) add(begin, bytes, array, std::nullopt);
}

void name_beside(const std::string& prefix, const void* begin, std::size_t bytes, const void* to) {
  if (begin != nullptr) add(begin, bytes, prefix, number(to));
}

void touch(const void* address, std::size_t bytes, bool write) noexcept {
  const Aside own;
  if (own.get() == nullptr || bytes == 0) return;
  const std::uintptr_t begin = number(address), last = begin + bytes - 1;
  note(*own.get(), begin, write);
  for (std::uintptr_t line = line_of(begin) + 1; line <= line_of(last); ++line)
    note(*own.get(), line * Lines::kLine, write);
}

void touch_atomic(const void* address, std::size_t bytes, bool write) noexcept {
  touch(address, bytes, write);
  const Aside own;
  if (own.get() == nullptr || !own.get()->atomics.insert(line_of(number(address))).second) return;
  const std::lock_guard lock(guard);
  atomics.insert(line_of(number(address)));
}

Counts counts() {
  Counts sums;
  for (const Member* one : members) {
    for (const Crossing& crossing : one->crossings) {
      Count& count = sums[{array_of(crossing.address), crossing.phase}];
      ++(crossing.write ? count.written : count.read);
    }
  }
  return sums;
}

std::map<std::string, std::size_t> lines_of_arrays() {
  std::map<std::string, std::size_t> sizes;
  for (const auto& [begin, array] : arrays)
    for (std::uintptr_t line = line_of(begin); line <= line_of(array.end - 1); ++line)
      ++sizes[array_of(std::max(begin, line * Lines::kLine))];
  return sizes;
}

}  // namespace bench
