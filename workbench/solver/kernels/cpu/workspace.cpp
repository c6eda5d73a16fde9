#include "workspace.hpp"

#include <deque>
#include <iterator>
#include <mutex>
#include <new>

#include "threads.hpp"

namespace smnn {
namespace {

struct Block {
    void* memory;
    long bytes;
};

struct Workspace {
    std::mutex lock;
    std::deque<Block> free;  // the oldest first
    long bytes = 0;
};

// Never destroyed: tensors may be released while the process ends.
Workspace& workspace() {
    static Workspace& instance = *new Workspace;
    return instance;
}

constexpr std::align_val_t ALIGNMENT{64};

}  // namespace

void* allocate(long bytes) {
    Workspace& w = workspace();
    {
        std::lock_guard<std::mutex> guard(w.lock);
        auto best = w.free.end();
        for (auto block = w.free.begin(); block != w.free.end(); ++block)
            if (block->bytes == bytes) best = block;  // the newest: it may still be cached
        if (best != w.free.end()) {
            void* memory = best->memory;
            w.free.erase(best), w.bytes -= bytes;
            return memory;
        }
    }
    void* memory = ::operator new(static_cast<unsigned long>(bytes), ALIGNMENT);
    advise_huge_pages(memory, bytes);
    return memory;
}

void release(void* memory, long bytes) {
    Workspace& w = workspace();
    std::deque<Block> freed;
    {
        std::lock_guard<std::mutex> guard(w.lock);
        w.free.push_back({memory, bytes}), w.bytes += bytes;
        while (w.bytes > MAX_CACHED_BYTES) {
            freed.push_back(w.free.front());
            w.bytes -= w.free.front().bytes;
            w.free.pop_front();
        }
    }
    for (const Block& block : freed) ::operator delete(block.memory, ALIGNMENT);
}

}  // namespace smnn
