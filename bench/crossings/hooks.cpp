// The functions that code calls for its loads, stores and atomic operations if it is compiled with -fsanitize=thread,
// in the place of the sanitizer's own, which are not linked. The linker turns calls of memcpy and its like into calls
// of the functions here (--wrap). This file itself is compiled without the option.
#include <atomic>
#include <cstdint>
#include <cstring>

#include "trace.h"

using bench::touch;
using bench::touch_atomic;

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void** p) { touch(p, sizeof *p, false); }
void __tsan_vptr_update(void** p, void*) { touch(p, sizeof *p, true); }
void __tsan_read_range(void* p, std::size_t bytes) { touch(p, bytes, false); }
void __tsan_write_range(void* p, std::size_t bytes) { touch(p, bytes, true); }

#define FASTREG_ACCESS(bytes)                                                   \
  void __tsan_read##bytes(void* p) { touch(p, bytes, false); }                  \
  void __tsan_write##bytes(void* p) { touch(p, bytes, true); }                  \
  void __tsan_unaligned_read##bytes(void* p) { touch(p, bytes, false); }        \
  void __tsan_unaligned_write##bytes(void* p) { touch(p, bytes, true); }        \
  void __tsan_volatile_read##bytes(void* p) { touch(p, bytes, false); }         \
  void __tsan_volatile_write##bytes(void* p) { touch(p, bytes, true); }
FASTREG_ACCESS(1)
FASTREG_ACCESS(2)
FASTREG_ACCESS(4)
FASTREG_ACCESS(8)
FASTREG_ACCESS(16)

// Every order becomes the strongest one.
#define FASTREG_FETCH(bits, type, operation)                                  \
  type __tsan_atomic##bits##_fetch_##operation(type* p, type value, int) {    \
    touch_atomic(p, sizeof *p, true);                                         \
    return std::atomic_ref<type>(*p).fetch_##operation(value);                \
  }
#define FASTREG_COMPARE(bits, type, strength)                                                              \
  bool __tsan_atomic##bits##_compare_exchange_##strength(type* p, type* expected, type value, int, int) {  \
    touch_atomic(p, sizeof *p, true);                                                                      \
    return std::atomic_ref<type>(*p).compare_exchange_##strength(*expected, value);                        \
  }
#define FASTREG_ATOMIC(bits, type)                                \
  type __tsan_atomic##bits##_load(const type* p, int) {           \
    touch_atomic(p, sizeof *p, false);                            \
    return std::atomic_ref<type>(*const_cast<type*>(p)).load();   \
  }                                                               \
  void __tsan_atomic##bits##_store(type* p, type value, int) {    \
    touch_atomic(p, sizeof *p, true);                             \
    std::atomic_ref<type>(*p).store(value);                       \
  }                                                               \
  type __tsan_atomic##bits##_exchange(type* p, type value, int) { \
    touch_atomic(p, sizeof *p, true);                             \
    return std::atomic_ref<type>(*p).exchange(value);             \
  }                                                               \
  FASTREG_FETCH(bits, type, add)                                  \
  FASTREG_FETCH(bits, type, sub)                                  \
  FASTREG_FETCH(bits, type, or)                                   \
  FASTREG_FETCH(bits, type, and)                                  \
  FASTREG_COMPARE(bits, type, strong)                             \
  FASTREG_COMPARE(bits, type, weak)
FASTREG_ATOMIC(8, std::uint8_t)
FASTREG_ATOMIC(16, std::uint16_t)
FASTREG_ATOMIC(32, std::uint32_t)
FASTREG_ATOMIC(64, std::uint64_t)
void __tsan_atomic_thread_fence(int) { std::atomic_thread_fence(std::memory_order_seq_cst); }

void* __real_memcpy(void* to, const void* from, std::size_t bytes);
void* __real_memmove(void* to, const void* from, std::size_t bytes);
void* __real_memset(void* to, int value, std::size_t bytes);

void* __wrap_memcpy(void* to, const void* from, std::size_t bytes) {
  touch(from, bytes, false);
  touch(to, bytes, true);
  return __real_memcpy(to, from, bytes);
}
void* __wrap_memmove(void* to, const void* from, std::size_t bytes) {
  touch(from, bytes, false);
  touch(to, bytes, true);
  return __real_memmove(to, from, bytes);
}
void* __wrap_memset(void* to, int value, std::size_t bytes) {
  touch(to, bytes, true);
  return __real_memset(to, value, bytes);
}

}  // extern "C"
