// lib/native.ts, NativeGroup.
#include "binding/group.h"

#include <ATen/ATen.h>

#include <cstring>
#include <utility>
#include <vector>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/handle.h"

namespace san::binding {
namespace {

constexpr napi_type_tag kTag = {0x51f0c7a2d98e4b31, 0xb7a4e2260c9d1f58};

at::Tensor bytes_tensor(const std::vector<uint8_t>& bytes, int64_t size) {
  at::Tensor out = at::zeros({size}, at::kByte);
  if (!bytes.empty()) std::memcpy(out.mutable_data_ptr<uint8_t>(), bytes.data(), bytes.size());
  return out;
}

std::vector<uint8_t> bytes_of(const at::Tensor& tensor, int64_t first, int64_t size) {
  const uint8_t* data = tensor.const_data_ptr<uint8_t>() + first;
  return {data, data + size};
}

std::vector<uint8_t> broadcast_bytes(ProcessGroup& group, const std::vector<uint8_t>& own) {
  const at::Tensor size = at::tensor({static_cast<int64_t>(own.size())}, at::kLong);
  group.broadcast(size);
  const auto bytes = size.item<int64_t>();
  const at::Tensor data = group.rank() == 0 ? bytes_tensor(own, bytes) : at::zeros({bytes}, at::kByte);
  if (bytes > 0) group.broadcast(data);
  return bytes_of(data, 0, bytes);
}

std::vector<std::vector<uint8_t>> gather_bytes(ProcessGroup& group, const std::vector<uint8_t>& own) {
  const at::Tensor sizes = group.all_gather(at::tensor({static_cast<int64_t>(own.size())}, at::kLong));
  const auto most = std::max<int64_t>(1, sizes.max().item<int64_t>());
  const at::Tensor all = group.all_gather(bytes_tensor(own, most));
  std::vector<std::vector<uint8_t>> out;
  for (int64_t i = 0; i < group.size(); ++i) out.push_back(bytes_of(all, i * most, sizes[i].item<int64_t>()));
  return out;
}

Napi::Value buffer_of(Napi::Env env, const std::vector<uint8_t>& bytes) {
  auto out = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(out.Data(), bytes.data(), bytes.size());
  return out;
}

std::vector<uint8_t> read_bytes(Options& options, const char* key) {
  const Napi::Value found = options.value(key);
  if (!found.IsTypedArray() || found.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    options.fail(key, "must be a Uint8Array");
  const auto array = found.As<Napi::Uint8Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

class GroupObject : public Napi::ObjectWrap<GroupObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeGroup",
        {InstanceMethod<&GroupObject::broadcast>("broadcast"), InstanceMethod<&GroupObject::gather>("gather"),
         InstanceMethod<&GroupObject::traffic>("traffic"), InstanceMethod<&GroupObject::leave>("leave")});
  }

  explicit GroupObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    group_ = made_from<ProcessGroup>(info, kTag).object;
    Value().TypeTag(&kTag);
  }

  const std::shared_ptr<ProcessGroup>& group() const { return group_; }

 private:
  Napi::Value broadcast(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "broadcast");
      std::vector<uint8_t> own;
      if (!options.value("data").IsUndefined()) own = read_bytes(options, "data");
      options.finish();
      return Environment::of(env).run(
          env, [group = group_, own = std::move(own)] { return broadcast_bytes(*group, own); }, buffer_of);
    });
  }

  Napi::Value gather(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "gather");
      std::vector<uint8_t> own = read_bytes(options, "data");
      options.finish();
      return Environment::of(env).run(
          env, [group = group_, own = std::move(own)] { return gather_bytes(*group, own); },
          [](Napi::Env env, const std::vector<std::vector<uint8_t>>& all) -> Napi::Value {
            Napi::Array out = Napi::Array::New(env, all.size());
            for (size_t i = 0; i < all.size(); ++i) out.Set(static_cast<uint32_t>(i), buffer_of(env, all[i]));
            return out;
          });
    });
  }

  Napi::Value traffic(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      return Environment::of(env).run(
          env, [group = group_] { return group->traffic(); },
          [](Napi::Env env, const Traffic& traffic) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out.Set("collectives", static_cast<double>(traffic.collectives));
            out.Set("bytes", static_cast<double>(traffic.bytes));
            out.Set("secondsWaited", traffic.seconds_waited);
            return out;
          });
    });
  }

  Napi::Value leave(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded_promise(env, [&] {
      Options options(info[0], "leave");
      std::string failure;
      if (!options.value("failure").IsUndefined()) failure = options.string("failure");
      options.finish();
      return Environment::of(env).run(
          env,
          [group = group_, failure] {
            if (failure.empty())
              group->leave();
            else
              group->report_failure(failure);
            return true;
          },
          [](Napi::Env env, bool) { return env.Undefined(); });
    });
  }

  std::shared_ptr<ProcessGroup> group_;
};

std::chrono::milliseconds read_milliseconds(Options& options, const char* key,
                                            std::chrono::milliseconds normal) {
  return std::chrono::milliseconds(options.integer_or(key, 1, int64_t{1} << 40, normal.count()));
}

}  // namespace

Napi::Value create_group(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded_promise(env, [&] {
    Options options(info[0], "group");
    ProcessGroupConfig config;
    config.world_size = static_cast<int>(options.integer("worldSize", 1, 1 << 20));
    config.rank = static_cast<int>(options.integer("rank", 0, 1 << 20));
    config.host = options.string("host");
    config.port = static_cast<int>(options.integer("port", 1, 65535));
    config.serves_store = options.boolean_or("servesStore", config.rank == 0);
    config.prefix = options.string("prefix");
    config.agreement = options.string("agreement");
    config.join_timeout = read_milliseconds(options, "joinTimeout", config.join_timeout);
    config.timeout = read_milliseconds(options, "timeout", config.timeout);
    options.finish();
    config.validate();
    Environment& here = Environment::of(env);
    return here.run(
        env,
        [config, lifetime = here.lifetime()] {
          return Made<ProcessGroup>{ProcessGroup::join(config, [lifetime] { return lifetime->dead.load(); }),
                                    0};
        },
        [](Napi::Env env, const Made<ProcessGroup>& made) -> Napi::Value {
          // Once a process: the class needs no place of its own.
          return wrap(env, Napi::Persistent(GroupObject::define(env)), made, kTag);
        });
  });
}

std::shared_ptr<ProcessGroup> read_group(Options& options, const char* key) {
  const Napi::Value found = options.value(key);
  if (found.IsUndefined()) return nullptr;
  if (!found.IsObject() || !found.As<Napi::Object>().CheckTypeTag(&kTag))
    options.fail(key, "must be what createGroup() gave");
  return GroupObject::Unwrap(found.As<Napi::Object>())->group();
}

}  // namespace san::binding
