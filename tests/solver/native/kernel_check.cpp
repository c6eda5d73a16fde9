// The kernel without Python, for the sanitizers (test_sanitizers.py): solutions, adjoints and gradients of many shapes,
// compared with reference.hpp. Inputs are in memory of exactly their size, results between guards, and all results are
// NaN before the kernel runs.
//
//     kernel_check           all shapes
//     kernel_check together  concurrent callers, and tasks that throw
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "cpu/threads.hpp"
#include "reference.hpp"

namespace smnn {
extern const Kernel baseline_0_0, baseline_1_2;
}

static const Kernel& kernel_of(const Problem& p) { return baseline_1_2.serves(p) ? baseline_1_2 : baseline_0_0; }
static constexpr double NOT_SET = std::numeric_limits<double>::quiet_NaN();

// Numbers aligned for vector registers, with guards directly before and after them.
class Guarded {
public:
    explicit Guarded(int64_t size)
        : size_(size), bytes_((size + 2 * GUARD) * 8), memory_(std::aligned_alloc(64, (bytes_ + 63) / 64 * 64)) {
        for (int64_t i = -GUARD; i < size + GUARD; ++i) data()[i] = i < 0 || i >= size ? MARK : NOT_SET;
    }
    ~Guarded() { std::free(memory_); }
    Guarded(const Guarded&) = delete;
    double* data() const { return static_cast<double*>(memory_) + GUARD; }
    double operator[](int64_t i) const { return data()[i]; }
    bool is_intact() const {
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

// The largest difference relative to the largest expected number; NaN and infinity exceed any tolerance.
struct Difference {
    Long error = 0, size = 1e-30;
    bool not_finite = false;
    void add(Long actual, Long expected) {
        not_finite = not_finite || !(std::fabs(actual) < std::numeric_limits<double>::infinity());
        error = std::max(error, std::fabs(actual - expected)), size = std::max(size, std::fabs(expected));
    }
    bool exceeds(Long tolerance) const { return not_finite || error > tolerance * size; }
};

// The results of the kernel for one case.
struct Results {
    Guarded u, lambda, coefficients, forcing, initial, steps;
    std::unique_ptr<Guarded> saved;
    std::vector<int64_t> deficient, suspect;
    int64_t groups;

    // Gradients of coefficients and steps: one sum per group of lanes with several columns.
    explicit Results(const Inputs& in)
        : u(in.c.systems() * in.c.T * in.c.R()), lambda(in.c.systems() * in.c.T * in.c.R()),
          coefficients(sums(in) * in.coefficients.points * in.coefficients.width),
          forcing(in.c.systems() * in.c.T * in.c.E), initial(in.c.systems() * in.c.T0 * in.c.D * in.c.K0),
          steps(sums(in) * in.steps.points), deficient(size_t(in.c.lefts), -1), suspect(size_t(in.c.systems()), -1),
          groups(sums(in)) {
        const Problem p = in.problem();
        const Kernel& kernel = kernel_of(p);
        const bool whole = in.c.saved == 2 || in.c.columns > 1;
        if (whole || in.c.saved) saved = std::make_unique<Guarded>(kernel.saved_size(p, whole));
        const SavedFactor factor{saved ? saved->data() : nullptr, whole};
        if (in.c.columns > 1) kernel.factor(p, factor, deficient.data(), in.c.threads);
        kernel.solve(p, factor, {u.data(), deficient.data(), suspect.data()}, in.c.threads);
        Adjoint adjoint{u.data(),       in.g.array(in.c), lambda.data(), coefficients.data(),
                        forcing.data(), nullptr,          steps.data()};
        if (in.c.T0 * in.c.K0) adjoint.initial = initial.data();
        kernel.adjoint(p, factor, adjoint, in.c.threads);
    }

    bool within_bounds() const {
        for (const Guarded* x : {&u, &lambda, &coefficients, &forcing, &initial, &steps})
            if (!x->is_intact()) return false;
        return !saved || saved->is_intact();
    }

private:
    static int64_t sums(const Inputs& in) {
        return in.c.columns > 1 || in.c.constant ? std::max(kernel_of(in.problem()).groups(in.problem()), in.c.lefts)
                                                 : in.c.lefts;
    }
};

// Comparison with the reference, per left-hand side where systems share one.
struct Comparison {
    Difference u, lambda, coefficients, forcing, initial, steps;

    Comparison(const Inputs& in, const Results& results) {
        const Case& c = in.c;
        for (int64_t left = 0; left < c.lefts; ++left) {
            std::vector<Long> dc(size_t(in.coefficients.points * in.coefficients.width)), dh(size_t(in.steps.points));
            for (int64_t system = left * c.columns; system < (left + 1) * c.columns; ++system)
                add_system(in, results, system, dc, dh);
            for (size_t i = 0; i < dc.size(); ++i)
                coefficients.add(summed(results.coefficients, results.groups, c.lefts, left, dc.size(), i), dc[i]);
            for (size_t i = 0; i < dh.size(); ++i)
                steps.add(summed(results.steps, results.groups, c.lefts, left, dh.size(), i), dh[i]);
        }
    }

    const char* failure() const {
        if (u.exceeds(1e-9)) return "u";
        if (lambda.exceeds(1e-9)) return "lambda";
        if (coefficients.exceeds(1e-8)) return "the gradient of the coefficients";
        if (forcing.exceeds(1e-8)) return "the gradient of the forcing";
        if (initial.exceeds(1e-8)) return "the gradient of the initial values";
        if (steps.exceeds(1e-8)) return "the gradient of the steps";
        return nullptr;
    }

private:
    static Long summed(const Guarded& x, int64_t groups, int64_t lefts, int64_t left, size_t width, size_t i) {
        Long sum = 0;
        for (int64_t group = left * groups / lefts; group < (left + 1) * groups / lefts; ++group)
            sum += x[group * int64_t(width) + int64_t(i)];
        return sum;
    }

    void add_system(const Inputs& in, const Results& results, int64_t system, std::vector<Long>& dc,
                    std::vector<Long>& dh) {
        const Case& c = in.c;
        const int64_t R = c.R(), n = c.T * R;
        const NormalEquations normal(in, system);
        const std::vector<Long> solution = normal.solution();
        std::vector<Long> g(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) g[size_t(i)] = in.g.at(c, system, i / R, i % R);
        const std::vector<Long> lam = normal.solve(g);
        for (int64_t i = 0; i < n; ++i)
            u.add(results.u[system * n + i], solution[size_t(i)]),
                lambda.add(results.lambda[system * n + i], lam[size_t(i)]);
        for (int64_t t = 0; t < c.T; ++t)
            for (int64_t e = 0; e < c.E; ++e) {
                Long q = 0, residual = -in.forcing.at(c, system, t, e);
                const Long weight = in.equation.at(c, system, t, e);
                for (int64_t j = 0; j < R; ++j) {
                    const Long value = in.coefficients.at(c, system, t, e * R + j);
                    q += value * lam[size_t(t * R + j)], residual += value * solution[size_t(t * R + j)];
                }
                forcing.add(results.forcing[(system * c.T + t) * c.E + e], weight * weight * q);
                for (int64_t j = 0; j < R; ++j)
                    dc[size_t((c.constant ? 0 : t * c.E * R) + e * R + j)] -=
                        weight * weight * (lam[size_t(t * R + j)] * residual + solution[size_t(t * R + j)] * q);
            }
        for (int64_t t = 0; t < c.T0; ++t)
            for (int64_t i = 0; i < c.D * c.K0; ++i) {
                const Long weight = in.start.at(c, system, t, i);
                initial.add(results.initial[(system * c.T0 + t) * c.D * c.K0 + i],
                            weight * weight * lam[size_t(t * R + i / c.K0 * c.K + i % c.K0)]);
            }
        for (int64_t t = 0; t < c.T - 1; ++t) {
            auto slope = [&](Long change) {
                return (normal.step_terms(t, change, solution, lam) - normal.step_terms(t, -change, solution, lam)) /
                       (2 * change);
            };
            dh[size_t(c.constant ? 0 : t)] -= (4 * slope(1e-4L) - slope(2e-4L)) / 3;
        }
    }
};

static bool check(const Case& c) {
    const Inputs in(c);
    const Results results(in);
    const char* failure = results.within_bounds() ? Comparison(in, results).failure() : "memory beyond a result";
    for (int64_t x : results.deficient) if (x) failure = "the rank";
    for (int64_t x : results.suspect) if (x) failure = "the status";
    if (failure) std::printf("wrong: %s of %s\n", failure, c.name().c_str());
    return !failure;
}

// Shapes E, D, K known at compile time and others. Enough initial rows for full rank at T = 2.
static std::vector<Case> cases() {
    std::vector<Case> cases;
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
                    cases.push_back({T, T0, shape[0], shape[1], K, K, B, 1, bool(cholesky), turn % 3 == 0,
                                     (turn + cholesky) % 3, 1 + turn % 3});
                if (T <= 65 && B <= 2)
                    cases.push_back({T, T0, shape[0], shape[1], K, K, B, 2 + turn % 10, turn % 2 == 0, turn % 3 == 0, 2,
                                     1 + turn % 2});
            }
    cases.push_back({600, 1, 1, 1, 3, 3, 1, 1, false, false, 1, 2});  // more than one segment
    cases.push_back({600, 1, 1, 1, 3, 3, 3, 1, true, false, 1, 2});
    cases.push_back({600, 1, 2, 2, 2, 2, 9, 1, false, false, 0, 2});
    cases.push_back({300, 0, 2, 1, 3, 0, 9, 1, false, false, 2, 2});  // no initial rows
    const int64_t central_shapes[][3] = {{1, 1, 2}, {1, 1, 3}, {2, 2, 2}, {1, 2, 3}, {2, 1, 4}};
    for (const auto& shape : central_shapes)
        for (int64_t T : {2, 3, 4, 9, 65, 321, 600})  // 321: the last segment is one grid point
            for (int64_t B : {1, 3, 9})
                for (int cholesky = 0; cholesky < 2; ++cholesky) {
                    if (T > 17 && (B == 9 || shape[0] < shape[1])) continue;
                    ++turn;
                    const int64_t K = shape[2], T0 = std::min<int64_t>(T, T > 65 ? 1 : 1 + turn % 3);
                    cases.push_back({T, T0, shape[0], shape[1], K, K, B, 1, bool(cholesky), turn % 5 == 0, turn % 3,
                                     1 + turn % 3, true});
                }
    return cases;
}

// Concurrent callers get the same numbers, bit for bit, as a single one.
static bool check_concurrent_callers() {
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
                const Results results(mine);
                good[i] =
                    good[i] && !std::memcmp(results.u.data(), alone.u.data(), size_t(c.systems() * c.T * c.R()) * 8);
                good[i] = good[i] && !std::memcmp(results.coefficients.data(), alone.coefficients.data(),
                                                  size_t(c.systems() * c.T * c.E * c.R()) * 8);
            }
        });
    for (std::thread& caller : callers) caller.join();
    for (char one : good) if (!one) return std::puts("wrong: concurrent callers"), false;
    return true;
}

// An exception of a task is rethrown once, when no thread is working; the pool remains usable.
static bool check_exceptions() {
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
            if (!caught || sum != 4950) return std::puts("wrong: exceptions of tasks"), false;
        }
    return true;
}

int main(int count, char** arguments) {
    if (count > 1 && !std::strcmp(arguments[1], "together"))
        return check_concurrent_callers() && check_exceptions() ? 0 : 1;
    int wrong = 0, all = 0;
    for (const Case& c : cases()) ++all, wrong += !check(c);
    std::printf("%d of %d cases wrong\n", wrong, all);
    return wrong ? 1 : 0;
}
