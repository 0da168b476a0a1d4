#include "distributed/liveness.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace san::distributed {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

std::string beat_key(size_t rank) { return "beat/" + std::to_string(rank); }

std::string seconds(Clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

struct Pulse {
  std::string beat;
  Clock::time_point changed = Clock::now();
};

}  // namespace

struct Liveness::State {
  Store store;
  size_t rank = 0;
  std::vector<std::string> names;
  milliseconds timeout, interval;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::string fault;
  std::string report;
  bool reported = false, ending = false, ended = false;
  /// A connection of ours broke: whoever misses some beats now is the cause.
  bool suspicious = false;
  Clock::time_point last_cycle = Clock::now();

  /// The first fault stays.
  void set_fault(const std::string& reason) {
    const std::lock_guard lock(mutex);
    if (fault.empty()) fault = reason;
    changed.notify_all();
  }

  void tell(const std::string& reason) {
    const int64_t number = store->add("faults", 1);
    store->set("fault/" + std::to_string(number), bytes_of(reason));
  }

  /// One round of beats; `pulses` holds what was seen so far.
  void cycle(int64_t number, std::vector<Pulse>& pulses) {
    store->set(beat_key(rank), bytes_of(std::to_string(number)));
    std::string outgoing;
    Clock::duration patience = timeout;
    bool all = rank == 0;
    {
      const std::lock_guard lock(mutex);
      if (!reported) outgoing = report;
      if (suspicious) {
        all = true;
        patience = 3 * interval;
      }
    }
    if (!outgoing.empty()) {
      tell(names[rank] + " " + outgoing);
      const std::lock_guard lock(mutex);
      reported = true;
      changed.notify_all();
      return;
    }
    if (store->add("faults", 0) > 0) {
      // The count is raised just before the text is there.
      if (store->check({"fault/1"})) set_fault(text_of(store->get("fault/1")));
      return;
    }
    std::vector<std::string> keys;
    for (size_t i = 0; i < (all ? names.size() : 1); ++i) keys.push_back(beat_key(i));
    const auto beats = store->multiGet(keys);
    for (size_t i = 0; i < beats.size(); ++i) {
      if (i == rank) continue;
      Pulse& pulse = pulses[i];
      const std::string beat = text_of(beats[i]);
      const auto now = Clock::now();
      if (beat != pulse.beat) {
        pulse = {beat, now};
      } else if (now - pulse.changed > patience) {
        const std::string reason = names[i] + " is gone: no sign of life for " + seconds(now - pulse.changed);
        tell(reason);
        set_fault(reason);
        return;
      }
    }
  }
};

Liveness::Liveness(Store store, int rank, std::vector<std::string> names, milliseconds timeout)
    : state_(std::make_shared<State>()) {
  state_->store = std::move(store);
  state_->rank = static_cast<size_t>(rank);
  state_->names = std::move(names);
  state_->timeout = timeout;
  state_->interval = std::clamp(timeout / 10, milliseconds(100), milliseconds(1000));
  state_->store->set(beat_key(state_->rank), bytes_of("0"));
  std::thread([state = state_] { watch(state); }).detach();
}

Liveness::~Liveness() { stop(); }

void Liveness::watch(const std::shared_ptr<State>& state) {
  std::vector<Pulse> pulses(state->names.size());
  try {
    // Everybody's first beat: multiGet() would wait for one that is missing.
    for (size_t i = 0; i < pulses.size(); ++i) state->store->wait({beat_key(i)}, state->timeout);
    for (int64_t number = 1;; ++number) {
      state->cycle(number, pulses);
      std::unique_lock lock(state->mutex);
      state->last_cycle = Clock::now();
      state->changed.wait_for(lock, state->interval,
                              [&] { return state->ending || (!state->report.empty() && !state->reported); });
      if (state->ending && (state->report.empty() || state->reported)) break;
    }
  } catch (const std::exception&) {
    const std::string store = "the ranks' store is gone, and " + state->names[0] + " with it";
    state->set_fault(state->rank == 0 ? "the ranks' store is gone" : store);
  }
  const std::lock_guard lock(state->mutex);
  state->ended = true;
  // Its connection ends on this thread.
  state->store.reset();
  state->changed.notify_all();
}

std::string Liveness::fault() const {
  const std::lock_guard lock(state_->mutex);
  if (!state_->fault.empty()) return state_->fault;
  const auto silent = Clock::now() - state_->last_cycle;
  if (state_->ended || silent <= state_->timeout) return {};
  return "no answer from the ranks' store for " + seconds(silent) + ": the network to " + state_->names[0] +
         " is cut, or it hangs";
}

void Liveness::report(const std::string& reason) {
  std::unique_lock lock(state_->mutex);
  // What comes after the first fault is a consequence.
  if (!state_->fault.empty() || state_->ended) return;
  state_->report = reason;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, 2 * state_->interval + milliseconds(500),
                           [&] { return state_->reported || state_->ended; });
  // The store may end with this process: time for the others to read it there.
  if (state_->rank == 0) state_->changed.wait_for(lock, 2 * state_->interval, [] { return false; });
}

std::string Liveness::explain(const std::string& symptom) {
  std::unique_lock lock(state_->mutex);
  state_->suspicious = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, 6 * state_->interval + milliseconds(500),
                           [&] { return !state_->fault.empty() || state_->ended; });
  return state_->fault.empty() ? "the connection to another rank broke: " + symptom : state_->fault;
}

void Liveness::stop() {
  std::unique_lock lock(state_->mutex);
  state_->ending = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, state_->interval + milliseconds(500), [&] { return state_->ended; });
}

}  // namespace san::distributed
