#include "memory/caching_allocator.h"

#include <c10/core/Allocator.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "check.h"

namespace {

/// Whether this thread gets no memory from operator new.
thread_local bool exhausted = false;

}  // namespace

void* operator new(size_t bytes) {
  void* data = exhausted ? nullptr : std::malloc(bytes);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}
void operator delete(void* data) noexcept { std::free(data); }
void operator delete(void* data, size_t) noexcept { std::free(data); }

namespace san::test {

void caching_allocator_tests() {
  const MemoryUse before = memory_use();
  const void* data = nullptr;
  {
    const at::Tensor a = at::empty({1000, 1000});
    data = a.const_data_ptr();
    const int64_t used = memory_use().used - before.used;
    expect(used >= 4000000 && used <= 4500000, "used bytes follow a tensor: " + std::to_string(used));
  }
  expect(memory_use().used == before.used, "used bytes after a tensor is gone");
  expect(at::empty({1000, 1000}).const_data_ptr() == data, "memory is used again");
  expect(at::empty({999, 1000}).const_data_ptr() == data, "a slightly smaller tensor fits");
  release_cached_memory();
  expect(memory_use().cached == 0, "nothing is kept after a release");
  {
    const at::Tensor a = at::empty({1000});
    keep_freed_memory(false);
  }
  expect(memory_use().cached == 0 && memory_use().used == before.used, "nothing is kept that is not to be");
  keep_freed_memory(true);
  at::empty({1000});
  expect(memory_use().cached >= 4000, "and is again");

  for (int64_t bytes = 1; bytes < (1 << 20); bytes += 1 + bytes / 3) {
    const at::Tensor t = at::empty({bytes}, at::kByte);
    expect(reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 64 == 0,
           "alignment of " + std::to_string(bytes));
    t.fill_(7);
  }
  expect(at::empty({0}).const_data_ptr() == nullptr, "an empty tensor");

  bool refused = false;
  try {
    at::empty({int64_t{1} << 60}, at::kByte);
  } catch (const c10::Error&) {
    refused = true;
  }
  expect(memory_use().peak < int64_t{1} << 40, "what cannot be had is no peak");
  expect(refused && memory_use().used == before.used, "what cannot be had is refused, and not counted");

  c10::Allocator& allocator = *c10::GetAllocator(c10::DeviceType::CPU);
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(allocator.raw_allocate(1000));
  bool threw = false;
  exhausted = true;
  try {
    for (void* block : blocks) allocator.raw_deallocate(block);
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  exhausted = false;
  expect(!threw && memory_use().used == before.used, "giving memory back takes none");

  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([k, &wrong] {
      for (int i = 0; i < 2000; ++i) {
        const at::Tensor t = at::full({(i * 37) % 500 + 1}, k, at::kInt);
        if (!t.eq(k).all().item<bool>()) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  expect(wrong == 0 && memory_use().used == before.used, "four threads at once");
}

}  // namespace san::test
