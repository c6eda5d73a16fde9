// The kernel for one instruction set. Compiled once per set, with its flags, SMNN_ISA (a name) and SMNN_LANES.

#include "drive_central.hpp"
#include "pieces.hpp"
#include "threads.hpp"

#define SMNN_STRING_(name) #name
#define SMNN_STRING(name) SMNN_STRING_(name)

namespace smnn {
inline namespace SMNN_ISA {
namespace {

// How many shapes are known at compile time, which costs a compiler a minute: 3 for the newest instruction set of a machine,
// fewer for older ones, 0 for the sanitizers of the tests.
#ifndef SMNN_SHAPES
#define SMNN_SHAPES 3
#endif

// Calls f<S>() with the shape of the problem: one of those known at compile time, else any.
template <class F>
auto with_shape(const Problem& p, F f) {
    if (p.E == p.D) switch (p.D * 100 + p.K) {
        case 102: return f.template operator()<Shape<1, 2, 1>>();
#if SMNN_SHAPES >= 1
        case 103: return f.template operator()<Shape<1, 3, 1>>();
        case 202: return f.template operator()<Shape<2, 2, 2>>();
#endif
#if SMNN_SHAPES >= 2
        case 104: return f.template operator()<Shape<1, 4, 1>>();
        case 105: return f.template operator()<Shape<1, 5, 1>>();
        case 203: return f.template operator()<Shape<2, 3, 2>>();
        case 303: return f.template operator()<Shape<3, 3, 3>>();
#endif
#if SMNN_SHAPES >= 3
        case 106: return f.template operator()<Shape<1, 6, 1>>();
        case 204: return f.template operator()<Shape<2, 4, 2>>();
#endif
    }
    return f.template operator()<AnyShape>();
}

template <Kind KIND, class F>
auto with_group(const Problem& p, F f) {
    return with_shape(p, [&]<class S>() {
        return p.cholesky ? f.template operator()<Group<Cholesky, S, KIND>>() : f.template operator()<Group<Qr, S, KIND>>();
    });
}

template <class F>
auto with_group(const Problem& p, F f) {
    if (p.central) return f.template operator()<CentralGroup>();
    return p.columns > 1 ? with_group<Kind::COMMON>(p, f) : with_group<Kind::OWN>(p, f);
}

// Calls f<Method, S>() and says true where the record is to be cut into pieces: not for the general path, and by the normal
// equations only for few unknowns, for the sake of the compiler's time.
template <class F>
bool in_pieces(const Problem& p, F f) {
    if (pieces(p) == 1) return false;
    return with_shape(p, [&]<class S>() {
        constexpr bool orthogonal = S::SIZE > 0, normal = orthogonal && S::SIZE <= 6;
        if constexpr (normal)
            if (p.cholesky) f.template operator()<Cholesky, S>();
        if constexpr (orthogonal)
            if (!p.cholesky) f.template operator()<Qr, S>();
        return p.cholesky ? normal : orthogonal;
    });
}

int64_t kept_size(const Problem& p, bool whole) {
    int64_t size = 0;
    if (in_pieces(p, [&]<template <class, class> class M, class S>() { size = Group<M, S, Kind::PIECES>::kept_size(p, true); })) return size;
    return with_group(p, [&]<class G>() { return G::kept_size(p, whole); });
}

int64_t groups(const Problem& p) {
    int64_t number = 0;
    if (in_pieces(p, [&]<template <class, class> class M, class S>() { number = Group<M, S, Kind::PIECES>::groups(p); })) return number;
    return with_group(p, [&]<class G>() { return G::groups(p); });
}

bool cut(const Problem& p) {
    return in_pieces(p, []<template <class, class> class, class>() {});
}

// The left-hand sides of a problem with several columns, one system each.
Problem left_sides(const Problem& p) {
    Problem left = p;
    left.columns = 1, left.systems = p.systems / p.columns;
    for (int64_t i = p.batch_dims - 1, columns = p.columns; columns > 1; --i) {
        columns /= p.batch[i];
        left.batch[i] = 1;
    }
    return left;
}

void factor(const Problem& p, Kept kept, int64_t* deficient, int threads) {
    const Constants table = constants(int(p.K), int(p.central ? p.K - 1 : p.K));
    const Problem left = left_sides(p);
    with_group<Kind::OWN>(left, [&]<class G>() {
        parallel_for(G::groups(left), threads, [&](long number) { G(left, {}, table, number).factor(kept.data, deficient); });
    });
}

int64_t shared_size(const Problem& p) {
    const Constants none = {};
    const Problem left = left_sides(p);
    return with_group<Kind::OWN>(left, [&]<class G>() { return G::shared_size(left, none); });
}

void solve(const Problem& p, Kept kept, Solve out, int threads) {
    const Constants table = constants(int(p.K), int(p.central ? p.K - 1 : p.K));
    if (in_pieces(p, [&]<template <class, class> class M, class S>() { Pieces<M, S>(p, kept, table, threads).solve(out); })) return;
    with_group(p, [&]<class G>() {
        parallel_for(G::groups(p), threads, [&](long number) {
            G group(p, kept, table, number);
            if constexpr (G::COMMON) group.solve_common(out);
            else group.solve(out);
        });
    });
}

void adjoint(const Problem& p, Kept kept, Adjoint in, int threads) {
    const Constants table = constants(int(p.K), int(p.central ? p.K - 1 : p.K));
    if (in_pieces(p, [&]<template <class, class> class M, class S>() { Pieces<M, S>(p, kept, table, threads).adjoint(in); })) return;
    with_group(p, [&]<class G>() {
        parallel_for(G::groups(p), threads, [&](long number) { G(p, kept, table, number).adjoint(in); });
    });
}

}  // namespace

extern const Kernel kernel;
const Kernel kernel = {SMNN_STRING(SMNN_ISA), LANES, kept_size, shared_size, groups, cut, factor, solve, adjoint};

}  // namespace SMNN_ISA
}  // namespace smnn
