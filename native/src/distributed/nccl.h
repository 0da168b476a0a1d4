// NCCL, in builds that have it.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "distributed/store.h"

namespace san::distributed {

/// Throws ERR_SAN_DEVICE in a build without NCCL.
c10::intrusive_ptr<c10d::Backend> make_nccl(const Store& store, const ProcessGroupConfig& config);

}  // namespace san::distributed
