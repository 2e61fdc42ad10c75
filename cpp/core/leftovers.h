// Temporary files beside the file that they will replace: their names, the lock that marks one as being written, and
// the removal of files that killed processes have left behind. Only file.cpp uses this.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace fastreg {

// Returns a new name for a temporary file: .fastreg-PROCESS-COUNT-TIME.tmp.
std::string temporary_name();

// Locks a temporary file that was just created under this name, and returns whether the name still refers to it. The
// lock lasts until unlock_temporary is called or the last descriptor of the file is closed, those of forked children
// included. Some file systems have no locks; there only the age of a file shows that nobody is writing it.
bool lock_temporary(int directory, const std::string& name, int file);
void unlock_temporary(int file);

// Removes old temporary files from a directory; its methods are called during a replacement, in the order below. An
// error here never makes the replacement fail; it only leaves a file where it is.
//
// Reading a directory of 100,000 names takes four times as long as saving a small model there. Therefore a directory is
// not read again if it has not changed since this process's last replacement and held no temporary files then.
class FolderCleaner {
 public:
  // Is created before the temporary file.
  explicit FolderCleaner(int directory);
  // Is called after the temporary file was created. Removes the regular files with the name of a temporary file that
  // belong to this user, were last written more than an hour before the new file (by the clock of the file system,
  // which may be that of another machine), and are not locked.
  void clean(const std::string& own_name, const struct stat& own);
  // Are called before and after the temporary file is renamed.
  void before_renaming();
  void after_renaming();

 private:
  int directory_;
  std::uint64_t state_;  // the state of the directory when it was last read; 0 if it is not known
  bool empty_ = false;   // whether the directory holds no other temporary file
};

}  // namespace fastreg
