// Parallel loops over independent tasks.
#pragma once

#include <functional>

namespace smnn {

// Call work(i) for i = 0 .. count-1, in any order, on at most `threads` threads including the caller, and wait for all.
// Concurrent callers are allowed: one uses the pool, the others run alone. An exception of `work` (for example
// std::bad_alloc) is rethrown here once all threads have finished; tasks that were not started are skipped.
void parallel_for(long count, int threads, const std::function<void(long)>& work);

// Advise the system to use huge pages: page faults in new memory of this size otherwise cost as much as the arithmetic.
void advise_huge_pages(void* start, long bytes);

}  // namespace smnn
