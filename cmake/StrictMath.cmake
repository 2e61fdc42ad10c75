# Stops the build if flags from outside change the meaning of arithmetic, since fastreg's promises on NaN, divergence
# and equal sums would not hold. fastreg/strict_math.h checks the compiler's macros. This file checks the flags for
# which there are no macros, and those of the linker, which add start-up code that flushes denormals in the whole
# process.
function(fastreg_require_strict_math)
  set(refused "-ffast-math|-Ofast|-funsafe-math-optimizations|-ffinite-math-only|-fassociative-math|-freciprocal-math")
  string(APPEND refused "|-fno-signed-zeros|-ffp-model=fast|-ffp-model=aggressive|-mdaz-ftz")
  string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
  set(variables CMAKE_CXX_FLAGS CMAKE_SHARED_LINKER_FLAGS CMAKE_MODULE_LINKER_FLAGS CMAKE_EXE_LINKER_FLAGS)
  foreach(variable IN LISTS variables)
    list(APPEND variables ${variable}_${config})
  endforeach()
  get_directory_property(COMPILE_OPTIONS COMPILE_OPTIONS)
  get_directory_property(LINK_OPTIONS LINK_OPTIONS)
  foreach(variable IN LISTS variables ITEMS COMPILE_OPTIONS LINK_OPTIONS)
    if(" ${${variable}} " MATCHES "[ ;,:>\"'](${refused})[ ;,:>\"']")
      message(FATAL_ERROR "fastreg must be built without ${CMAKE_MATCH_1}, which ${variable} has: with it a NaN is not "
        "detected, sums depend on the compiler, and denormals are flushed in the whole process. Take it out of CXXFLAGS "
        "and LDFLAGS, or out of what else sets ${variable}.")
    endif()
  endforeach()
endfunction()
