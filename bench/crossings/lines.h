// Which cores hold a line of memory, if each has a cache without end and the caches keep to the protocol MESI: any
// number of cores hold a line that is only read, and a write takes it away from all others. It knows nothing of
// fastreg. An object has 512 MB, of which few pages are used if it is static.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace bench {

class Lines {
 public:
  static constexpr unsigned kMostCores = 8;
  static constexpr std::size_t kLine = 64;   // in bytes

  // Notes that a core reads or writes a byte. Returns whether its line crosses between cores: a read of a line that
  // another core has written since this one last held it, or a write to a line that another core holds.
  bool read(unsigned core, std::uintptr_t address) {
    std::atomic<std::uint16_t>& line = of(address);
    const auto holds = static_cast<std::uint16_t>(1u << core);
    if ((line.load(std::memory_order_relaxed) & holds) != 0) return false;
    const unsigned before = line.fetch_or(holds, std::memory_order_relaxed);
    return (before & holds) == 0 && (before & kWritten) != 0;
  }
  bool write(unsigned core, std::uintptr_t address) {
    std::atomic<std::uint16_t>& line = of(address);
    const auto own = static_cast<std::uint16_t>(kWritten | 1u << core);
    if (line.load(std::memory_order_relaxed) == own) return false;
    const unsigned before = line.exchange(own, std::memory_order_relaxed);
    return (before & ~own) != 0;
  }

 private:
  // A line's state has a bit for each core that holds it, and one that is set if a core has written it.
  static constexpr unsigned kWritten = 1u << kMostCores;
  static constexpr unsigned kAddressBits = 47, kPageBits = 21, kLineBits = 6;
  using Page = std::array<std::atomic<std::uint16_t>, 1u << (kPageBits - kLineBits)>;

  std::atomic<std::uint16_t>& of(std::uintptr_t address) {
    std::atomic<Page*>& slot = pages_[address >> kPageBits];
    Page* page = slot.load(std::memory_order_acquire);
    if (page == nullptr) page = add(slot);
    return (*page)[address >> kLineBits & (page->size() - 1)];
  }
  static Page* add(std::atomic<Page*>& slot) {
    auto made = std::make_unique<Page>();
    Page* present = nullptr;
    return slot.compare_exchange_strong(present, made.get()) ? made.release() : present;
  }

  // Pages live as long as the process: hooks are called until its end.
  std::array<std::atomic<Page*>, std::size_t{1} << (kAddressBits - kPageBits)> pages_{};
};

}  // namespace bench
