#include "san/collective.h"

namespace san {
namespace {

class Done final : public Reduction {
 public:
  void wait() override {}
};

class Alone final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  at::Tensor all_gather(const at::Tensor& part) override { return part; }
  at::Tensor reduce_scatter(const at::Tensor& rows) override { return rows.select(0, 0); }
  std::unique_ptr<Reduction> all_reduce(const at::Tensor&) override { return std::make_unique<Done>(); }
  void broadcast(const at::Tensor&) override {}
  void barrier() override {}
};

}  // namespace

Collective& alone() {
  static Alone only;
  return only;
}

}  // namespace san
