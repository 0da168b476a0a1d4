#include "device/captured.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <cstdlib>
#include <string_view>

namespace san::device {
namespace {

/// Times that work is queued as it is before it is captured.
constexpr int kWarmUps = 3;

}  // namespace

std::string capture_obstacle() {
  const char* choice = std::getenv("SAN_NATIVE_GRAPHS");
  return choice != nullptr && std::string_view(choice) == "0" ? "SAN_NATIVE_GRAPHS=0" : "";
}

Captured::Captured() = default;
Captured::~Captured() = default;

void Captured::reset() {
  graph_.reset();
  warm_ups_ = 0;
}

void Captured::capture(const std::function<void()>& work, const Captured* sibling) {
  c10::cuda::getCurrentCUDAStream().synchronize();
  // A capture has memory of its own, and cannot take what freed tensors of the steps before it keep.
  c10::cuda::CUDACachingAllocator::emptyCache();
  auto graph = std::make_unique<at::cuda::CUDAGraph>();
  // A pool lives as long as a graph that uses it; {0, 0} makes one.
  const bool shared = sibling != nullptr && sibling->graph_;
  graph->capture_begin(shared ? sibling->graph_->pool() : c10::MempoolId_t{0, 0},
                       cudaStreamCaptureModeThreadLocal);
  try {
    work();
  } catch (...) {
    try {
      graph->capture_end();
    } catch (const c10::Error&) {
      // The capture is void; what made it so is on its way.
    }
    throw;
  }
  graph->capture_end();
  graph_ = std::move(graph);
}

void Captured::queue(const std::function<void()>& work, std::string& obstacle, const Captured* sibling) {
  if (!obstacle.empty()) return work();
  if (!graph_) {
    if (warm_ups_++ < kWarmUps) return work();
    try {
      capture(work, sibling);
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const std::exception& error) {
      const std::string_view text = error.what();
      obstacle = text.substr(0, text.find('\n'));
      TORCH_WARN("work of the GPU runs without a CUDA graph: ", obstacle);
      return work();
    }
  }
  graph_->replay();
}

}  // namespace san::device
