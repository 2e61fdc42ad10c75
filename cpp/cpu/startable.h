// How many threads can be started now. Under a limit on processes, on those of a container or on address space a thread
// may be refused, and then OpenMP's runtime ends the process.
#pragma once
#include <cstddef>

#include "fastreg/strict_math.h"

namespace fastreg {

// Starts `wanted` threads like those of OpenMP's runtime, all alive at once, and ends them. Returns how many there were:
// fewer where the system refuses one. They no longer count towards any limit when this returns.
std::size_t startable_threads(std::size_t wanted) noexcept;
// Whether there is memory for what the runtime allocates when it makes a team.
bool memory_for(std::size_t threads) noexcept;

// The number of the calling thread, and whether this process has a thread of that number.
int this_thread() noexcept;
bool is_thread(int id) noexcept;

}  // namespace fastreg
