# Stops where flags from outside would change what arithmetic means: fastreg's promises on NaN, divergence and equal
# sums do not hold then. fastreg/strict_math.h looks at the compiler's macros; here are the flags that have none, and
# those of the link, where they add start-up code that flushes denormals in the whole process.
function(fastreg_require_strict_math)
  set(refused "-ffast-math|-Ofast|-funsafe-math-optimizations|-ffinite-math-only|-fassociative-math|-freciprocal-math")
  string(APPEND refused "|-fno-signed-zeros|-ffp-model=fast|-ffp-model=aggressive|-mdaz-ftz")
  string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
  set(places CMAKE_CXX_FLAGS CMAKE_SHARED_LINKER_FLAGS CMAKE_MODULE_LINKER_FLAGS CMAKE_EXE_LINKER_FLAGS)
  foreach(place IN LISTS places)
    list(APPEND places ${place}_${config})
  endforeach()
  get_directory_property(COMPILE_OPTIONS COMPILE_OPTIONS)
  get_directory_property(LINK_OPTIONS LINK_OPTIONS)
  foreach(place IN LISTS places ITEMS COMPILE_OPTIONS LINK_OPTIONS)
    if(" ${${place}} " MATCHES "[ ;,:>\"'](${refused})[ ;,:>\"']")
      message(FATAL_ERROR "fastreg must be built without ${CMAKE_MATCH_1}, which ${place} has: with it a NaN is not seen, "
        "sums depend on the compiler, and denormals are flushed in the whole process. Take it out of CXXFLAGS and "
        "LDFLAGS, or out of what else sets ${place}.")
    endif()
  endforeach()
endfunction()
