// A step asks the system for no memory once its kinds have been taken.
#include <ATen/ATen.h>
#include <sys/resource.h>

#include "check.h"
#include "memory/caching_allocator.h"
#include "parallel.h"
#include "san/trainer.h"

namespace san::test {
namespace {

TrainerConfig config() {
  TrainerConfig config;
  config.model.widths = {16, 16, 16, 16, 8, 8, 8};
  config.model.strides = {1, 2, 1, 2, 1, 2};
  config.model.latent_channels = 8;
  config.model.latent_size = 4;
  config.batch_size = 16;
  config.loss.penalty_weight = 1;
  config.loss.penalty_every = 2;
  config.loss.w_lz = 0.1;
  config.augmentation.flip_horizontal = 0.5;
  config.augmentation.translate = 0.1;
  return config;
}

int64_t page_faults() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return use.ru_minflt;
}

}  // namespace

void steady_state_tests() {
  // How many pieces of a loop hold scratch memory at once is chance with several threads.
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const TrainerConfig c = config();
  const int64_t s = c.model.image_size();
  Trainer trainer(c, ImageSet(at::randint(0, 256, {64, s, s, c.model.image_channels}, at::kByte)), {});
  constexpr int kSteps = 20;
  const auto run = [&] {
    for (int k = 0; k < kSteps; ++k) trainer.step(c.rates());
  };
  run();
  const int64_t blocks = memory_use().fresh, faults = page_faults();
  run();
  // The thread that makes the next batch may be ahead or not; a step makes thousands of tensors.
  expect(memory_use().fresh - blocks < kSteps / 5,
         "blocks of new memory that " + std::to_string(kSteps) +
             " warm steps take: " + std::to_string(memory_use().fresh - blocks));
  // Of a step that asked for its tensors' memory anew there would be thousands.
  const int64_t each = (page_faults() - faults) / kSteps;
  expect(each < 100, "pages that a warm step touches for the first time: " + std::to_string(each));

  (void)trainer.sample(1, 0, 32, true);
  const int64_t drawn = memory_use().fresh;
  for (int k = 0; k < kSteps; ++k) (void)trainer.sample(1, 32 * k, 32, true);
  expect(memory_use().fresh == drawn,
         "nor do images: " + std::to_string(memory_use().fresh - drawn) + " blocks");
  at::set_num_threads(before);
}

}  // namespace san::test
