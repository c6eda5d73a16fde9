// Memory that outlives a call: fresh memory of the system costs as much as the arithmetic on it.
#pragma once

namespace smnn {

// `bytes` of memory, at a multiple of 64 bytes, huge pages where the system grants them; what was given back before, if it
// fits. The content is arbitrary. Throws std::bad_alloc. Any thread.
void* borrow(long bytes);

// Back to the workspace, which keeps at most MOST_KEPT bytes and lets the oldest go.
void give_back(void* memory, long bytes);

constexpr long MOST_KEPT = 96l << 20;

}  // namespace smnn
