#include "ops/polyphase/polyphase.cuh"

#include "ops/cuda/launch.h"

namespace san::ops {

template <typename T>
void launch_polyphase(const Polyphase<T>& p, const StepState* state, cudaStream_t stream) {
  const int64_t pairs = p.inputs * p.outputs;
  cuda::launch(polyphase_kernel<T>,
               dim3(static_cast<unsigned>((pairs + kPolyphaseThreads - 1) / kPolyphaseThreads)),
               dim3(kPolyphaseThreads), stream, p, state);
}

template void launch_polyphase(const Polyphase<float>&, const StepState*, cudaStream_t);
template void launch_polyphase(const Polyphase<double>&, const StepState*, cudaStream_t);

}  // namespace san::ops
