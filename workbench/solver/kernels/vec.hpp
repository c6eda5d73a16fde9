// A SIMD register of doubles, one system per lane: the scalar type that the CPU gives to the sweep (sweep.hpp).
//
// Written with the vector extensions of g++ and clang, which turn it into SSE2, AVX2, AVX-512 or NEON instructions as the
// translation unit is compiled; SMNN_LANES is the number of lanes. Other compilers (MSVC, untested) take the plain array
// below, whose loops they unroll. A GPU thread uses `double` itself: the functions for it stand at the end.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cmath>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__GNUC__) || defined(__clang__)
#define SMNN_INLINE inline __attribute__((always_inline))
#define SMNN_ALWAYS __attribute__((always_inline))
#else
#define SMNN_INLINE inline
#define SMNN_ALWAYS
#endif
#else
#define SMNN_ALWAYS
#define SMNN_INLINE __device__ __forceinline__
#endif

#ifndef SMNN_LANES
#define SMNN_LANES 1
#endif

namespace smnn {

#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// For one lane: select, sqrt, magnitude with another's sign. The vector versions have the same names.
SMNN_INLINE double select(bool condition, double yes, double no) { return condition ? yes : no; }
SMNN_INLINE double root(double x) { return sqrt(x); }
SMNN_INLINE double magnitude(double x) { return fabs(x); }
SMNN_INLINE double with_sign(double size, double sign) { return copysign(size, sign); }
SMNN_INLINE double larger(double a, double b) { return a > b ? a : b; }

// A float that stays one whatever stands beside it: literals and tables of the sweep are doubles, and arithmetic with them
// must not be.
struct Single {
    float value;
    Single() = default;
    SMNN_INLINE constexpr Single(double x) : value(float(x)) {}
    SMNN_INLINE constexpr Single(float x) : value(x) {}
    SMNN_INLINE constexpr Single(int x) : value(float(x)) {}
    SMNN_INLINE constexpr explicit operator double() const { return value; }
};
SMNN_INLINE Single operator+(Single a, Single b) { return a.value + b.value; }
SMNN_INLINE Single operator-(Single a, Single b) { return a.value - b.value; }
SMNN_INLINE Single operator*(Single a, Single b) { return a.value * b.value; }
SMNN_INLINE Single operator/(Single a, Single b) { return a.value / b.value; }
SMNN_INLINE Single operator-(Single a) { return -a.value; }
SMNN_INLINE Single& operator+=(Single& a, Single b) { return a = a + b; }
SMNN_INLINE Single& operator-=(Single& a, Single b) { return a = a - b; }
SMNN_INLINE Single& operator*=(Single& a, Single b) { return a = a * b; }
SMNN_INLINE bool operator>(Single a, Single b) { return a.value > b.value; }
SMNN_INLINE bool operator<(Single a, Single b) { return a.value < b.value; }
SMNN_INLINE bool operator==(Single a, Single b) { return a.value == b.value; }
SMNN_INLINE Single select(bool condition, Single yes, Single no) { return condition ? yes : no; }
SMNN_INLINE Single root(Single x) { return sqrtf(x.value); }
SMNN_INLINE Single magnitude(Single x) { return fabsf(x.value); }
SMNN_INLINE Single with_sign(Single size, Single sign) { return copysignf(size.value, sign.value); }
SMNN_INLINE Single larger(Single a, Single b) { return a > b ? a : b; }

// What a GPU thread computes in: `double`, or `Single` where that is asked for (launcher.py).
#ifndef SMNN_REAL
#define SMNN_REAL double
#endif
typedef SMNN_REAL Real;
constexpr double EPSILON = sizeof(Real) == 4 ? 1.1920928955078125e-07 : 2.220446049250313e-16;

#if SMNN_LANES > 1

#if defined(__GNUC__) || defined(__clang__)
typedef double Vec __attribute__((vector_size(8 * SMNN_LANES)));
typedef decltype(Vec{} > Vec{}) Mask;

SMNN_INLINE Vec select(Mask condition, Vec yes, Vec no) { return condition ? yes : no; }
SMNN_INLINE Vec magnitude(Vec x) { return Vec(Mask(x) & 0x7fffffffffffffffLL); }
SMNN_INLINE Vec with_sign(Vec size, Vec sign) {
    return Vec((Mask(size) & 0x7fffffffffffffffLL) | (Mask(sign) & ~0x7fffffffffffffffLL));
}
SMNN_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }
SMNN_INLINE Vec root(Vec x) {
#if SMNN_LANES == 8 && defined(__AVX512F__)
    return Vec(_mm512_sqrt_pd(__m512d(x)));
#elif SMNN_LANES == 4 && defined(__AVX__)
    return Vec(_mm256_sqrt_pd(__m256d(x)));
#elif SMNN_LANES == 2 && defined(__SSE2__)
    return Vec(_mm_sqrt_pd(__m128d(x)));
#elif SMNN_LANES == 2 && defined(__aarch64__)
    return Vec(vsqrtq_f64(float64x2_t(x)));
#else
    for (int lane = 0; lane < SMNN_LANES; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
#endif
}

#else  // any other compiler

struct Mask { bool at[SMNN_LANES]; };
struct Vec {
    double at[SMNN_LANES];
    Vec() = default;
    Vec(double x) { for (double& a : at) a = x; }
    double& operator[](int lane) { return at[lane]; }
    double operator[](int lane) const { return at[lane]; }
};
#define SMNN_EACH(Result, expression) \
    { Result r; for (int i = 0; i < SMNN_LANES; ++i) r.at[i] = expression; return r; }
SMNN_INLINE Vec operator+(Vec a, Vec b) SMNN_EACH(Vec, a.at[i] + b.at[i])
SMNN_INLINE Vec operator-(Vec a, Vec b) SMNN_EACH(Vec, a.at[i] - b.at[i])
SMNN_INLINE Vec operator*(Vec a, Vec b) SMNN_EACH(Vec, a.at[i] * b.at[i])
SMNN_INLINE Vec operator/(Vec a, Vec b) SMNN_EACH(Vec, a.at[i] / b.at[i])
SMNN_INLINE Vec operator-(Vec a) SMNN_EACH(Vec, -a.at[i])
SMNN_INLINE Mask operator>(Vec a, Vec b) SMNN_EACH(Mask, a.at[i] > b.at[i])
SMNN_INLINE Mask operator==(Vec a, Vec b) SMNN_EACH(Mask, a.at[i] == b.at[i])
SMNN_INLINE Mask operator&(Mask a, Mask b) SMNN_EACH(Mask, a.at[i] && b.at[i])
SMNN_INLINE Vec select(Mask c, Vec yes, Vec no) SMNN_EACH(Vec, c.at[i] ? yes.at[i] : no.at[i])
SMNN_INLINE Vec magnitude(Vec a) SMNN_EACH(Vec, std::fabs(a.at[i]))
SMNN_INLINE Vec with_sign(Vec a, Vec b) SMNN_EACH(Vec, std::copysign(a.at[i], b.at[i]))
SMNN_INLINE Vec larger(Vec a, Vec b) SMNN_EACH(Vec, a.at[i] > b.at[i] ? a.at[i] : b.at[i])
SMNN_INLINE Vec root(Vec a) SMNN_EACH(Vec, std::sqrt(a.at[i]))
#undef SMNN_EACH
SMNN_INLINE Vec& operator+=(Vec& a, Vec b) { return a = a + b; }
SMNN_INLINE Vec& operator-=(Vec& a, Vec b) { return a = a - b; }
SMNN_INLINE Vec& operator*=(Vec& a, Vec b) { return a = a * b; }

#endif
#else
typedef double Vec;
#endif

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
