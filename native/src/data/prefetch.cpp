#include "data/prefetch.h"

#include <algorithm>
#include <utility>

namespace san {

Prefetch::Prefetch(std::function<void(int64_t, void*)> make, std::function<at::Tensor()> allocate,
                   int workers)
    : make_(std::move(make)), allocate_(std::move(allocate)), workers_(workers) {}

Prefetch::~Prefetch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

at::Tensor Prefetch::take(int64_t step) {
  std::unique_lock lock(mutex_);
  // Not before: a trainer that takes no step needs no thread.
  while (threads_.size() < static_cast<size_t>(workers_)) threads_.emplace_back([this] { work(); });
  if (slots_.empty() || slots_.front().step != step) begin_at(step, lock);
  want_more();
  changed_.notify_all();
  changed_.wait(lock, [&] { return slots_.front().stage == Stage::made; });
  Slot slot = std::move(slots_.front());
  slots_.pop_front();
  if (slot.fault) std::rethrow_exception(slot.fault);
  want_more();
  changed_.notify_all();
  return slot.memory;
}

void Prefetch::begin_at(int64_t step, std::unique_lock<std::mutex>& lock) {
  // Their memory is being written to.
  std::erase_if(slots_, [](const Slot& slot) { return slot.stage == Stage::wanted; });
  changed_.wait(lock, [&] {
    return std::all_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return slot.stage == Stage::made; });
  });
  slots_.clear();
  next_ = step;
}

void Prefetch::want_more() {
  while (slots_.size() < depth()) {
    at::Tensor memory = allocate_();
    void* out = memory.mutable_data_ptr();
    slots_.push_back({next_, std::move(memory), out, Stage::wanted, nullptr});
    ++next_;
  }
}

Prefetch::Slot* Prefetch::next_wanted() {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [](const Slot& slot) { return slot.stage == Stage::wanted; });
  return found == slots_.end() ? nullptr : &*found;
}

void Prefetch::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // A slot stays where it is until it is made: only the front is taken away, and only then.
    Slot* slot = nullptr;
    changed_.wait(lock, [&] { return ending_ || (slot = next_wanted()) != nullptr; });
    if (ending_) return;
    slot->stage = Stage::making;
    const int64_t step = slot->step;
    void* out = slot->out;
    lock.unlock();
    std::exception_ptr fault;
    try {
      make_(step, out);
    } catch (...) {
      fault = std::current_exception();
    }
    lock.lock();
    slot->fault = std::move(fault);
    slot->stage = Stage::made;
    changed_.notify_all();
  }
}

}  // namespace san
