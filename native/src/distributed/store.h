// The key-value store through which the ranks of a run find each other, and who they are.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <string>
#include <vector>

#include "san/process_group.h"

namespace san::distributed {

using Store = c10::intrusive_ptr<c10d::Store>;

/// A connection to the store, under the run's prefix. Throws ERR_SAN_RENDEZVOUS.
Store connect(const ProcessGroupConfig& config, bool serve, const ProcessGroup::Cancelled& cancelled);

/// Announces this rank and waits for the others. Gives how errors call each: "rank 3 (process 71 on node7)".
/// Throws ERR_SAN_RENDEZVOUS.
std::vector<std::string> meet(const Store& store, const ProcessGroupConfig& config,
                              const ProcessGroup::Cancelled& cancelled);

/// This machine's address as seen from the way to `host`; empty when there is no way.
std::string address_towards(const std::string& host);

std::string text_of(const std::vector<uint8_t>& value);
std::vector<uint8_t> bytes_of(const std::string& text);

}  // namespace san::distributed
