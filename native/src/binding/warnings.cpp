#include "binding/warnings.h"

#include <c10/util/Exception.h>

#include <mutex>
#include <set>
#include <utility>

namespace san::binding {
namespace {

// Beyond this the texts are likely to differ by a number only.
constexpr size_t kMost = 100;

// Once from each trainer and network whose work is not captured, which each of them has a reason for.
constexpr const char* kOwn = "without a CUDA graph";

class Collector : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    std::string text = warning.msg().substr(0, warning.msg().find('\n'));
    const std::lock_guard lock(mutex_);
    const bool own = text.find(kOwn) != std::string::npos;
    if (own || (seen_.size() < kMost && seen_.insert(text).second)) waiting_.push_back(std::move(text));
  }

  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::set<std::string> seen_;
  std::vector<std::string> waiting_;
};

/// Never destroyed: the engine's thread may outlive the statics.
Collector& collector() {
  static Collector* instance = new Collector();
  return *instance;
}

}  // namespace

void collect_warnings() { c10::WarningUtils::set_warning_handler(&collector()); }

std::vector<std::string> take_warnings() { return collector().take(); }

}  // namespace san::binding
