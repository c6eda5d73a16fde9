// The kernel for one instruction set and one shape, with both methods. Compiled once for each, with the flags of the set, SMNN_ISA
// (its name), SMNN_LANES, and SMNN_D and SMNN_K: the shape with as many equations as variables that is known at compile time; 0
// and 0: any shape, and central rows. CMakeLists.txt has the list.

#include <type_traits>

#include "group_central.hpp"
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

template <Kind KIND, class F>
auto with_group(const Problem& p, F f) {
    return p.cholesky ? f.template operator()<Group<Cholesky, S, KIND>>() : f.template operator()<Group<Qr, S, KIND>>();
}

template <class F>
auto with_group(const Problem& p, F f) {
    if constexpr (S::SIZE == 0)
        if (p.central) return f.template operator()<CentralGroup>();
    return p.columns > 1 ? with_group<Kind::COMMON>(p, f) : with_group<Kind::OWN>(p, f);
}

// Calls f<Method>() and returns true where the record is to be cut into pieces: not for the general path, and by the normal
// equations only for few unknowns, for the sake of the compiler's time.
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

int64_t kept_size(const Problem& p, bool whole) {
    int64_t size = 0;
    if (in_pieces(p, [&]<template <class, class> class M>() { size = Group<M, S, Kind::PIECES>::kept_size(p, true); })) return size;
    return with_group(p, [&]<class G>() { return G::kept_size(p, whole); });
}

int64_t groups(const Problem& p) {
    int64_t number = 0;
    if (in_pieces(p, [&]<template <class, class> class M>() { number = Group<M, S, Kind::PIECES>::groups(p); })) return number;
    return with_group(p, [&]<class G>() { return G::groups(p); });
}

bool cut(const Problem& p) {
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
    if (in_pieces(p, [&]<template <class, class> class M>() { Pieces<M, S>(p, kept, table, threads).solve(out); })) return;
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
    if (in_pieces(p, [&]<template <class, class> class M>() { Pieces<M, S>(p, kept, table, threads).adjoint(in); })) return;
    with_group(p, [&]<class G>() {
        parallel_for(G::groups(p), threads, [&](long number) { G(p, kept, table, number).adjoint(in); });
    });
}

}  // namespace
}  // namespace SMNN_ISA

extern const Kernel SMNN_NAME(SMNN_ISA, SMNN_D, SMNN_K);
const Kernel SMNN_NAME(SMNN_ISA, SMNN_D, SMNN_K) = {
    SMNN_STRING(SMNN_ISA), LANES, SMNN_D, SMNN_K, kept_size, shared_size, groups, cut, factor, solve, adjoint};

}  // namespace smnn
