// A problem as passed by the binding: addresses and strides of float64 arrays, which the caller owns.
#pragma once

#include <cstdint>

namespace smnn {

constexpr int MAX_BATCH_DIMS = 16;

// One argument.
struct Array {
    const double* data = nullptr;
    int64_t width = 0;                   // contiguous numbers per grid point
    int64_t stride = 0;                  // numbers from one grid point to the next; 0: broadcast
    int64_t batch[MAX_BATCH_DIMS] = {};  // numbers along every batch dimension; 0: broadcast
};

// Symbols as in sweep.hpp. There is one weight per equation, per initial value and per variable.
struct Problem {
    int64_t T, T0, E, D, K, K0;
    bool cholesky, central;
    int64_t batch_dims, systems;  // systems: the product of the batch shape
    int64_t batch[MAX_BATCH_DIMS];
    int64_t
        columns;  // neighbouring systems that share coefficients, steps and weights, and one factor; central rows: 1
    Array coefficients, forcing, initial, steps, weight_equation, weight_initial, weight_taylor;

    // Batch index of system `number`, and the index after a given one.
    void locate(int64_t number, int64_t* index) const {
        for (int64_t i = batch_dims - 1; i >= 0; --i) {
            index[i] = number % batch[i];
            number /= batch[i];
        }
    }
    void advance(int64_t* index) const {
        for (int64_t i = batch_dims - 1; i >= 0; --i) {
            if (++index[i] < batch[i]) return;
            index[i] = 0;
        }
    }
    int64_t offset(const Array& array, const int64_t* index) const {
        int64_t sum = 0;
        for (int64_t i = 0; i < batch_dims; ++i) sum += index[i] * array.batch[i];
        return sum;
    }
};

// Saved factor, for later solves with the same left-hand side: the whole factor, or the carries at the starts of
// segments, from which the factor is recomputed bit for bit. Layout: group of lanes, then grid point or segment, then
// number, then lane. With several columns it is a `SharedFactor` (cpu/arrangement.hpp), computed by `factor`.
struct SavedFactor {
    double* data = nullptr;  // null: nothing is saved
    bool whole = true;
};

struct Solve {
    double* u;           // (systems, T, R)
    int64_t* deficient;  // (systems / columns): 0, or 1 + flat index of an undetermined unknown
    int64_t* suspect;    // (systems): 1 if an argument is invalid or the result is not finite
};

// A vector-Jacobian product; null for results that are not wanted. Gradients of arguments that are broadcast over the
// grid points (stride = 0) are summed over them. With several columns those of coefficients and steps are sums over a
// group of lanes: for these, `systems` is the number of groups.
struct Adjoint {
    const double* u;       // (systems, T, R); null: no gradient is wanted
    Array g;               // upstream, R numbers per grid point
    double* lambda;        // (systems, T, R)
    double* coefficients;  // (systems, T or 1, E, R)
    double* forcing;       // (systems, T or 1, E)
    double* initial;       // (systems, T0 or 1, D, K0)
    double* steps;         // (systems, T-1 or 1)
};

// The functions for one instruction set and one shape, with both methods (cpu/kernel.cpp).
struct Kernel {
    const char* instruction_set;
    int lanes;
    int64_t D, K;                                       // the shape, with E = D; 0 and 0: any, and central rows
    int64_t (*saved_size)(const Problem&, bool whole);  // numbers of SavedFactor::data
    int64_t (*shared_size)(const Problem&);             // numbers that `factor` computes, for any number of columns
    int64_t (*groups)(const Problem&);                  // groups of lanes: see Adjoint
    bool (*in_pieces)(const Problem&);                  // whether records are cut into pieces
    void (*factor)(const Problem&, SavedFactor, int64_t* deficient, int threads);  // of left-hand sides that are shared
    void (*solve)(const Problem&, SavedFactor, Solve, int threads);
    void (*adjoint)(const Problem&, SavedFactor, Adjoint, int threads);

    bool serves(const Problem& p) const { return D == 0 || (p.D == D && p.K == K && p.E == D && !p.central); }
};

}  // namespace smnn
