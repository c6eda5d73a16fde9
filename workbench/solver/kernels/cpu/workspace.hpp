// Memory that is reused between calls: page faults in new memory cost as much as the arithmetic on it.
#pragma once

namespace smnn {

// Allocate `bytes`, aligned to 64, on huge pages if the system grants them. Reuses a released block of the same size,
// with arbitrary content. Throws std::bad_alloc. Thread-safe.
void* allocate(long bytes);

// Return a block to the workspace, which keeps at most MAX_CACHED_BYTES and frees the oldest blocks beyond.
void release(void* memory, long bytes);

constexpr long MAX_CACHED_BYTES = 96l << 20;

}  // namespace smnn
