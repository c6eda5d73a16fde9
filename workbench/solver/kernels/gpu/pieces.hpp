// Few systems, long records, on a GPU: each record is cut into pieces, one thread each.
//
// As in cpu/partition.hpp, row by row: a piece is eliminated together with its first grid point, the separator. The
// chain of separators is cut again: a thread joins neighbouring pieces into a link (`Joined`), which leaves a shorter
// chain of the same form; one thread per system solves that, followed by back substitution. The adjoint uses the same
// steps with the transposes.
//
// Thread b P + p has piece p of system b. Its buffers have the threads innermost, those of the chain the systems. The
// last piece extends past the record without rows. Initial rows at the first grid point only (T0 <= 1).
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
struct PieceJob {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems * call.pieces; }
    static SMNN_INLINE Piece<Method, S> piece(const Call& call, const Constants& table, Long number) {
        return Piece<Method, S>(call, shape<S>(call, D_, K_, E_), table, number);
    }
};

template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct ChainJob {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems; }
    static SMNN_INLINE Chain<Method, S> chain(const Call& call, const Constants& table, Long number) {
        return Chain<Method, S>(call, shape<S>(call, D_, K_, E_), table, number);
    }
};

template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct JoinedJob {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems * Joined<Method, S>::groups(call); }
    static SMNN_INLINE Joined<Method, S> joined(const Call& call, const Constants& table, Long number) {
        return Joined<Method, S>(call, shape<S>(call, D_, K_, E_), table, number);
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct JoinPieces : JoinedJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        JoinPieces::joined(call, table, n).eliminate();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct BackJoined : JoinedJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        BackJoined::joined(call, table, n).back_substitute();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointJoined : JoinedJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        AdjointJoined::joined(call, table, n).adjoint();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct EliminatePieces : PieceJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        EliminatePieces::piece(call, table, n).eliminate();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct SolveChain : ChainJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        SolveChain::chain(call, table, n).solve();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct BackPieces : PieceJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        BackPieces::piece(call, table, n).back_substitute();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointPieces : PieceJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        AdjointPieces::piece(call, table, n).adjoint();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointChain : ChainJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real*) {
        AdjointChain::chain(call, table, n).adjoint();
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
