// syncfs(2), which Node lacks. Its program, `sync -f`, is no substitute: a fork of a process with a network
// in memory copies its page tables and then faults on every page that is written to, 0.05 s of all threads
// each time.
#include "binding/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "binding/environment.h"
#include "binding/options.h"

namespace san::binding {
namespace {

/// False where the system cannot, or the disk fails.
bool sync_file_system(const std::string& path) {
#ifdef __linux__
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool synced = syncfs(file) == 0;
  close(file);
  return synced;
#else
  return false;
#endif
}

/// On a thread of libuv's, as Node's own calls to the disk: the engine's draws meanwhile.
class SyncWork final : public Napi::AsyncWorker {
 public:
  SyncWork(Napi::Env env, std::string path)
      : AsyncWorker(env, "san-native sync"), path_(std::move(path)), deferred_(env) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { synced_ = sync_file_system(path_); }
  void OnOK() override {
    try {
      deferred_.Resolve(Napi::Boolean::New(Env(), synced_));
    } catch (const Napi::Error&) {
      // A worker that is being terminated runs no JavaScript any more.
    }
  }

 private:
  std::string path_;
  bool synced_ = false;
  Napi::Promise::Deferred deferred_;
};

Napi::Value sync_of(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&] {
    Options options(info[0], "syncFileSystem");
    std::string path = options.path("path");
    options.finish();
    // Deletes itself when it is done.
    auto* work = new SyncWork(info.Env(), std::move(path));
    work->Queue();
    return work->promise();
  });
}

}  // namespace

void export_disk(Napi::Env env, Napi::Object& out) {
  out.Set("syncFileSystem", Napi::Function::New<sync_of>(env, "syncFileSystem"));
}

}  // namespace san::binding
