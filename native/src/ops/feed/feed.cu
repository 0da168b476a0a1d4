#include "ops/feed/feed.cuh"

#include "ops/cuda/launch.h"

namespace san::ops {
namespace {

template <typename T>
dim3 grid_for(const FeedParams<T>& p, int64_t pixels_of_thread) {
  const int64_t piece = kFeedThreads * pixels_of_thread;
  return dim3(static_cast<unsigned>(p.images * ((p.size * p.size + piece - 1) / piece)));
}

}  // namespace

template <typename T>
void launch_feed(const FeedParams<T>& p, cudaStream_t stream) {
  const bool fours = p.size % 2 == 0 && reinterpret_cast<uintptr_t>(p.pixels) % 4 == 0 &&
                     reinterpret_cast<uintptr_t>(p.out) % alignof(cuda::Pack<T, 4>) == 0;
  if (fours && p.channels == 3)
    cuda::launch(feed_fours<T, 3>, grid_for(p, 4), dim3(kFeedThreads), stream, p);
  else if (fours && p.channels == 1)
    cuda::launch(feed_fours<T, 1>, grid_for(p, 4), dim3(kFeedThreads), stream, p);
  else
    cuda::launch(feed_single<T>, grid_for(p, 1), dim3(kFeedThreads), stream, p);
}

template void launch_feed(const FeedParams<float>&, cudaStream_t);
template void launch_feed(const FeedParams<double>&, cudaStream_t);
template void launch_feed(const FeedParams<cuda::Bf16>&, cudaStream_t);

}  // namespace san::ops
