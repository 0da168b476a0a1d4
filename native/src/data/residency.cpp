#include "data/residency.h"

#include <cstdio>
#include <string>

#include "san/error.h"

namespace san {
namespace {

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace

bool stays_on_device(Residency residency, int64_t bytes, int64_t free) {
  switch (residency) {
    case Residency::host:
      return false;
    case Residency::automatic:
      return bytes <= free / kResidentShare;
    case Residency::device:
      break;
  }
  if (bytes > free)
    throw Error(kOutOfMemory,
                "the images are " + gigabytes(bytes) + ", the device has " + gigabytes(free) +
                    " left; set dataDevice to auto or host",
                "dataDevice");
  return true;
}

}  // namespace san
