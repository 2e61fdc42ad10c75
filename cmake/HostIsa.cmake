# fastreg_host_isa(VARIABLE): the fastest instruction set of cpp/cpu/simd/ that the processor of this machine has.
function(fastreg_host_isa variable)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(${variable} neon PARENT_SCOPE)
    return()
  endif()
  # As backend.cpp asks, by features: older compilers do not know the names of the levels.
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/host_isa.cpp [[
#include <cstdio>
int main() {
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  std::puts(v4 ? "avx512" : v3 ? "avx2" : "baseline");
}
]])
  try_run(ran compiled ${CMAKE_CURRENT_BINARY_DIR}/host_isa ${CMAKE_CURRENT_BINARY_DIR}/host_isa.cpp
    RUN_OUTPUT_VARIABLE output)
  if(NOT compiled OR NOT "${ran}" STREQUAL "0")
    message(FATAL_ERROR "FASTREG_ISAS=host: the program that asks the processor did not run")
  endif()
  string(STRIP "${output}" output)
  set(${variable} ${output} PARENT_SCOPE)
endfunction()
