#include "distributed/nccl.h"

#include "san/error.h"
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace san::distributed {

c10::intrusive_ptr<c10d::Backend> make_nccl(const Store& store, const ProcessGroupConfig& config) {
#ifdef USE_C10D_NCCL
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = config.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, config.rank, config.world_size, options);
#else
  (void)store;
  (void)config;
  throw Error(kDevice,
              "several ranks on GPUs need an addon with NCCL, which this one was built without; put nccl.h "
              "(pip's nvidia-nccl) beside LibTorch and run: npx san-native setup --force");
#endif
}

}  // namespace san::distributed
