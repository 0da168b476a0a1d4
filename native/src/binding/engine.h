// The one thread on which all tensor work runs, and how it ends with an environment or the process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace san::binding {

/// Whether the JavaScript environment that asked for a job is still there. Jobs look at it between steps or
/// batches; once it is dead no Node-API call may be made for it.
struct Lifetime {
  std::atomic<bool> dead{false};
};

/// A queue and a thread. Never destroyed: at exit a destructor would run while LibTorch's own statics go
/// away.
class Engine {
 public:
  /// Starts it at the first call. Throws san::Error when the system starts no more threads; later calls try
  /// again.
  static Engine& instance();

  /// Runs `job` on the engine thread after all jobs posted before it. A job must not throw.
  void post(std::shared_ptr<Lifetime> owner, std::function<void()> job);

  /// Marks the owner dead, drops its waiting jobs and waits for its running one. Idempotent; any thread but
  /// the engine's.
  static void stop(const std::shared_ptr<Lifetime>& owner);

 private:
  struct Job {
    std::shared_ptr<Lifetime> owner;
    std::function<void()> run;
  };

  Engine();
  void loop();
  void drop(const std::shared_ptr<Lifetime>& owner);

  /// The instance, once there is one.
  static std::atomic<Engine*> started_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  std::shared_ptr<Lifetime> running_;
};

}  // namespace san::binding
