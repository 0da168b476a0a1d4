// One rank's membership in a data-parallel run: c10d's TCPStore to find the others, Gloo and NCCL to talk to
// them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "san/collective.h"

namespace san {

/// Codes of Error.
inline constexpr const char* kRendezvous = "ERR_SAN_RENDEZVOUS";
inline constexpr const char* kRankLost = "ERR_SAN_RANK_LOST";

struct ProcessGroupConfig {
  int rank = 0;
  int world_size = 1;
  /// Where the store is: an address and a port that every rank can reach.
  std::string host;
  int port = 0;
  /// Whether this rank serves the store; otherwise somebody else does, such as torchrun's agent.
  bool serves_store = false;
  /// Keeps this attempt's keys apart from those of an earlier one in the same store.
  std::string prefix;
  /// How long to wait for the store and for the other ranks.
  std::chrono::milliseconds join_timeout{60'000};
  /// A rank without a sign of life for so long is lost.
  std::chrono::milliseconds timeout{60'000};
  /// Settings that all ranks must agree on, in words; empty for none.
  std::string agreement;

  /// Throws ERR_SAN_OPTIONS.
  void validate() const;
};

/// Tensors on a CPU go through Gloo, those on a GPU through NCCL in builds with it. A rank that fails or dies
/// makes the others' calls throw ERR_SAN_RANK_LOST, naming it.
class ProcessGroup : public Collective {
 public:
  /// Ends a wait with an Error once it returns true.
  using Cancelled = std::function<bool()>;

  /// Joins; returns when every rank has. Throws ERR_SAN_RENDEZVOUS: the store or a rank is not there, or the
  /// ranks do not agree how many they are.
  static std::shared_ptr<ProcessGroup> join(const ProcessGroupConfig& config, Cancelled cancelled);

  virtual Traffic traffic() const = 0;
  /// Tells the others why this rank is about to end, and ends its membership. Never throws.
  virtual void report_failure(const std::string& reason) = 0;
  /// Ends the membership after all ranks have come here. Throws ERR_SAN_RANK_LOST.
  virtual void leave() = 0;
};

}  // namespace san
