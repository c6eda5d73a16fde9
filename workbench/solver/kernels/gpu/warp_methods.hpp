// The two methods (sweep.hpp, cholesky.hpp) in phases of a warp (gpu/warp.hpp).
#pragma once

#include "warp.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

struct WarpQr : WarpMethod<Qr> {
    using WarpMethod::WarpMethod;

    // Reflection of column j of A onto row j: with the rows first .. last - 1.
    SMNN_INLINE Reflection<Real> reflect(Real* A, int width, int j, int first, int last) const {
        Real squares = 0.0;
        for (int i = first; i < last; ++i) squares += A[i * width + j] * A[i * width + j];
        const Reflection<Real> h(A[j * width + j], squares);
        spread(j, width, [&](int c) SMNN_ALWAYS {
            if (c == j) {
                m.v[j] = h.v, m.scale[j] = h.scale, m.inverse[j] = h.inverse;
                return;
            }
            Real of = h.v * A[j * width + c];
            for (int i = first; i < last; ++i) of += A[i * width + j] * A[i * width + c];
            of *= h.scale;
            A[j * width + c] -= h.v * of;
            for (int i = first; i < last; ++i) A[i * width + c] -= A[i * width + j] * of;
        });
        return h;
    }
    // The reflections, for right-hand sides that ride later: x_ij of the rows begin(j) .. end(j) - 1, then v and scale.
    template <class B, class F>
    SMNN_INLINE void keep_reflections(const Column& kept, const Real* A, int width, B begin, F end) const {
        lanes([&](int lane) SMNN_ALWAYS {
            int place = 0;
            for (int j = 0; j < R; place += end(j) - begin(j), ++j)
                for (int i = begin(j) + lane; i < end(j); i += WARP) kept[place + i - begin(j)] = A[i * width + j];
            for (int j = lane; j < R; j += WARP) kept[place + j] = m.v[j], kept[place + R + j] = m.scale[j];
        });
    }

    // Nothing is carried yet.
    SMNN_INLINE void begin() const {
        spread(0, R * WIDE, [&](int i) SMNN_ALWAYS { m.stack[R * WIDE + i] = 0.0; });
    }
    // The carry of a grid point: the equation rows (in `carry`, unscaled) and what is left in `stack`.
    SMNN_INLINE void absorb(bool factoring, const Column& kept) const {
        spread(0, THIN, [&](int c) SMNN_ALWAYS {
            const Real power = c < R ? m.powers[at(c) % s.K] : Real(1.0), ratio = c < R ? m.ratios[at(c) % s.K] : Real(1.0);
            for (int e = 0; e < E; ++e) m.carry[e * THIN + c] *= power;
            for (int i = 0; i < R; ++i) m.carry[(E + i) * THIN + c] = m.stack[(R + i) * WIDE + R + (c < R ? at(c) : R)] * ratio;
        });
        for (int j = 0; j < R; ++j) {
            const Real pivot = m.carry[j * THIN + j];
            const Reflection<Real> h = reflect(m.carry, THIN, j, j + 1, R + E);
            lanes([&](int lane) SMNN_ALWAYS { if (lane == 0) m.diagonal[j] = h.diagonal(pivot); });
        }
        if (factoring) keep_reflections(kept + absorbing(), m.carry, THIN, [](int j) SMNN_ALWAYS { return j + 1; }, [&](int) SMNN_ALWAYS { return R + E; });
    }
    // One more row, `row`, that begins at the j-th unknown.
    SMNN_INLINE void merge(int first, bool factoring, const Column& kept) const {
        for (int j = first; j < R; ++j) {
            const Real pivot = m.diagonal[j], x = m.row[j];
            const Reflection<Real> h(pivot, x * x);
            spread(j, THIN, [&](int c) SMNN_ALWAYS {
                if (c == j) {
                    m.diagonal[j] = h.diagonal(pivot);
                    if (factoring) kept[3 * j] = h.v, kept[3 * j + 1] = x, kept[3 * j + 2] = h.scale;
                    return;
                }
                const Real of = (h.v * m.carry[j * THIN + c] + x * m.row[c]) * h.scale;
                m.carry[j * THIN + c] -= h.v * of, m.row[c] -= x * of;
            });
        }
    }
    SMNN_INLINE Real entry(int i, int c) const { return c < i ? Real(0.0) : c == i ? m.diagonal[i] : m.carry[i * THIN + c]; }
    SMNN_INLINE void eliminate(Real, const Column& record, Real* z, Real& zero, bool factoring, const Column& kept) const {
        const int D = s.D, K = s.K;
        spread(0, WIDE, [&](int c) SMNN_ALWAYS {
            const int n = c - R, own = c % D, bottom = K - 1 - c / D;
            for (int i = 0; i < R; ++i) {
                Real top = c < R ? entry(i, c) : c == 2 * R ? m.carry[i * THIN + R] : Real(0.0);
                if (c >= R && c < 2 * R)
                    for (int of = 0; of <= n % K; ++of) top += entry(i, place(n / K, of)) * k.phi[of * K + n % K];
                m.stack[i * WIDE + c] = top;
                m.stack[(R + i) * WIDE + c] = c < R && i <= c && i % D == own ? m.taylor[own] * k.link[(K - 1 - i / D) * K + bottom] : Real(0.0);
            }
        });
        for (int j = 0; j < R; ++j)
            if (reflect(m.stack, WIDE, j, R, R + j + 1).norm == 0.0 && zero == 0.0) zero = 1.0 + at(j);
        keep(record, z, 2 * R);
        if (factoring) keep_reflections(kept, m.stack + R * WIDE, WIDE, [](int) SMNN_ALWAYS { return 0; }, [](int j) SMNN_ALWAYS { return j + 1; });
    }
    // C of `finish`: R x R.
    SMNN_INLINE void spell_out(Real* C) const {
        spread(0, R, [&](int c) SMNN_ALWAYS { for (int i = 0; i < R; ++i) C[i * R + c] = entry(i, c); });
    }

    // y from z, and the pass with the transpose: p in `z`, a in `w`; the record is in `stack`.
    SMNN_INLINE void back() const {
        const Real* V = m.stack + R * (R + 1) / 2;
        spread(0, R, [&](int j) SMNN_ALWAYS {
            m.x[j] = m.z[j];
            for (int c = 0; c < R; ++c) m.x[j] -= V[j * R + c] * m.ahead[c];
        });
        upper();
        spread(0, R, [&](int i) SMNN_ALWAYS { m.y[i] = m.w[i] + predicted(i); });
    }
    SMNN_INLINE void adjoint() const {
        const Real* V = m.stack + R * (R + 1) / 2;
        spread(0, R, [&](int j) SMNN_ALWAYS { m.x[j] = m.z[at(j)]; });
        lower();
        spread(0, R, [&](int c) SMNN_ALWAYS {
            Real sum = m.z[c];
            for (int i = 0; i < c % s.K; ++i) sum += m.z[c - c % s.K + i] * k.phi[i * s.K + c % s.K];
            for (int j = 0; j < R; ++j) sum -= V[j * R + c] * m.w[j];
            m.onward[c] = sum;
        });
    }
};

struct WarpCholesky : WarpMethod<Cholesky> {
    using WarpMethod::WarpMethod;

    SMNN_INLINE Real weight(int i) const { return m.taylor[i / s.K] * m.taylor[i / s.K]; }
    // An entry of the block of a table between unknowns i and c: of one variable only.
    SMNN_INLINE Real block(const double* table, int i, int c) const {
        return i / s.K == c / s.K ? Real(table[i % s.K * s.K + c % s.K]) * weight(c) : Real(0.0);
    }

    SMNN_INLINE void begin() const {
        spread(0, R * THIN, [&](int i) SMNN_ALWAYS { m.carry[i] = 0.0; });
        spread(0, R, [&](int i) SMNN_ALWAYS { m.diagonal[i] = 0.0; });
    }
    SMNN_INLINE void absorb(bool, const Column&) const {
        Real* rows = m.carry + R * THIN;
        spread(0, R, [&](int c) SMNN_ALWAYS { for (int e = 0; e < E; ++e) rows[e * THIN + c] *= m.powers[c % s.K]; });
        spread(0, THIN, [&](int c) SMNN_ALWAYS {
            const Real ratio = c < R ? m.ratios[c % s.K] : Real(1.0);
            for (int i = 0; i < R && i <= c; ++i) {
                Real sum = m.carry[i * THIN + c] * (m.ratios[i % s.K] * ratio);
                for (int e = 0; e < E; ++e) sum += rows[e * THIN + i] * rows[e * THIN + c];
                m.carry[i * THIN + c] = sum;
            }
            if (c == R) return;
            Real sum = m.diagonal[c] * (ratio * ratio);
            for (int e = 0; e < E; ++e) sum += rows[e * THIN + c] * rows[e * THIN + c];
            m.diagonal[c] = sum;
        });
    }
    SMNN_INLINE void merge(int j, bool, const Column&) const {
        lanes([&](int lane) SMNN_ALWAYS {
            if (lane != 0) return;
            const Real square = m.row[j] * m.row[j];
            m.diagonal[j] += square, m.carry[j * THIN + j] += square, m.carry[j * THIN + R] += m.row[j] * m.row[R];
        });
    }
    SMNN_INLINE void eliminate(Real tolerance, const Column& record, Real* z, Real& zero, bool, const Column&) const {
        spread(0, WIDE, [&](int c) SMNN_ALWAYS {
            for (int i = 0; i < R; ++i)
                m.stack[i * WIDE + c] = c == 2 * R ? m.carry[i * THIN + R] : c >= R ? -block(k.cross, i, c - R)
                                      : i <= c     ? m.carry[i * THIN + c] + block(k.gram, i, c) : Real(0.0);
            if (c < R) m.diagonal[c] += block(k.gram, c, c);
        });
        for (int j = 0; j < R; ++j) {
            Real square = m.stack[j * WIDE + j];
            for (int i = 0; i < j; ++i) square -= m.stack[i * WIDE + j] * m.stack[i * WIDE + j];
            const bool sound = square > tolerance * m.diagonal[j];
            const Real inverse = sound ? 1.0 / root(square) : Real(0.0);
            if (!sound && zero == 0.0) zero = 1.0 + j;
            spread(j, WIDE, [&](int c) SMNN_ALWAYS {
                if (c == j) {
                    m.inverse[j] = inverse;
                    return;
                }
                Real sum = m.stack[j * WIDE + c];
                for (int i = 0; i < j; ++i) sum -= m.stack[i * WIDE + j] * m.stack[i * WIDE + c];
                m.stack[j * WIDE + c] = sum * inverse;
            });
        }
        keep(record, z, R);
        spread(0, THIN, [&](int c) SMNN_ALWAYS {
            for (int i = 0; i < R && i <= c; ++i) {
                Real sum = c == R ? Real(0.0) : (i + c) % 2 ? -block(k.gram, i, c) : block(k.gram, i, c);
                for (int j = 0; j < R; ++j) sum -= m.stack[j * WIDE + R + i] * m.stack[j * WIDE + R + c];
                m.carry[i * THIN + c] = sum;
            }
            if (c < R) m.diagonal[c] = block(k.gram, c, c);
        });
    }
    SMNN_INLINE void spell_out(Real* C) const {
        spread(0, R, [&](int c) SMNN_ALWAYS {
            for (int i = 0; i < R; ++i) C[i * R + c] = m.carry[i * THIN + c];
            C[R * R + c] = m.diagonal[c];
        });
    }

    SMNN_INLINE void back() const {
        spread(0, R, [&](int i) SMNN_ALWAYS {
            Real sum = 0.0;
            for (int c = 0; c < R; ++c) sum -= block(k.cross, i, c) * m.ahead[c];
            m.x[i] = sum;
        });
        lower();
        spread(0, R, [&](int i) SMNN_ALWAYS { m.x[i] = m.z[i] - m.w[i]; });
        upper();
        spread(0, R, [&](int i) SMNN_ALWAYS { m.y[i] = m.w[i]; });
    }
    SMNN_INLINE void adjoint() const {
        spread(0, R, [&](int j) SMNN_ALWAYS { m.x[j] = m.z[j]; });
        lower();
        spread(0, R, [&](int j) SMNN_ALWAYS { m.x[j] = m.z[j] = m.w[j]; });
        upper();
        spread(0, R, [&](int c) SMNN_ALWAYS {
            Real sum = 0.0;
            for (int i = 0; i < R; ++i) sum += block(k.cross, i, c) * m.w[i];
            m.onward[c] = sum;
        });
        spread(0, R, [&](int j) SMNN_ALWAYS { m.w[j] = m.z[j]; });
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
