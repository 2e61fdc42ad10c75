// Starts a team of threads. parallel.cpp is the only file that knows OpenMP.
#pragma once
#include <cstddef>

#include "core/team.h"

namespace fastreg {

// This is Backend::run of the CPU backend (core/backend.h).
void run_team(std::size_t threads, void (*body)(void* context, const Team&), void* context);

}  // namespace fastreg
