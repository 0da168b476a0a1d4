#include "san/process_group.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <utility>
#include <vector>

#include "distributed/liveness.h"
#include "distributed/nccl.h"
#include "distributed/pairwise_sum.h"
#include "distributed/store.h"
#include "san/error.h"

namespace san {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using distributed::Liveness;
using Backend = c10::intrusive_ptr<c10d::Backend>;
using Work = c10::intrusive_ptr<c10d::Work>;

/// A collective may take as long as rank 0 needs between two steps, for pictures or metrics: it is the beats
/// that tell whether anybody still lives.
constexpr milliseconds kLongest = std::chrono::hours(24 * 7);
/// How often a wait looks for faults.
constexpr milliseconds kSlice{100};
/// The same where it must ask whether a GPU is done.
constexpr std::chrono::microseconds kPoll{50};
/// Sums of which everybody's parts are under way at a time.
constexpr size_t kSumsUnderWay = 2;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// What an error says in a line: its first one, and the reason that NCCL gives further down, such as two
/// ranks on one GPU.
std::string reason_of(const std::string& text) {
  constexpr std::string_view kReason = "Last error:\n";
  const size_t at = text.find(kReason);
  if (at == std::string::npos) return first_line(text);
  return first_line(text) + ": " + first_line(text.substr(at + kReason.size()));
}

/// The elements in memory order, whatever the strides.
at::Tensor flat_view(const at::Tensor& tensor) {
  if (!tensor.is_non_overlapping_and_dense())
    throw Error(kShape, "a tensor with gaps cannot be sent to other ranks");
  return tensor.as_strided({tensor.numel()}, {1});
}

Backend make_gloo(const distributed::Store& store, const ProcessGroupConfig& config) {
  auto options = c10d::ProcessGroupGloo::Options::create(config.join_timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  const std::string address = distributed::address_towards(config.host);
  if (interface != nullptr && *interface != '\0')
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(interface));
  else if (!address.empty())
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
  else
    options->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
  auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo", store), config.rank, config.world_size, options);
  group->setTimeout(kLongest);
  return group;
}

class GroupOfProcesses final : public ProcessGroup {
 public:
  GroupOfProcesses(const ProcessGroupConfig& config, Cancelled cancelled)
      : config_(config), cancelled_(std::move(cancelled)) {
    store_ = distributed::connect(config, config.serves_store, cancelled_);
    names_ = distributed::meet(store_, config, cancelled_);
    liveness_.emplace(distributed::connect(config, false, cancelled_), config.rank, names_, config.timeout);
    try {
      gloo_ = make_gloo(store_, config);
      barrier();
    } catch (const Error&) {
      abandon();
      throw;
    } catch (const std::exception& error) {
      const std::string reason = reason_of(error.what());
      abandon();
      throw Error(kRendezvous, "the ranks cannot connect to each other: " + reason +
                                   "; GLOO_SOCKET_IFNAME names the network interface to use");
    }
  }

  ~GroupOfProcesses() override { abandon(); }

  int rank() const override { return config_.rank; }
  int size() const override { return config_.world_size; }

  at::Tensor all_gather(const at::Tensor& part) override {
    std::vector<int64_t> shape = part.sizes().vec();
    shape[0] *= size();
    const at::Tensor own = part.contiguous(), all = at::empty(shape, part.options());
    std::vector<at::Tensor> inputs = {flat_view(own)};
    std::vector<std::vector<at::Tensor>> outputs = {flat_view(all).chunk(static_cast<int64_t>(size()))};
    count((size() - 1) * static_cast<int64_t>(own.nbytes()));
    await_or_queue(begin([&](c10d::Backend& backend) { return backend.allgather(outputs, inputs); }, part),
                   part);
    return all;
  }

  at::Tensor reduce_scatter(const at::Tensor& rows) override {
    const at::Tensor own = rows.contiguous();
    count((size() - 1) * static_cast<int64_t>(own.nbytes()) / size());
    if (!own.is_cuda()) {
      Parts parts = exchange(own);
      return sum_of(parts);
    }
    std::vector<at::Tensor> outputs = {at::empty({own.size(1)}, own.options())};
    std::vector<std::vector<at::Tensor>> inputs = {own.unbind(0)};
    // The step reads what comes of it before its gradients are summed: a lost rank is noticed here.
    await_device(begin([&](c10d::Backend& backend) { return backend.reduce_scatter(outputs, inputs); }, own));
    return outputs[0];
  }

  std::unique_ptr<Reduction> all_reduce(const at::Tensor& flat) override {
    count(2 * (size() - 1) * static_cast<int64_t>(flat.nbytes()) / size());
    auto sum = std::make_shared<Sum>();
    sum->flat = flat;
    if (flat.is_cuda()) {
      std::vector<at::Tensor> tensors = {flat};
      sum->work = begin([&](c10d::Backend& backend) { return backend.allreduce(tensors); }, flat);
    } else {
      const int64_t numbers = flat.numel(), missing = (size() - numbers % size()) % size();
      sum->rows = (missing == 0 ? flat : at::constant_pad_nd(flat, {0, missing})).view({size(), -1});
      sum->parts = exchange(sum->rows);
      sums_.push_back(sum);
      // Every rank calls in the same order, and so does this at the same place on each.
      if (sums_.size() > kSumsUnderWay) hand_out_oldest();
    }
    return std::make_unique<Pending>(*this, sum);
  }

  void broadcast(const at::Tensor& tensor) override {
    std::vector<at::Tensor> tensors = {flat_view(tensor)};
    count(rank() == 0 ? static_cast<int64_t>(tensor.nbytes()) : 0);
    const Work work = begin([&](c10d::Backend& backend) { return backend.broadcast(tensors); }, tensor);
    if (tensor.is_cuda())
      await_device(work);
    else
      await(work);
  }

  void barrier() override {
    await(begin([](c10d::Backend& backend) { return backend.barrier(); }, {}));
  }

  Traffic traffic() const override { return traffic_; }

  void report_failure(const std::string& reason) override {
    try {
      if (liveness_) liveness_->report(reason);
    } catch (...) {
      // It ends anyway, and its beats with it.
    }
    abandon();
  }

  void leave() override {
    if (!gloo_) return;
    barrier();
    liveness_->stop();
    // Nobody looks into the store any more, so that rank 0 may take it away.
    barrier();
    liveness_.reset();
    nccl_.reset();
    gloo_.reset();
    store_.reset();
  }

 private:
  /// Everybody's parts of the row that this rank sums: (size, n) once `works` are done.
  struct Parts {
    at::Tensor received;
    std::vector<Work> works;
  };

  /// A sum under way: `rows`, which are `flat` with padding, are exchanged, summed by a rank each, and handed
  /// out.
  struct Sum {
    at::Tensor flat, rows, row;
    Parts parts;
    Work work;
  };

  class Pending final : public Reduction {
   public:
    Pending(GroupOfProcesses& group, std::shared_ptr<Sum> sum) : group_(group), sum_(std::move(sum)) {}
    void wait() override { group_.finish(*sum_); }

   private:
    GroupOfProcesses& group_;
    std::shared_ptr<Sum> sum_;
  };

  /// Each rank gathers one row, for Gloo's own sums add in another order for each part of a tensor.
  Parts exchange(const at::Tensor& rows) {
    Parts parts{at::empty_like(rows), {}};
    for (int root = 0; root < size(); ++root) {
      c10d::GatherOptions options;
      options.rootRank = root;
      std::vector<at::Tensor> inputs = {rows.select(0, root)};
      std::vector<std::vector<at::Tensor>> outputs;
      if (root == rank()) outputs.push_back(parts.received.unbind(0));
      parts.works.push_back(
          begin([&](c10d::Backend& backend) { return backend.gather(outputs, inputs, options); }, rows));
    }
    return parts;
  }

  at::Tensor sum_of(Parts& parts) {
    for (const Work& work : parts.works) await(work);
    PairwiseSum sum;
    for (const at::Tensor& part : parts.received.unbind(0)) sum.add(part);
    return sum.total();
  }

  void hand_out_oldest() {
    Sum& sum = *sums_.front();
    sum.row = sum_of(sum.parts);
    std::vector<at::Tensor> inputs = {sum.row};
    std::vector<std::vector<at::Tensor>> outputs = {sum.rows.unbind(0)};
    sum.work = begin([&](c10d::Backend& backend) { return backend.allgather(outputs, inputs); }, sum.rows);
    sums_.pop_front();
  }

  void finish(Sum& sum) {
    if (sum.flat.is_cuda()) return await_device(sum.work);
    while (!sum.work) hand_out_oldest();
    await(sum.work);
    if (sum.rows.defined() && sum.rows.numel() != sum.flat.numel())
      sum.flat.copy_(sum.rows.flatten().narrow(0, 0, sum.flat.numel()));
  }

  template <typename Start>
  Work begin(const Start& start, const at::Tensor& tensor) {
    if (!gloo_) throw Error(kRankLost, "this rank has left the run");
    try {
      return start(tensor.defined() && tensor.is_cuda() ? nccl() : *gloo_);
    } catch (const std::exception& error) {
      lose(reason_of(error.what()));
    }
  }

  c10d::Backend& nccl() {
    if (!nccl_)
      nccl_ = distributed::make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store_), config_);
    return *nccl_;
  }

  /// Until Gloo's `work` is done, or somebody is lost.
  void await(const Work& work) {
    const auto begun = Clock::now();
    bool waiting = true;
    while (waiting) {
      try {
        work->wait(kSlice);
        waiting = false;
      } catch (const std::exception& error) {
        if (work->isCompleted()) lose(reason_of(error.what()));
        look_for_faults();
      }
    }
    note_wait(begun);
  }

  /// Results on a GPU are waited for by the current stream alone: a reduce_scatter() or a sum of gradients
  /// follows, and that wait is the one that notices a lost rank.
  void await_or_queue(const Work& work, const at::Tensor& tensor) {
    if (!tensor.is_cuda()) return await(work);
    queue_wait(work);
  }

  /// Makes the current stream wait for NCCL's `work`. With a timeout wait() would hold up this thread, and
  /// the time would count from the start of the work, which may be long ago.
  void queue_wait(const Work& work) {
    try {
      work->wait();
    } catch (const std::exception& error) {
      lose(reason_of(error.what()));
    }
  }

  /// Until NCCL's `work`, and what was queued before, is done, or somebody is lost. The stream would wait for
  /// a lost rank for ever, and this thread with it in its next look at a result.
  void await_device(const Work& work) {
    const auto begun = Clock::now();
    queue_wait(work);
    try {
      while (!work->isCompleted()) {
        look_for_faults();
        std::this_thread::sleep_for(kPoll);
      }
      if (const std::exception_ptr failure = work->exception()) std::rethrow_exception(failure);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      lose(reason_of(error.what()));
    }
    note_wait(begun);
  }

  void look_for_faults() {
    const std::string fault = liveness_ ? liveness_->fault() : "";
    if (!fault.empty()) throw_lost(fault);
    if (cancelled_ && cancelled_()) {
      abandon();
      throw Error(kNative, "the work was cancelled");
    }
  }

  void note_wait(Clock::time_point begun) {
    traffic_.seconds_waited += std::chrono::duration<double>(Clock::now() - begun).count();
  }

  void count(int64_t bytes) {
    ++traffic_.collectives;
    traffic_.bytes += bytes;
  }

  [[noreturn]] void lose(const std::string& symptom) {
    throw_lost(liveness_ ? liveness_->explain(symptom) : "the connection to another rank broke: " + symptom);
  }

  [[noreturn]] void throw_lost(const std::string& fault) {
    abandon();
    throw Error(kRankLost, fault + "; checkpoints are unharmed, start all ranks again with --resume");
  }

  /// Gloo's destructor waits for its work, which may never end; what is left behind ends with the process.
  void abandon() {
    if (gloo_) (void)gloo_.release();
    if (nccl_) (void)nccl_.release();
    if (store_) (void)store_.release();
  }

  const ProcessGroupConfig config_;
  const Cancelled cancelled_;
  distributed::Store store_;
  std::vector<std::string> names_;
  std::optional<Liveness> liveness_;
  Backend gloo_, nccl_;
  /// Not handed out yet, oldest first.
  std::deque<std::shared_ptr<Sum>> sums_;
  Traffic traffic_;
};

}  // namespace

void ProcessGroupConfig::validate() const {
  const auto fail = [](const std::string& field, const std::string& message) {
    throw Error(kOptions, field + " " + message, field);
  };
  if (world_size < 1) fail("worldSize", "must be at least 1");
  if (rank < 0 || rank >= world_size)
    fail("rank", "is " + std::to_string(rank) + "; it must be from 0 to " + std::to_string(world_size - 1));
  if (host.empty()) fail("host", "must be an address");
  if (port < 1 || port > 65535) fail("port", "must be from 1 to 65535");
  if (timeout.count() < 1 || join_timeout.count() < 1) fail("timeout", "must be at least 1 ms");
}

std::shared_ptr<ProcessGroup> ProcessGroup::join(const ProcessGroupConfig& config, Cancelled cancelled) {
  config.validate();
  return std::make_shared<GroupOfProcesses>(config, std::move(cancelled));
}

}  // namespace san
