#include "random/random.cuh"

#include "ops/cuda/launch.h"

namespace san::random {
namespace {

/// A grid of one thread for each of `n`.
dim3 grid_for(int64_t n) { return dim3(static_cast<unsigned>((n + kThreads - 1) / kThreads)); }

}  // namespace

void launch_normal(const FillParams& p, cudaStream_t stream) {
  ops::cuda::launch(fill<Normals>, grid_for(p.rows * ((p.n + 3) / 4)), dim3(kThreads), stream, p);
}

void launch_uniform(const FillParams& p, cudaStream_t stream) {
  ops::cuda::launch(fill<Uniforms>, grid_for(p.rows * ((p.n + 3) / 4)), dim3(kThreads), stream, p);
}

void launch_redraw(const RedrawParams& p, cudaStream_t stream) {
  ops::cuda::launch(redraw, grid_for(p.rows * p.n), dim3(kThreads), stream, p);
}

}  // namespace san::random
