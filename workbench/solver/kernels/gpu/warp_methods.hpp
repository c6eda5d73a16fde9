// The two methods (qr.hpp, cholesky.hpp) in phases of a warp (gpu/warp.hpp).
#pragma once

#include "warp.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

struct WarpQr : WarpMethod<Qr> {
    using WarpMethod::WarpMethod;

    // Apply the reflection of column j of A that eliminates the rows first .. last - 1 into row j.
    SMNN_INLINE Reflection<Real> reflect(Real* A, int width, int j, int first, int last) const {
        Real squares = 0.0;
        for (int i = first; i < last; ++i) squares += A[i * width + j] * A[i * width + j];
        const Reflection<Real> h(A[j * width + j], squares);
        distribute(j, width, [&](int c) SMNN_ALWAYS {
            if (c == j) {
                m.v[j] = h.v, m.scale[j] = h.scale, m.inverse[j] = h.inverse;
                return;
            }
            Real m_c = h.v * A[j * width + c];
            for (int i = first; i < last; ++i) m_c += A[i * width + j] * A[i * width + c];
            m_c *= h.scale;
            A[j * width + c] -= h.v * m_c;
            for (int i = first; i < last; ++i) A[i * width + c] -= A[i * width + j] * m_c;
        });
        return h;
    }
    // Store the reflections: x_ij of the rows begin(j) .. end(j) - 1, then v and scale.
    template <class B, class F>
    SMNN_INLINE void store_reflections(const Column& reflections, const Real* A, int width, B begin, F end) const {
        each_lane([&](int lane) SMNN_ALWAYS {
            int offset = 0;
            for (int j = 0; j < R; offset += end(j) - begin(j), ++j)
                for (int i = begin(j) + lane; i < end(j); i += WARP)
                    reflections[offset + i - begin(j)] = A[i * width + j];
            for (int j = lane; j < R; j += WARP)
                reflections[offset + j] = m.v[j], reflections[offset + R + j] = m.scale[j];
        });
    }

    // Clear the carry.
    SMNN_INLINE void begin() const {
        distribute(0, R * WIDE, [&](int i) SMNN_ALWAYS { m.stack[R * WIDE + i] = 0.0; });
    }
    // Triangularise the equation rows (in `carry`, unscaled) and the rows over y' in `stack`: the carry of a grid
    // point.
    SMNN_INLINE void absorb(bool factoring, const Column& reflections) const {
        distribute(0, THIN, [&](int c) SMNN_ALWAYS {
            const Real power = c < R ? m.powers[unknown(c) % s.K] : Real(1.0),
                       ratio = c < R ? m.ratios[unknown(c) % s.K] : Real(1.0);
            for (int e = 0; e < E; ++e) m.carry[e * THIN + c] *= power;
            for (int i = 0; i < R; ++i)
                m.carry[(E + i) * THIN + c] = m.stack[(R + i) * WIDE + R + (c < R ? unknown(c) : R)] * ratio;
        });
        for (int j = 0; j < R; ++j) {
            const Real pivot = m.carry[j * THIN + j];
            const Reflection<Real> h = reflect(m.carry, THIN, j, j + 1, R + E);
            each_lane([&](int lane) SMNN_ALWAYS { if (lane == 0) m.diagonal[j] = h.diagonal(pivot); });
        }
        if (factoring)
            store_reflections(
                reflections + absorb_offset(), m.carry, THIN, [](int j) SMNN_ALWAYS { return j + 1; },
                [&](int) SMNN_ALWAYS { return R + E; });
    }
    // Add the row `row`, zero before unknown `first` in the order of elimination.
    SMNN_INLINE void merge(int first, bool factoring, const Column& reflections) const {
        for (int j = first; j < R; ++j) {
            const Real pivot = m.diagonal[j], x = m.row[j];
            const Reflection<Real> h(pivot, x * x);
            distribute(j, THIN, [&](int c) SMNN_ALWAYS {
                if (c == j) {
                    m.diagonal[j] = h.diagonal(pivot);
                    if (factoring)
                        reflections[3 * j] = h.v, reflections[3 * j + 1] = x, reflections[3 * j + 2] = h.scale;
                    return;
                }
                const Real m_c = (h.v * m.carry[j * THIN + c] + x * m.row[c]) * h.scale;
                m.carry[j * THIN + c] -= h.v * m_c, m.row[c] -= x * m_c;
            });
        }
    }
    SMNN_INLINE Real entry(int i, int c) const {
        return c < i ? Real(0.0) : c == i ? m.diagonal[i] : m.carry[i * THIN + c];
    }
    SMNN_INLINE void eliminate(Real, const Column& record, Real* z, Real& zero_pivot, bool factoring,
                               const Column& reflections) const {
        const int D = s.D, K = s.K;
        distribute(0, WIDE, [&](int c) SMNN_ALWAYS {
            const int n = c - R, own = c % D, bottom = K - 1 - c / D;
            for (int i = 0; i < R; ++i) {
                Real top = c < R ? entry(i, c) : c == 2 * R ? m.carry[i * THIN + R] : Real(0.0);
                if (c >= R && c < 2 * R)
                    for (int of = 0; of <= n % K; ++of) top += entry(i, position(n / K, of)) * k.phi[of * K + n % K];
                m.stack[i * WIDE + c] = top;
                m.stack[(R + i) * WIDE + c] =
                    c < R && i <= c && i % D == own ? m.taylor[own] * k.link[(K - 1 - i / D) * K + bottom] : Real(0.0);
            }
        });
        for (int j = 0; j < R; ++j)
            if (reflect(m.stack, WIDE, j, R, R + j + 1).norm == 0.0 && zero_pivot == 0.0) zero_pivot = 1.0 + unknown(j);
        store_factor(record, z, 2 * R);
        if (factoring)
            store_reflections(
                reflections, m.stack + R * WIDE, WIDE, [](int) SMNN_ALWAYS { return 0; },
                [](int j) SMNN_ALWAYS { return j + 1; });
    }
    // Write C for `finish` (R x R).
    SMNN_INLINE void unpack(Real* C) const {
        distribute(0, R, [&](int c) SMNN_ALWAYS { for (int i = 0; i < R; ++i) C[i * R + c] = entry(i, c); });
    }

    // Back substitution: y from z. Adjoint: p in `z`, a in `w`. The record is in `stack`.
    SMNN_INLINE void back_substitute() const {
        const Real* V = m.stack + R * (R + 1) / 2;
        distribute(0, R, [&](int j) SMNN_ALWAYS {
            m.x[j] = m.z[j];
            for (int c = 0; c < R; ++c) m.x[j] -= V[j * R + c] * m.ahead[c];
        });
        upper();
        distribute(0, R, [&](int i) SMNN_ALWAYS { m.y[i] = m.w[i] + predicted(i); });
    }
    SMNN_INLINE void adjoint() const {
        const Real* V = m.stack + R * (R + 1) / 2;
        distribute(0, R, [&](int j) SMNN_ALWAYS { m.x[j] = m.z[unknown(j)]; });
        lower();
        distribute(0, R, [&](int c) SMNN_ALWAYS {
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
    // Entry of a table of K x K blocks between unknowns i and c, which is nonzero for one variable only.
    SMNN_INLINE Real block(const double* table, int i, int c) const {
        return i / s.K == c / s.K ? Real(table[i % s.K * s.K + c % s.K]) * weight(c) : Real(0.0);
    }

    SMNN_INLINE void begin() const {
        distribute(0, R * THIN, [&](int i) SMNN_ALWAYS { m.carry[i] = 0.0; });
        distribute(0, R, [&](int i) SMNN_ALWAYS { m.diagonal[i] = 0.0; });
    }
    SMNN_INLINE void absorb(bool, const Column&) const {
        Real* rows = m.carry + R * THIN;
        distribute(0, R, [&](int c) SMNN_ALWAYS {
            for (int e = 0; e < E; ++e) rows[e * THIN + c] *= m.powers[c % s.K];
        });
        distribute(0, THIN, [&](int c) SMNN_ALWAYS {
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
        each_lane([&](int lane) SMNN_ALWAYS {
            if (lane != 0) return;
            const Real square = m.row[j] * m.row[j];
            m.diagonal[j] += square, m.carry[j * THIN + j] += square, m.carry[j * THIN + R] += m.row[j] * m.row[R];
        });
    }
    SMNN_INLINE void eliminate(Real tolerance, const Column& record, Real* z, Real& zero_pivot, bool,
                               const Column&) const {
        distribute(0, WIDE, [&](int c) SMNN_ALWAYS {
            for (int i = 0; i < R; ++i)
                m.stack[i * WIDE + c] = c == 2 * R ? m.carry[i * THIN + R] : c >= R ? -block(k.cross, i, c - R)
                                      : i <= c     ? m.carry[i * THIN + c] + block(k.gram, i, c) : Real(0.0);
            if (c < R) m.diagonal[c] += block(k.gram, c, c);
        });
        for (int j = 0; j < R; ++j) {
            Real square = m.stack[j * WIDE + j];
            for (int i = 0; i < j; ++i) square -= m.stack[i * WIDE + j] * m.stack[i * WIDE + j];
            const bool nonzero = square > tolerance * m.diagonal[j];
            const Real inverse = nonzero ? 1.0 / square_root(square) : Real(0.0);
            if (!nonzero && zero_pivot == 0.0) zero_pivot = 1.0 + j;
            distribute(j, WIDE, [&](int c) SMNN_ALWAYS {
                if (c == j) {
                    m.inverse[j] = inverse;
                    return;
                }
                Real sum = m.stack[j * WIDE + c];
                for (int i = 0; i < j; ++i) sum -= m.stack[i * WIDE + j] * m.stack[i * WIDE + c];
                m.stack[j * WIDE + c] = sum * inverse;
            });
        }
        store_factor(record, z, R);
        distribute(0, THIN, [&](int c) SMNN_ALWAYS {
            for (int i = 0; i < R && i <= c; ++i) {
                Real sum = c == R ? Real(0.0) : (i + c) % 2 ? -block(k.gram, i, c) : block(k.gram, i, c);
                for (int j = 0; j < R; ++j) sum -= m.stack[j * WIDE + R + i] * m.stack[j * WIDE + R + c];
                m.carry[i * THIN + c] = sum;
            }
            if (c < R) m.diagonal[c] = block(k.gram, c, c);
        });
    }
    SMNN_INLINE void unpack(Real* C) const {
        distribute(0, R, [&](int c) SMNN_ALWAYS {
            for (int i = 0; i < R; ++i) C[i * R + c] = m.carry[i * THIN + c];
            C[R * R + c] = m.diagonal[c];
        });
    }

    SMNN_INLINE void back_substitute() const {
        distribute(0, R, [&](int i) SMNN_ALWAYS {
            Real sum = 0.0;
            for (int c = 0; c < R; ++c) sum -= block(k.cross, i, c) * m.ahead[c];
            m.x[i] = sum;
        });
        lower();
        distribute(0, R, [&](int i) SMNN_ALWAYS { m.x[i] = m.z[i] - m.w[i]; });
        upper();
        distribute(0, R, [&](int i) SMNN_ALWAYS { m.y[i] = m.w[i]; });
    }
    SMNN_INLINE void adjoint() const {
        distribute(0, R, [&](int j) SMNN_ALWAYS { m.x[j] = m.z[j]; });
        lower();
        distribute(0, R, [&](int j) SMNN_ALWAYS { m.x[j] = m.z[j] = m.w[j]; });
        upper();
        distribute(0, R, [&](int c) SMNN_ALWAYS {
            Real sum = 0.0;
            for (int i = 0; i < R; ++i) sum += block(k.cross, i, c) * m.w[i];
            m.onward[c] = sum;
        });
        distribute(0, R, [&](int j) SMNN_ALWAYS { m.w[j] = m.z[j]; });
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
