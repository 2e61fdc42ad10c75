// Makes allocations fail on demand, for test_failing_allocations.py. It is loaded before the other libraries and
// replaces operator new of the whole process, and posix_memalign and mmap where the module under test calls them.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <new>

namespace {

std::atomic<bool> armed{false};
std::atomic<long> asked{0};
long failing = 0;            // counted from 1; 0: none
bool and_all_after = false;
const char *text_begin = nullptr, *text_end = nullptr;   // the code of the module

bool fails() {
  if (!armed.load(std::memory_order_relaxed)) return false;
  const long number = asked.fetch_add(1, std::memory_order_relaxed) + 1;
  return failing > 0 && (and_all_after ? number >= failing : number == failing);
}

bool of_the_module(const void* caller) { return caller >= text_begin && caller < text_end; }

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

void* checked(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

extern "C" {

void arm_failures(long number, int all_after, const char* begin, const char* end) {
  failing = number;
  and_all_after = all_after != 0;
  text_begin = begin;
  text_end = end;
  asked = 0;
  armed = true;
}

// How many allocations there were.
long disarm_failures() {
  armed = false;
  return asked;
}

int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  static const auto real = next<int (*)(void**, std::size_t, std::size_t)>("posix_memalign");
  return of_the_module(__builtin_return_address(0)) && fails() ? ENOMEM : real(out, alignment, bytes);
}

void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  static const auto real = next<void* (*)(void*, std::size_t, int, int, int, off_t)>("mmap");
  if (!of_the_module(__builtin_return_address(0)) || !fails())
    return real(address, bytes, protection, flags, file, offset);
  errno = ENOMEM;
  return MAP_FAILED;
}

}  // extern "C"

void* operator new(std::size_t bytes) {
  if (fails()) throw std::bad_alloc();
  return checked(malloc(bytes == 0 ? 1 : bytes));
}

void* operator new(std::size_t bytes, std::align_val_t alignment) {
  if (fails()) throw std::bad_alloc();
  const auto grain = static_cast<std::size_t>(alignment);
  return checked(aligned_alloc(grain, (bytes + grain - 1) / grain * grain));
}
