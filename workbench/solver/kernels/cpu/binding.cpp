// Python binding: addresses of float64 memory in, results written to addresses, the GIL released during the
// computation.

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "problem.hpp"
#include "threads.hpp"
#include "workspace.hpp"

namespace nb = nanobind;

namespace smnn {

// The compiled kernels, listed by CMakeLists.txt: instruction sets from the least demanding to the best, and for each
// the shapes known at compile time before the general path.
#define SMNN_KERNEL(name) extern const Kernel name;
SMNN_KERNELS
#undef SMNN_KERNEL

namespace {

const Kernel* const kernels[] = {
#define SMNN_KERNEL(name) &name,
    SMNN_KERNELS
#undef SMNN_KERNEL
};

bool is_supported(const std::string& instruction_set) {
#if defined(SMNN_X86)
    __builtin_cpu_init();
    if (instruction_set == "avx512")
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    if (instruction_set == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return instruction_set == "baseline";
}

// The compiled instruction sets that this machine supports, best first.
std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Kernel* kernel : kernels)
        if ((names.empty() || names[0] != kernel->instruction_set) && is_supported(kernel->instruction_set))
            names.insert(names.begin(), kernel->instruction_set);
    return names;
}

// The kernel of an instruction set ("": the best) for the shape of a problem. Throws std::invalid_argument.
const Kernel& kernel_for(const Problem& p, const std::string& instruction_set) {
    const std::vector<std::string> names = instruction_sets();
    const std::string wanted = instruction_set.empty() && !names.empty() ? names[0] : instruction_set;
    if (std::find(names.begin(), names.end(), wanted) != names.end())
        for (const Kernel* kernel : kernels)
            if (wanted == kernel->instruction_set && kernel->serves(p)) return *kernel;
    throw std::invalid_argument("instruction set '" + wanted + "' was not compiled or cannot run on this machine");
}

template <class T = double>
T* address(int64_t value) { return reinterpret_cast<T*>(value); }

// Width, stride along the grid points, and batch strides of one argument (Array).
using Layout = std::vector<int64_t>;

Array array(const double* data, const Layout& values, size_t dims) {
    if (values.size() != 2 + dims)
        throw std::invalid_argument(
            "an argument needs its width, its stride along the grid points and a stride per batch dimension");
    Array result;
    result.data = data, result.width = values[0], result.stride = values[1];
    for (size_t i = 0; i < dims; ++i) result.batch[i] = values[2 + i];
    return result;
}

// Shapes and strides of a problem. A call adds the addresses of its seven arguments.
struct Plan {
    Problem p;
    const Kernel& kernel;

    Plan(int64_t T, int64_t T0, int64_t E, int64_t D, int64_t K, int64_t K0, bool cholesky, bool central,
         int64_t columns, const std::vector<int64_t>& batch, const std::vector<Layout>& arguments,
         const std::string& instruction_set)
        : p(problem(T, T0, E, D, K, K0, cholesky, central, columns, batch)), kernel(kernel_for(p, instruction_set)) {
        if (arguments.size() != 7) throw std::invalid_argument("expected seven arguments");
        for (size_t i = 0; i < 7; ++i) *all(p)[i] = array(nullptr, arguments[i], batch.size());
    }
    Problem at(const std::array<int64_t, 7>& addresses) const {
        Problem filled = p;
        for (size_t i = 0; i < 7; ++i) all(filled)[i]->data = address<const double>(addresses[i]);
        return filled;
    }

private:
    static Problem problem(int64_t T, int64_t T0, int64_t E, int64_t D, int64_t K, int64_t K0, bool cholesky,
                           bool central, int64_t columns, const std::vector<int64_t>& batch) {
        if (batch.size() > MAX_BATCH_DIMS) throw std::invalid_argument("too many batch dimensions");
        Problem p{};
        p.T = T, p.T0 = T0, p.E = E, p.D = D, p.K = K, p.K0 = K0;
        p.cholesky = cholesky, p.central = central, p.columns = columns;
        p.batch_dims = int64_t(batch.size()), p.systems = 1;
        for (size_t i = 0; i < batch.size(); ++i) p.systems *= p.batch[i] = batch[i];
        return p;
    }
    static std::array<Array*, 7> all(Problem& p) {
        return {&p.coefficients,    &p.forcing,        &p.initial,      &p.steps,
                &p.weight_equation, &p.weight_initial, &p.weight_taylor};
    }
};

// Memory of the workspace, as an object with a writable buffer.
struct Buffer {
    explicit Buffer(int64_t numbers) : bytes(8 * numbers), data(allocate(bytes)) {}
    ~Buffer() { release(data, bytes); }
    Buffer(const Buffer&) = delete;
    const int64_t bytes;
    void* const data;

    static int expose(PyObject* self, Py_buffer* view, int flags) {
        const Buffer& b = *nb::inst_ptr<Buffer>(nb::handle(self));
        return PyBuffer_FillInfo(view, self, b.data, b.bytes, 0, flags);
    }
};
PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(Buffer::expose)}, {0, nullptr}};

}  // namespace
}  // namespace smnn

NB_MODULE(_native, m) {
    using namespace smnn;
    m.doc() =
        "The compiled kernels. Private: use workbench.solver. Arrays are addresses of float64 memory that the caller "
        "keeps alive.";
    using Addresses = std::array<int64_t, 7>;
    nb::class_<Buffer>(m, "Buffer", nb::type_slots(buffer_slots)).def(nb::init<int64_t>());
    nb::class_<Plan>(m, "Problem")
        .def(nb::init<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool, bool, int64_t,
                      const std::vector<int64_t>&, const std::vector<Layout>&, const std::string&>());
    m.attr("interface") = 1;  // native.py expects the same number: raise both when a signature here changes
    m.def("instruction_sets", instruction_sets);
    m.def("compiled_sets", [] {
        std::vector<std::string> names;
        for (const Kernel* kernel : kernels)
            if (names.empty() || names.back() != kernel->instruction_set) names.push_back(kernel->instruction_set);
        return names;
    });
    m.def("kept_size", [](const Plan& plan, bool whole) { return plan.kernel.saved_size(plan.p, whole); });
    m.def("shared_size", [](const Plan& plan) { return plan.kernel.shared_size(plan.p); });
    m.def("groups", [](const Plan& plan) { return plan.kernel.groups(plan.p); });
    m.def("in_pieces", [](const Plan& plan) { return plan.kernel.in_pieces(plan.p); });
    m.def("factor", [](const Plan& plan, const Addresses& arguments, int64_t saved, int64_t deficient, int threads) {
        nb::gil_scoped_release released;
        plan.kernel.factor(plan.at(arguments), {address(saved), true}, address<int64_t>(deficient), threads);
    });
    m.def("solve", [](const Plan& plan, const Addresses& arguments, int64_t saved, bool whole, int64_t u,
                      int64_t deficient, int threads) {
        nb::gil_scoped_release released;
        const Problem p = plan.at(arguments);
        std::vector<int64_t> suspect(size_t(p.systems)), none(p.columns > 1 ? size_t(p.systems) : 0);
        advise_huge_pages(address<void>(u), 8 * p.systems * p.T * p.D * p.K);
        plan.kernel.solve(p, {address(saved), whole},
                          {address(u), p.columns > 1 ? none.data() : address<int64_t>(deficient), suspect.data()},
                          threads);
        for (int64_t i = 0; i < p.systems; ++i)
            if (suspect[i]) address<int64_t>(deficient)[i] = -1;
    });
    m.def("adjoint", [](const Plan& plan, const Addresses& arguments, int64_t saved, bool whole, int64_t u,
                        const std::vector<int64_t>& g, const std::array<int64_t, 5>& out, int threads) {
        const Problem p = plan.at(arguments);
        const Array upstream =
            array(address<const double>(g.at(0)), Layout(g.begin() + 1, g.end()), size_t(p.batch_dims));
        nb::gil_scoped_release released;
        const int64_t points = 8 * p.systems * p.T, unknowns = points * p.D * p.K;
        advise_huge_pages(address<void>(out[0]), unknowns);
        if (p.coefficients.stride && p.columns == 1) advise_huge_pages(address<void>(out[1]), unknowns * p.E);
        if (p.forcing.stride) advise_huge_pages(address<void>(out[2]), points * p.E);
        if (p.steps.stride && p.columns == 1) advise_huge_pages(address<void>(out[4]), points - 8 * p.systems);
        plan.kernel.adjoint(p, {address(saved), whole},
                            {address<const double>(u), upstream, address(out[0]), address(out[1]), address(out[2]),
                             address(out[3]), address(out[4])},
                            threads);
    });
}
