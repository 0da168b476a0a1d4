// Whether the other ranks still live: a beat of each in the store, on a thread of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "distributed/store.h"

namespace san::distributed {

/// All traffic with the store is this object's thread's, which may hang for as long as the network drops
/// packets; no call here does. Rank 0 watches everybody's beat, the others watch rank 0's.
class Liveness {
 public:
  /// `store`: a connection that nobody else uses. `names`: of the ranks, for messages.
  Liveness(Store store, int rank, std::vector<std::string> names, std::chrono::milliseconds timeout);
  /// Leaves the thread behind if it hangs.
  ~Liveness();
  Liveness(const Liveness&) = delete;
  Liveness& operator=(const Liveness&) = delete;

  /// Why the run cannot go on; empty as long as all is well.
  std::string fault() const;
  /// Tells all ranks that this one ends and why; waits for a moment until that is told.
  void report(const std::string& reason);
  /// What is behind a connection that broke: waits for the fault, which a beat that stopped tells after some
  /// beats.
  std::string explain(const std::string& symptom);
  /// No more watching: the ranks are about to leave.
  void stop();

 private:
  struct State;
  static void watch(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace san::distributed
