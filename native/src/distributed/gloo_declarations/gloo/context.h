// LibTorch's ProcessGroupGloo.hpp includes gloo's headers, which the wheels leave out. These are the
// declarations that it needs, and no more: the class holds nothing but shared pointers to gloo's types, and
// no gloo object is made or looked into here.
#pragma once

#include <chrono>
#include <memory>

namespace gloo {

namespace transport {
class Device;
class UnboundBuffer;
}  // namespace transport

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
