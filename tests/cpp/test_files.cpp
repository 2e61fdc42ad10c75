// The replacement of files: which locks are held, when a directory is searched for temporary files of killed processes,
// and that every error of the system, also of calls that hardly ever fail, names the file and keeps the old content.
// The calls of the system are replaced by functions that count them or fail on request. The program prints what failed
// and exits with a status other than 0.
#include "core/file.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "fastreg/model_file.h"

namespace {

std::string failing_call;  // fails with failing_number
int failing_number = 0;
int directories_read = 0;
int locks_refused = 0;

bool fails(const char* call) {
  if (failing_call != call) return false;
  errno = failing_number;
  return true;
}

template <class Function>
Function* next_of(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int fsync(int file) { return fails("fsync") ? -1 : next_of<int(int)>("fsync")(file); }

int fchmod(int file, mode_t mode) { return fails("fchmod") ? -1 : next_of<int(int, mode_t)>("fchmod")(file, mode); }

ssize_t write(int file, const void* data, size_t bytes) {
  if (file > 2 && fails("write")) return -1;
  // Writes in small parts, as with a pipe or a signal.
  return next_of<ssize_t(int, const void*, size_t)>("write")(file, data, file > 2 && bytes > 3 ? 3 : bytes);
}

ssize_t pread(int file, void* data, size_t bytes, off_t place) {
  return fails("pread") ? -1 : next_of<ssize_t(int, void*, size_t, off_t)>("pread")(file, data, bytes, place);
}

int renameat(int from, const char* old, int to, const char* name) noexcept {
  if (fails("renameat")) return -1;
  return next_of<int(int, const char*, int, const char*)>("renameat")(from, old, to, name);
}

int flock(int file, int operation) noexcept {
  if (fails("flock")) {
    ++locks_refused;
    return -1;
  }
  return next_of<int(int, int)>("flock")(file, operation);
}

DIR* fdopendir(int file) {
  ++directories_read;
  return fails("fdopendir") ? nullptr : next_of<DIR*(int)>("fdopendir")(file);
}

}  // extern "C"

namespace {

using namespace fastreg;
namespace fs = std::filesystem;

int failures = 0;

void check(bool good, const char* what, int line) {
  if (good) return;
  ++failures;
  std::fprintf(stderr, "test_files.cpp:%d: %s\n", line, what);
}
#define CHECK(condition) check((condition), #condition, __LINE__)

const std::string kOld = ".fastreg-1-2-3.tmp";

// A new empty folder, which the destructor removes.
struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "fastreg-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::exit(2);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(path)) found.insert(entry.path().filename().string());
    return found;
  }
  fs::path path;
};

using Names = std::set<std::string>;

void put(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void age(const std::string& path, std::time_t seconds) {
  struct stat status {};
  CHECK(stat(path.c_str(), &status) == 0);
  timespec times[2] = {status.st_atim, status.st_mtim};
  times[1].tv_sec -= seconds;
  CHECK(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

bool is_locked(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(file.get() >= 0);
  return flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::string only_temporary(const Folder& folder) {
  for (const std::string& name : folder.names()) {
    if (name.rfind(".fastreg-", 0) == 0) return folder / name;
  }
  CHECK(false);
  return "";
}

void a_file_is_locked_while_it_is_written() {
  const Folder folder;
  FileReplacement slow(folder / "slow");
  slow.write("half", 4);
  const std::string temporary = only_temporary(folder);
  CHECK(is_locked(temporary));
  age(temporary, 100'000);
  write_file(folder / "other", "x");
  CHECK(fs::exists(temporary));
  slow.write("half", 4);
  slow.commit();
  CHECK(bytes_of(folder / "slow") == "halfhalf");
  CHECK(!is_locked(folder / "slow"));
  CHECK((folder.names() == Names{"other", "slow"}));
}

// A child that was forked during the write shares the lock, and stays alive.
void a_finished_file_is_not_locked_by_a_forked_child() {
  const Folder folder;
  FileReplacement file(folder / "net");
  file.write("x", 1);
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);
    char byte;
    while (read(ends[0], &byte, 1) > 0) {
    }
    _exit(0);
  }
  close(ends[0]);
  file.commit();
  CHECK(!is_locked(folder / "net"));
  close(ends[1]);
}

void without_locks_the_age_alone_decides() {
  const Folder folder;
  put(folder / kOld, "x");
  age(folder / kOld, 3700);
  failing_call = "flock";
  failing_number = ENOLCK;
  write_file(folder / "net", "new");
  CHECK(locks_refused >= 2);
  CHECK(bytes_of(folder / "net") == "new");
  CHECK((folder.names() == Names{kOld, "net"}));  // nobody can say that it is not being written
  failing_call.clear();
  write_file(folder / "net", "newer");
  CHECK(folder.names() == Names{"net"});
}

void an_hour_is_the_age() {
  const Folder folder;
  put(folder / kOld, "x");
  age(folder / kOld, 3590);
  write_file(folder / "net", "1");
  CHECK((folder.names() == Names{kOld, "net"}));
  age(folder / kOld, 20);
  write_file(folder / "net", "2");
  CHECK(folder.names() == Names{"net"});
}

void a_folder_that_nobody_else_changes_is_read_once() {
  const Folder folder;
  for (int i = 0; i < 50; ++i) put(folder / ("file" + std::to_string(i)), "");
  write_file(folder / "net", "1");
  const int before = directories_read;
  for (int i = 0; i < 20; ++i) write_file(folder / "net", "2");
  CHECK(directories_read == before);
  usleep(20'000);  // more than the clock of the file system tells apart
  put(folder / "new", "");
  write_file(folder / "net", "3");
  CHECK(directories_read == before + 1);
  const Folder others[5];  // some folders in turn
  for (const Folder& other : others) write_file(other / "net", "1");
  const int known = directories_read;
  for (int i = 0; i < 5; ++i) {
    for (const Folder& other : others) write_file(other / "net", "2");
  }
  CHECK(directories_read < known + 25);
}

void what_cannot_be_cleaned_never_fails_a_save() {
  const Folder folder;
  put(folder / kOld, "x");
  age(folder / kOld, 3700);
  failing_call = "fdopendir";
  failing_number = ENOMEM;
  write_file(folder / "net", "new");
  failing_call.clear();
  CHECK(bytes_of(folder / "net") == "new");
  CHECK((folder.names() == Names{kOld, "net"}));
  write_file(folder / "net", "newer");
  CHECK(folder.names() == Names{"net"});
}

void every_error_names_the_file() {
  const Folder folder;
  const std::string path = folder / "net";
  for (const char* call : {"write", "fsync", "renameat", "fchmod"}) {
    for (const int number : {EIO, ENOSPC, EDQUOT, EROFS}) {
      put(path, "old");
      CHECK(chmod(path.c_str(), 0600) == 0);
      failing_call = call;
      failing_number = number;
      try {
        write_file(path, "new content");
        CHECK(false);
      } catch (const FileError& error) {
        CHECK(error.code().value() == number && error.path() == path);
        CHECK(std::string_view(error.what()).find(path) != std::string_view::npos);
      }
      failing_call.clear();
      CHECK(bytes_of(path) == "old");
      CHECK(folder.names() == Names{"net"});
    }
  }
  write_model(path, "", {});
  failing_call = "pread";
  failing_number = EIO;
  try {
    read_model(path);
    CHECK(false);
  } catch (const FileError& error) {
    CHECK(error.code().value() == EIO && error.path() == path && error.detail().empty());
  }
  failing_call.clear();
}

void what_is_beside_the_file_is_told() {
  const Folder folder;
  put(folder / "file", "");
  const struct {
    std::string path;
    int number;
    const char* detail;
  } rows[] = {{folder / "absent/net", ENOENT, "its directory cannot be opened"},
              {folder / "file/net", ENOTDIR, "its directory cannot be opened"},
              {folder / std::string(300, 'n'), ENAMETOOLONG, ""},
              {folder.path.string(), EISDIR, ""}};
  for (const auto& row : rows) {
    try {
      write_file(row.path, "x");
      CHECK(false);
    } catch (const FileError& error) {
      CHECK(error.code().value() == row.number && error.path() == row.path && error.detail() == row.detail);
    }
  }
}

}  // namespace

int main() {
  a_file_is_locked_while_it_is_written();
  a_finished_file_is_not_locked_by_a_forked_child();
  without_locks_the_age_alone_decides();
  an_hour_is_the_age();
  a_folder_that_nobody_else_changes_is_read_once();
  what_cannot_be_cleaned_never_fails_a_save();
  every_error_names_the_file();
  what_is_beside_the_file_is_told();
  if (failures == 0) std::puts("test_files: ok");
  return failures == 0 ? 0 : 1;
}
