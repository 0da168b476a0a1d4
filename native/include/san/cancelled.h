// How long work learns that nobody waits for its result any more.
#pragma once

#include <functional>

#include "san/error.h"

namespace san {

/// Asked between batches or blocks; true ends the work with an Error.
using Cancelled = std::function<bool()>;

/// Throws when `cancelled` says so; an empty one never does.
inline void stop_if(const Cancelled& cancelled) {
  if (cancelled && cancelled()) throw Error(kNative, "the work was cancelled");
}

}  // namespace san
