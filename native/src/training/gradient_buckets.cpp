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
    : ranks_(ranks), extras_(extras) {
  for (const Net net : {Net::generator, Net::reverser})
    slots_[index(net)].resize(parameters.indices(net).size());
  int64_t most = 0;
  buckets_.emplace_back();
  for (const Entry& entry : in_order_of_completion(parameters)) {
    Slot& slot = slots_[index(entry.net)][entry.k];
    slot.parameter = parameters.tensor(parameters.indices(entry.net)[entry.k]);
    most = kBucketBytes / slot.parameter.element_size();
    if (const int64_t end = buckets_.back().end; end - buckets_.back().begin >= most) {
      buckets_.emplace_back();
      buckets_.back().begin = buckets_.back().end = end;
    }
    Bucket& bucket = buckets_.back();
    slot.offset = bucket.end;
    slot.bucket = buckets_.size() - 1;
    ++bucket.slots;
    bucket.end += slot.parameter.numel();
  }
  buckets_.back().end += extras;
}

GradientBuckets::Buffer GradientBuckets::make_buffer() const {
  const int64_t numbers = buckets_.back().end - extras_;
  Buffer buffer;
  buffer.flat = at::empty({numbers + extras_}, slots_[0][0].parameter.options());
  buffer.extras = buffer.flat.narrow(0, numbers, extras_).zero_();
  for (size_t net = 0; net < slots_.size(); ++net)
    for (const Slot& slot : slots_[net])
      buffer.gradients[net].push_back(
          shaped(buffer.flat.narrow(0, slot.offset, slot.parameter.numel()), slot.parameter));
  return buffer;
}

void GradientBuckets::begin_pass(int64_t of_generator, int64_t of_reverser, bool last) {
  for (const Net net : {Net::generator, Net::reverser})
    for (Slot& slot : slots_[index(net)]) {
      slot.missing = net == Net::generator ? of_generator : of_reverser;
      slot.touched = false;
    }
  for (Bucket& bucket : buckets_) bucket.incomplete = bucket.slots;
  closed_ = 0;
  last_ = last;
  pass_ = make_buffer();
  if (!sums_.flat.defined()) sums_ = pass_;
}

void GradientBuckets::add(Net net, size_t k, const at::Tensor& gradient, double scale) {
  Slot& slot = slots_[index(net)][k];
  const at::Tensor& sum = pass_.gradients[index(net)][k];
  if (slot.touched) {
    sum.add_(gradient, scale);
  } else {
    sum.copy_(gradient);
    if (scale != 1) sum.mul_(scale);
  }
  slot.touched = true;
  if (--slot.missing > 0) return;
  --buckets_[slot.bucket].incomplete;
  close_complete();
}

/// In order, and the last one, which holds the extras, not before end_pass().
void GradientBuckets::close_complete() {
  while (closed_ + 1 < buckets_.size() && buckets_[closed_].incomplete == 0) close(buckets_[closed_++]);
}

void GradientBuckets::close(Bucket& bucket) {
  bucket.sum.add(pass_.flat.narrow(0, bucket.begin, bucket.end - bucket.begin));
  if (last_) reductions_.push_back(ranks_.all_reduce(bucket.sum.total()));
}

void GradientBuckets::end_pass() {
  const profiling::Scope scope("gradient sums");
  for (size_t net = 0; net < slots_.size(); ++net)
    for (size_t k = 0; k < slots_[net].size(); ++k)
      if (!slots_[net][k].touched) pass_.gradients[net][k].zero_();
  while (closed_ < buckets_.size()) close(buckets_[closed_++]);
  for (const auto& reduction : reductions_) reduction->wait();
}

}  // namespace san
