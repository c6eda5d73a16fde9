// Few systems, long records, on a GPU: the record is cut into pieces, a thread each. What cpu/partition.hpp does with lanes, row by row:
// a piece is eliminated with its first grid point, the separator, riding along; the chain of separators is cut again, neighbours
// being joined by a thread each, which leaves as short a chain of the same form (`Joined`); a thread per system solves that;
// and then everything backwards. The adjoint passes through in the same way, with the transposes.
//
// Thread b P + p has piece p of system b; what it writes has the threads innermost, and the chain has the systems innermost.
// The last piece goes on beyond the record without rows. Initial rows at the first grid point only (T0 <= 1).
#pragma once

#include "entry.hpp"
#include "chain.hpp"
#include "joined.hpp"
#include "piece.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct OfPieces {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems * call.pieces; }
    static SMNN_INLINE Piece<Method, S> piece(const Call& call, const Constants& table, Long number) {
        return Piece<Method, S>(call, shape<S>(call, D_, K_, E_), table, number);
    }
};

template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct OfChain {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems; }
    static SMNN_INLINE Chain<Method, S> chain(const Call& call, const Constants& table, Long number) {
        return Chain<Method, S>(call, shape<S>(call, D_, K_, E_), table, number);
    }
};

template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct OfJoined {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems * Joined<Method, S>::groups(call); }
    static SMNN_INLINE Joined<Method, S> joined(const Call& call, const Constants& table, Long number) {
        return Joined<Method, S>(call, shape<S>(call, D_, K_, E_), table, number);
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct JoinPieces : OfJoined<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        JoinPieces::joined(call, table, n).eliminate();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct BackJoined : OfJoined<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) { BackJoined::joined(call, table, n).back(); }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointJoined : OfJoined<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        AdjointJoined::joined(call, table, n).adjoint();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct EliminatePieces : OfPieces<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        EliminatePieces::piece(call, table, n).eliminate();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct SolveChain : OfChain<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) { SolveChain::chain(call, table, n).solve(); }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct BackPieces : OfPieces<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) { BackPieces::piece(call, table, n).back(); }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointPieces : OfPieces<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        AdjointPieces::piece(call, table, n).adjoint();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointChain : OfChain<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        AdjointChain::chain(call, table, n).adjoint();
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
