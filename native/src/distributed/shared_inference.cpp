#include "distributed/shared_inference.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "san/error.h"

namespace san::distributed {
namespace {

/// Latents and images have four dimensions; features come out, never in.
constexpr int64_t kDimensions = 4;

Inference stretch(const Inference& all, int64_t first, int64_t count) {
  Inference part = all;
  part.first += static_cast<uint64_t>(first);
  part.count = count;
  if (all.input.defined()) part.input = all.input.narrow(0, first, count);
  return part;
}

at::Tensor padded(const at::Tensor& rows, int64_t count) {
  if (rows.size(0) == count) return rows;
  std::vector<int64_t> shape = rows.sizes().vec();
  shape[0] = count - rows.size(0);
  return at::cat({rows, at::zeros(shape, rows.options())});
}

}  // namespace

Inference agreed(const Inference& wanted, Collective& ranks) {
  std::vector<int64_t> head = {static_cast<int64_t>(wanted.kind), static_cast<int64_t>(wanted.seed),
                               static_cast<int64_t>(wanted.first), wanted.average ? 1 : 0, wanted.count};
  const size_t numbers = head.size();
  for (int64_t i = 0; i < kDimensions; ++i) head.push_back(wanted.input.defined() ? wanted.input.size(i) : 0);
  const at::Tensor sent = at::tensor(head, at::kLong);
  ranks.broadcast(sent);
  const int64_t* found = sent.const_data_ptr<int64_t>();
  Inference out{static_cast<Inference::Kind>(found[0]),
                static_cast<uint64_t>(found[1]),
                static_cast<uint64_t>(found[2]),
                found[3] != 0,
                found[4],
                wanted.input};
  if (out.kind == Inference::Kind::sample) return out;
  if (ranks.rank() == 0)
    out.input = wanted.input.contiguous();
  else
    out.input = at::empty({found[numbers], found[numbers + 1], found[numbers + 2], found[numbers + 3]},
                          out.kind == Inference::Kind::decode ? at::kFloat : at::kByte);
  ranks.broadcast(out.input);
  return out;
}

at::Tensor share_out(const Inference& wanted, Collective& ranks,
                     const std::function<at::Tensor(const Inference&)>& work) {
  const int64_t each = (wanted.count + ranks.size() - 1) / ranks.size();
  // Ranks beyond the last row do one all the same, which tells them the shape of the others.
  const int64_t first = std::min(ranks.rank() * each, wanted.count - 1);
  at::Tensor part;
  std::exception_ptr failure;
  try {
    part = work(stretch(wanted, first, std::min(each, wanted.count - first)));
  } catch (...) {
    failure = std::current_exception();
  }
  const at::Tensor failed = ranks.all_gather(at::tensor({failure ? 1 : 0}, at::kLong));
  if (failed.any().item<bool>()) {
    if (ranks.rank() > 0) return {};
    if (failure) std::rethrow_exception(failure);
    throw Error(kNative, "rank " + std::to_string(failed.argmax().item<int64_t>()) +
                             " could not work out its part of some images, latents or features");
  }
  const at::Tensor all = ranks.all_gather(padded(part, each));
  return ranks.rank() == 0 ? all.narrow(0, 0, wanted.count) : at::Tensor();
}

}  // namespace san::distributed
