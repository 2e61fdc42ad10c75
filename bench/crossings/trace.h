// What is counted while a team trains: lines that cross between its cores, by the array that they belong to and the
// kernel that was running. hooks.cpp calls touch() for each load and store; table.cpp says which kernel runs on which
// arrays.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bench {

enum class Phase : std::uint8_t { none, gather, masks, forward, loss, activation, dw, dx, update };
const char* name_of(Phase phase);

// The thread that calls this has begun its next step. It takes part in the trace from its first step on.
void begin_step();
// The phase of the calling thread; returns the one before.
Phase enter(Phase phase);
// Says what these bytes are.
void name(const std::string& array, const void* begin, std::size_t bytes);
// Says that these bytes belong, one by one, to those at `to`: "moments of ..." to the weights.
void name_beside(const std::string& prefix, const void* begin, std::size_t bytes, const void* to);

void touch(const void* address, std::size_t bytes, bool write) noexcept;
void touch_atomic(const void* address, std::size_t bytes, bool write) noexcept;

struct Count {
  std::size_t read = 0, written = 0;
};
using Counts = std::map<std::pair<std::string, Phase>, Count>;

// Counts in the steps [first, end) of each thread, for at most `threads` threads.
void count_steps(std::size_t first, std::size_t end, std::size_t threads);
Counts counts();
std::map<std::string, std::size_t> lines_of_arrays();

}  // namespace bench
