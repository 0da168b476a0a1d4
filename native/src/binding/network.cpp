// lib/native.ts, NativeNetwork.
#include "binding/network.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <unordered_map>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"
#include "san/device.h"
#include "san/inference.h"

namespace san::binding {
namespace {

constexpr napi_type_tag kTag = {0x51d7be0f6a2c4938, 0xb46f9e13c85d7a20};

/// The raw parameters of both networks, and the moving average of the generator's where the checkpoint has
/// it.
struct Network {
  Network(const ModelConfig& config, const at::TensorOptions& options, Precision precision,
          const std::vector<NamedTensor>& tensors);

  ModelConfig model;
  at::TensorOptions options;
  ParameterStore raw, average;
  Inference inference;
  int64_t bytes;
};

using Lookup = std::unordered_map<std::string, at::Tensor>;

Lookup by_name(const std::vector<NamedTensor>& tensors) {
  Lookup found;
  for (const auto& [name, tensor] : tensors) found.emplace(name, tensor);
  return found;
}

at::Tensor find(const Lookup& tensors, const std::string& name) {
  const auto at = tensors.find(name);
  return at == tensors.end() ? at::Tensor() : at->second;
}

ParameterStore store_of(const ModelConfig& config, const at::TensorOptions& options, const Lookup& tensors,
                        bool average) {
  return ParameterStore::from(config, options, [&](const std::string& name) {
    // A checkpoint keeps an average of all that the generator uses, or none.
    const at::Tensor averaged = average ? find(tensors, "ema." + name) : at::Tensor();
    return averaged.defined() ? averaged : find(tensors, name);
  });
}

NetworkParameters arrange(const ParameterStore& store, Net net) {
  return san::arrange(net, [&](const std::string& name) { return store.tensor(name); });
}

Network::Network(const ModelConfig& config, const at::TensorOptions& options, Precision precision,
                 const std::vector<NamedTensor>& tensors)
    : model(config),
      options(options),
      raw(store_of(config, options, by_name(tensors), false)),
      average(store_of(config, options, by_name(tensors), true)),
      inference(config, arrange(average, Net::generator), arrange(raw, Net::reverser), options, precision),
      bytes(0) {
  if (!options.device().is_cpu()) return;
  for (const ParameterStore* store : {&raw, &average})
    for (size_t i = 0; i < store->size(); ++i) bytes += static_cast<int64_t>(store->tensor(i).nbytes());
  bytes += bytes;  // laid out for inference
}

struct Session {
  Session(std::unique_ptr<Network> network, int threads)
      : model(network->model), handle(std::move(network), "network", threads) {}
  const ModelConfig model;
  Handle<Network> handle;
};

struct Outputs {
  at::Tensor generated, reversed;
};

class NetworkObject : public Napi::ObjectWrap<NetworkObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeNetwork",
        {InstanceMethod<&NetworkObject::generate>("generate"),
         InstanceMethod<&NetworkObject::decode>("decode"), InstanceMethod<&NetworkObject::reverse>("reverse"),
         InstanceMethod<&NetworkObject::forward>("forward"),
         InstanceMethod<&NetworkObject::dispose>("dispose")});
  }

  explicit NetworkObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    Made<Session>& made = made_from<Session>(info, kTag);
    session_ = made.object;
    lifetime_ = Environment::of(info.Env()).lifetime();
    memory_.set(info.Env(), made.bytes);
  }

  void Finalize(Napi::Env env) override {
    memory_.set(env, 0);
    let_go(session_, lifetime_);
  }

 private:
  /// Runs `work(network, cancelled)` on the engine thread and hands its tensor over as a batch.
  template <typename Work>
  Napi::Value batch(Napi::Env env, Work work) {
    Environment& here = Environment::of(env);
    return here.run(
        env,
        [session = session_, work = std::move(work), lifetime = here.lifetime()] {
          return work(session->handle.get(), [&] { return lifetime->dead.load(); });
        },
        batch_of);
  }

  Napi::Value generate(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "generate");
      const SampleRange range = read_range(options);
      const std::optional<double> truncation = read_truncation(options);
      options.finish();
      return batch(info.Env(), [range, truncation](const Network& network, const Cancelled& cancelled) {
        return network.inference.decode(
            sample_latents(network.model, range.seed, range.first, range.count, truncation, cancelled),
            cancelled);
      });
    });
  }

  Napi::Value decode(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "decode");
      const at::Tensor latents = read_latents(options.object("latents"), session_->model);
      options.finish();
      return batch(info.Env(), [latents](const Network& network, const Cancelled& cancelled) {
        return network.inference.decode(latents, cancelled);
      });
    });
  }

  Napi::Value reverse(const Napi::CallbackInfo& info) {
    return guarded_promise(info.Env(), [&] {
      Options options(info[0], "reverse");
      const at::Tensor images = read_images(options.object("images"), &session_->model);
      options.finish();
      return batch(info.Env(), [images](const Network& network, const Cancelled& cancelled) {
        return network.inference.encode(images, cancelled);
      });
    });
  }

  Napi::Value forward(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "forward");
      const at::Tensor z = read_tensor(options.object("z")).tensor,
                       x = read_tensor(options.object("x")).tensor;
      options.finish();
      return Environment::of(env).run(
          env,
          [session = session_, z, x] {
            const Network& network = session->handle.get();
            const at::NoGradGuard no_grad;
            use_precision(network.options.device(), Precision::fp32);
            return Outputs{
                san::generate(network.model, arrange(network.raw, Net::generator), z.to(network.options))
                    .cpu()
                    .contiguous(),
                san::reverse(network.model, arrange(network.raw, Net::reverser), x.to(network.options))
                    .cpu()
                    .contiguous()};
          },
          [](Napi::Env env, const Outputs& outputs) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out.Set("generate", named_tensor(env, {"generate", outputs.generated}));
            out.Set("reverse", named_tensor(env, {"reverse", outputs.reversed}));
            return out;
          });
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return dispose_promise(info.Env(), memory_, [session = session_] { session->handle.dispose(); });
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<Lifetime> lifetime_;
  ReportedMemory memory_;
};

}  // namespace

void define_network(Napi::Env env) {
  Environment::of(env).network_class = Napi::Persistent(NetworkObject::define(env));
}

Napi::Value create_network(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded_promise(env, [&] {
    Options options(info[0], "network");
    const ModelConfig model = read_model(options.object("model"));
    auto tensors = read_tensors(options.objects("tensors"));
    const at::ScalarType dtype = read_dtype(options);
    const Precision precision = read_precision(options);
    const int threads = read_threads(options);
    const std::string device = read_device(options);
    options.finish();
    return Environment::of(env).run(
        env,
        [model, dtype, precision, threads, device, tensors = std::move(tensors)]() mutable {
          const auto options = at::TensorOptions(open_device(device)).dtype(dtype);
          auto network = std::make_unique<Network>(model, options, precision, tensors);
          tensors.clear();
          const int64_t bytes = network->bytes;
          return Made<Session>{std::make_shared<Session>(std::move(network), threads), bytes};
        },
        [](Napi::Env env, const Made<Session>& made) -> Napi::Value {
          return wrap(env, Environment::of(env).network_class, made, kTag);
        });
  });
}

}  // namespace san::binding
