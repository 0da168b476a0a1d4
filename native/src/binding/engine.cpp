#include "binding/engine.h"

#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "binding/warnings.h"
#include "memory/caching_allocator.h"
#include "san/error.h"

namespace san::binding {
namespace {

/// After so long without a job, memory kept for the next one goes back to the system; so does what JavaScript
/// lets go of from then on.
constexpr std::chrono::seconds kIdle{1};

}  // namespace

std::atomic<Engine*> Engine::started_{nullptr};

Engine& Engine::instance() {
  static Engine* engine = started_ = new Engine();
  return *engine;
}

Engine::Engine() {
  try {
    std::thread([this] { loop(); }).detach();
  } catch (const std::system_error& error) {
    throw Error(kNative, std::string("the system starts no thread for the tensors (") + error.what() +
                             "): a limit is reached; raise that of memory or of processes (ulimit -v, -u)");
  }
}

void Engine::post(std::shared_ptr<Lifetime> owner, std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (owner->dead) return;
    queue_.push_back({std::move(owner), std::move(job)});
  }
  changed_.notify_all();
}

void Engine::stop(const std::shared_ptr<Lifetime>& owner) {
  if (Engine* engine = started_)
    engine->drop(owner);
  else
    owner->dead = true;
}

void Engine::drop(const std::shared_ptr<Lifetime>& owner) {
  std::deque<Job> dropped;  // destroyed after the lock is released
  std::unique_lock lock(mutex_);
  owner->dead = true;
  std::deque<Job> kept;
  for (Job& job : queue_) (job.owner == owner ? dropped : kept).push_back(std::move(job));
  queue_ = std::move(kept);
  changed_.wait(lock, [&] { return running_ != owner; });
  lock.unlock();
}

void Engine::loop() {
  collect_warnings();
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!changed_.wait_for(lock, kIdle, [&] { return !queue_.empty(); })) {
      lock.unlock();
      keep_freed_memory(false);
      lock.lock();
      changed_.wait(lock, [&] { return !queue_.empty(); });
      keep_freed_memory(true);
    }
    Job job = std::move(queue_.front());
    queue_.pop_front();
    running_ = job.owner;
    lock.unlock();
    job.run();
    job = {};  // what the job holds goes before anyone waiting for it wakes up
    lock.lock();
    running_.reset();
    changed_.notify_all();
  }
}

}  // namespace san::binding
