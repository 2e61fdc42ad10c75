// How a team starts. parallel.cpp is the only file that names OpenMP.
#pragma once
#include <cstddef>

#include "core/team.h"

namespace fastreg {

// Backend::run of the CPU (core/backend.h).
void run_team(std::size_t threads, void (*body)(void* context, const Team&), void* context);

}  // namespace fastreg
