// Where a run on a GPU keeps its images.
#pragma once

#include <cstdint>

#include "san/loader.h"

namespace san {

/// Share of a device's free memory that `automatic` gives to images: the rest is for the networks, whose
/// activations it does not know.
inline constexpr int64_t kResidentShare = 4;

/// Whether images of `bytes` go to a device with `free` bytes left. Throws ERR_SAN_OUT_OF_MEMORY where they
/// must and do not fit.
bool stays_on_device(Residency residency, int64_t bytes, int64_t free);

}  // namespace san
