#include "ops/shared_step/shared_step.cuh"

#include "ops/cuda/launch.h"

namespace san::ops {
namespace {

template <typename T>
dim3 grid_for(const StepTable<T>& table) {
  return dim3(static_cast<unsigned>(table.chunk_count));
}

}  // namespace

template <typename T, typename G>
void launch_check_gradients(const StepTable<T>& table, const StepGradients<G>& gradients, int32_t* faults,
                            cudaStream_t stream) {
  cuda::launch(check_gradients<T, G>, grid_for(table), dim3(kStepThreads), stream, table, gradients, faults);
}

void launch_begin_step(const BeginParams& p, cudaStream_t stream) {
  cuda::launch(begin_step, dim3(1), dim3(kBeginThreads), stream, p);
}

template <typename T, typename G>
void launch_update_parameters(const StepTable<T>& table, const StepGradients<G>& gradients,
                              const AdamConstants<T>& constants, const StepState* state,
                              cudaStream_t stream) {
  cuda::launch(update_parameters<T, G>, grid_for(table), dim3(kStepThreads), stream, table, gradients,
               constants, state);
}

#define SAN_INSTANTIATE(T, G)                                                                  \
  template void launch_check_gradients(const StepTable<T>&, const StepGradients<G>&, int32_t*, \
                                       cudaStream_t);                                          \
  template void launch_update_parameters(const StepTable<T>&, const StepGradients<G>&,         \
                                         const AdamConstants<T>&, const StepState*, cudaStream_t);
SAN_INSTANTIATE(float, float)
SAN_INSTANTIATE(float, cuda::Bf16)
SAN_INSTANTIATE(double, double)
#undef SAN_INSTANTIATE

}  // namespace san::ops
