#include "cuda_emulation/guard.h"

#include <c10/core/Allocator.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace san::emulation {
namespace {

constexpr size_t kGuard = 256;
constexpr unsigned char kSentinel = 0xff;  // NaN as a float, a double or a bfloat16

int overrun = 0;

void give_back(void* data) {
  if (data == nullptr) return;
  unsigned char* block = static_cast<unsigned char*>(data) - kGuard;
  size_t bytes;
  std::memcpy(&bytes, block, sizeof bytes);
  const auto intact = [](const unsigned char* p, const unsigned char* end) {
    return std::all_of(p, end, [](unsigned char c) { return c == kSentinel; });
  };
  if (!intact(block + sizeof bytes, block + kGuard) ||
      !intact(block + kGuard + bytes, block + kGuard + bytes + kGuard))
    ++overrun;
  std::free(block);
}

class GuardedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, c10::Device(c10::DeviceType::CPU)};
    const size_t whole = (bytes + 2 * kGuard + 63) / 64 * 64;
    auto* block = static_cast<unsigned char*>(std::aligned_alloc(64, whole));
    if (block == nullptr) throw std::bad_alloc();
    std::memset(block, kSentinel, whole);
    std::memcpy(block, &bytes, sizeof bytes);
    return {block + kGuard, block + kGuard, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

GuardedAllocator allocator;
c10::Allocator* before = nullptr;

}  // namespace

Guard::Guard() {
  before = c10::GetAllocator(c10::DeviceType::CPU);
  c10::SetAllocator(c10::DeviceType::CPU, &allocator, 255);
}

Guard::~Guard() { c10::SetAllocator(c10::DeviceType::CPU, before, 255); }

int overruns() { return overrun; }

}  // namespace san::emulation
