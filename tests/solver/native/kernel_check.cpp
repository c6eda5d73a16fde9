// The kernel without Python, for the sanitizers (test_sanitizers.py compiles and runs it): solutions, adjoints and gradients of
// many shapes against the normal equations, formed row by row and factored in extended precision. Inputs lie in memory of
// exactly their size, results between guards, and each is NaN before it is written.
//
//     kernel_check           every shape
//     kernel_check together  several callers at once, and work that throws
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cpu/problem.hpp"
#include "cpu/threads.hpp"

namespace smnn {
extern const Kernel baseline_0_0, baseline_1_2;
}

using namespace smnn;
using Long = long double;
using Numbers = std::vector<double>;
static const Kernel& kernel_of(const Problem& p) { return baseline_1_2.serves(p) ? baseline_1_2 : baseline_0_0; }
static constexpr double NOTHING = std::numeric_limits<double>::quiet_NaN();

// Numbers at the alignment of a vector register with guards on both sides. The end is where the user's end is.
class Guarded {
public:
    explicit Guarded(int64_t size) : size_(size), bytes_((size + 2 * GUARD) * 8), memory_(std::aligned_alloc(64, (bytes_ + 63) / 64 * 64)) {
        for (int64_t i = -GUARD; i < size + GUARD; ++i) data()[i] = i < 0 || i >= size ? MARK : NOTHING;
    }
    ~Guarded() { std::free(memory_); }
    Guarded(const Guarded&) = delete;
    double* data() const { return static_cast<double*>(memory_) + GUARD; }
    double operator[](int64_t i) const { return data()[i]; }
    bool whole() const {
        for (int64_t i = 0; i < GUARD; ++i)
            if (data()[-1 - i] != MARK || data()[size_ + i] != MARK) return false;
        return true;
    }

private:
    static constexpr int64_t GUARD = 8;
    static constexpr double MARK = -7.25e77;
    int64_t size_, bytes_;
    void* memory_;
};

struct Case {
    int64_t T, T0, E, D, K, K0, lefts, columns;
    bool cholesky;
    bool constant;  // coefficients, steps and weights are broadcast over the grid points
    int keep;       // 0: nothing, 1: carries, 2: the whole
    int threads;
    bool central = false;

    int64_t R() const { return D * K; }
    int64_t systems() const { return lefts * columns; }
    int64_t orders() const { return central ? K - 1 : K; }  // that have Taylor rows
    std::string name() const {
        std::string text;
        for (int64_t n : {T, T0, E, D, K, K0, lefts, columns, int64_t(cholesky), int64_t(constant), int64_t(keep), int64_t(threads), int64_t(central)})
            text += (text.empty() ? "" : ",") + std::to_string(n);
        return "T,T0,E,D,K,K0,lefts,columns,cholesky,constant,keep,threads,central=" + text;
    }
};

// An argument with memory of its own: `points` records of `width` for each left-hand side, or (all) for each system.
struct Argument {
    Numbers numbers;
    int64_t points, width;
    bool all;

    Argument(const Case& c, int64_t n, int64_t w, bool of_all, double low, double high, std::mt19937& random)
        : numbers(size_t((of_all ? c.systems() : c.lefts) * n * w)), points(n), width(w), all(of_all) {
        std::uniform_real_distribution<double> draw(low, high);
        for (double& x : numbers) x = draw(random);
    }
    Array array(const Case& c) const {
        Array made;
        made.data = numbers.empty() ? nullptr : numbers.data();
        made.width = width, made.along = points > 1 ? width : 0;
        made.batch[0] = points * width * (all ? c.columns : 1);
        made.batch[1] = all ? points * width : 0;
        return made;
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
          coefficients(c, c.constant ? 1 : c.T, c.E * c.R(), false, -1, 1, random), forcing(c, c.T, c.E, true, -1, 1, random),
          initial(c, c.T0, c.D * c.K0, true, -1, 1, random), steps(c, c.constant ? 1 : c.T - 1, 1, false, 0.4, 0.9, random),
          equation(c, c.constant ? 1 : c.T, c.E, false, 0.5, 2, random), start(c, c.T0, c.D * c.K0, false, 0.5, 2, random),
          taylor(c, c.constant ? 1 : c.T - 1, c.D, false, 0.5, 2, random), g(c, c.T, c.R(), true, -1, 1, random) {
        // the variables themselves weigh most: solutions do not grow, and condition numbers are moderate
        for (int64_t i = 0; i < int64_t(coefficients.numbers.size()); i += c.K)
            if (i / c.K % c.D == i / c.R() % c.E % c.D) coefficients.numbers[size_t(i)] += 4;
    }

    Problem problem() const {
        Problem p{};
        p.T = c.T, p.T0 = c.T0, p.E = c.E, p.D = c.D, p.K = c.K, p.K0 = c.K0, p.cholesky = c.cholesky, p.central = c.central, p.columns = c.columns;
        p.batch_dims = 2, p.systems = c.systems(), p.batch[0] = c.lefts, p.batch[1] = c.columns;
        p.coefficients = coefficients.array(c), p.forcing = forcing.array(c), p.initial = initial.array(c), p.steps = steps.array(c);
        p.weight_equation = equation.array(c), p.weight_initial = start.array(c), p.weight_taylor = taylor.array(c);
        return p;
    }
};

// The normal equations of one system: banded, half width 2R - 1 (3R - 1 with central rows), factored L L^T where they stand.
class Normal {
public:
    Normal(const Inputs& in, int64_t system) : in_(in), c_(in.c), system_(system), n_(c_.T * c_.R()), width_((c_.central ? 3 : 2) * c_.R()), N_(size_t(n_ * width_)), b_(size_t(n_)) {
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

    // Forward (side 0) and backward Taylor row over (u_t, u_{t+1}).
    void taylor_row(Long h, int64_t d, int64_t i, int side, std::vector<Long>& row) const {
        std::fill(row.begin(), row.end(), 0);
        const Long signed_h = side ? -h : h;
        const int64_t from = side ? c_.R() : 0, to = c_.R() - from;
        Long power = std::pow(signed_h, Long(i)), factorial = 1;
        row[size_t(to + d * c_.K + i)] = -power;
        for (int64_t j = i; j < c_.K; ++j, power *= signed_h, factorial *= Long(j - i)) row[size_t(from + d * c_.K + j)] = power / factorial;
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

    // sum of <row, lam> <row, u> over the rows with step h_t, were it longer by `by`: minus the part of phi that it has.
    Long of_step(int64_t t, Long by, const std::vector<Long>& u, const std::vector<Long>& lam) const {
        std::vector<Long> row(static_cast<size_t>(width_));
        Long sum = 0;
        auto see = [&](int64_t first, int64_t d) {
            Long a = 0, b = 0;
            for (int64_t j = 0; j < width_ && first * c_.R() + j < n_; ++j)
                a += row[size_t(j)] * u[size_t(first * c_.R() + j)], b += row[size_t(j)] * lam[size_t(first * c_.R() + j)];
            const Long weight = in_.taylor.at(c_, system_, first, d);
            sum += weight * weight * a * b;
        };
        auto step = [&](int64_t other) { return in_.steps.at(c_, system_, other, 0) + (other == t ? by : 0); };
        for (int64_t d = 0; d < c_.D; ++d) {
            for (int64_t i = 0; i < c_.orders(); ++i)
                for (int side = 0; side < 2; ++side) taylor_row(step(t), d, i, side, row), see(t, d);
            for (int64_t first = std::max<int64_t>(t - 1, 0); c_.central && first <= t && first < c_.T - 2; ++first)
                central_row(step(first) + step(first + 1), d, row), see(first, d);
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
            for (int64_t j = 0; j <= i; ++j) at(first + i, first + j) += weight * weight * row[size_t(i)] * row[size_t(j)];
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

// The largest difference, relative to the largest number expected; NaN counts.
struct Difference {
    Long error = 0, size = 1e-30;
    bool odd = false;
    void see(Long found, Long expected) {
        odd = odd || !(std::fabs(found) < std::numeric_limits<double>::infinity());
        error = std::max(error, std::fabs(found - expected)), size = std::max(size, std::fabs(expected));
    }
    bool beyond(Long bar) const { return odd || error > bar * size; }
};

// What the kernel makes of a case.
struct Results {
    Guarded u, lambda, coefficients, forcing, initial, steps;
    std::unique_ptr<Guarded> kept;
    std::vector<int64_t> deficient, suspect;
    int64_t groups;

    // Coefficients and steps of several columns: one sum per group of lanes.
    explicit Results(const Inputs& in)
        : u(in.c.systems() * in.c.T * in.c.R()), lambda(in.c.systems() * in.c.T * in.c.R()),
          coefficients(sums(in) * in.coefficients.points * in.coefficients.width), forcing(in.c.systems() * in.c.T * in.c.E),
          initial(in.c.systems() * in.c.T0 * in.c.D * in.c.K0), steps(sums(in) * in.steps.points), deficient(size_t(in.c.lefts), -1),
          suspect(size_t(in.c.systems()), -1), groups(sums(in)) {
        const Problem p = in.problem();
        const Kernel& kernel = kernel_of(p);
        const bool whole = in.c.keep == 2 || in.c.columns > 1;
        if (whole || in.c.keep) kept = std::make_unique<Guarded>(kernel.kept_size(p, whole));
        const Kept where{kept ? kept->data() : nullptr, whole};
        if (in.c.columns > 1) kernel.factor(p, where, deficient.data(), in.c.threads);
        kernel.solve(p, where, {u.data(), deficient.data(), suspect.data()}, in.c.threads);
        Adjoint adjoint{u.data(), in.g.array(in.c), lambda.data(), coefficients.data(), forcing.data(), nullptr, steps.data()};
        if (in.c.T0 * in.c.K0) adjoint.initial = initial.data();
        kernel.adjoint(p, where, adjoint, in.c.threads);
    }

    bool within_bounds() const {
        for (const Guarded* x : {&u, &lambda, &coefficients, &forcing, &initial, &steps})
            if (!x->whole()) return false;
        return !kept || kept->whole();
    }

private:
    static int64_t sums(const Inputs& in) {
        return in.c.columns > 1 || in.c.constant ? std::max(kernel_of(in.problem()).groups(in.problem()), in.c.lefts) : in.c.lefts;
    }
};

// What is to be found, per left-hand side where systems share one.
struct Expected {
    Difference u, lambda, coefficients, forcing, initial, steps;

    Expected(const Inputs& in, const Results& found) {
        const Case& c = in.c;
        for (int64_t left = 0; left < c.lefts; ++left) {
            std::vector<Long> dc(size_t(in.coefficients.points * in.coefficients.width)), dh(size_t(in.steps.points));
            for (int64_t system = left * c.columns; system < (left + 1) * c.columns; ++system) one(in, found, system, dc, dh);
            for (size_t i = 0; i < dc.size(); ++i) coefficients.see(summed(found.coefficients, found.groups, c.lefts, left, dc.size(), i), dc[i]);
            for (size_t i = 0; i < dh.size(); ++i) steps.see(summed(found.steps, found.groups, c.lefts, left, dh.size(), i), dh[i]);
        }
    }

    const char* wrong() const {
        if (u.beyond(1e-9)) return "u";
        if (lambda.beyond(1e-9)) return "lambda";
        if (coefficients.beyond(1e-8)) return "the gradient of the coefficients";
        if (forcing.beyond(1e-8)) return "the gradient of the forcing";
        if (initial.beyond(1e-8)) return "the gradient of the initial values";
        if (steps.beyond(1e-8)) return "the gradient of the steps";
        return nullptr;
    }

private:
    static Long summed(const Guarded& x, int64_t groups, int64_t lefts, int64_t left, size_t width, size_t i) {
        Long sum = 0;
        for (int64_t group = left * groups / lefts; group < (left + 1) * groups / lefts; ++group) sum += x[group * int64_t(width) + int64_t(i)];
        return sum;
    }

    void one(const Inputs& in, const Results& found, int64_t system, std::vector<Long>& dc, std::vector<Long>& dh) {
        const Case& c = in.c;
        const int64_t R = c.R(), n = c.T * R;
        const Normal normal(in, system);
        const std::vector<Long> solution = normal.solution();
        std::vector<Long> g(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) g[size_t(i)] = in.g.at(c, system, i / R, i % R);
        const std::vector<Long> lam = normal.solve(g);
        for (int64_t i = 0; i < n; ++i) u.see(found.u[system * n + i], solution[size_t(i)]), lambda.see(found.lambda[system * n + i], lam[size_t(i)]);
        for (int64_t t = 0; t < c.T; ++t)
            for (int64_t e = 0; e < c.E; ++e) {
                Long q = 0, residual = -in.forcing.at(c, system, t, e);
                const Long weight = in.equation.at(c, system, t, e);
                for (int64_t j = 0; j < R; ++j) {
                    const Long value = in.coefficients.at(c, system, t, e * R + j);
                    q += value * lam[size_t(t * R + j)], residual += value * solution[size_t(t * R + j)];
                }
                forcing.see(found.forcing[(system * c.T + t) * c.E + e], weight * weight * q);
                for (int64_t j = 0; j < R; ++j)
                    dc[size_t((c.constant ? 0 : t * c.E * R) + e * R + j)] -= weight * weight * (lam[size_t(t * R + j)] * residual + solution[size_t(t * R + j)] * q);
            }
        for (int64_t t = 0; t < c.T0; ++t)
            for (int64_t i = 0; i < c.D * c.K0; ++i) {
                const Long weight = in.start.at(c, system, t, i);
                initial.see(found.initial[(system * c.T0 + t) * c.D * c.K0 + i], weight * weight * lam[size_t(t * R + i / c.K0 * c.K + i % c.K0)]);
            }
        for (int64_t t = 0; t < c.T - 1; ++t) {
            auto slope = [&](Long by) {
                return (normal.of_step(t, by, solution, lam) - normal.of_step(t, -by, solution, lam)) / (2 * by);
            };
            dh[size_t(c.constant ? 0 : t)] -= (4 * slope(1e-4L) - slope(2e-4L)) / 3;
        }
    }
};

static bool check(const Case& c) {
    const Inputs in(c);
    const Results found(in);
    const char* wrong = found.within_bounds() ? Expected(in, found).wrong() : "memory beyond a result";
    for (int64_t x : found.deficient) if (x) wrong = "the rank";
    for (int64_t x : found.suspect) if (x) wrong = "the status";
    if (wrong) std::printf("wrong: %s of %s\n", wrong, c.name().c_str());
    return !wrong;
}

// E, D, K: shapes known at compile time, and shapes of the general path. Initial rows enough for full rank at T = 2.
static std::vector<Case> cases() {
    std::vector<Case> made;
    const int64_t shapes[][3] = {{1, 1, 2}, {2, 2, 2}, {1, 1, 3}, {2, 1, 1}, {1, 2, 3}, {3, 2, 2}};
    const int64_t points[] = {2, 3, 8, 9, 17, 63, 64, 65, 200}, lefts[] = {1, 2, 7, 8, 19};
    int turn = 0;
    for (const auto& shape : shapes)
        for (int64_t T : points)
            for (int64_t B : lefts) {
                if (T > 17 && (B == 19 || shape[0] < shape[1])) continue;
                ++turn;
                const int64_t K = shape[2], T0 = std::min<int64_t>(T, 1 + turn % 2);
                for (int cholesky = 0; cholesky < 2; ++cholesky)
                    made.push_back({T, T0, shape[0], shape[1], K, K, B, 1, bool(cholesky), turn % 3 == 0, (turn + cholesky) % 3, 1 + turn % 3});
                if (T <= 65 && B <= 2) made.push_back({T, T0, shape[0], shape[1], K, K, B, 2 + turn % 10, turn % 2 == 0, turn % 3 == 0, 2, 1 + turn % 2});
            }
    made.push_back({600, 1, 1, 1, 3, 3, 1, 1, false, false, 1, 2});  // more than one segment
    made.push_back({600, 1, 1, 1, 3, 3, 3, 1, true, false, 1, 2});
    made.push_back({600, 1, 2, 2, 2, 2, 9, 1, false, false, 0, 2});
    made.push_back({300, 0, 2, 1, 3, 0, 9, 1, false, false, 2, 2});  // no initial rows
    const int64_t central_shapes[][3] = {{1, 1, 2}, {1, 1, 3}, {2, 2, 2}, {1, 2, 3}, {2, 1, 4}};
    for (const auto& shape : central_shapes)
        for (int64_t T : {2, 3, 4, 9, 65, 321, 600})  // 321: the last segment is one grid point
            for (int64_t B : {1, 3, 9})
                for (int cholesky = 0; cholesky < 2; ++cholesky) {
                    if (T > 17 && (B == 9 || shape[0] < shape[1])) continue;
                    ++turn;
                    const int64_t K = shape[2], T0 = std::min<int64_t>(T, T > 65 ? 1 : 1 + turn % 3);
                    made.push_back({T, T0, shape[0], shape[1], K, K, B, 1, bool(cholesky), turn % 5 == 0, turn % 3, 1 + turn % 3, true});
                }
    return made;
}

// Callers in several threads: the same numbers bit for bit as alone.
static bool together() {
    const Case c{40, 1, 1, 1, 2, 2, 37, 1, false, false, 2, 3};
    const Inputs in(c);
    const Results alone(in);
    std::vector<std::thread> callers;
    std::vector<char> good(6, 1);
    for (size_t i = 0; i < good.size(); ++i)
        callers.emplace_back([&, i] {
            for (int round = 0; round < 20; ++round) {
                Inputs mine(c);
                mine.c.threads = 1 + int(i + size_t(round)) % 4;
                const Results found(mine);
                good[i] = good[i] && !std::memcmp(found.u.data(), alone.u.data(), size_t(c.systems() * c.T * c.R()) * 8);
                good[i] = good[i] && !std::memcmp(found.coefficients.data(), alone.coefficients.data(), size_t(c.systems() * c.T * c.E * c.R()) * 8);
            }
        });
    for (std::thread& caller : callers) caller.join();
    for (char one : good) if (!one) return std::puts("wrong: callers disturb each other"), false;
    return true;
}

// What a piece of work throws comes out once, when no thread is at work; afterwards the pool serves as before.
static bool thrown() {
    for (int threads = 1; threads < 6; ++threads)
        for (long bad = 0; bad < 40; bad += 13) {
            std::atomic<int> inside{0};
            bool caught = false;
            try {
                parallel_for(40, threads, [&](long i) {
                    ++inside;
                    if (i == bad) {
                        --inside;
                        throw std::bad_alloc();
                    }
                    std::this_thread::yield();
                    --inside;
                });
            } catch (const std::bad_alloc&) {
                caught = inside == 0;
            }
            std::atomic<long> sum{0};
            parallel_for(100, threads, [&](long i) { sum += i; });
            if (!caught || sum != 4950) return std::puts("wrong: work that throws"), false;
        }
    return true;
}

int main(int count, char** arguments) {
    if (count > 1 && !std::strcmp(arguments[1], "together")) return together() && thrown() ? 0 : 1;
    int wrong = 0, all = 0;
    for (const Case& c : cases()) ++all, wrong += !check(c);
    std::printf("%d of %d cases wrong\n", wrong, all);
    return wrong ? 1 : 0;
}
