// The kernel for one instruction set and one shape, with both methods.
//
// Compiled once for each, with the flags of the set and
//
//     SMNN_ISA, SMNN_LANES  name of the set, and its number of lanes
//     SMNN_D, SMNN_K        the shape, with E = D; 0 and 0: any shape, and central rows
//
// CMakeLists.txt lists them.

#include <type_traits>

#include "groups/central.hpp"
#include "groups/shared.hpp"
#include "partition.hpp"
#include "threads.hpp"

#define SMNN_STRING_(name) #name
#define SMNN_STRING(name) SMNN_STRING_(name)
#define SMNN_NAME_(isa, D, K) isa##_##D##_##K
#define SMNN_NAME(isa, D, K) SMNN_NAME_(isa, D, K)

namespace smnn {
inline namespace SMNN_ISA {
namespace {

using S = std::conditional_t<(SMNN_D > 0), Shape<SMNN_D, SMNN_K, SMNN_D>, AnyShape>;

// Call f<G<method of p, S>>().
template <template <template <class, class> class, class> class G, class F>
auto with_method(const Problem& p, F f) {
    return p.cholesky ? f.template operator()<G<Cholesky, S>>() : f.template operator()<G<Qr, S>>();
}

// Call f<kind of group that serves p>(), for problems that are not cut into pieces.
template <class F>
auto with_group(const Problem& p, F f) {
    if constexpr (S::SIZE == 0)
        if (p.central) return f.template operator()<CentralGroup>();
    return p.columns > 1 ? with_method<SharedGroup>(p, f) : with_method<IndependentGroup>(p, f);
}

// Call f<Method>() and return true if the record is cut into pieces. Not for the general path, and by the normal
// equations for few unknowns only, to limit the time of compilation.
template <class F>
bool in_pieces(const Problem& p, F f) {
    constexpr bool orthogonal = S::SIZE > 0, normal = orthogonal && S::SIZE <= 6;
    if (pieces(p) == 1) return false;
    if constexpr (normal)
        if (p.cholesky) f.template operator()<Cholesky>();
    if constexpr (orthogonal)
        if (!p.cholesky) f.template operator()<Qr>();
    return p.cholesky ? normal : orthogonal;
}

int64_t saved_size(const Problem& p, bool whole) {
    int64_t size = 0;
    if (in_pieces(p, [&]<template <class, class> class M>() { size = PieceGroup<M, S>::saved_size(p); })) return size;
    return with_group(p, [&]<class G>() { return G::saved_size(p, whole); });
}

int64_t groups(const Problem& p) {
    int64_t number = 0;
    if (in_pieces(p, [&]<template <class, class> class M>() { number = PieceGroup<M, S>::groups(p); })) return number;
    return with_group(p, [&]<class G>() { return G::groups(p); });
}

bool is_partitioned(const Problem& p) {
    return in_pieces(p, []<template <class, class> class>() {});
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

Constants constants_of(const Problem& p) { return constants(int(p.K), int(p.central ? p.K - 1 : p.K)); }

void factor(const Problem& p, SavedFactor saved, int64_t* deficient, int threads) {
    const Constants table = constants_of(p);
    const Problem left = left_sides(p);
    with_method<IndependentGroup>(left, [&]<class G>() {
        parallel_for(G::groups(left), threads,
                     [&](long number) { G(left, {}, table, number).factor(saved.data, deficient); });
    });
}

int64_t shared_size(const Problem& p) {
    const Constants none = {};
    const Problem left = left_sides(p);
    return with_method<IndependentGroup>(left, [&]<class G>() { return G::shared_size(left, none); });
}

void solve(const Problem& p, SavedFactor saved, Solve out, int threads) {
    const Constants table = constants_of(p);
    if (in_pieces(p, [&]<template <class, class> class M>() { Partition<M, S>(p, saved, table, threads).solve(out); }))
        return;
    with_group(p, [&]<class G>() {
        parallel_for(G::groups(p), threads, [&](long number) { G(p, saved, table, number).solve(out); });
    });
}

void adjoint(const Problem& p, SavedFactor saved, Adjoint out, int threads) {
    const Constants table = constants_of(p);
    if (in_pieces(p,
                  [&]<template <class, class> class M>() { Partition<M, S>(p, saved, table, threads).adjoint(out); }))
        return;
    with_group(p, [&]<class G>() {
        parallel_for(G::groups(p), threads, [&](long number) { G(p, saved, table, number).adjoint(out); });
    });
}

}  // namespace
}  // namespace SMNN_ISA

extern const Kernel SMNN_NAME(SMNN_ISA, SMNN_D, SMNN_K);
const Kernel SMNN_NAME(SMNN_ISA, SMNN_D, SMNN_K) = {
    SMNN_STRING(SMNN_ISA), LANES, SMNN_D, SMNN_K, saved_size, shared_size, groups, is_partitioned,
    factor, solve, adjoint,
};

}  // namespace smnn
