// Whole files for serialize.cpp: reading a regular one, and replacing one in a single step. With leftovers.h the only
// place in the core that knows POSIX files. What the system refuses is a FileError, which names the file.
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

// Runs body and puts the file's name before what it finds wrong.
template <class Body>
auto naming(const std::string& path, Body body) {
  try {
    return body();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string(path.c_str()) + ": " + error.what());  // a NUL would hide what follows
  }
}

class InputFile {
 public:
  // Opens without waiting. Throws std::invalid_argument for what is no regular file: a pipe, a device, a socket.
  explicit InputFile(const std::string& path);
  std::size_t size() const { return size_; }  // as it was when opened
  // The next bytes. Throws std::invalid_argument where the file has shrunk and ends before them.
  void read(void* out, std::size_t bytes);
  // Bytes from a place on, wherever reading is.
  void read_at(std::size_t place, void* out, std::size_t bytes);

 private:
  std::string path_;
  Descriptor file_;
  std::size_t size_ = 0, place_ = 0;  // place_: where the next read begins
};

// A new file beside path that takes path's place at commit(); destroyed before that, it leaves path as it was. Follows
// symbolic links. Removes what killed replacements have left in the directory. Throws std::invalid_argument where path is
// something other than a regular file.
class FileReplacement {
 public:
  explicit FileReplacement(const std::string& path);
  void write(const void* data, std::size_t bytes);
  // All is on the disk when this returns, first the data, then the name. Nothing may be called after it.
  void commit();

 private:
  // The new file under its passing name, which is removed again unless it has been renamed.
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

  std::string path_, target_;  // target_: all links followed
  Descriptor directory_;
  std::optional<FolderCleaner> cleaner_;
  std::optional<Temporary> temporary_;
};

}  // namespace fastreg
