#include "memory/caching_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

namespace san {
namespace {

// Own code: LibTorch's CPUCachingAllocator serves one thread under a guard, never gives memory back by
// itself, and is marked as experimental.

/// Before each block's data; keeps the data on a cache line of its own. Free blocks are linked by it: giving
/// one back must not need memory, for there may be none left.
struct alignas(64) Header {
  size_t bytes;
  size_t list;
  Header* next;
};

constexpr size_t kStepBits = 3;
constexpr size_t kLists = 64 << kStepBits;
/// What may be kept without regard to the peak, so that a first run of a new shape is not spoiled.
constexpr int64_t kAlwaysKept = 64 << 20;

/// Sizes in eight steps from one power of two to the next, so that at most an eighth of a block is wasted.
struct SizeClass {
  size_t list, bytes;
};

SizeClass size_class(size_t bytes) {
  const size_t n = std::max<size_t>(bytes, 64);
  const size_t exponent = static_cast<size_t>(std::bit_width(n - 1));  // n in (2^(e-1), 2^e]
  const size_t step = size_t{1} << (exponent - 1 - kStepBits);
  const size_t steps = (n + step - 1) / step;  // 9 ... 16
  return {(exponent << kStepBits) + steps - (1 << kStepBits) - 1, steps * step};
}

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = take(bytes);
    return {data, data, &CachingAllocator::give_back, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &CachingAllocator::give_back; }

  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

  void keep(bool keeps) {
    {
      const std::lock_guard lock(mutex_);
      keeps_ = keeps;
    }
    if (!keeps) release();
  }

  void release() {
    std::array<Header*, kLists> blocks{};
    {
      const std::lock_guard lock(mutex_);
      blocks.swap(free_);
      use_.cached = 0;
    }
    for (Header* block : blocks)
      while (block != nullptr) c10::free_cpu(std::exchange(block, block->next));
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

  static CachingAllocator& instance() {
    // Leaked: tensors may outlive everything that is destroyed at exit.
    static auto* allocator = new CachingAllocator();
    return *allocator;
  }

 private:
  void* take(size_t wanted) {
    if (wanted == 0) return nullptr;
    const SizeClass size = size_class(wanted);
    const auto bytes = static_cast<int64_t>(size.bytes);
    bool crowded = false;
    {
      const std::lock_guard lock(mutex_);
      if (Header* block = free_[size.list]; block != nullptr) {
        free_[size.list] = block->next;
        use_.cached -= bytes;
        count(bytes);
        return block + 1;
      }
      // Shapes changed: what is kept serves others. Without new blocks nothing is ever dropped.
      const int64_t held = use_.used + use_.cached + bytes, peak = std::max(use_.peak, use_.used + bytes);
      crowded = held > peak + peak / 4 + kAlwaysKept;
    }
    if (crowded) release();
    void* data = nullptr;
    try {
      data = fresh(size);
    } catch (const c10::Error&) {
      release();
      data = fresh(size);
    }
    const std::lock_guard lock(mutex_);
    ++use_.fresh;
    count(bytes);
    return data;
  }

  void count(int64_t bytes) {
    use_.used += bytes;
    use_.peak = std::max(use_.peak, use_.used);
  }

  static void* fresh(const SizeClass& size) {
    auto* block = static_cast<Header*>(c10::alloc_cpu(sizeof(Header) + size.bytes));
    *block = {size.bytes, size.list, nullptr};
    return block + 1;
  }

  static void give_back(void* data) {
    if (data == nullptr) return;
    CachingAllocator& self = instance();
    Header* block = static_cast<Header*>(data) - 1;
    const auto bytes = static_cast<int64_t>(block->bytes);
    {
      const std::lock_guard lock(self.mutex_);
      self.use_.used -= bytes;
      if (self.keeps_) {
        block->next = std::exchange(self.free_[block->list], block);
        self.use_.cached += bytes;
        return;
      }
    }
    c10::free_cpu(block);
  }

  std::mutex mutex_;
  std::array<Header*, kLists> free_{};
  MemoryUse use_{};
  bool keeps_ = true;
};

}  // namespace

void use_caching_allocator() {
  static const bool once = [] {
    const char* choice = std::getenv("SAN_NATIVE_ALLOCATOR");
    if (choice != nullptr && std::string_view(choice) == "system") return false;
    c10::SetCPUAllocator(&CachingAllocator::instance());
    return true;
  }();
  static_cast<void>(once);
}

void release_cached_memory() { CachingAllocator::instance().release(); }

void keep_freed_memory(bool keep) { CachingAllocator::instance().keep(keep); }

MemoryUse memory_use() { return CachingAllocator::instance().use(); }

}  // namespace san
