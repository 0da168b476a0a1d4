// Batches made on threads of their own while earlier ones are in use.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace san {

/// The threads touch nothing but what `make` does, and memory that the taking thread has allocated: at the
/// end of the process, when LibTorch's statics are destroyed, they may still run.
class Prefetch {
 public:
  /// `make(step, out)` writes a batch; it is called on several threads at once. `allocate` gives its memory
  /// and is called on the taking thread.
  Prefetch(std::function<void(int64_t, void*)> make, std::function<at::Tensor()> allocate, int workers);
  /// Waits for the batches being made.
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// The batch of `step`; asks for those that follow. Another step than the next one makes it begin anew
  /// there. Throws what `make` or `allocate` threw; the next call then begins anew.
  at::Tensor take(int64_t step);

  /// Most batches that are made but not taken.
  size_t depth() const { return static_cast<size_t>(workers_) + 1; }

 private:
  enum class Stage { wanted, making, made };
  struct Slot {
    int64_t step;
    at::Tensor memory;
    void* out;
    Stage stage = Stage::wanted;
    std::exception_ptr fault;
  };

  void work();
  void begin_at(int64_t step, std::unique_lock<std::mutex>& lock);
  void want_more();
  Slot* next_wanted();

  const std::function<void(int64_t, void*)> make_;
  const std::function<at::Tensor()> allocate_;
  const int workers_;

  std::mutex mutex_;
  std::condition_variable changed_;
  /// In order of steps, without gaps.
  std::deque<Slot> slots_;
  int64_t next_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace san
