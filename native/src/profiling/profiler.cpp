#include "profiling/profiler.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <chrono>
#include <memory>
#include <unordered_map>
#include <utility>

#ifdef SAN_NATIVE_CUDA
#include "profiling/device_events.h"
#endif

namespace san::profiling {
namespace {

/// 96 MB of events.
constexpr size_t kMostEvents = size_t{1} << 21;
constexpr uint32_t kNone = 0;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Recorder {
 public:
  Recorder() : first_sequence_(at::sequence_number::peek()), began_(now()) { name_of(""); }

  struct Open final : at::ObserverContext {
    size_t event;
    /// Where the scope's own nodes of the autograd graph begin.
    uint64_t sequence;
    bool opens_part;
  };

  std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    if (profile_.events.size() >= kMostEvents) {
      ++profile_.dropped;
      return nullptr;
    }
    auto open = std::make_unique<Open>();
    const uint32_t name = name_of(function.name());
    const bool scope = function.scope() == at::RecordScope::USER_SCOPE;
    const bool backward = function.scope() == at::RecordScope::BACKWARD_FUNCTION;
    open->opens_part = scope || backward;
    open->event = profile_.events.size();
    open->sequence = at::sequence_number::peek();
    const uint32_t outer = parts_.empty() ? kNone : parts_.back();
    uint32_t part = outer;
    if (scope) part = name;
    if (backward) {
      const uint32_t forward = owner_of(function.seqNr());
      if (forward != kNone) part = forward;
    }
    if (open->opens_part) parts_.push_back(part);
    const int64_t at = now() - began_;
    profile_.events.push_back({name, part, scope, at, at});
    return open;
  }

  void end(const Open& open) {
    profile_.events[open.event].end = now() - began_;
    if (!open.opens_part) return;
    own(open.sequence, parts_.back());
    parts_.pop_back();
  }

#ifdef SAN_NATIVE_CUDA
  void begin_device() {
    profile_.has_device = start_device_events();
    device_began_ = now() - began_;
  }

  void end_device() {
    if (!profile_.has_device) return;
    for (const DeviceEvent& event : stop_device_events()) {
      const uint32_t name = name_of(event.name);
      profile_.on_device.push_back({name, static_cast<uint32_t>(event.stream), event.begin + device_began_,
                                    event.end + device_began_});
    }
  }
#endif

  Profile take() { return std::move(profile_); }

 private:
  uint32_t name_of(const std::string& name) {
    const auto [at, added] = ids_.emplace(name, static_cast<uint32_t>(profile_.names.size()));
    if (added) profile_.names.push_back(name);
    return at->second;
  }

  /// Nodes of the autograd graph from `begin` on that no inner scope has taken are `part`'s.
  void own(uint64_t begin, uint32_t part) {
    const uint64_t end = at::sequence_number::peek();
    if (owners_.size() < end - first_sequence_) owners_.resize(end - first_sequence_, kNone);
    for (uint64_t s = begin; s < end; ++s)
      if (owners_[s - first_sequence_] == kNone) owners_[s - first_sequence_] = part;
  }

  uint32_t owner_of(int64_t sequence) const {
    const int64_t index = sequence - static_cast<int64_t>(first_sequence_);
    return index >= 0 && index < static_cast<int64_t>(owners_.size()) ? owners_[index] : kNone;
  }

  const uint64_t first_sequence_;
  const int64_t began_;
#ifdef SAN_NATIVE_CUDA
  int64_t device_began_ = 0;
#endif
  Profile profile_;
  std::unordered_map<std::string, uint32_t> ids_;
  /// Innermost last.
  std::vector<uint32_t> parts_;
  /// Part of each node of the autograd graph, by its sequence number from first_sequence_ on.
  std::vector<uint32_t> owners_;
};

// ATen's callbacks are plain functions.
thread_local std::unique_ptr<Recorder> recorder;
thread_local at::CallbackHandle handle;

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  return recorder ? recorder->begin(function) : nullptr;
}

void on_end(const at::RecordFunction&, at::ObserverContext* context) {
  if (recorder && context != nullptr) recorder->end(*static_cast<Recorder::Open*>(context));
}

}  // namespace

void start() {
  if (recorder) return;
  recorder = std::make_unique<Recorder>();
#ifdef SAN_NATIVE_CUDA
  recorder->begin_device();
#endif
  handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(on_begin, on_end)
                                     .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                                              at::RecordScope::USER_SCOPE}));
}

Profile stop() {
  if (!recorder) return {};
  at::removeCallback(handle);
#ifdef SAN_NATIVE_CUDA
  recorder->end_device();
#endif
  Profile profile = recorder->take();
  recorder.reset();
  return profile;
}

}  // namespace san::profiling
