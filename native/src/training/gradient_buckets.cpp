#include "training/gradient_buckets.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "profiling/scope.h"

namespace san {
namespace {

/// Small enough that several are under way during a pass, large enough that latency does not matter.
constexpr int64_t kBucketBytes = int64_t{4} << 20;

/// Place in the generator, from its latent head to its image head.
int depth(const std::string& name) {
  const size_t module = name.find(".m");
  if (module != std::string::npos) return name[module + 2] - '0' + 1;
  return name.find("latent") != std::string::npos ? 0 : kModules + 1;
}

struct Entry {
  Net net;
  size_t k;
};

/// G's gradients are complete first, from its image head on; R's with the pass through R(X), from the latent
/// head on.
std::vector<Entry> in_order_of_completion(const ParameterStore& parameters) {
  std::vector<Entry> order;
  for (const Net net : {Net::generator, Net::reverser}) {
    const auto& indices = parameters.indices(net);
    const auto begin = static_cast<std::ptrdiff_t>(order.size());
    for (size_t k = 0; k < indices.size(); ++k) order.push_back({net, k});
    const auto place = [&](const Entry& entry) {
      const int at = depth(parameters.spec(indices[entry.k]).name);
      return net == Net::generator ? -at : at;
    };
    std::stable_sort(order.begin() + begin, order.end(),
                     [&](const Entry& a, const Entry& b) { return place(a) < place(b); });
  }
  return order;
}

/// `part` of the buffer as a gradient of `parameter`, channels-last where that is.
at::Tensor shaped(const at::Tensor& part, const at::Tensor& parameter) {
  if (parameter.dim() != 4) return part.view(parameter.sizes());
  return part.view({parameter.size(0), parameter.size(2), parameter.size(3), parameter.size(1)})
      .permute({0, 3, 1, 2});
}

}  // namespace

GradientBuckets::GradientBuckets(const ParameterStore& parameters, Collective& ranks, int64_t extras)
    : ranks_(ranks) {
  for (const Net net : {Net::generator, Net::reverser}) {
    gradients_[index(net)].resize(parameters.indices(net).size());
    slots_[index(net)].resize(parameters.indices(net).size());
  }
  const auto parameter = [&](const Entry& entry) {
    return parameters.tensor(parameters.indices(entry.net)[entry.k]);
  };
  const std::vector<Entry> order = in_order_of_completion(parameters);
  const at::Tensor first = parameter(order.front());
  const int64_t most = kBucketBytes / first.element_size();
  Bucket bucket;
  for (const Entry& entry : order) {
    if (bucket.end - bucket.begin >= most) {
      buckets_.push_back(bucket);
      bucket = {bucket.end, bucket.end, 0};
    }
    slots_[index(entry.net)][entry.k].bucket = buckets_.size();
    ++bucket.incomplete;
    bucket.end += parameter(entry).numel();
  }
  const int64_t numbers = bucket.end;
  bucket.end += extras;
  buckets_.push_back(bucket);

  flat_ = at::empty({bucket.end}, first.options());
  extras_ = flat_.narrow(0, numbers, extras).zero_();
  int64_t offset = 0;
  for (const Entry& entry : order) {
    const at::Tensor like = parameter(entry);
    gradients_[index(entry.net)][entry.k] = shaped(flat_.narrow(0, offset, like.numel()), like);
    offset += like.numel();
  }
}

void GradientBuckets::expect(Net net, int64_t contributions) {
  for (Slot& slot : slots_[index(net)]) slot.missing = contributions;
}

void GradientBuckets::add(Net net, size_t k, const at::Tensor& gradient, double scale) {
  Slot& slot = slots_[index(net)][k];
  const at::Tensor& sum = gradients_[index(net)][k];
  if (slot.touched) {
    sum.add_(gradient, scale);
  } else {
    sum.copy_(gradient);
    if (scale != 1) sum.mul_(scale);
  }
  slot.touched = true;
  if (--slot.missing > 0) return;
  --buckets_[slot.bucket].incomplete;
  launch_complete();
}

/// In order, and the last one, which holds the extras, not before finish().
void GradientBuckets::launch_complete() {
  while (launched_ + 1 < buckets_.size() && buckets_[launched_].incomplete == 0)
    launch(buckets_[launched_++]);
}

void GradientBuckets::launch(const Bucket& bucket) {
  reductions_.push_back(ranks_.all_reduce(flat_.narrow(0, bucket.begin, bucket.end - bucket.begin)));
}

void GradientBuckets::finish() {
  const profiling::Scope scope("gradient sums");
  for (size_t net = 0; net < 2; ++net)
    for (size_t k = 0; k < slots_[net].size(); ++k)
      if (!slots_[net][k].touched) gradients_[net][k].zero_();
  while (launched_ < buckets_.size()) launch(buckets_[launched_++]);
  for (const auto& reduction : reductions_) reduction->wait();
}

}  // namespace san
