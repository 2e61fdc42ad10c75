// How many threads can be started now. The system may refuse a thread because of a limit on processes, on the tasks of
// a container or on address space, and OpenMP's runtime then ends the process.
#pragma once
#include <cstddef>

#include "fastreg/strict_math.h"

namespace fastreg {

// Starts `wanted` threads with the attributes of those of OpenMP's runtime, all alive at the same time, and ends them.
// Returns how many could be started, which is fewer where the system refuses one. When this returns, they no longer
// count towards any limit.
std::size_t startable_threads(std::size_t wanted) noexcept;
// Whether there is enough memory for what the runtime allocates when it creates a team.
bool memory_for(std::size_t threads) noexcept;

// The system's id of the calling thread, and whether this process has a thread with an id.
int this_thread() noexcept;
bool is_thread(int id) noexcept;

}  // namespace fastreg
