// Refuses to compile fastreg with flags under which its promises do not hold: that a NaN or an infinity in the data is
// seen, that a training which diverges ends with an error, that sums are the same for any number of threads. Every
// source file of the library and of the Python module includes this, directly or not; programs that use the library
// do not. CMakeLists.txt looks for the same flags where a compiler defines no macro, and at the link.
#pragma once

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "fastreg must be compiled without -ffast-math, -Ofast and the parts of it (-ffinite-math-only, \
-fassociative-math, -freciprocal-math, -fno-signed-zeros, -funsafe-math-optimizations): take them out of CXXFLAGS"
#endif
