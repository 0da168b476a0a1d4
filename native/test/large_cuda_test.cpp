// Tensors of more than 2^31 elements: what the kernels make of the first and the last sample is, to the bit,
// what they make of each alone, so that no place is worked out in 32 bits. On a GPU that has room for them;
// the emulation runs the same on small tensors, which shows that the tests are sound.
#include <ATen/core/grad_mode.h>

#include <vector>

#include "check.h"
#include "ops/ado_gate/ado_gate_cuda.h"
#include "ops/attention/attention_cuda.h"
#include "ops/emit/launch.h"
#include "ops/feed/launch.h"
#include "ops/norm_act_skip/norm_act_skip_cuda.h"
#include "ops/rpa_gate/rpa_gate_cuda.h"
#include "ops/shared_step/launch.h"
#include "random/launch.h"
#include "random/random.h"

#if defined(SAN_NATIVE_CUDA)
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace san::test {
namespace {

using at::Tensor;

constexpr int64_t kChannels = 8;
#if defined(SAN_NATIVE_CUDA)
/// The last sample begins behind 2^31 elements, and there are less than 2^31 pixels.
constexpr int64_t kSamples = 33, kSide = 2900, kRows = 2100, kRowLength = 1 << 20, kImages = 3000,
                  kSize = 512;
constexpr int64_t kNumbers = (int64_t{1} << 31) + ops::kStepChunk + 5;
#else
constexpr int64_t kSamples = 3, kSide = 12, kRows = 5, kRowLength = 40, kImages = 4, kSize = 6;
constexpr int64_t kNumbers = 2 * ops::kStepChunk + 5;
#endif
/// Of one tensor of images in bfloat16.
constexpr double kImageBytes = 2.0 * kSamples * kChannels * kSide * kSide;

/// Whether `bytes` are free where the kernels run; prints what is missing.
bool has_room(const std::string& what, double bytes) {
#if defined(SAN_NATIVE_CUDA)
  c10::cuda::CUDACachingAllocator::emptyCache();
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) free = 0;
  if (static_cast<double>(free) > bytes) return true;
  std::printf(
      "%s on more than 2^31 elements: skipped, for it needs %.1f GB of the GPU's memory, of which %.1f are "
      "free\n",
      what.c_str(), bytes / 1e9, static_cast<double>(free) / 1e9);
  return false;
#else
  static_cast<void>(what);
  return bytes > 0;
#endif
}

/// (samples, channels, side, side) in bfloat16, channels-last, where the kernels run.
Tensor images(int64_t channels = kChannels, int64_t side = kSide) {
  return at::randn({kSamples, side, side, channels}, device_options(at::kBFloat16)).permute({0, 3, 1, 2});
}

using Operation = std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)>;

/// Runs f on whole batches and on their first and last samples alone. `tolerance` is 0 for equal bits.
void compare_samples(const std::string& what, const std::vector<Tensor>& inputs, const Operation& f,
                     double tolerance = 0) {
  const auto whole = f(inputs);
  for (const int64_t sample : {int64_t{0}, kSamples - 1}) {
    std::vector<Tensor> alone;
    for (const Tensor& t : inputs) alone.push_back(t.narrow(0, sample, 1).clone());
    const auto wanted = f(alone);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Tensor found = whole[i].narrow(0, sample, 1);
      const std::string name =
          what + " on large tensors, result " + std::to_string(i) + " of sample " + std::to_string(sample);
      if (tolerance > 0)
        expect_close(found, wanted[i], tolerance, name);
      else
        expect(found.equal(wanted[i]), name);
    }
  }
}

Tensor bias() { return at::randn({kChannels}, device_options(at::kFloat)); }

void ado() {
  if (!has_room("ado_gate", 6.5 * kImageBytes)) return;
  const Tensor b = bias();
  compare_samples("ado_gate", {images(), images(), images()}, [&](const auto& in) -> std::vector<Tensor> {
    const Tensor y = ops::cuda::ado_gate(in[0], in[1], b, 0.3);
    const auto d = ops::cuda::ado_gate_gradient(in[2], in[0], in[1], b, 0.3);
    return {y, d.dx, d.d_logits};
  });
}

void norm_act() {
  if (!has_room("norm_act_skip", 6 * kImageBytes)) return;
  const Tensor b = bias();
  // Up, two channels to one.
  compare_samples(
      "norm_act_skip", {images(), images(2 * kChannels, kSide / 2), images()},
      [&](const auto& in) -> std::vector<Tensor> {
        const auto out = ops::cuda::norm_act_skip(in[0], b, in[1], ops::kNormThenAct);
        const auto d = ops::cuda::norm_act_skip_gradient(in[2], in[0], b, out.r, ops::kNormThenAct);
        return {out.y, out.r.view({in[0].size(0), -1}), d.dx, ops::cuda::skip_gradient(in[2], in[1].sizes())};
      });
}

void rpa() {
  if (!has_room("rpa_gate", 5.5 * kImageBytes)) return;
  compare_samples("rpa_gate", {images(), images(kChannels, kSide / 4), images()},
                  [&](const auto& in) -> std::vector<Tensor> {
                    const auto out = ops::cuda::rpa_gate(in[0], in[1]);
                    const auto d = ops::cuda::rpa_gate_gradient(in[2], in[0], out.s);
                    return {out.y, d.dx, d.d_normal};
                  });
}

void attention() {
  if (!has_room("attention", 5.5 * kImageBytes)) return;
  const auto weight = [](at::IntArrayRef sizes) {
    return at::randn(sizes, device_options(at::kFloat)) * 0.25;
  };
  const AttentionParameters p{weight({4, kChannels}), weight({4}), weight({kChannels, 4}),
                              weight({kChannels})};
  // In how many parts a sample is summed depends on how many there are.
  compare_samples(
      "attention", {images(), images()},
      [&](const auto& in) -> std::vector<Tensor> {
        const auto out = ops::cuda::attention(p, in[0]);
        return {out.y, ops::cuda::attention_gradient(in[1], in[0], p, out).dx};
      },
      0.01);
}

void emit() {
  if (!has_room("emit", 1.6 * kImageBytes)) return;
  compare_samples("emit", {images().permute({0, 2, 3, 1})}, [](const auto& in) -> std::vector<Tensor> {
    const Tensor y = at::empty(in[0].sizes(), device_options(at::kByte));
    ops::launch_emit(static_cast<const ops::cuda::Bf16*>(in[0].const_data_ptr()),
                     y.template mutable_data_ptr<uint8_t>(), y.numel(), nullptr);
    return {y};
  });
}

void random_rows() {
  if (!has_room("the random numbers", 4.1 * kRows * kRowLength)) return;
  const random::Key key{3, random::Stream::training_latent, 7};
  Tensor rows = at::empty({kRows, kRowLength}, device_options(at::kFloat));
  random::launch_normal({rows.mutable_data_ptr<float>(),
                         kRows,
                         kRowLength,
                         key.seed,
                         static_cast<uint32_t>(key.stream),
                         {key.index}},
                        nullptr);
  const auto row = [&](int64_t i) {
    return random::normal_rows({key.seed, key.stream, key.index + static_cast<uint64_t>(i)}, 1,
                               kRowLength)[0];
  };
  for (const int64_t i : {int64_t{0}, kRows - 1})
    expect(rows[i].cpu().equal(row(i)), "random row " + std::to_string(i) + " of a large tensor");
  random::launch_redraw({rows.mutable_data_ptr<float>(), kRows, kRowLength, key.seed,
                         static_cast<uint32_t>(random::Stream::redrawn_latent), key.index, 0.4},
                        nullptr);
  Tensor last = row(kRows - 1).unsqueeze(0).clone();
  random::redraw_beyond(last, key.seed, key.index + kRows - 1, 0.4);
  expect(rows[kRows - 1].cpu().equal(last[0]), "truncated random row of a large tensor");
}

void feed() {
  const double pixels = 3.0 * kImages * kSize * kSize;
  if (!has_room("feed", 3.1 * pixels)) return;
  const Tensor set = at::randint(256, {kImages, kSize, kSize, 3}, device_options(at::kByte));
  // Turned, so that nothing is moved as it is.
  ops::FeedTransform turned;
  const double turn[6] = {0.8, -0.6, 0, 0.6, 0.8, 0};
  std::copy(std::begin(turn), std::end(turn), turned.geometry);
  turned.moves = true;
  const auto make = [&](const Tensor& from, int64_t images) {
    const Tensor transforms =
        bytes_on_device(std::vector<ops::FeedTransform>(static_cast<size_t>(images), turned));
    const Tensor out = at::empty({images, kSize, kSize, 3}, device_options(at::kBFloat16));
    ops::launch_feed(
        ops::FeedParams<ops::cuda::Bf16>{from.const_data_ptr<uint8_t>(), kSize, 3, nullptr,
                                         static_cast<const ops::FeedTransform*>(transforms.const_data_ptr()),
                                         images, static_cast<ops::cuda::Bf16*>(out.mutable_data_ptr())},
        nullptr);
    return out;
  };
  const Tensor all = make(set, kImages);
  for (const int64_t i : {int64_t{0}, kImages - 1})
    expect(all.narrow(0, i, 1).equal(make(set.narrow(0, i, 1).clone(), 1)),
           "feed of image " + std::to_string(i) + " of a large set");
}

/// One update of a parameter that the reverser alone has; its value and moments.
std::vector<Tensor> update(const Tensor& value, const Tensor& m, const Tensor& v, const Tensor& gradient) {
  std::vector<Tensor> out = {value.clone(), m.clone(), v.clone()};
  ops::StepSegment<float> segment{};
  segment.value = out[0].mutable_data_ptr<float>();
  segment.reverser_exp_avg = out[1].mutable_data_ptr<float>();
  segment.reverser_exp_avg_sq = out[2].mutable_data_ptr<float>();
  segment.numel = value.numel();
  std::vector<ops::StepChunk> pieces;
  for (int32_t k = 0; k * ops::kStepChunk < value.numel(); ++k) pieces.push_back({0, k});
  ops::StepState begin{};
  begin.fault = ops::kAllFinite;
  begin.rate = 0.01;
  begin.correction = 2;
  const Tensor segments = bytes_on_device(std::vector{segment}), chunks = bytes_on_device(pieces),
               state = bytes_on_device(std::vector{begin});
  ops::StepGradients<ops::cuda::Bf16> gradients{};
  gradients.reverser[0] = static_cast<const ops::cuda::Bf16*>(gradient.const_data_ptr());
  ops::launch_update_parameters(
      ops::StepTable<float>{static_cast<const ops::StepSegment<float>*>(segments.const_data_ptr()),
                            static_cast<const ops::StepChunk*>(chunks.const_data_ptr()),
                            static_cast<int64_t>(pieces.size())},
      gradients, ops::AdamConstants<float>{0.5F, 0.99F, 1e-8F},
      static_cast<const ops::StepState*>(state.const_data_ptr()), nullptr);
  return out;
}

void shared_step() {
  // Values and moments before and after in float32, the gradient in bfloat16.
  if (!has_room("the update", 26.5 * static_cast<double>(kNumbers))) return;
  const auto numbers = [](at::ScalarType type) { return at::randn({kNumbers}, device_options(type)); };
  const Tensor value = numbers(at::kFloat), m = numbers(at::kFloat), v = numbers(at::kFloat).square_(),
               gradient = numbers(at::kBFloat16);
  const auto whole = update(value, m, v, gradient);
  for (const int64_t first : {int64_t{0}, kNumbers - ops::kStepChunk - 5}) {
    const auto part = [&](const Tensor& t) { return t.narrow(0, first, ops::kStepChunk + 5).clone(); };
    const auto wanted = update(part(value), part(m), part(v), part(gradient));
    expect(!wanted[0].equal(part(value)), "an update moves what it is given");
    for (size_t i = 0; i < wanted.size(); ++i)
      expect(part(whole[i]).equal(wanted[i]), "update of a large parameter from " + std::to_string(first) +
                                                  " on, result " + std::to_string(i));
  }
}

}  // namespace

void large_cuda_tests() {
  const at::NoGradGuard no_grad;
  for (const auto& test : {ado, norm_act, rpa, attention, emit, random_rows, feed, shared_step}) test();
}

}  // namespace san::test
