// Few systems, long records: each record is cut into pieces that are eliminated side by side, as lanes and on several
// threads.
//
// Separator s_p is the first grid point of piece p. The last piece is extended, without rows, to the length of the
// others, and followed by one more separator. Eliminating a piece leaves
//
//     A_p y_p = alpha_p                 rows over its separator alone, and
//     X_p y_p + C_p y_{p+1} = x_p       rows that couple it to the next separator, whose equation rows they contain.
//
// (cholesky: the normal equations of both; A_p, C_p and X_p are their blocks.) This chain of P + 1 grid points is
// solved here in scalar arithmetic, unknowns in the order of elimination, by rows U_p y_p + V_p y_{p+1} = z_p. Every
// piece is then solved by back substitution from its two separators. The adjoint uses the same steps with the
// transposes. Source: Gargir & Toledo, Parallel-in-Time Kalman Smoothing Using Orthogonal Transformations, IPDPS 2025,
// for the idea of the interface.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "groups/piece.hpp"
#include "threads.hpp"

namespace smnn {
inline namespace SMNN_ISA {

template <template <class, class> class Method, class S>
class Partition {
    using Piece = PieceGroup<Method, S>;
    static constexpr int R = S::R, E = S::E, RHS = R + 1, WIDTH = 2 * R + 1;
    static constexpr bool ORTHOGONAL = Method<Vec, S>::ORTHOGONAL;
    static constexpr int CARRY = ORTHOGONAL ? R * R : R * R + R;  // as Method::carry
    static constexpr int RECORD = R * (R + 1) / 2 + (ORTHOGONAL ? R * R : 0);

public:
    Partition(const Problem& p, SavedFactor saved, const Constants& table, int threads)
        : p_(p), own_(saved.data ? 0 : size_t(Piece::saved_size(p)) + 8),
          saved_{saved.data ? saved.data : aligned(own_.data()), true}, factored_(saved.data), table_(table),
          threads_(threads), P_(pieces(p)), groups_(Piece::groups(p)),
          memory_(size_t(groups_) * (piece_length(p) * R + CARRY + 2 * R * RHS + 2 * R) + 16, true) {
        z_ = memory_.take(groups_ * piece_length(p) * R);
        C_ = memory_.take(groups_ * CARRY), X_ = memory_.take(groups_ * R * RHS), A_ = memory_.take(groups_ * R * RHS);
        separator_ = memory_.take(groups_ * R), following_ = memory_.take(groups_ * R);
        chain_ = saved_.data + p.systems * P_ * piece_length(p) * (RECORD + R * R);
    }

    void solve(const Solve& out) {
        std::vector<double> nan_check(size_t(groups_) * LANES, 0.0);
        eliminate(out.deficient, nan_check.data());
        parallel_for(groups_, threads_, [&](long i) {
            Vec check = {};
            piece(i).solve(separator_ + i * R, following_ + i * R, out.u, check);
            for (int lane = 0; lane < LANES; ++lane) nan_check[i * LANES + lane] += check[lane];
        });
        for (int64_t b = 0; b < p_.systems; ++b) {
            double total = 0.0;
            for (int64_t i = 0; i < P_; ++i) total += nan_check[b * P_ + i];
            out.suspect[b] = !(total == 0.0);
        }
    }

    void adjoint(const Adjoint& out) {
        if (!factored_) {
            std::vector<int64_t> deficient(size_t(p_.systems));
            std::vector<double> nan_check(size_t(groups_) * LANES, 0.0);
            eliminate(deficient.data(), nan_check.data());
        }
        parallel_for(groups_, threads_,
                     [&](long i) { piece(i).adjoint_forward(out, separator_ + i * R, following_ + i * R); });
        for (int64_t b = 0; b < p_.systems; ++b) adjoint_chain(b, out);
        parallel_for(groups_, threads_,
                     [&](long i) { piece(i).adjoint_backward(out, separator_ + i * R, following_ + i * R); });
    }

private:
    // Eliminate the pieces, and solve the chains of separators.
    //
    //     deficient  out: 1 + index of the first undetermined unknown of every system, or 0
    //     nan_check  out: 0 for every piece whose arguments are valid
    void eliminate(int64_t* deficient, double* nan_check) {
        std::vector<int64_t> deficiency(size_t(groups_) * LANES, 0);
        parallel_for(groups_, threads_, [&](long i) {
            Vec check = {};
            piece(i).eliminate(C_ + i * CARRY, X_ + i * R * RHS, A_ + i * R * RHS, check, &deficiency[i * LANES]);
            std::memcpy(&nan_check[i * LANES], &check, sizeof check);
        });
        for (int64_t b = 0; b < p_.systems; ++b) deficient[b] = solve_chain(b, deficiency.data() + b * P_);
    }

    static double* aligned(double* p) {
        return reinterpret_cast<double*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64);
    }

    Piece piece(int64_t i) const { return Piece(p_, saved_, table_, i, z_ + i * piece_length(p_) * R); }
    template <class V>
    Method<V, S> method() const { return Method<V, S>(shape(), table_); }
    S shape() const { return S(int(p_.D), int(p_.K), int(p_.E)); }

    // Number n of piece p of system b in `array`, which holds `size` vectors per group.
    double& number(Vec* array, int64_t b, int64_t p, int size, int n) const {
        return reinterpret_cast<double*>(array + ((b * P_ + p) / LANES) * size + n)[(b * P_ + p) % LANES];
    }
    double* U(int64_t b, int64_t p) const { return chain_ + (b * (P_ + 1) + p) * 2 * R * R; }
    double* V(int64_t b, int64_t p) const { return U(b, p) + R * R; }

    // Solve the chain of system b: the separators into separator_ and following_. Returns 1 + the first undetermined
    // unknown, or 0.
    int64_t solve_chain(int64_t b, const int64_t* deficiency) {
        std::vector<double> z(size_t(P_ + 1) * R), y(size_t(P_ + 1) * R);
        double carry[R * RHS] = {};
        first_rows(b, carry);
        for (int64_t p = 0; p < P_; ++p)
            if constexpr (ORTHOGONAL) eliminate_qr(b, p, carry, &z[p * R]);
            else eliminate_cholesky(b, p, carry, &z[p * R]);
        if constexpr (!ORTHOGONAL) {
            double diagonal[R];
            for (int i = 0; i < R; ++i) diagonal[i] = number(C_, b, P_ - 1, CARRY, R * R + i);
            factorise<R, RHS>(carry, diagonal, tolerance());
        }
        const int64_t deficient = first_deficient(carry, deficiency);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) U(b, P_)[i * R + c] = c < i ? 0.0 : carry[i * RHS + c];
            z[P_ * R + i] = carry[i * RHS + R];
        }
        back_substitute(b, z.data(), y.data());
        distribute(b, y.data());
        return deficient;
    }

    // Eliminate separator p. `carry` (R x RHS, triangular): in, rows over y_p; out, rows over y_{p+1}.
    void eliminate_qr(int64_t b, int64_t p, double* carry, double* z) {
        double M[3 * R * WIDTH] = {};
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RHS; ++c) {
                const int to = c < R ? c : 2 * R;
                M[i * WIDTH + to] = carry[i * RHS + c];
                M[(R + i) * WIDTH + to] = number(X_, b, p, R * RHS, i * RHS + c);
                if (c >= i) M[(2 * R + i) * WIDTH + to] = number(A_, b, p, R * RHS, i * RHS + c);
                if (c >= i && c < R) M[(R + i) * WIDTH + R + c] = number(C_, b, p, CARRY, i * R + c);
            }
        triangularise<R, 3 * R, WIDTH>(M);
        store_factor(b, p, M, z);
        double rest[2 * R * RHS];
        for (int i = 0; i < 2 * R; ++i)
            for (int c = 0; c < RHS; ++c) rest[i * RHS + c] = M[(R + i) * WIDTH + R + c];
        triangularise<R, 2 * R, RHS>(rest);
        std::copy(rest, rest + R * RHS, carry);
    }

    // The same for the normal equations.
    void eliminate_cholesky(int64_t b, int64_t p, double* carry, double* z) {
        double M[R * WIDTH] = {}, diagonal[R];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < RHS; ++c)
                M[i * WIDTH + (c < R ? c : 2 * R)] = carry[i * RHS + c] + number(A_, b, p, R * RHS, i * RHS + c);
            for (int c = 0; c < R; ++c) M[i * WIDTH + R + c] = number(X_, b, p, R * RHS, c * RHS + i);
            diagonal[i] = M[i * WIDTH + i];
        }
        factorise<R, WIDTH>(M, diagonal, tolerance());
        store_factor(b, p, M, z);
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RHS; ++c) {
                double sum = c < i   ? 0.0
                             : c < R ? number(C_, b, p, CARRY, i * R + c)
                                     : number(X_, b, p, R * RHS, i * RHS + R);
                for (int m = 0; m < R; ++m) sum -= M[m * WIDTH + R + i] * M[m * WIDTH + R + c];
                carry[i * RHS + c] = sum;
            }
    }

    void store_factor(int64_t b, int64_t p, const double* M, double* z) {
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) {
                U(b, p)[i * R + c] = c < i ? 0.0 : M[i * WIDTH + c];
                V(b, p)[i * R + c] = M[i * WIDTH + R + c];
            }
            z[i] = M[i * WIDTH + 2 * R];
        }
    }

    // Equation and initial rows of grid point 0, triangular, or their normal equations: out, R x RHS.
    void first_rows(int64_t b, double* carry) const {
        int64_t index[MAX_BATCH_DIMS];
        p_.locate(b, index);
        auto at = [&](const Array& a) { return a.data + p_.offset(a, index); };
        const auto method = this->method<double>();
        const double h = *at(p_.steps);
        double C[CARRY] = {}, X[R] = {}, coefficients[E * R], constants[E], scratch[1];
        for (int e = 0; e < E; ++e) {
            const double weight = at(p_.weight_equation)[e];
            constants[e] = weight == 0.0 ? 0.0 : weight * at(p_.forcing)[e];
            for (int c = 0; c < R; ++c)
                coefficients[e * R + c] = weight == 0.0 ? 0.0 : weight * at(p_.coefficients)[e * R + c];
        }
        method.template absorb<1>(C, X, 1.0, 1.0 / h, coefficients, constants, nullptr, scratch);
        for (int64_t d = 0; d < p_.D && p_.T0 > 0; ++d) {
            double power = 1.0;
            for (int64_t k = 0; k < p_.K0; ++k, power /= h) {
                const double weight = at(p_.weight_initial)[d * p_.K0 + k];
                double row[R] = {}, constant = weight == 0.0 ? 0.0 : weight * at(p_.initial)[d * p_.K0 + k];
                row[method.position(int(d), int(k))] = weight * power;
                method.template merge<1>(C, X, row, &constant, int(d), int(k));
            }
        }
        for (int i = 0; i < R; ++i) {
            for (int c = i; c < R; ++c) carry[i * RHS + c] = C[i * R + c];
            carry[i * RHS + R] = X[i];
        }
    }

    // 1 + index of the first undetermined unknown, or 0. An undetermined last separator is reported as the same unknown
    // of the last grid point of the record, which is undetermined too.
    int64_t first_deficient(const double* carry, const int64_t* deficiency) const {
        for (int64_t p = 0; p < P_; ++p)
            if (deficiency[p]) return std::min(p * piece_length(p_) * R + deficiency[p], p_.T * R);
        const auto method = this->method<double>();
        int lowest = R;
        for (int j = 0; j < R; ++j) {
            double squares = 0.0;
            for (int i = 0; i <= j; ++i) squares += carry[i * RHS + j] * carry[i * RHS + j];
            const double pivot = std::fabs(carry[j * RHS + j]);
            const bool nonzero = ORTHOGONAL ? pivot > tolerance() * maximum(std::sqrt(squares), 1.0) : pivot > 0.0;
            if (!nonzero) lowest = std::min(lowest, method.unknown(j));
        }
        return lowest < R ? (p_.T - 1) * R + lowest + 1 : 0;
    }

    double tolerance() const { return 32.0 * std::sqrt(double(p_.T)) * std::numeric_limits<double>::epsilon(); }

    // U_p y_p = z_p - V_p y_{p+1}, from the last separator to the first. A zero pivot gives 0.
    void back_substitute(int64_t b, const double* z, double* y) const {
        for (int64_t p = P_; p >= 0; --p)
            for (int j = R - 1; j >= 0; --j) {
                double sum = z[p * R + j];
                for (int c = 0; c < R && p < P_; ++c) sum -= V(b, p)[j * R + c] * y[(p + 1) * R + c];
                for (int c = j + 1; c < R; ++c) sum -= U(b, p)[j * R + c] * y[p * R + c];
                const double pivot = U(b, p)[j * R + j];
                y[p * R + j] = pivot == 0.0 ? 0.0 : sum / pivot;
            }
    }

    // Copy the separators of system b to the pieces on both sides.
    void distribute(int64_t b, const double* y) {
        for (int64_t p = 0; p < P_; ++p)
            for (int j = 0; j < R; ++j) {
                number(separator_, b, p, R, j) = y[p * R + j];
                number(following_, b, p, R, j) = y[(p + 1) * R + j];
            }
    }

    // Adjoint of the chain of system b. separator_ and following_: in, contributions of the pieces to the right-hand
    // sides; out, lambda at the separators.
    void adjoint_chain(int64_t b, const Adjoint& in) {
        std::vector<double> a(size_t(P_ + 1) * R), y(size_t(P_ + 1) * R);
        const auto method = this->method<double>();
        for (int64_t p = 0; p <= P_; ++p) {
            double natural[R] = {}, *a_p = &a[p * R];
            upstream(b, p * piece_length(p_), in.g, natural);
            for (int j = 0; j < R; ++j) {
                a_p[j] = natural[method.unknown(j)];
                if (p < P_) a_p[j] += number(separator_, b, p, R, j);
                if (p > 0) {
                    a_p[j] += number(following_, b, p - 1, R, j);
                    for (int i = 0; i < R; ++i) a_p[j] -= V(b, p - 1)[i * R + j] * a[(p - 1) * R + i];
                }
            }
            for (int j = 0; j < R; ++j) {
                for (int i = 0; i < j; ++i) a_p[j] -= U(b, p)[i * R + j] * a_p[i];
                const double pivot = U(b, p)[j * R + j];
                a_p[j] = pivot == 0.0 ? 0.0 : a_p[j] / pivot;
            }
        }
        back_substitute(b, a.data(), y.data());
        distribute(b, y.data());
    }

    // Scaled upstream gradient at grid point t (R); unchanged past the end of the record.
    void upstream(int64_t b, int64_t t, const Array& array, double* out) const {
        if (t >= p_.T) return;
        int64_t index[MAX_BATCH_DIMS];
        p_.locate(b, index);
        const double *g = array.data + p_.offset(array, index), *h = p_.steps.data + p_.offset(p_.steps, index);
        for (int j = 0; j < R; ++j) out[j] = g[t * array.stride + j];
        rescale(shape(), 1.0 / h[std::min(t, p_.T - 2) * p_.steps.stride], out);
    }

    const Problem& p_;
    std::vector<double> own_;  // memory of the factor if the caller saves none
    const SavedFactor saved_;
    const bool factored_;  // whether the caller passed a factor
    const Constants& table_;
    const int threads_;
    const int64_t P_, groups_;  // pieces of a system; groups of lanes
    Arena memory_;
    Vec *z_, *C_, *X_, *A_, *separator_, *following_;
    double* chain_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
