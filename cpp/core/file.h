// Reads regular files and replaces files in a single step, for serialize.cpp. Together with leftovers.h this is the
// only place in the core that knows POSIX files. Where the system refuses an operation, a FileError that names the file
// is thrown.
#pragma once
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "core/leftovers.h"
#include "fastreg/strict_math.h"

namespace fastreg {

// Owns an open file descriptor, or none (-1).
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  int get() const { return number_; }

 private:
  int number_;
};

// Runs body. If it throws std::invalid_argument, the name of the file is put in front of the message.
template <class Body>
auto naming(const std::string& path, Body body) {
  try {
    return body();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string(path.c_str()) + ": " + error.what());  // up to a NUL, if it has one
  }
}

class InputFile {
 public:
  // Opens the file without waiting. Throws std::invalid_argument if it is not a regular file but, for example, a pipe,
  // a device or a socket.
  explicit InputFile(const std::string& path);
  std::size_t size() const { return size_; }  // the size at the time of opening
  // Reads the next bytes. Throws std::invalid_argument if the file has shrunk and ends before them.
  void read(void* out, std::size_t bytes);
  // Reads bytes from an offset on. This does not move the position of read().
  void read_at(std::size_t offset, void* out, std::size_t bytes);

 private:
  std::string path_;
  Descriptor file_;
  std::size_t size_ = 0, position_ = 0;  // position_: the offset at which the next read() begins
};

// A new file that replaces the file at path when commit() is called. If it is destroyed before that, path stays as it
// was. Symbolic links are followed. Temporary files that killed replacements have left in the directory are removed.
// Throws std::invalid_argument if path is something other than a regular file.
class FileReplacement {
 public:
  explicit FileReplacement(const std::string& path);
  void write(const void* data, std::size_t bytes);
  // When this returns, the data and then the name have been written to the disk. No other method may be called after
  // it.
  void commit();

 private:
  // The new file under its temporary name. The destructor removes it unless it has been renamed.
  struct Temporary {
    explicit Temporary(int in_directory);
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    ~Temporary();
    int directory;
    std::string name;
    Descriptor file;
    bool renamed = false;
  };

  int create_temporary();

  std::string path_, target_;  // target_ is path_ with all links resolved
  Descriptor directory_;
  std::optional<FolderCleaner> cleaner_;
  std::optional<Temporary> temporary_;
};

}  // namespace fastreg
