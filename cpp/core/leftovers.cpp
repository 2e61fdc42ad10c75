// Old temporary files are recognised by their name, owner, age and lock. A file is removed only when all four match.
#include "core/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <string_view>

#include "core/file.h"

namespace fastreg {
namespace {

constexpr std::string_view kPrefix = ".fastreg-", kSuffix = ".tmp";
constexpr int kNumbers = 3;  // how many numbers a name consists of
constexpr std::size_t kMostDigits = 20;
constexpr std::time_t kOldAge = 3600;  // seconds

// Whether temporary_name() could have returned this name.
bool is_temporary(std::string_view name) {
  if (name.substr(0, kPrefix.size()) != kPrefix) return false;
  name.remove_prefix(kPrefix.size());
  for (int i = 0; i < kNumbers; ++i) {
    const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    if (digits == 0 || digits > kMostDigits) return false;
    name.remove_prefix(digits);
    if (i + 1 == kNumbers) break;
    if (name.empty() || name.front() != '-') return false;
    name.remove_prefix(1);
  }
  return name == kSuffix;
}

bool same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool is_old(const struct stat& file, std::time_t now) {
  return S_ISREG(file.st_mode) && file.st_uid == geteuid() && file.st_mtime < now - kOldAge;
}

bool named_in(int directory, const char* name, struct stat& status) {
  return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

// Removes the file if it is old; true if it no longer exists afterwards. Its lock is held while it is removed, so that
// no other process removes it at the same time and its name cannot belong to a new file.
bool remove_if_old(int directory, const char* name, std::time_t now) {
  struct stat found {}, opened {};
  if (!named_in(directory, name, found)) return errno == ENOENT;
  if (!is_old(found, now)) return false;
  const Descriptor file(openat(directory, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0 || fstat(file.get(), &opened) != 0 || !is_old(opened, now)) return false;
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  return named_in(directory, name, found) && same_file(found, opened) && unlinkat(directory, name, 0) == 0;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 32);
}

// The states of directories that hold no temporary files; the directory determines the slot. There is no lock, so that
// a child that is forked during a replacement can use the table.
std::array<std::atomic<std::uint64_t>, 64> known_states{};

std::atomic<std::uint64_t>& slot_of(const struct stat& directory) {
  return known_states[mixed(mixed(1, directory.st_dev), directory.st_ino) % known_states.size()];
}

// A number that stands for the directory and for the time when a name in it was last added or removed. Never 0.
std::uint64_t state_of(const struct stat& directory) {
  const auto& time = directory.st_mtim;
  std::uint64_t hash = mixed(mixed(2, directory.st_dev), directory.st_ino);
  hash = mixed(mixed(hash, static_cast<std::uint64_t>(time.tv_sec)), static_cast<std::uint64_t>(time.tv_nsec));
  return hash | 1;
}

std::uint64_t state_of(int directory) {
  struct stat status {};
  return fstat(directory, &status) == 0 ? state_of(status) : 0;
}

}  // namespace

// The name differs between the threads of a process and, nearly always, between processes; O_EXCL handles the rest.
std::string temporary_name() {
  static std::atomic<unsigned> count{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  std::string name(kPrefix);
  name += std::to_string(getpid()) + "-" + std::to_string(count++) + "-" + std::to_string(now);
  return name.append(kSuffix);
}

bool lock_temporary(int directory, const std::string& name, int file) {
  // If this fails, nothing is lost: a young file is not removed, whether or not it is locked.
  (void)flock(file, LOCK_EX | LOCK_NB);
  struct stat named {}, own {};
  return fstat(file, &own) == 0 && named_in(directory, name.c_str(), named) && same_file(named, own);
}

void unlock_temporary(int file) { (void)flock(file, LOCK_UN); }

FolderCleaner::FolderCleaner(int directory) : directory_(directory), state_(0) {
  struct stat status {};
  empty_ = fstat(directory, &status) == 0 && slot_of(status).load() == state_of(status);
}

void FolderCleaner::clean(const std::string& own_name, const struct stat& own) {
  state_ = state_of(directory_);
  if (empty_) return;
  // This needs a descriptor of its own, because reading moves it and closedir() closes it.
  const int descriptor = openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* entries = descriptor < 0 ? nullptr : fdopendir(descriptor);
  if (entries == nullptr) {
    if (descriptor >= 0) close(descriptor);
    return;
  }
  empty_ = true;
  errno = 0;
  while (const dirent* entry = readdir(entries)) {
    if (is_temporary(entry->d_name) && own_name != entry->d_name) {
      empty_ = remove_if_old(directory_, entry->d_name, own.st_mtime) && empty_;
    }
    errno = 0;
  }
  empty_ = empty_ && errno == 0;
  closedir(entries);
}

void FolderCleaner::before_renaming() { empty_ = empty_ && state_ != 0 && state_of(directory_) == state_; }

void FolderCleaner::after_renaming() {
  struct stat status {};
  if (empty_ && fstat(directory_, &status) == 0) slot_of(status).store(state_of(status));
}

}  // namespace fastreg
