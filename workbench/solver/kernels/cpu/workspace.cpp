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
    long kept = 0;
};

// Never destroyed: tensors may be given back while the process ends.
Workspace& workspace() {
    static Workspace& made = *new Workspace;
    return made;
}

constexpr std::align_val_t ALIGNMENT{64};

}  // namespace

void* borrow(long bytes) {
    Workspace& w = workspace();
    {
        std::lock_guard<std::mutex> guard(w.lock);
        auto best = w.free.end();
        for (auto block = w.free.begin(); block != w.free.end(); ++block)
            if (block->bytes == bytes) best = block;  // the newest: it may still be in a cache
        if (best != w.free.end()) {
            void* memory = best->memory;
            w.free.erase(best), w.kept -= bytes;
            return memory;
        }
    }
    void* memory = ::operator new(static_cast<unsigned long>(bytes), ALIGNMENT);
    expect_much(memory, bytes);
    return memory;
}

void give_back(void* memory, long bytes) {
    Workspace& w = workspace();
    std::deque<Block> gone;
    {
        std::lock_guard<std::mutex> guard(w.lock);
        w.free.push_back({memory, bytes}), w.kept += bytes;
        while (w.kept > MOST_KEPT) {
            gone.push_back(w.free.front());
            w.kept -= w.free.front().bytes;
            w.free.pop_front();
        }
    }
    for (const Block& block : gone) ::operator delete(block.memory, ALIGNMENT);
}

}  // namespace smnn
