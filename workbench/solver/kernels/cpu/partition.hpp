// Few systems, long records: the record is cut into pieces that are swept side by side, as lanes and on several threads.
//
// Separator s_p is the first grid point of piece p; the last piece is lengthened, without rows, to the length of the others,
// and followed by one more separator. Sweeping a piece with its separator riding along leaves
//
//     A_p y_p = alpha_p                 rows over the separator alone, and
//     X_p y_p + C_p y_{p+1} = x_p       rows that tie it to the next, whose equation rows they contain.
//
// (cholesky: the normal equations of both, A_p, C_p and X_p their blocks). This chain of P + 1 grid points is solved here, in
// plain doubles (unknowns in the order of elimination): rows U_p y_p + V_p y_{p+1} = z_p. Then every piece is solved backwards from its two separators. The adjoint passes through
// in the same way, with the transposes. Source: Gargir & Toledo, Parallel-in-Time Kalman Smoothing Using Orthogonal
// Transformations, IPDPS 2025, for the idea of the interface.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "group.hpp"
#include "threads.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// Triangularise the first `columns` columns of M (rows x width, row-major) by reflections.
inline void triangularise(double* M, int rows, int width, int columns) {
    for (int j = 0; j < columns && j < rows; ++j) {
        double squares = 0.0;
        for (int i = j + 1; i < rows; ++i) squares += M[i * width + j] * M[i * width + j];
        const Reflection<double> h(M[j * width + j], squares);
        for (int c = j + 1; c < width; ++c) {
            double m = h.v * M[j * width + c];
            for (int i = j + 1; i < rows; ++i) m += M[i * width + j] * M[i * width + c];
            m *= h.scale;
            M[j * width + c] -= h.v * m;
            for (int i = j + 1; i < rows; ++i) M[i * width + c] -= M[i * width + j] * m;
        }
        M[j * width + j] = h.diagonal(M[j * width + j]);
        for (int i = j + 1; i < rows; ++i) M[i * width + j] = 0.0;
    }
}

// U^T U = A for a symmetric A (n x width, row-major, upper triangle) in place, and the columns behind it times U^-T. A pivot
// that is rounding, its square at most `tolerance` times `before`, becomes 0, and with it its row.
inline void factorise(double* A, int n, int width, double tolerance, const double* before) {
    for (int j = 0; j < n; ++j) {
        double* row = A + j * width;
        const bool sound = row[j] > tolerance * before[j];
        const double pivot = sound ? std::sqrt(row[j]) : 0.0;
        for (int c = j; c < width; ++c) row[c] = !sound ? 0.0 : c == j ? pivot : row[c] / pivot;
        for (int i = j + 1; i < n; ++i)
            for (int c = i; c < width; ++c) A[i * width + c] -= row[i] * row[c];
    }
}

template <template <class, class> class Method, class S>
class Pieces {
    using Piece = Group<Method, S, Kind::PIECES>;
    static constexpr int R = S::R, E = S::E, RIDING = R + 1, WIDTH = 2 * R + 1;
    static constexpr bool ORTHOGONAL = Method<Vec, S>::ORTHOGONAL;
    static constexpr int CARRY = ORTHOGONAL ? R * R : R * R + R;  // as Method::carry
    static constexpr int RECORD = R * (R + 1) / 2 + (ORTHOGONAL ? R * R : 0);

public:
    Pieces(const Problem& p, Kept kept, const Constants& table, int threads)
        : p_(p), own_(kept.data ? 0 : size_t(Piece::kept_size(p, true)) + 8), kept_{kept.data ? kept.data : aligned(own_.data()), true},
          table_(table), threads_(threads), P_(pieces(p)), per_(P_ / LANES), fresh_(!kept.data),
          memory_(size_t(p.systems * per_) * (piece_length(p) * R + CARRY + 2 * R * RIDING + 2 * R) + 16, true) {
        const int64_t groups = p.systems * per_;
        z_ = memory_.take(groups * piece_length(p) * R);
        C_ = memory_.take(groups * CARRY), X_ = memory_.take(groups * R * RIDING), A_ = memory_.take(groups * R * RIDING);
        at_ = memory_.take(groups * R), following_ = memory_.take(groups * R);
        chain_ = kept_.data + p.systems * P_ * piece_length(p) * (RECORD + R * R);
    }

    void solve(const Solve& out) {
        const int64_t groups = p_.systems * per_;
        std::vector<double> sound(size_t(groups) * LANES, 0.0);
        eliminate(out.deficient, sound.data());
        parallel_for(groups, threads_, [&](long i) {
            Vec fine = {};
            piece(i).back_piece(at_ + i * R, following_ + i * R, out.u, fine);
            for (int lane = 0; lane < LANES; ++lane) sound[i * LANES + lane] += fine[lane];
        });
        for (int64_t b = 0; b < p_.systems; ++b) {
            double total = 0.0;
            for (int64_t i = 0; i < P_; ++i) total += sound[b * P_ + i];
            out.suspect[b] = !(total == 0.0);
        }
    }

    void adjoint(const Adjoint& in) {
        const int64_t groups = p_.systems * per_;
        if (fresh_) {
            std::vector<int64_t> deficient(size_t(p_.systems));
            std::vector<double> sound(size_t(groups) * LANES, 0.0);
            eliminate(deficient.data(), sound.data());
        }
        parallel_for(groups, threads_, [&](long i) { piece(i).forwards_piece(in, at_ + i * R, following_ + i * R); });
        for (int64_t b = 0; b < p_.systems; ++b) interface_adjoint(b, in);
        parallel_for(groups, threads_, [&](long i) { piece(i).backwards_piece(in, at_ + i * R, following_ + i * R); });
    }

private:
    // All but the separators, and the chain of those; `sound` per piece, 0 where its values are what they should be.
    void eliminate(int64_t* deficient, double* sound) {
        const int64_t groups = p_.systems * per_;
        std::vector<int64_t> place(size_t(groups) * LANES, 0);
        parallel_for(groups, threads_, [&](long i) {
            Vec fine = {};
            piece(i).sweep_piece(C_ + i * CARRY, X_ + i * R * RIDING, A_ + i * R * RIDING, fine, &place[i * LANES]);
            std::memcpy(&sound[i * LANES], &fine, sizeof fine);
        });
        for (int64_t b = 0; b < p_.systems; ++b) deficient[b] = interface(b, place.data() + b * P_);
    }

    static double* aligned(double* p) { return reinterpret_cast<double*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64); }

    Piece piece(int64_t i) const { return Piece(p_, kept_, table_, i, z_ + i * piece_length(p_) * R); }

    // Number n of what piece p of system b has in `array`, which holds `size` numbers per group.
    double& number(Vec* array, int64_t b, int64_t p, int size, int n) const {
        return reinterpret_cast<double*>(array + ((b * P_ + p) / LANES) * size + n)[(b * P_ + p) % LANES];
    }
    double* U(int64_t b, int64_t p) const { return chain_ + (b * (P_ + 1) + p) * 2 * R * R; }
    double* V(int64_t b, int64_t p) const { return U(b, p) + R * R; }

    // The separators of system b, into at_ and following_; 1 + the first unknown that nothing determines, or 0.
    int64_t interface(int64_t b, const int64_t* place) {
        std::vector<double> z(size_t(P_ + 1) * R), y(size_t(P_ + 1) * R);
        double carry[R * RIDING] = {};
        first_rows(b, carry);
        for (int64_t p = 0; p < P_; ++p)
            if constexpr (ORTHOGONAL) reflect(b, p, carry, &z[p * R]);
            else factorise_one(b, p, carry, &z[p * R]);
        if constexpr (!ORTHOGONAL) {
            double before[R];
            for (int i = 0; i < R; ++i) before[i] = number(C_, b, P_ - 1, CARRY, R * R + i);
            factorise(carry, R, RIDING, tolerance(), before);
        }
        const int64_t deficient = finish(carry, place);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) U(b, P_)[i * R + c] = c < i ? 0.0 : carry[i * RIDING + c];
            z[P_ * R + i] = carry[i * RIDING + R];
        }
        substitute(b, z.data(), y.data());
        hand_out(b, y.data());
        return deficient;
    }

    // Eliminate separator p: `carry` holds rows over it and then over the next, triangular.
    void reflect(int64_t b, int64_t p, double* carry, double* z) {
        double M[3 * R * WIDTH] = {};
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RIDING; ++c) {
                const int to = c < R ? c : 2 * R;
                M[i * WIDTH + to] = carry[i * RIDING + c];
                M[(R + i) * WIDTH + to] = number(X_, b, p, R * RIDING, i * RIDING + c);
                if (c >= i) M[(2 * R + i) * WIDTH + to] = number(A_, b, p, R * RIDING, i * RIDING + c);
                if (c >= i && c < R) M[(R + i) * WIDTH + R + c] = number(C_, b, p, CARRY, i * R + c);
            }
        triangularise(M, 3 * R, WIDTH, R);
        keep(b, p, M, z);
        double rest[2 * R * RIDING];
        for (int i = 0; i < 2 * R; ++i)
            for (int c = 0; c < RIDING; ++c) rest[i * RIDING + c] = M[(R + i) * WIDTH + R + c];
        triangularise(rest, 2 * R, RIDING, R);
        std::copy(rest, rest + R * RIDING, carry);
    }

    // The same for the normal equations.
    void factorise_one(int64_t b, int64_t p, double* carry, double* z) {
        double M[R * WIDTH] = {}, before[R];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < RIDING; ++c)
                M[i * WIDTH + (c < R ? c : 2 * R)] = carry[i * RIDING + c] + number(A_, b, p, R * RIDING, i * RIDING + c);
            for (int c = 0; c < R; ++c) M[i * WIDTH + R + c] = number(X_, b, p, R * RIDING, c * RIDING + i);
            before[i] = M[i * WIDTH + i];
        }
        factorise(M, R, WIDTH, tolerance(), before);
        keep(b, p, M, z);
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RIDING; ++c) {
                double sum = c < i ? 0.0 : c < R ? number(C_, b, p, CARRY, i * R + c) : number(X_, b, p, R * RIDING, i * RIDING + R);
                for (int m = 0; m < R; ++m) sum -= M[m * WIDTH + R + i] * M[m * WIDTH + R + c];
                carry[i * RIDING + c] = sum;
            }
    }

    void keep(int64_t b, int64_t p, const double* M, double* z) {
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) U(b, p)[i * R + c] = c < i ? 0.0 : M[i * WIDTH + c], V(b, p)[i * R + c] = M[i * WIDTH + R + c];
            z[i] = M[i * WIDTH + 2 * R];
        }
    }

    // The equation and initial rows of grid point 0, triangular, or their normal equations.
    void first_rows(int64_t b, double* carry) const {
        int64_t place[MOST_BATCH_DIMS];
        p_.locate(b, place);
        auto at = [&](const Array& a) { return a.data + p_.offset(a, place); };
        const Method<double, S> method(S(int(p_.D), int(p_.K), int(p_.E)), table_);
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
                row[method.place(int(d), int(k))] = weight * power;
                method.template merge<1>(C, X, row, &constant, int(d), int(k));
            }
        }
        for (int i = 0; i < R; ++i) {
            for (int c = i; c < R; ++c) carry[i * RIDING + c] = C[i * R + c];
            carry[i * RIDING + R] = X[i];
        }
    }

    // Is the last separator determined? If not, so is the last grid point of the record: the same unknown is named there.
    int64_t finish(const double* carry, const int64_t* place) const {
        for (int64_t p = 0; p < P_; ++p)
            if (place[p]) return std::min(p * piece_length(p_) * R + place[p], p_.T * R);
        const Method<double, S> method(S(int(p_.D), int(p_.K), int(p_.E)), table_);
        int lowest = R;
        for (int j = 0; j < R; ++j) {
            double squares = 0.0;
            for (int i = 0; i <= j; ++i) squares += carry[i * RIDING + j] * carry[i * RIDING + j];
            const double pivot = std::fabs(carry[j * RIDING + j]);
            const bool sound = ORTHOGONAL ? pivot > tolerance() * larger(std::sqrt(squares), 1.0) : pivot > 0.0;
            if (!sound) lowest = std::min(lowest, method.at(j));
        }
        return lowest < R ? (p_.T - 1) * R + lowest + 1 : 0;
    }

    double tolerance() const { return 32.0 * std::sqrt(double(p_.T)) * std::numeric_limits<double>::epsilon(); }

    // U_p y_p = z_p - V_p y_{p+1}, from the last to the first. A zero pivot gives 0.
    void substitute(int64_t b, const double* z, double* y) const {
        for (int64_t p = P_; p >= 0; --p)
            for (int j = R - 1; j >= 0; --j) {
                double sum = z[p * R + j];
                for (int c = 0; c < R && p < P_; ++c) sum -= V(b, p)[j * R + c] * y[(p + 1) * R + c];
                for (int c = j + 1; c < R; ++c) sum -= U(b, p)[j * R + c] * y[p * R + c];
                const double pivot = U(b, p)[j * R + j];
                y[p * R + j] = pivot == 0.0 ? 0.0 : sum / pivot;
            }
    }

    void hand_out(int64_t b, const double* y) {
        for (int64_t p = 0; p < P_; ++p)
            for (int j = 0; j < R; ++j) number(at_, b, p, R, j) = y[p * R + j], number(following_, b, p, R, j) = y[(p + 1) * R + j];
    }

    // In: what the pieces have gathered for their separators (at_) and the next (following_). Out: lambda at the separators.
    void interface_adjoint(int64_t b, const Adjoint& in) {
        std::vector<double> a(size_t(P_ + 1) * R), y(size_t(P_ + 1) * R);
        int64_t place[MOST_BATCH_DIMS];
        p_.locate(b, place);
        const double *g = in.g.data + p_.offset(in.g, place), *h = p_.steps.data + p_.offset(p_.steps, place);
        const Method<double, S> method(S(int(p_.D), int(p_.K), int(p_.E)), table_);
        for (int64_t p = 0; p <= P_; ++p) {
            const int64_t t = p * piece_length(p_);
            double natural[R] = {}, *own = &a[p * R];
            if (t < p_.T) {
                for (int j = 0; j < R; ++j) natural[j] = g[t * in.g.along + j];
                rescale(S(int(p_.D), int(p_.K), int(p_.E)), 1.0 / h[std::min(t, p_.T - 2) * p_.steps.along], natural);
            }
            for (int j = 0; j < R; ++j) {
                own[j] = natural[method.at(j)];
                if (p < P_) own[j] += number(at_, b, p, R, j);
                if (p > 0) {
                    own[j] += number(following_, b, p - 1, R, j);
                    for (int i = 0; i < R; ++i) own[j] -= V(b, p - 1)[i * R + j] * a[(p - 1) * R + i];
                }
            }
            for (int j = 0; j < R; ++j) {
                for (int i = 0; i < j; ++i) own[j] -= U(b, p)[i * R + j] * own[i];
                const double pivot = U(b, p)[j * R + j];
                own[j] = pivot == 0.0 ? 0.0 : own[j] / pivot;
            }
        }
        substitute(b, a.data(), y.data());
        hand_out(b, y.data());
    }

    const Problem& p_;
    std::vector<double> own_;  // what would be kept, where nothing is to be
    Kept kept_;
    const Constants& table_;
    int threads_;
    int64_t P_, per_;  // pieces of a system, groups of lanes of a system
    bool fresh_;
    Arena memory_;
    Vec *z_, *C_, *X_, *A_, *at_, *following_;
    double* chain_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
