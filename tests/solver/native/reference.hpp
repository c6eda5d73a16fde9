// Test cases of kernel_check.cpp, and their solution by the normal equations, formed row by row and factored in
// extended precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cpu/problem.hpp"

using namespace smnn;
using Long = long double;
using Numbers = std::vector<double>;

struct Case {
    int64_t T, T0, E, D, K, K0, lefts, columns;
    bool cholesky;
    bool constant;  // coefficients, steps and weights are broadcast over the grid points
    int saved;       // 0: nothing, 1: carries, 2: the whole
    int threads;
    bool central = false;

    int64_t R() const { return D * K; }
    int64_t systems() const { return lefts * columns; }
    int64_t orders() const { return central ? K - 1 : K; }  // that have Taylor rows
    std::string name() const {
        std::string text;
        for (int64_t n : {T, T0, E, D, K, K0, lefts, columns, int64_t(cholesky), int64_t(constant), int64_t(saved),
                          int64_t(threads), int64_t(central)})
            text += (text.empty() ? "" : ",") + std::to_string(n);
        return "T,T0,E,D,K,K0,lefts,columns,cholesky,constant,saved,threads,central=" + text;
    }
};

// An argument in its own memory: `points` records of `width` numbers for each left-hand side, or (all) for each system.
struct Argument {
    Numbers numbers;
    int64_t points, width;
    bool all;

    Argument(const Case& c, int64_t n, int64_t w, bool per_system, double low, double high, std::mt19937& random)
        : numbers(size_t((per_system ? c.systems() : c.lefts) * n * w)), points(n), width(w), all(per_system) {
        std::uniform_real_distribution<double> draw(low, high);
        for (double& x : numbers) x = draw(random);
    }
    Array array(const Case& c) const {
        Array result;
        result.data = numbers.empty() ? nullptr : numbers.data();
        result.width = width, result.stride = points > 1 ? width : 0;
        result.batch[0] = points * width * (all ? c.columns : 1);
        result.batch[1] = all ? points * width : 0;
        return result;
    }
    double at(const Case& c, int64_t system, int64_t t, int64_t i) const {
        const int64_t owner = all ? system : system / c.columns;
        return numbers[size_t((owner * points + (points > 1 ? t : 0)) * width + i)];
    }
};

struct Inputs {
    Case c;
    std::mt19937 random;
    Argument coefficients, forcing, initial, steps, equation, start, taylor, g;

    explicit Inputs(const Case& given)
        : c(given), random(unsigned(given.T * 7 + given.R() * 31 + given.systems())),
          coefficients(c, c.constant ? 1 : c.T, c.E * c.R(), false, -1, 1, random),
          forcing(c, c.T, c.E, true, -1, 1, random), initial(c, c.T0, c.D * c.K0, true, -1, 1, random),
          steps(c, c.constant ? 1 : c.T - 1, 1, false, 0.4, 0.9, random),
          equation(c, c.constant ? 1 : c.T, c.E, false, 0.5, 2, random),
          start(c, c.T0, c.D * c.K0, false, 0.5, 2, random),
          taylor(c, c.constant ? 1 : c.T - 1, c.D, false, 0.5, 2, random), g(c, c.T, c.R(), true, -1, 1, random) {
        // the variables themselves have the largest coefficients: solutions do not grow, condition numbers are moderate
        for (int64_t i = 0; i < int64_t(coefficients.numbers.size()); i += c.K)
            if (i / c.K % c.D == i / c.R() % c.E % c.D) coefficients.numbers[size_t(i)] += 4;
    }

    Problem problem() const {
        Problem p{};
        p.T = c.T, p.T0 = c.T0, p.E = c.E, p.D = c.D, p.K = c.K, p.K0 = c.K0, p.cholesky = c.cholesky,
        p.central = c.central, p.columns = c.columns;
        p.batch_dims = 2, p.systems = c.systems(), p.batch[0] = c.lefts, p.batch[1] = c.columns;
        p.coefficients = coefficients.array(c), p.forcing = forcing.array(c), p.initial = initial.array(c),
        p.steps = steps.array(c);
        p.weight_equation = equation.array(c), p.weight_initial = start.array(c), p.weight_taylor = taylor.array(c);
        return p;
    }
};

// The normal equations of one system: banded, half width 2R - 1 (3R - 1 with central rows), factored L L^T in place.
class NormalEquations {
public:
    NormalEquations(const Inputs& in, int64_t system)
        : in_(in), c_(in.c), system_(system), n_(c_.T * c_.R()), width_((c_.central ? 3 : 2) * c_.R()),
          N_(size_t(n_ * width_)), b_(size_t(n_)) {
        const int64_t R = c_.R();
        std::vector<Long> row(static_cast<size_t>(width_));
        for (int64_t t = 0; t < c_.T; ++t) {
            for (int64_t e = 0; e < c_.E; ++e) {
                for (int64_t j = 0; j < R; ++j) row[size_t(j)] = in.coefficients.at(c_, system, t, e * R + j);
                add(t * R, row, R, in.forcing.at(c_, system, t, e), in.equation.at(c_, system, t, e));
            }
            for (int64_t i = 0; t < c_.T0 && i < c_.D * c_.K0; ++i) {
                std::fill(row.begin(), row.end(), 0);
                row[size_t(i / c_.K0 * c_.K + i % c_.K0)] = 1;
                add(t * R, row, R, in.initial.at(c_, system, t, i), in.start.at(c_, system, t, i));
            }
            for (int64_t d = 0; t < c_.T - 1 && d < c_.D; ++d)
                for (int64_t i = 0; i < c_.orders(); ++i)
                    for (int side = 0; side < 2; ++side) {
                        taylor_row(in.steps.at(c_, system, t, 0), d, i, side, row);
                        add(t * R, row, 2 * R, 0, in.taylor.at(c_, system, t, d));
                    }
            for (int64_t d = 0; c_.central && t < c_.T - 2 && d < c_.D; ++d) {
                central_row(Long(in.steps.at(c_, system, t, 0)) + in.steps.at(c_, system, t + 1, 0), d, row);
                add(t * R, row, 3 * R, 0, in.taylor.at(c_, system, t, d));
            }
        }
        factor();
    }

    // Forward (side 0) or backward (side 1) Taylor row over (u_t, u_{t+1}).
    void taylor_row(Long h, int64_t d, int64_t i, int side, std::vector<Long>& row) const {
        std::fill(row.begin(), row.end(), 0);
        const Long signed_h = side ? -h : h;
        const int64_t from = side ? c_.R() : 0, to = c_.R() - from;
        Long power = std::pow(signed_h, Long(i)), factorial = 1;
        row[size_t(to + d * c_.K + i)] = -power;
        for (int64_t j = i; j < c_.K; ++j, power *= signed_h, factorial *= Long(j - i))
            row[size_t(from + d * c_.K + j)] = power / factorial;
    }

    // Central row over (u_t, u_{t+1}, u_{t+2}), H their distance.
    void central_row(Long H, int64_t d, std::vector<Long>& row) const {
        std::fill(row.begin(), row.end(), 0);
        const int64_t R = c_.R(), below = d * c_.K + c_.K - 2;
        row[size_t(below)] = std::pow(H, Long(c_.K - 3));
        row[size_t(2 * R + below)] = -row[size_t(below)];
        row[size_t(R + below + 1)] = std::pow(H, Long(c_.K - 2));
    }

    std::vector<Long> solve(std::vector<Long> x) const {
        for (int64_t i = 0; i < n_; ++i) {
            for (int64_t j = low(i); j < i; ++j) x[size_t(i)] -= at(i, j) * x[size_t(j)];
            x[size_t(i)] /= at(i, i);
        }
        for (int64_t i = n_ - 1; i >= 0; --i) {
            x[size_t(i)] /= at(i, i);
            for (int64_t j = low(i); j < i; ++j) x[size_t(j)] -= at(i, j) * x[size_t(i)];
        }
        return x;
    }
    std::vector<Long> solution() const { return solve(b_); }

    // Sum of <row, lam> <row, u> over the rows that contain the step h_t, with the step changed by `change`: minus
    // their part of the objective whose derivative is the gradient of h_t.
    Long step_terms(int64_t t, Long change, const std::vector<Long>& u, const std::vector<Long>& lam) const {
        std::vector<Long> row(static_cast<size_t>(width_));
        Long sum = 0;
        auto add_row = [&](int64_t first, int64_t d) {
            Long a = 0, b = 0;
            for (int64_t j = 0; j < width_ && first * c_.R() + j < n_; ++j)
                a += row[size_t(j)] * u[size_t(first * c_.R() + j)],
                    b += row[size_t(j)] * lam[size_t(first * c_.R() + j)];
            const Long weight = in_.taylor.at(c_, system_, first, d);
            sum += weight * weight * a * b;
        };
        auto step = [&](int64_t other) { return in_.steps.at(c_, system_, other, 0) + (other == t ? change : 0); };
        for (int64_t d = 0; d < c_.D; ++d) {
            for (int64_t i = 0; i < c_.orders(); ++i)
                for (int side = 0; side < 2; ++side) taylor_row(step(t), d, i, side, row), add_row(t, d);
            for (int64_t first = std::max<int64_t>(t - 1, 0); c_.central && first <= t && first < c_.T - 2; ++first)
                central_row(step(first) + step(first + 1), d, row), add_row(first, d);
        }
        return sum;
    }

private:
    Long& at(int64_t i, int64_t j) { return N_[size_t(i * width_ + i - j)]; }
    Long at(int64_t i, int64_t j) const { return N_[size_t(i * width_ + i - j)]; }
    int64_t low(int64_t i) const { return std::max<int64_t>(0, i - width_ + 1); }

    void add(int64_t first, const std::vector<Long>& row, int64_t count, Long constant, Long weight) {
        for (int64_t i = 0; i < count; ++i) {
            b_[size_t(first + i)] += weight * weight * row[size_t(i)] * constant;
            for (int64_t j = 0; j <= i; ++j)
                at(first + i, first + j) += weight * weight * row[size_t(i)] * row[size_t(j)];
        }
    }
    void factor() {
        for (int64_t i = 0; i < n_; ++i)
            for (int64_t j = low(i); j <= i; ++j) {
                Long sum = at(i, j);
                for (int64_t m = low(i); m < j; ++m) sum -= at(i, m) * at(j, m);
                at(i, j) = i == j ? std::sqrt(sum) : sum / at(j, j);
            }
    }

    const Inputs& in_;
    const Case& c_;
    int64_t system_, n_, width_;
    std::vector<Long> N_, b_;
};
