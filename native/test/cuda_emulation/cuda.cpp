#include "cuda_emulation/cuda.h"

#include <ucontext.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace san::emulation {

uint64_t block_serial = 0;

namespace {

constexpr unsigned kWarp = 32;
constexpr size_t kStack = 64 << 10;

enum class State { kReady, kAtWarp, kAtBlock, kDone };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack = std::make_unique_for_overwrite<char[]>(kStack);
  State state = State::kReady;
  std::source_location at;
  uint3 index;
  /// What lanes hand each other; two places, so that the next shuffle does not overwrite what is still read.
  std::array<uint64_t, 2> posted;
  unsigned shuffles;
};

Order order = Order::kForward;
unsigned limit = 0;
bool limit_asked = false;
std::vector<std::unique_ptr<Fiber>> fibers;
size_t count = 0, current = 0;
ucontext_t scheduler;
const std::function<void()>* body = nullptr;
std::string failure;

Fiber& self() { return *fibers[current]; }

void suspend(State state, const std::source_location& at) {
  Fiber& fiber = self();
  fiber.state = state;
  fiber.at = at;
  swapcontext(&fiber.context, &scheduler);
}

void enter() {
  (*body)();
  self().state = State::kDone;
  swapcontext(&self().context, &scheduler);
}

std::string place(const Fiber& fiber) {
  return std::string(fiber.at.file_name()) + ":" + std::to_string(fiber.at.line());
}

/// Lets the threads first ... end - 1 go on where all of them wait for each other at one place.
bool release(size_t first, size_t end, State state) {
  for (size_t i = first; i < end; ++i) {
    if (fibers[i]->state != state) return false;
    if (place(*fibers[i]) != place(*fibers[first])) return false;
  }
  for (size_t i = first; i < end; ++i) fibers[i]->state = State::kReady;
  return true;
}

/// Ends the launch; the thread that calls it does not go on.
void fail(const std::string& what) {
  if (failure.empty()) failure = what;
  suspend(State::kAtBlock, std::source_location::current());
}

[[noreturn]] void report_deadlock() {
  std::string what = "threads of a block wait for others that do not come:";
  for (size_t i = 0; i < count; ++i) {
    const Fiber& fiber = *fibers[i];
    if (i > 0 && fibers[i - 1]->state == fiber.state && place(*fibers[i - 1]) == place(fiber)) continue;
    what += " from thread " + std::to_string(i) + " " +
            (fiber.state == State::kDone ? "finished" : "at " + place(fiber)) + ";";
  }
  throw std::runtime_error(what);
}

void run_block(dim3 block) {
  ++block_serial;
  for (size_t i = 0; i < count; ++i) {
    Fiber& fiber = *fibers[i];
    const auto n = static_cast<unsigned>(i);
    fiber.index = {n % block.x, n / block.x % block.y, n / block.x / block.y};
    fiber.state = State::kReady;
    fiber.shuffles = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
  }
  for (size_t done = 0; done < count;) {
    bool moved = false;
    for (size_t n = 0; n < count; ++n) {
      current = order == Order::kForward ? n : count - 1 - n;
      if (self().state != State::kReady) continue;
      threadIdx = self().index;
      swapcontext(&scheduler, &self().context);
      done += self().state == State::kDone;
      moved = true;
    }
    if (!failure.empty()) throw std::runtime_error(failure);
    for (size_t w = 0; w < count; w += kWarp) moved |= release(w, std::min(count, w + kWarp), State::kAtWarp);
    moved |= release(0, count, State::kAtBlock);
    if (!moved) report_deadlock();
  }
}

}  // namespace

void set_order(Order wanted) { order = wanted; }
void set_block_limit(unsigned blocks) {
  limit = blocks;
  limit_asked = false;
}
unsigned block_limit(unsigned on_a_gpu) {
  limit_asked = true;
  return limit == 0 ? on_a_gpu : limit;
}
bool block_limit_asked() { return limit_asked; }

void run(dim3 grid, dim3 block, const std::function<void()>& thread) {
  count = size_t{block.x} * block.y * block.z;
  if (count == 0 || count > 1024)
    throw std::runtime_error("a block of " + std::to_string(count) + " threads");
  if (grid.y > 65535 || grid.z > 65535) throw std::runtime_error("a grid beyond 65535 in y or z");
  while (fibers.size() < count) fibers.push_back(std::make_unique<Fiber>());
  body = &thread;
  failure.clear();
  blockDim = block;
  gridDim = grid;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t n = 0; n < blocks; ++n) {
    const uint64_t b = order == Order::kForward ? n : blocks - 1 - n;
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / grid.x / grid.y)};
    run_block(block);
  }
}

void wait_for_block(const std::source_location& at) { suspend(State::kAtBlock, at); }
void wait_for_warp(const std::source_location& at) { suspend(State::kAtWarp, at); }

unsigned lane() { return static_cast<unsigned>(current) % kWarp; }

uint64_t exchange(uint64_t v, unsigned source, unsigned mask, const std::source_location& at) {
  const size_t warp = current - lane();
  if (mask != 0xffffffffu) fail("a shuffle of part of a warp, which the emulation does not know");
  if (warp + source >= count)
    fail("a shuffle from a lane that the block does not have: " + std::to_string(source));
  const unsigned turn = self().shuffles++ % 2;
  self().posted[turn] = v;
  suspend(State::kAtWarp, at);
  return fibers[warp + source]->posted[turn];
}

void check_aligned(const void* p, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0)
    fail("an access of " + std::to_string(bytes) + " bytes at an address that is no multiple of it");
}

}  // namespace san::emulation
