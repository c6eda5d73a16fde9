// What Python sees of the kernel: addresses of float64 memory in, results written there, the GIL released meanwhile.

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "problem.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace smnn {

#if defined(SMNN_X86)
namespace baseline { extern const Kernel kernel; }
namespace avx2 { extern const Kernel kernel; }
namespace avx512 { extern const Kernel kernel; }
#else
namespace baseline { extern const Kernel kernel; }
#endif

namespace {

// The kernels that this machine can run, best first.
std::vector<const Kernel*> runnable() {
    std::vector<const Kernel*> found;
#if defined(SMNN_X86)
#if defined(__GNUC__) || defined(__clang__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found.push_back(&avx512::kernel);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&avx2::kernel);
#endif
#endif
    found.push_back(&baseline::kernel);
    return found;
}

const Kernel& named(const std::string& name) {
    for (const Kernel* kernel : runnable())
        if (name.empty() || name == kernel->name) return *kernel;
    throw std::invalid_argument("instruction set '" + name + "' is not one that this machine can run");
}

template <class T = double>
T* address(int64_t value) { return reinterpret_cast<T*>(value); }

// (address, width, along, batch strides) of one argument.
using Argument = std::vector<int64_t>;

Array array(const Argument& values, size_t dims) {
    if (values.size() != 3 + dims) throw std::invalid_argument("an argument needs address, width, along and a stride per batch dimension");
    Array made;
    made.data = address<const double>(values[0]);
    made.width = values[1], made.along = values[2];
    for (size_t i = 0; i < dims; ++i) made.batch[i] = values[3 + i];
    return made;
}

Problem problem(const std::array<int64_t, 6>& sizes, bool cholesky, int64_t columns, const std::vector<int64_t>& batch, const std::vector<Argument>& arguments) {
    if (batch.size() > MOST_BATCH_DIMS) throw std::invalid_argument("too many batch dimensions");
    if (arguments.size() != 7) throw std::invalid_argument("a problem has seven arguments");
    Problem p{};
    p.T = sizes[0], p.T0 = sizes[1], p.E = sizes[2], p.D = sizes[3], p.K = sizes[4], p.K0 = sizes[5];
    p.cholesky = cholesky, p.columns = columns;
    p.batch_dims = int64_t(batch.size()), p.systems = 1;
    for (size_t i = 0; i < batch.size(); ++i) p.systems *= p.batch[i] = batch[i];
    Array* into[] = {&p.coefficients, &p.forcing, &p.initial, &p.steps, &p.weight_equation, &p.weight_initial, &p.weight_taylor};
    for (size_t i = 0; i < 7; ++i) *into[i] = array(arguments[i], batch.size());
    return p;
}

struct Handle {
    Problem p;
    Handle(int64_t T, int64_t T0, int64_t E, int64_t D, int64_t K, int64_t K0, bool cholesky, int64_t columns,
           const std::vector<int64_t>& batch, const std::vector<Argument>& arguments)
        : p(problem({T, T0, E, D, K, K0}, cholesky, columns, batch, arguments)) {}
};

}  // namespace
}  // namespace smnn

NB_MODULE(_native, m) {
    using namespace smnn;
    m.doc() = "The compiled sweep. Private: use workbench.solver. Arrays are addresses of float64 memory that the caller keeps alive.";
    nb::class_<Handle>(m, "Problem")
        .def(nb::init<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool, int64_t, const std::vector<int64_t>&, const std::vector<Argument>&>());
    m.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const Kernel* kernel : runnable()) names.push_back(kernel->name);
        return names;
    });
    m.def("kept_size", [](const Handle& h, bool whole, const std::string& isa) { return named(isa).kept_size(h.p, whole); });
    m.def("groups", [](const Handle& h, const std::string& isa) { return named(isa).groups(h.p); });
    m.def("in_pieces", [](const Handle& h, const std::string& isa) { return named(isa).in_pieces(h.p); });
    m.def("factor", [](const Handle& h, int64_t kept, int64_t deficient, int threads, const std::string& isa) {
        const Kernel& kernel = named(isa);
        nb::gil_scoped_release released;
        expect_much(address<void>(kept), 8 * kernel.kept_size(h.p, true));
        kernel.factor(h.p, {address(kept), true}, address<int64_t>(deficient), threads);
    });
    m.def("solve", [](const Handle& h, int64_t kept, bool whole, int64_t u, int64_t deficient, int64_t suspect, int threads,
                      const std::string& isa) {
        const Kernel& kernel = named(isa);
        nb::gil_scoped_release released;
        const int64_t unknowns = 8 * h.p.systems * h.p.T * h.p.D * h.p.K;
        expect_much(address<void>(u), unknowns);
        if (kept) expect_much(address<void>(kept), 8 * kernel.kept_size(h.p, whole));
        kernel.solve(h.p, {address(kept), whole}, {address(u), address<int64_t>(deficient), address<int64_t>(suspect)}, threads);
    });
    m.def("adjoint", [](const Handle& h, int64_t kept, bool whole, int64_t u, const Argument& g, const std::array<int64_t, 5>& out, int threads,
                        const std::string& isa) {
        const Kernel& kernel = named(isa);
        const Array upstream = array(g, size_t(h.p.batch_dims));
        nb::gil_scoped_release released;
        const int64_t unknowns = 8 * h.p.systems * h.p.T * h.p.D * h.p.K;
        expect_much(address<void>(out[0]), unknowns);
        if (h.p.coefficients.along && h.p.columns == 1) expect_much(address<void>(out[1]), unknowns * h.p.E);
        kernel.adjoint(h.p, {address(kept), whole},
                       {address<const double>(u), upstream, address(out[0]), address(out[1]), address(out[2]), address(out[3]), address(out[4])}, threads);
    });
}
