// Work of a GPU that is the same every time, as a CUDA graph. CUDA builds only.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>

namespace at::cuda {
struct CUDAGraph;
}

namespace san::device {

/// "SAN_NATIVE_GRAPHS=0" where the environment forbids captures; empty otherwise.
std::string capture_obstacle();

class Captured {
 public:
  Captured();
  ~Captured();
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  /// Queues `work` on the current stream, which must not be the default one: some times as it is, in which
  /// cuDNN chooses its algorithms, then captured; later calls replay that and do not call `work`. Tensors
  /// that it makes stay where they are from then on, and what it reads must do so. Where `obstacle` is not
  /// empty `work` is always queued as it is; a capture that fails writes there why, and warns. The capture
  /// uses the memory of `sibling` where that has captured already: for work of the same stream, of which
  /// neither reads what the other left.
  void queue(const std::function<void()>& work, std::string& obstacle, const Captured* sibling = nullptr);

  /// Another work from here on.
  void reset();

 private:
  void capture(const std::function<void()>& work, const Captured* sibling);

  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  /// The graph's.
  c10::Device device_{c10::kCPU};
  int warm_ups_ = 0;
};

}  // namespace san::device
