// A problem as the binding hands it over: addresses and strides of float64 arrays, nothing owned.
#pragma once

#include <cstdint>

namespace smnn {

constexpr int MOST_BATCH_DIMS = 16;

// One argument: `width` contiguous numbers per grid point, `along` numbers from one grid point to the next (0: broadcast),
// batch[i] numbers along batch dimension i (0: broadcast).
struct Array {
    const double* data = nullptr;
    int64_t width = 0, along = 0;
    int64_t batch[MOST_BATCH_DIMS] = {};
};

// The symbols are those of sweep.hpp; weights have one number per equation, per initial value and per variable.
struct Problem {
    int64_t T, T0, E, D, K, K0;
    bool cholesky, central;
    int64_t batch_dims, systems;  // systems: the product of the batch shape
    int64_t batch[MOST_BATCH_DIMS];
    int64_t columns;  // so many neighbouring systems share coefficients, steps and weights, and are factored once; 1 with central rows
    Array coefficients, forcing, initial, steps, weight_equation, weight_initial, weight_taylor;

    // Where system `number` stands in the batch, and the one after a place.
    void locate(int64_t number, int64_t* place) const {
        for (int64_t i = batch_dims - 1; i >= 0; --i) {
            place[i] = number % batch[i];
            number /= batch[i];
        }
    }
    void advance(int64_t* place) const {
        for (int64_t i = batch_dims - 1; i >= 0; --i) {
            if (++place[i] < batch[i]) return;
            place[i] = 0;
        }
    }
    int64_t offset(const Array& array, const int64_t* place) const {
        int64_t found = 0;
        for (int64_t i = 0; i < batch_dims; ++i) found += place[i] * array.batch[i];
        return found;
    }
};

// What is kept of the elimination, for later solves with the same left-hand side: all records, or the carries at the
// starts of segments, from which the records are computed again, bit for bit. Layout: group of lanes, then grid point or
// segment, then number, then lane. With several columns it is always `Shared` (cpu/group.hpp), made by `factor`, with the
// reflections that right-hand sides take later.
struct Kept {
    double* data = nullptr;  // null: nothing
    bool whole = true;
};

struct Solve {
    double* u;            // (systems, T, R)
    int64_t* deficient;   // (systems / columns): 0; 1 + flat index of an unknown that nothing determines
    int64_t* suspect;     // (systems): 1 where a value of an argument is not what it should be, or the result not finite
};

// A vector-Jacobian product; null for what is not wanted. Gradients of arguments that are broadcast over the grid points
// (along = 0) are summed over them. With several columns those of coefficients and steps are sums over a group of lanes: then
// `systems` is, for them, the number of groups.
struct Adjoint {
    const double* u;  // (systems, T, R); null: no gradient is wanted
    Array g;          // upstream, R numbers per grid point
    double* lambda;        // (systems, T, R)
    double* coefficients;  // (systems, T or 1, E, R)
    double* forcing;       // (systems, T or 1, E)
    double* initial;       // (systems, T0 or 1, D, K0)
    double* steps;         // (systems, T-1 or 1)
};

// The functions of one instruction set and one shape, with both methods (cpu/kernel.cpp).
struct Kernel {
    const char* instruction_set;
    int lanes;
    int64_t D, K;                                      // the shape, with E = D; 0 and 0: any, and central rows
    int64_t (*kept_size)(const Problem&, bool whole);  // numbers of `Kept::data`
    int64_t (*shared_size)(const Problem&);            // numbers that `factor` makes, whatever the columns
    int64_t (*groups)(const Problem&);                 // groups of lanes: see Adjoint
    bool (*in_pieces)(const Problem&);                 // whether records are cut into pieces
    void (*factor)(const Problem&, Kept, int64_t* deficient, int threads);  // of the left-hand sides, for several columns
    void (*solve)(const Problem&, Kept, Solve, int threads);
    void (*adjoint)(const Problem&, Kept, Adjoint, int threads);

    bool serves(const Problem& p) const { return D == 0 || (p.D == D && p.K == K && p.E == D && !p.central); }
};

}  // namespace smnn
