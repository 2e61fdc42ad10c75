// Temporary files beside the file that they will replace: their names, the lock that says that one is still being
// written, and the removal of those that killed writers have left. For file.cpp alone.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace fastreg {

// A new name for a temporary file: .fastreg-PROCESS-COUNT-TIME.tmp.
std::string temporary_name();

// Locks a temporary file that was just created under this name, and says whether the name still stands for it. The lock
// lasts until its last descriptor is closed, those of forked children included, or unlock_temporary is called. Some file
// systems have no locks; there the age of a file alone tells that nobody writes it.
bool lock_temporary(int directory, const std::string& name, int file);
void unlock_temporary(int file);

// Removes old temporary files from a directory, in the steps of one replacement. What goes wrong here never fails the
// replacement: it leaves a file where it is.
//
// Reading a directory of 100,000 names takes four times as long as saving a small model there. So a directory is not
// read again while it is as the process's last replacement left it and nothing was left in it then.
class FolderCleaner {
 public:
  // Before the temporary file is created.
  explicit FolderCleaner(int directory);
  // After it: removes the regular files of such names that belong to this user, that were last written more than an
  // hour before the new file was (by the clock of the file system, which may be another machine's), and that nobody
  // has locked.
  void clean(const std::string& own_name, const struct stat& own);
  // Around the renaming of the temporary file.
  void before_renaming();
  void after_renaming();

 private:
  int directory_;
  std::uint64_t state_;  // of the directory, when last looked at; 0: not known
  bool empty_ = false;   // no temporary file but the own one is in it
};

}  // namespace fastreg
