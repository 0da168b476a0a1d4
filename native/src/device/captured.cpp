#include "device/captured.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <cstdlib>
#include <string_view>

#include "san/device.h"

namespace san::device {
namespace {

/// Times that work is queued as it is before it is captured.
constexpr int kWarmUps = 3;

/// Whether a graph whose capture failed gives its memory back by itself, as LibTorch's do from 2.14 on.
template <typename Graph>
struct Looked : Graph {
  static constexpr bool frees_itself() {
    return requires(Looked & graph) { graph.allocated_pool_; };
  }
};

void attempt(const std::function<void()>& work) {
  try {
    work();
  } catch (const c10::Error&) {
    // It had been done.
  }
}

/// Ends a capture that is void. Where CUDA refuses to end it, older LibTorchs would give the memory of later
/// tensors to it, and keep what it has.
void abandon(at::cuda::CUDAGraph& graph, c10::DeviceIndex device, const c10::MempoolId_t& pool) {
  try {
    graph.capture_end();
  } catch (const c10::Error&) {
    if constexpr (!Looked<at::cuda::CUDAGraph>::frees_itself()) {
      attempt([&] {
        c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool);
        c10::cuda::CUDACachingAllocator::releasePool(device, pool);
      });
      attempt([&] {
        at::HostAllocator* host = at::getHostAllocator(at::kCUDA);
        host->end_allocate_to_pool(pool);
        host->release_pool(pool);
      });
    }
  }
  // What the capture left as the thread's last error is not that of the next launch.
  static_cast<void>(cudaGetLastError());
}

}  // namespace

std::string capture_obstacle() {
  const char* choice = std::getenv("SAN_NATIVE_GRAPHS");
  return choice != nullptr && std::string_view(choice) == "0" ? "SAN_NATIVE_GRAPHS=0" : "";
}

Captured::Captured() = default;
Captured::~Captured() {
  // LibTorch 2.13's graphs end the process where CUDA refuses to destroy them.
  if (graph_ && !answers(device_)) static_cast<void>(graph_.release());
}

void Captured::reset() {
  graph_.reset();
  warm_ups_ = 0;
}

void Captured::capture(const std::function<void()>& work, const Captured* sibling) {
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
  stream.synchronize();
  // A capture has memory of its own, and cannot take what freed tensors of the steps before it keep.
  c10::cuda::CUDACachingAllocator::emptyCache();
  auto graph = std::make_unique<at::cuda::CUDAGraph>();
  // A pool lives as long as a graph that uses it.
  const bool shared = sibling != nullptr && sibling->graph_;
  const c10::MempoolId_t pool = shared ? sibling->graph_->pool() : at::cuda::graph_pool_handle();
  try {
    graph->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    work();
    graph->capture_end();
  } catch (...) {
    abandon(*graph, stream.device_index(), pool);
    throw;  // what made the capture void
  }
  graph_ = std::move(graph);
  device_ = stream.device();
}

void Captured::queue(const std::function<void()>& work, std::string& obstacle, const Captured* sibling) {
  if (!obstacle.empty()) {
    graph_.reset();  // of work that was captured before its sibling could not be
    return work();
  }
  if (!graph_) {
    if (warm_ups_++ < kWarmUps) return work();
    try {
      capture(work, sibling);
    } catch (const c10::OutOfMemoryError&) {
      // With a void graph LibTorch frees, from 2.14 on, what cuBLAS works in on this stream, and the
      // sibling's graph writes there.
      obstacle = "there was no memory for it";
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
