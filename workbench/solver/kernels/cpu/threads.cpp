#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if !defined(_WIN32)
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace smnn {
namespace {

// Polls of a waiting thread before it sleeps: about 20 microseconds, less than waking it costs.
constexpr int POLLS = 400;

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Helpers wait for `round` to change, take task numbers from `next` until none are left, and decrement `busy`.
class Pool {
public:
    explicit Pool(long process) : owner(process) {}
    const long owner;

    // Returns false if another caller uses the pool. Rethrows an exception of `work` once all threads have finished.
    bool run(long count, int helpers, const std::function<void(long)>& work) {
        std::unique_lock<std::mutex> mine(in_use_, std::try_to_lock);
        if (!mine) return false;
        helpers = start_helpers(helpers);
        {
            std::lock_guard<std::mutex> guard(lock_);
            work_ = &work;
            count_ = count;
            failure_ = nullptr;
            next_.store(0);
            wanted_ = helpers;
            busy_.store(helpers);
            round_.fetch_add(1);
        }
        wake_.notify_all();
        run_tasks();
        for (int i = 0; busy_.load(std::memory_order_acquire) > 0;)
            if (i < 100 * POLLS) pause_briefly(), ++i;
            else std::this_thread::yield();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
        return true;
    }

private:
    // Start helper threads as far as the system permits. Returns the number available.
    int start_helpers(int helpers) {
        try {
            while (static_cast<int>(members_.size()) < helpers) {
                const int number = static_cast<int>(members_.size());
                members_.emplace_back([this, number] { serve(number); });
            }
        } catch (const std::system_error&) {
        }
        return std::min(helpers, static_cast<int>(members_.size()));
    }

    void run_tasks() {
        try {
            for (long i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) (*work_)(i);
        } catch (...) {
            next_.store(count_);
            std::lock_guard<std::mutex> guard(lock_);
            failure_ = std::current_exception();
        }
    }

    void serve(int number) {
        for (long seen = 0;;) {
            for (int i = 0; i < POLLS && round_.load(std::memory_order_acquire) == seen; ++i) pause_briefly();
            bool called;
            {
                std::unique_lock<std::mutex> guard(lock_);
                wake_.wait(guard, [&] { return round_.load() != seen; });
                seen = round_.load();
                called = number < wanted_;
            }
            if (!called) continue;
            run_tasks();
            busy_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::mutex in_use_, lock_;
    std::condition_variable wake_;
    std::vector<std::thread> members_;
    const std::function<void(long)>* work_ = nullptr;
    long count_ = 0;
    int wanted_ = 0;
    std::exception_ptr failure_;
    std::atomic<long> round_{0}, next_{0};
    std::atomic<int> busy_{0};
};

// The pool of this process, never destroyed: its threads may outlive static objects. A child created by fork has none
// of the threads of its parent and gets a new pool. No lock here: another thread might have held it at the fork.
Pool& pool() {
    static std::atomic<Pool*> instance{nullptr};
#if defined(_WIN32)
    const long me = 0;
#else
    const long me = static_cast<long>(getpid());
#endif
    Pool* current = instance.load(std::memory_order_acquire);
    if (current && current->owner == me) return *current;
    Pool* created = new Pool(me);
    if (instance.compare_exchange_strong(current, created, std::memory_order_acq_rel)) return *created;
    delete created;  // another thread was faster
    return *current;
}

// A loop on an OpenMP team: task numbers are taken until none are left or one task fails.
struct Loop {
    const std::function<void(long)>& work;
    const long count;
    std::atomic<long> next{0};
    std::mutex lock{};
    std::exception_ptr failure{};

    static void run_tasks(void* self) {
        Loop& loop = *static_cast<Loop*>(self);
        try {
            for (long i = loop.next.fetch_add(1); i < loop.count; i = loop.next.fetch_add(1)) loop.work(i);
        } catch (...) {
            loop.next.store(loop.count);
            std::lock_guard<std::mutex> guard(loop.lock);
            loop.failure = std::current_exception();
        }
    }
};

// The OpenMP runtime that torch has loaded (GNU's), if any. Its threads are awake after an operation of torch, and for
// some milliseconds keep every core busy that a second pool would need. Measured on 2 cores, alternating with torch: a
// call of 1.2 ms takes 2.6 ms with a separate pool. Not used after a fork, which that runtime does not survive.
using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
#if defined(__linux__)
const Parallel openmp = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
const long home = static_cast<long>(getpid());
bool has_openmp() { return openmp && static_cast<long>(getpid()) == home; }
#else
const Parallel openmp = nullptr;
bool has_openmp() { return false; }
#endif

}  // namespace

void parallel_for(long count, int threads, const std::function<void(long)>& work) {
    const int helpers = static_cast<int>(threads < count ? threads : count) - 1;
    if (helpers > 0 && has_openmp()) {
        Loop loop{work, count};
        openmp(Loop::run_tasks, &loop, unsigned(helpers + 1), 0);
        if (loop.failure) std::rethrow_exception(loop.failure);
        return;
    }
    if (helpers > 0 && pool().run(count, helpers, work)) return;
    for (long i = 0; i < count; ++i) work(i);
}

void advise_huge_pages(void* start, long bytes) {
#if defined(MADV_HUGEPAGE)
    constexpr unsigned long page = 1ul << 21;
    const unsigned long first = (reinterpret_cast<unsigned long>(start) + page - 1) / page * page;
    const unsigned long last = (reinterpret_cast<unsigned long>(start) + bytes) / page * page;
    if (start && last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
    (void)start, (void)bytes;
#endif
}

}  // namespace smnn
