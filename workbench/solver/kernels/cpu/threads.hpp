// Loops over independent pieces of work on the threads of one pool.
#pragma once

#include <functional>

namespace smnn {

// work(i) for i = 0 .. count-1, in any order, by at most `threads` threads, the caller among them; returns when all is done.
// Callers in several threads may come at once: one has the pool, the others work alone. What `work` throws (there may be no
// memory) is thrown here, once no thread is at work any more; what was not begun is then not done.
void parallel_for(long count, int threads, const std::function<void(long)>& work);

// Ask for huge pages where the system grants them: fresh memory of this size otherwise costs as much as the arithmetic.
void expect_much(void* start, long bytes);

}  // namespace smnn
