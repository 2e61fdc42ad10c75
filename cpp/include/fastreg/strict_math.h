// Makes the compilation of fastreg fail with flags that would break its promises: that a NaN or an infinity in the data
// is detected, that a diverging training ends with an error, and that sums do not depend on the number of threads.
// Every source file of the library and of the Python module includes this file, directly or indirectly; programs that
// use the library do not. CMakeLists.txt checks the flags for which compilers define no macro, and those of the linker.
#pragma once

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "fastreg must be compiled without -ffast-math, -Ofast and the parts of it (-ffinite-math-only, \
-fassociative-math, -freciprocal-math, -fno-signed-zeros, -funsafe-math-optimizations): take them out of CXXFLAGS"
#endif
