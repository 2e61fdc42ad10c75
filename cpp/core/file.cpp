// POSIX files, with a check of every error. All names are resolved relative to one open directory, so that it does no
// harm if that directory is renamed during a call.
#include "core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "fastreg/model_file.h"

namespace fastreg {
namespace {

constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;  // Linux transfers at most 2 GB per call

[[noreturn]] void fail(const char* action, const std::string& path, int error = errno, const char* detail = "") {
  throw FileError(error, action, path, detail);
}

// Repeats a call that a signal has interrupted.
template <class Call>
auto uninterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

void require_regular(const struct stat& status, const char* action, const std::string& path) {
  if (S_ISDIR(status.st_mode)) fail(action, path, EISDIR);
  if (!S_ISREG(status.st_mode)) throw std::invalid_argument("must be a regular file");
}

// Rejects a path that contains NUL, which would end the name early and refer to another file.
const std::string& checked(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw std::invalid_argument("the path must not hold a NUL character");
  return path;
}

// Opens a file without waiting for the other end of a pipe.
int open_to_read(const std::string& path) {
  return uninterrupted([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
}

// The path with all symbolic links resolved, whether or not the target exists.
std::string follow_links(const std::string& path) {
  constexpr int kMostLinks = 40;  // the number of links that Linux follows
  std::filesystem::path target = checked(path);
  for (int i = 0; i < kMostLinks; ++i) {
    std::error_code not_a_link;
    const auto next = std::filesystem::read_symlink(target, not_a_link);
    if (not_a_link) return target.string();
    target = target.parent_path() / next;
  }
  fail("write", path, ELOOP);
}

int open_parent(const std::string& target) {
  const std::string parent = std::filesystem::path(target).parent_path().string();
  const char* name = parent.empty() ? "." : parent.c_str();
  return uninterrupted([&] { return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
}

// The name of the file within the directory that open_parent opens.
std::string last_part(const std::string& target) { return std::filesystem::path(target).filename().string(); }

int create(int directory, const std::string& name) {
  return uninterrupted([&] {
    return openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  });
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

InputFile::InputFile(const std::string& path) : path_(checked(path)), file_(open_to_read(path)) {
  if (file_.get() < 0) fail("open", path);
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) fail("read", path);
  require_regular(status, "read", path);
  size_ = static_cast<std::size_t>(status.st_size);
}

void InputFile::read(void* out, std::size_t bytes) {
  read_at(position_, out, bytes);
  position_ += bytes;
}

void InputFile::read_at(std::size_t offset, void* out, std::size_t bytes) {
  auto* at = static_cast<char*>(out);
  while (bytes > 0) {
    const auto got = uninterrupted([&] {
      return pread(file_.get(), at, std::min(bytes, kLargestTransfer), static_cast<off_t>(offset));
    });
    if (got < 0) fail("read", path_);
    if (got == 0) throw std::invalid_argument("the file was cut off while it was read");
    at += got;
    offset += static_cast<std::size_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

FileReplacement::Temporary::Temporary(int in_directory)
    : directory(in_directory), name(temporary_name()), file(create(directory, name)) {}

FileReplacement::Temporary::~Temporary() {
  if (file.get() >= 0 && !renamed) unlinkat(directory, name.c_str(), 0);
}

FileReplacement::FileReplacement(const std::string& path)
    : path_(path), target_(follow_links(path)), directory_(open_parent(target_)) {
  if (directory_.get() < 0) fail("write", path_, errno, "its directory cannot be opened");
  const std::string name = last_part(target_);
  if (name.empty()) fail("write", path_, path_.empty() ? ENOENT : EISDIR);
  struct stat old {};
  const bool replaces = fstatat(directory_.get(), name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (!replaces && errno != ENOENT) fail("write", path_);
  if (replaces) {
    require_regular(old, "write", path_);
    // A rename does not check whether the file itself may be written.
    if (faccessat(directory_.get(), name.c_str(), W_OK, 0) != 0) fail("write", path_);
  }
  FolderCleaner& cleaner = cleaner_.emplace(directory_.get());
  const int file = create_temporary();
  struct stat made {};
  if (fstat(file, &made) != 0) fail("write", path_);
  cleaner.clean(temporary_->name, made);
  const bool other_mode = replaces && ((old.st_mode ^ made.st_mode) & 0777) != 0;
  if (other_mode && fchmod(file, old.st_mode & 0777) != 0) fail("write", path_);
}

// If the clocks of two machines are far apart, a process on the other one may remove the file before it is locked.
int FileReplacement::create_temporary() {
  constexpr int kMostTries = 10;
  for (int i = 0; i < kMostTries; ++i) {
    temporary_.emplace(directory_.get());
    const int file = temporary_->file.get();
    if (file < 0) fail("write", path_, errno, "no file can be created beside it");
    if (lock_temporary(directory_.get(), temporary_->name, file)) return file;
    temporary_->renamed = true;  // the temporary name no longer refers to it
  }
  fail("write", path_, ENOENT, "the file beside it was removed by others");
}

void FileReplacement::write(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const auto put = uninterrupted([&] {
      return ::write(temporary_->file.get(), at, std::min(bytes, kLargestTransfer));
    });
    if (put < 0) fail("write", path_);
    at += put;
    bytes -= static_cast<std::size_t>(put);
  }
}

void FileReplacement::commit() {
  const int file = temporary_->file.get();
  if (uninterrupted([&] { return fsync(file); }) != 0) fail("write", path_);
  const std::string name = last_part(target_);
  cleaner_->before_renaming();
  if (renameat(directory_.get(), temporary_->name.c_str(), directory_.get(), name.c_str()) != 0) fail("replace", path_);
  temporary_->renamed = true;
  cleaner_->after_renaming();
  unlock_temporary(file);  // else a child that was forked during the replacement would keep the file locked
  // Some file systems cannot sync a directory and return EINVAL; on them nothing can be lost here.
  if (uninterrupted([&] { return fsync(directory_.get()); }) != 0 && errno != EINVAL) {
    fail("write", path_, errno, "its directory cannot be synced");
  }
}

FileError::FileError(int number, const std::string& action, const std::string& path, const std::string& detail)
    : std::system_error(number, std::generic_category(),
                        "cannot " + action + " " + path + (detail.empty() ? "" : " (" + detail + ")")),
      path_(path),
      detail_(detail) {}

void write_file(const std::string& path, std::string_view content) {
  naming(path, [&] {
    FileReplacement file(path);
    file.write(content.data(), content.size());
    file.commit();
  });
}

}  // namespace fastreg
