// Scalar types of the kernels: a SIMD register of doubles with one system per lane (Vec) on a CPU, a number (Real) on a
// GPU.
//
// Vec uses the vector extensions of g++ and clang, which compile it to SSE2, AVX2, AVX-512 or NEON instructions;
// SMNN_LANES is the number of lanes. Other compilers (MSVC, untested) use the plain array below and unroll its loops.
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

// Functions of one number. The versions for Vec have the same names.
SMNN_INLINE double select(bool condition, double a, double b) { return condition ? a : b; }
SMNN_INLINE double square_root(double x) { return sqrt(x); }
SMNN_INLINE double absolute(double x) { return fabs(x); }
SMNN_INLINE double copy_sign(double size, double sign) { return copysign(size, sign); }
SMNN_INLINE double maximum(double a, double b) { return a > b ? a : b; }

// A float for which arithmetic with double literals and tables stays in single precision.
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
SMNN_INLINE Single select(bool condition, Single a, Single b) { return condition ? a : b; }
SMNN_INLINE Single square_root(Single x) { return sqrtf(x.value); }
SMNN_INLINE Single absolute(Single x) { return fabsf(x.value); }
SMNN_INLINE Single copy_sign(Single size, Single sign) { return copysignf(size.value, sign.value); }
SMNN_INLINE Single maximum(Single a, Single b) { return a > b ? a : b; }

// The number type of a GPU thread: double, or Single (SMNN_REAL; backends/cuda/nvrtc.py).
#ifndef SMNN_REAL
#define SMNN_REAL double
#endif
typedef SMNN_REAL Real;
constexpr double EPSILON = sizeof(Real) == 4 ? 1.1920928955078125e-07 : 2.220446049250313e-16;

#if SMNN_LANES > 1

#if defined(__GNUC__) || defined(__clang__)
typedef double Vec __attribute__((vector_size(8 * SMNN_LANES)));
typedef decltype(Vec{} > Vec{}) Mask;

SMNN_INLINE Vec select(Mask condition, Vec a, Vec b) { return condition ? a : b; }
SMNN_INLINE Vec absolute(Vec x) { return Vec(Mask(x) & 0x7fffffffffffffffLL); }
SMNN_INLINE Vec copy_sign(Vec size, Vec sign) {
    return Vec((Mask(size) & 0x7fffffffffffffffLL) | (Mask(sign) & ~0x7fffffffffffffffLL));
}
SMNN_INLINE Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
SMNN_INLINE Vec square_root(Vec x) {
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

#else  // other compilers

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
SMNN_INLINE Vec select(Mask c, Vec a, Vec b) SMNN_EACH(Vec, c.at[i] ? a.at[i] : b.at[i])
SMNN_INLINE Vec absolute(Vec a) SMNN_EACH(Vec, std::fabs(a.at[i]))
SMNN_INLINE Vec copy_sign(Vec a, Vec b) SMNN_EACH(Vec, std::copysign(a.at[i], b.at[i]))
SMNN_INLINE Vec maximum(Vec a, Vec b) SMNN_EACH(Vec, a.at[i] > b.at[i] ? a.at[i] : b.at[i])
SMNN_INLINE Vec square_root(Vec a) SMNN_EACH(Vec, std::sqrt(a.at[i]))
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
