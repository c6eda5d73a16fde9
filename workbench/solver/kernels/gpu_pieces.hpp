// Few systems, long records, on a GPU: the record is cut into pieces, a thread each. What pieces.hpp does with lanes, row by row:
// a piece is eliminated with its first grid point, the separator, riding along; the chain of separators is cut again, neighbours
// being joined by a thread each, which leaves as short a chain of the same form (`Joined`); a thread per system solves that;
// and then everything backwards. The adjoint passes through in the same way, with the transposes.
//
// Thread b P + p has piece p of system b; what it writes has the threads innermost, and the chain has the systems innermost.
// The last piece goes on beyond the record without rows. Initial rows at the first grid point only (T0 <= 1).
#pragma once

#include "gpu.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

template <template <class, class> class Method, class S>
struct Sizes {
    static constexpr int R = S::R, E = S::ROWS - S::SIZE, RIDING = R + 1, WIDTH = 2 * R + 1;
    static constexpr bool ORTHOGONAL = Method<double, S>::ORTHOGONAL;
    static constexpr int CARRY = ORTHOGONAL ? R * R : R * R + R;  // as Method::carry
    static constexpr int RECORD = R * (R + 1) / 2 + (ORTHOGONAL ? R * R : 0);
};

// One more row (R + 1 numbers, consumed) for R triangular rows A.
template <int R>
SMNN_INLINE void append_row(double* A, double* row) {
    for (int j = 0; j < R; ++j) {
        const double a = A[j * (R + 1) + j], x = row[j];
        const Reflection<double> h(a, x * x);
        A[j * (R + 1) + j] = h.diagonal(a);
        for (int i = j + 1; i <= R; ++i) {
            const double m = (h.v * A[j * (R + 1) + i] + x * row[i]) * h.scale;
            A[j * (R + 1) + i] -= h.v * m, row[i] -= x * m;
        }
    }
}

// Triangularise M (rows x width, row-major) over its first R columns by reflections.
template <int R, int ROWS, int WIDTH>
SMNN_INLINE void triangularise(double* M) {
    for (int j = 0; j < R; ++j) {
        double squares = 0.0;
        for (int i = j + 1; i < ROWS; ++i) squares += M[i * WIDTH + j] * M[i * WIDTH + j];
        const Reflection<double> h(M[j * WIDTH + j], squares);
        for (int c = j + 1; c < WIDTH; ++c) {
            double m = h.v * M[j * WIDTH + c];
            for (int i = j + 1; i < ROWS; ++i) m += M[i * WIDTH + j] * M[i * WIDTH + c];
            m *= h.scale;
            M[j * WIDTH + c] -= h.v * m;
            for (int i = j + 1; i < ROWS; ++i) M[i * WIDTH + c] -= M[i * WIDTH + j] * m;
        }
        M[j * WIDTH + j] = h.diagonal(M[j * WIDTH + j]);
        for (int i = j + 1; i < ROWS; ++i) M[i * WIDTH + j] = 0.0;
    }
}

// U^T U = A (R x width, upper triangle) in place, and the columns behind it times U^-T. A pivot that is rounding, its square
// at most `least` times `before`, becomes 0, and with it its row.
template <int R, int WIDTH>
SMNN_INLINE void factorise(double* A, const double* before, double least) {
    for (int j = 0; j < R; ++j) {
        double* row = A + j * WIDTH;
        const bool sound = row[j] > least * before[j];
        const double pivot = sound ? sqrt(row[j]) : 0.0;
        for (int c = j; c < WIDTH; ++c) row[c] = !sound ? 0.0 : c == j ? pivot : row[c] / pivot;
        for (int i = j + 1; i < R; ++i)
            for (int c = i; c < WIDTH; ++c) A[i * WIDTH + c] -= row[i] * row[c];
    }
}

// One piece.
template <template <class, class> class Method, class S>
class Piece : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::step, Base::taylor, Base::equations;
    static constexpr int R = Of::R, E = Of::E, RIDING = Of::RIDING;

public:
    SMNN_INLINE Piece(const Call& call, S s, const Constants& table, Long number)
        : Base(call, s, number / call.pieces), method_(s, table), thread_(number), threads_(call.systems * call.pieces),
          first_(number % call.pieces * call.length) {}

    // All but the separator. Left for the chain: C, X = [over the separator | constants] and A, over the separator alone;
    // `deficient` of this thread, and in `sound` 0 where its values are what they should be.
    SMNN_INLINE void eliminate() const {
        double C[Of::CARRY], X[R * RIDING], A[R * RIDING], z_all[R * RIDING], c[E * R], r[E], we[E], ws[S::D], sound = 0.0;
        Long deficient = 0;
        for (int i = 0; i < R * RIDING; ++i) A[i] = 0.0;
        for (Long t = 0; t < call_.length; ++t) {
            const Long at = first_ + t;
            const double h = step(at), inverse = 1.0 / step(at + 1);
            taylor(at, ws);
            if (t == 0) {
                method_.begin_beside(C, X, A, ws);
                if (at == 0) equations(0, c, r, we), sound += this->unsound(h, ws, we);
            } else {
                double fresh = 0.0;
                method_.template eliminate<RIDING>(C, X, ws, tolerance(call_.T), record(t), z_all, fresh, static_cast<double*>(nullptr));
                if constexpr (!Of::ORTHOGONAL) method_.leave_beside(A, z_all);
                const Column beside = record(t) + Of::RECORD, to = z(t);
                for (int j = 0; j < R; ++j) {
                    for (int i = 0; i < R; ++i) beside[j * R + i] = z_all[j * RIDING + i];
                    to[j] = z_all[j * RIDING + R];
                }
                if (fresh != 0.0 && deficient == 0) deficient = t * R + Long(fresh);
            }
            equations(at + 1, c, r, we);
            if (at + 1 < call_.T) {
                taylor(at + 1, ws);
                sound += this->unsound(step(at + 1), ws, we);
            }
            double rest[E * RIDING];
            method_.template absorb<RIDING>(C, X, h * inverse, inverse, c, r, rest, static_cast<double*>(nullptr));
            if constexpr (Of::ORTHOGONAL)
                for (int e = 0; e < E; ++e) append_row<R>(A, rest + e * RIDING);
        }
        put(call_.carry, C, Of::CARRY), put(call_.beside, X, R * RIDING), put(call_.alone, A, R * RIDING);
        call_.deficient[thread_] = deficient;
        call_.sound[thread_] = sound;
    }

    // The rest of the solution (or lambda), from the scaled unknowns at its separator and the next, in the order of elimination.
    SMNN_INLINE void back() const {
        double separator[R], y[R], ahead[R], w[R], z_t[R], ws[S::D], sound = 0.0;
        for (int j = 0; j < R; ++j) {
            separator[j] = place(call_.own)[j];
            y[method_.at(j)] = place(call_.following)[j];
        }
        for (Long t = call_.length - 1; t >= 0; --t) {
            const Long at = first_ + t;
            const double h = step(at);
            for (int j = 0; j < R; ++j) ahead[j] = y[j];
            rescale(s_, h / step(at + 1), ahead);
            if (t == 0) {
                for (int j = 0; j < R; ++j) y[method_.at(j)] = separator[j];
            } else {
                taylor(at, ws);
                const Column beside = record(t) + Of::RECORD, from = z(t);
                for (int j = 0; j < R; ++j) {
                    z_t[j] = from[j];
                    for (int i = 0; i < R; ++i) z_t[j] -= beside[j * R + i] * separator[i];
                }
                method_.back(record(t), ws, z_t, ahead, w, y);
            }
            if (at < call_.T) this->leave(at, 1.0 / h, y, sound);
        }
        call_.sound[thread_] += sound;
    }

    // Forwards with the transpose: a in place of z, and what the separator (`own`) and the next (`following`) get.
    SMNN_INLINE void adjoint() const {
        double gathered[R], onward[R], p[R], a[R], ws[S::D];
        for (int j = 0; j < R; ++j) gathered[j] = onward[j] = 0.0;
        for (Long t = 1; t < call_.length; ++t) {
            const Long at = first_ + t;
            const double inverse = 1.0 / step(at);
            taylor(at, ws);
            this->upstream(at, p);
            rescale(s_, inverse, p);
            rescale(s_, step(at - 1) * inverse, onward);
            for (int j = 0; j < R; ++j) p[j] += onward[j];
            method_.adjoint(record(t), ws, p, a, onward);
            const Column beside = record(t) + Of::RECORD, to = z(t);
            for (int j = 0; j < R; ++j) {
                to[j] = a[j];
                for (int i = 0; i < R; ++i) gathered[i] -= beside[j * R + i] * a[j];
            }
        }
        const Long end = first_ + call_.length;
        rescale(s_, step(end - 1) / step(end), onward);
        const Column own = place(call_.own), following = place(call_.following);
        for (int j = 0; j < R; ++j) own[j] = gathered[j], following[j] = onward[method_.at(j)];
    }

private:
    SMNN_INLINE Column place(double* array) const { return {array + thread_, threads_}; }
    SMNN_INLINE Column record(Long t) const { return place(call_.records) + t * (Of::RECORD + R * R); }
    SMNN_INLINE Column z(Long t) const { return place(call_.z) + t * R; }
    SMNN_INLINE void put(double* array, const double* from, int n) const {
        const Column to = place(array);
        for (int i = 0; i < n; ++i) to[i] = from[i];
    }

    const Method<double, S> method_;
    const Long thread_, threads_, first_;
};

// Neighbouring pieces of one system as one: all separators but the first are eliminated as pieces eliminate grid points, by
// rows U_q y_q + V_q y_{q+1} + W_q y_s = z_q, s the first. What is left has the form that a piece leaves.
template <template <class, class> class Method, class S>
class Joined : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::number_, Base::step;
    static constexpr int R = Of::R, RIDING = Of::RIDING, WIDE = 3 * R + 1, LINK = 3 * R * R;

public:
    SMNN_INLINE Joined(const Call& call, S s, const Constants& table, Long number)
        : Base(call, s, number / groups(call)), method_(s, table), thread_(number), threads_(call.systems * groups(call)),
          first_(number % groups(call) * call.joined),
          last_((first_ + call.joined < call.pieces ? first_ + call.joined : call.pieces) - 1) {}

    static SMNN_INLINE Long groups(const Call& call) { return (call.pieces + call.joined - 1) / call.joined; }

    SMNN_INLINE void eliminate() const {
        double C[R * R], X[R * RIDING], A[R * RIDING];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) C[i * R + c] = c < i ? 0.0 : of(call_.carry, first_, i * R + c);
            for (int c = 0; c < RIDING; ++c) {
                X[i * RIDING + c] = of(call_.beside, first_, i * RIDING + c);
                A[i * RIDING + c] = c < i ? 0.0 : of(call_.alone, first_, i * RIDING + c);
            }
        }
        for (Long q = first_ + 1; q <= last_; ++q)
            if constexpr (Of::ORTHOGONAL) reflect(q, C, X, A);
            else factorise_one(q, C, X, A);
        const Column carry = place(call_.joined_carry), beside = place(call_.joined_beside), alone = place(call_.joined_alone);
        for (int i = 0; i < R * R; ++i) carry[i] = C[i];
        for (int i = R * R; i < Of::CARRY; ++i) carry[i] = of(call_.carry, last_, i);
        for (int i = 0; i < R * RIDING; ++i) beside[i] = X[i], alone[i] = A[i];
        Long deficient = 0;
        for (Long q = last_; q >= first_; --q) {
            const Long in_piece = call_.deficient[number_ * call_.pieces + q];
            if (in_piece) deficient = (q - first_) * call_.length * R + in_piece;
        }
        call_.joined_deficient[thread_] = deficient;
    }

    // From the first separator and that after the last piece to all of them: `own` and `following` of the pieces.
    SMNN_INLINE void back() const {
        double first[R], next[R], y[R];
        for (int j = 0; j < R; ++j) first[j] = place(call_.joined_own)[j], next[j] = place(call_.joined_following)[j];
        for (Long q = last_; q > first_; --q) {
            for (int j = R - 1; j >= 0; --j) {
                double sum = z(q)[j];
                for (int c = 0; c < R; ++c) sum -= link(q)[R * R + j * R + c] * next[c] + link(q)[2 * R * R + j * R + c] * first[c];
                for (int c = j + 1; c < R; ++c) sum -= link(q)[j * R + c] * y[c];
                const double pivot = link(q)[j * R + j];
                y[j] = pivot == 0.0 ? 0.0 : sum / pivot;
            }
            for (int j = 0; j < R; ++j) of(call_.following, q, j) = next[j], of(call_.own, q, j) = next[j] = y[j];
        }
        for (int j = 0; j < R; ++j) of(call_.following, first_, j) = next[j], of(call_.own, first_, j) = first[j];
    }

    // Forwards with the transpose: what the pieces have gathered goes to their first separator and that after the last.
    SMNN_INLINE void adjoint() const {
        double own[R], onward[R], a[R], natural[R];
        for (int j = 0; j < R; ++j) own[j] = of(call_.own, first_, j), onward[j] = of(call_.following, first_, j);
        for (Long q = first_ + 1; q <= last_; ++q) {
            const Long t = q * call_.length;
            this->upstream(t, natural);
            rescale(s_, 1.0 / step(t), natural);
            for (int j = 0; j < R; ++j) {
                a[j] = natural[method_.at(j)] + of(call_.own, q, j) + onward[j];
                for (int i = 0; i < j; ++i) a[j] -= link(q)[i * R + j] * a[i];
                const double pivot = link(q)[j * R + j];
                a[j] = pivot == 0.0 ? 0.0 : a[j] / pivot;
            }
            for (int j = 0; j < R; ++j) onward[j] = of(call_.following, q, j), z(q)[j] = a[j];
            for (int i = 0; i < R; ++i)
                for (int j = 0; j < R; ++j) {
                    onward[j] -= link(q)[R * R + i * R + j] * a[i];
                    own[j] -= link(q)[2 * R * R + i * R + j] * a[i];
                }
        }
        for (int j = 0; j < R; ++j) place(call_.joined_own)[j] = own[j], place(call_.joined_following)[j] = onward[j];
    }

private:
    // Number n of what piece q has in `array`; U, V and W of it, and z.
    SMNN_INLINE double& of(double* array, Long q, Long n) const {
        return array[n * call_.systems * call_.pieces + number_ * call_.pieces + q];
    }
    SMNN_INLINE Column link(Long q) const { return Column{call_.links + thread_, threads_} + (q - first_) * LINK; }
    SMNN_INLINE Column z(Long q) const { return Column{call_.links_z + thread_, threads_} + (q - first_) * R; }
    SMNN_INLINE Column place(double* array) const { return {array + thread_, threads_}; }

    SMNN_INLINE void keep(Long q, const double* M) const {
        const Column to = link(q);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) {
                to[i * R + c] = c < i ? 0.0 : M[i * WIDE + c];
                to[R * R + i * R + c] = M[i * WIDE + R + c], to[2 * R * R + i * R + c] = M[i * WIDE + 2 * R + c];
            }
            z(q)[i] = M[i * WIDE + 3 * R];
        }
    }

    // Rows over (y_q, y_{q+1}, y_s | 1).
    SMNN_INLINE void reflect(Long q, double* C, double* X, double* A) const {
        double M[3 * R * WIDE], rest[2 * R * (2 * R + 1)];
        for (int i = 0; i < 3 * R * WIDE; ++i) M[i] = 0.0;
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RIDING; ++c) {
                const int to = c < R ? c : 3 * R;
                if (c >= i && c < R) M[i * WIDE + c] = C[i * R + c], M[(R + i) * WIDE + R + c] = of(call_.carry, q, i * R + c);
                M[i * WIDE + 2 * R + c] = X[i * RIDING + c];
                M[(R + i) * WIDE + to] = of(call_.beside, q, i * RIDING + c);
                if (c >= i) M[(2 * R + i) * WIDE + to] = of(call_.alone, q, i * RIDING + c);
            }
        triangularise<R, 3 * R, WIDE>(M);
        keep(q, M);
        for (int i = 0; i < 2 * R; ++i)
            for (int c = 0; c < 2 * R + 1; ++c) rest[i * (2 * R + 1) + c] = M[(R + i) * WIDE + R + c];
        triangularise<R, 2 * R, 2 * R + 1>(rest);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) C[i * R + c] = rest[i * (2 * R + 1) + c];
            for (int c = 0; c < RIDING; ++c) X[i * RIDING + c] = rest[i * (2 * R + 1) + R + c];
            append_row<R>(A, rest + (R + i) * (2 * R + 1) + R);
        }
    }

    // The same for the normal equations: C and its right-hand side in X are those of y_q, X ties it to y_s.
    SMNN_INLINE void factorise_one(Long q, double* C, double* X, double* A) const {
        double M[R * WIDE], before[R];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) {
                M[i * WIDE + c] = c < i ? 0.0 : C[i * R + c] + of(call_.alone, q, i * RIDING + c);
                M[i * WIDE + R + c] = of(call_.beside, q, c * RIDING + i);
                M[i * WIDE + 2 * R + c] = X[i * RIDING + c];
            }
            M[i * WIDE + 3 * R] = X[i * RIDING + R] + of(call_.alone, q, i * RIDING + R);
            before[i] = M[i * WIDE + i];
        }
        factorise<R, WIDE>(M, before, tolerance(call_.T));
        keep(q, M);
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RIDING; ++c) {
                const int over = c < R ? 2 * R + c : 3 * R;  // y_s, or the constants
                double in_C = c < i || c == R ? 0.0 : of(call_.carry, q, i * R + c), in_X = c < R ? 0.0 : of(call_.beside, q, i * RIDING + R);
                for (int m = 0; m < R; ++m) {
                    if (c < R) in_C -= M[m * WIDE + R + i] * M[m * WIDE + R + c];
                    in_X -= M[m * WIDE + R + i] * M[m * WIDE + over];
                    A[i * RIDING + c] -= M[m * WIDE + 2 * R + i] * M[m * WIDE + over];
                }
                if (c < R) C[i * R + c] = in_C;
                X[i * RIDING + c] = in_X;
            }
    }

    const Method<double, S> method_;
    const Long thread_, threads_, first_, last_;
};

// The chain of separators of one system: rows U_p y_p + V_p y_{p+1} = z_p over unknowns in the order of elimination.
template <template <class, class> class Method, class S>
class Chain : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::number_, Base::step;
    static constexpr int R = Of::R, E = Of::E, RIDING = Of::RIDING, WIDTH = Of::WIDTH;

public:
    SMNN_INLINE Chain(const Call& call, S s, const Constants& table, Long number) : Base(call, s, number), method_(s, table), P_(call.pieces) {}

    // The separators into `own` and `following`; `deficient` of the first piece becomes that of the system.
    SMNN_INLINE void solve() const {
        double carry[R * RIDING], before[R];
        first_rows(carry);
        for (Long p = 0; p < P_; ++p)
            if constexpr (Of::ORTHOGONAL) reflect(p, carry);
            else factorise_one(p, carry);
        if constexpr (!Of::ORTHOGONAL) {
            for (int i = 0; i < R; ++i) before[i] = number(call_.carry, P_ - 1, R * R + i);
            factorise<R, RIDING>(carry, before, tolerance(call_.T));
        }
        finish(carry);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) U(P_)[i * R + c] = c < i ? 0.0 : carry[i * RIDING + c];
            z(P_)[i] = carry[i * RIDING + R];
        }
        substitute();
    }

    // In: what the pieces have gathered for their separators (own) and the next (following). Out: lambda there.
    SMNN_INLINE void adjoint() const {
        double own[R], last[R];
        for (Long p = 0; p <= P_; ++p) {
            const Long t = p * call_.length;
            double natural[R];
            this->upstream(t, natural);
            rescale(s_, 1.0 / step(t), natural);
            for (int j = 0; j < R; ++j) {
                own[j] = natural[method_.at(j)];
                if (p < P_) own[j] += number(call_.own, p, j);
                if (p == 0) continue;
                own[j] += number(call_.following, p - 1, j);
                for (int i = 0; i < R; ++i) own[j] -= V(p - 1)[i * R + j] * last[i];
            }
            for (int j = 0; j < R; ++j) {
                for (int i = 0; i < j; ++i) own[j] -= U(p)[i * R + j] * own[i];
                const double pivot = U(p)[j * R + j];
                own[j] = pivot == 0.0 ? 0.0 : own[j] / pivot;
            }
            for (int j = 0; j < R; ++j) z(p)[j] = last[j] = own[j];
        }
        substitute();
    }

private:
    // Number n of what piece p has in `array`.
    SMNN_INLINE double& number(double* array, Long p, Long n) const {
        return array[n * call_.systems * P_ + number_ * P_ + p];
    }
    SMNN_INLINE Column U(Long p) const { return Column{call_.chain + number_, call_.systems} + p * 2 * R * R; }
    SMNN_INLINE Column V(Long p) const { return U(p) + R * R; }
    SMNN_INLINE Column z(Long p) const { return Column{call_.chain_z + number_, call_.systems} + p * R; }

    // Eliminate separator p: `carry` holds rows over it and then over the next, triangular.
    SMNN_INLINE void reflect(Long p, double* carry) const {
        double M[3 * R * WIDTH], rest[2 * R * RIDING];
        for (int i = 0; i < 3 * R * WIDTH; ++i) M[i] = 0.0;
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RIDING; ++c) {
                const int to = c < R ? c : 2 * R;
                M[i * WIDTH + to] = carry[i * RIDING + c];
                M[(R + i) * WIDTH + to] = number(call_.beside, p, i * RIDING + c);
                if (c >= i) M[(2 * R + i) * WIDTH + to] = number(call_.alone, p, i * RIDING + c);
                if (c >= i && c < R) M[(R + i) * WIDTH + R + c] = number(call_.carry, p, i * R + c);
            }
        triangularise<R, 3 * R, WIDTH>(M);
        keep(p, M);
        for (int i = 0; i < 2 * R; ++i)
            for (int c = 0; c < RIDING; ++c) rest[i * RIDING + c] = M[(R + i) * WIDTH + R + c];
        triangularise<R, 2 * R, RIDING>(rest);
        for (int i = 0; i < R * RIDING; ++i) carry[i] = rest[i];
    }

    // The same for the normal equations.
    SMNN_INLINE void factorise_one(Long p, double* carry) const {
        double M[R * WIDTH], before[R];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < RIDING; ++c)
                M[i * WIDTH + (c < R ? c : 2 * R)] = carry[i * RIDING + c] + number(call_.alone, p, i * RIDING + c);
            for (int c = 0; c < R; ++c) M[i * WIDTH + R + c] = number(call_.beside, p, c * RIDING + i);
            before[i] = M[i * WIDTH + i];
        }
        factorise<R, WIDTH>(M, before, tolerance(call_.T));
        keep(p, M);
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RIDING; ++c) {
                double sum = c < i ? 0.0 : c < R ? number(call_.carry, p, i * R + c) : number(call_.beside, p, i * RIDING + R);
                for (int m = 0; m < R; ++m) sum -= M[m * WIDTH + R + i] * M[m * WIDTH + R + c];
                carry[i * RIDING + c] = sum;
            }
    }

    SMNN_INLINE void keep(Long p, const double* M) const {
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) U(p)[i * R + c] = c < i ? 0.0 : M[i * WIDTH + c], V(p)[i * R + c] = M[i * WIDTH + R + c];
            z(p)[i] = M[i * WIDTH + 2 * R];
        }
    }

    // The equation and initial rows of grid point 0, triangular, or their normal equations.
    SMNN_INLINE void first_rows(double* carry) const {
        double C[Of::CARRY], X[R], c[E * R], r[E], we[E], row[R], sound = 0.0;
        for (int i = 0; i < Of::CARRY; ++i) C[i] = 0.0;
        for (int i = 0; i < R; ++i) X[i] = 0.0;
        const double inverse = 1.0 / step(0);
        this->equations(0, c, r, we);
        method_.template absorb<1>(C, X, 1.0, inverse, c, r, nullptr, static_cast<double*>(nullptr));
        this->initial_rows(0, [&](int, int d, int k, double weight, double given) SMNN_ALWAYS {
            double power = weight, constant = weight * given;
            for (int i = 0; i < k; ++i) power *= inverse;
            for (int i = 0; i < R; ++i) row[i] = i == method_.place(d, k) ? power : 0.0;
            method_.template merge<1>(C, X, row, &constant, d, k);
            sound += weight < 0.0 ? 1.0 : 0.0;
        });
        for (int i = 0; i < R; ++i) {
            for (int j = 0; j < R; ++j) carry[i * RIDING + j] = j < i ? 0.0 : C[i * R + j];
            carry[i * RIDING + R] = X[i];
        }
        number(call_.sound, 0, 0) += sound;
    }

    // Is the last separator determined? If not, so is the last grid point of the record: the same unknown is named there.
    SMNN_INLINE void finish(const double* carry) const {
        Long found = 0;
        for (Long p = P_ - 1; p >= 0; --p) {
            const Long in_piece = call_.deficient[number_ * P_ + p], end = call_.T * R;
            if (in_piece) found = p * call_.length * R + in_piece < end ? p * call_.length * R + in_piece : end;
        }
        int lowest = R;
        for (int j = 0; j < R; ++j) {
            double squares = 0.0;
            for (int i = 0; i <= j; ++i) squares += carry[i * RIDING + j] * carry[i * RIDING + j];
            const double pivot = fabs(carry[j * RIDING + j]);
            const bool sound = Of::ORTHOGONAL ? pivot > tolerance(call_.T) * larger(sqrt(squares), 1.0) : pivot > 0.0;
            if (!sound && method_.at(j) < lowest) lowest = method_.at(j);
        }
        if (found == 0 && lowest < R) found = (call_.T - 1) * R + lowest + 1;
        call_.deficient[number_ * P_] = found;
    }

    // U_p y_p = z_p - V_p y_{p+1}, from the last to the first, and to the pieces on both sides. A zero pivot gives 0.
    SMNN_INLINE void substitute() const {
        double y[R], next[R];
        for (Long p = P_; p >= 0; --p) {
            for (int j = R - 1; j >= 0; --j) {
                double sum = z(p)[j];
                for (int c = 0; c < R && p < P_; ++c) sum -= V(p)[j * R + c] * next[c];
                for (int c = j + 1; c < R; ++c) sum -= U(p)[j * R + c] * y[c];
                const double pivot = U(p)[j * R + j];
                y[j] = pivot == 0.0 ? 0.0 : sum / pivot;
            }
            for (int j = 0; j < R; ++j) {
                if (p < P_) number(call_.own, p, j) = y[j];
                if (p > 0) number(call_.following, p - 1, j) = y[j];
                next[j] = y[j];
            }
        }
    }

    const Method<double, S> method_;
    const Long P_;
};

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
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) {
        JoinPieces::joined(call, table, n).eliminate();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct BackJoined : OfJoined<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) { BackJoined::joined(call, table, n).back(); }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointJoined : OfJoined<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) {
        AdjointJoined::joined(call, table, n).adjoint();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct EliminatePieces : OfPieces<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) {
        EliminatePieces::piece(call, table, n).eliminate();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct SolveChain : OfChain<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) { SolveChain::chain(call, table, n).solve(); }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct BackPieces : OfPieces<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) { BackPieces::piece(call, table, n).back(); }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointPieces : OfPieces<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) {
        AdjointPieces::piece(call, table, n).adjoint();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct AdjointChain : OfChain<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double*) {
        AdjointChain::chain(call, table, n).adjoint();
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
