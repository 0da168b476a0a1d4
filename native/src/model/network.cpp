#include "san/network.h"

#include <ATen/ATen.h>

#include "model/layers.h"
#include "model/module.h"
#include "model/widened.h"
#include "ops/convolution/convolution.h"
#include "profiling/scope.h"

namespace san {

NetworkParameters arrange(Net net, const std::function<at::Tensor(const std::string&)>& lookup) {
  const std::string prefix = name_of(net);
  const auto gate = [&](const std::string& name) {
    return GateParameters{lookup(name + ".squeeze.weight"), lookup(name + ".squeeze.bias"),
                          lookup(name + ".gate.weight"), lookup(name + ".gate.bias")};
  };
  NetworkParameters p;
  p.latent = {lookup("kernel.latent"), lookup(prefix + ".latent.bias")};
  p.image = {lookup("kernel.image"), lookup(prefix + ".image.bias")};
  for (int m = 0; m < kModules; ++m) {
    const std::string module = ".m" + std::to_string(m);
    for (int b = 0; b < kBlocks; ++b) {
      const std::string block = module + ".b" + std::to_string(b);
      const std::string attention = prefix + block + ".attention";
      p.modules[m].blocks[b] = {lookup("kernel" + block),
                                lookup(prefix + block + ".bias"),
                                {lookup(attention + ".squeeze.weight"), lookup(attention + ".squeeze.bias"),
                                 lookup(attention + ".excite.weight"), lookup(attention + ".excite.bias")}};
    }
    p.modules[m].ado = gate(prefix + module + ".ado");
    p.modules[m].rpa = gate(prefix + module + ".rpa");
  }
  return p;
}

NetworkParameters with_kernels_in(const NetworkParameters& parameters, at::ScalarType dtype) {
  NetworkParameters p = parameters;
  for (at::Tensor* kernel : {&p.latent.kernel, &p.image.kernel}) *kernel = kernel->to(dtype);
  for (ModuleParameters& module : p.modules) {
    for (BlockParameters& block : module.blocks) block.kernel = block.kernel.to(dtype);
    for (GateParameters* gate : {&module.ado, &module.rpa}) {
      gate->squeeze_weight = gate->squeeze_weight.to(dtype);
      gate->gate_weight = gate->gate_weight.to(dtype);
    }
  }
  return p;
}

at::Tensor generate(const ModelConfig& config, const NetworkParameters& p, const at::Tensor& z,
                    bool recompute) {
  const at::ScalarType dtype = p.latent.kernel.scalar_type();
  const at::Tensor latent = z.to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor x = layers::widened(latent, [&](const auto& wide) {
    return at::conv_transpose2d(wide(latent), wide(p.latent.kernel), wide(p.latent.bias.to(dtype)));
  });
  for (int m = 0; m < kModules; ++m) {
    const profiling::Scope scope("generator", m);
    x = run_module(p.modules[m], x, {Net::generator, config.strides[m], config.ado_threshold, recompute});
  }
  const at::Tensor image = layers::widened(x, [&](const auto& wide) {
    return at::conv_transpose2d(wide(x), wide(p.image.kernel), wide(p.image.bias.to(dtype)), 1,
                                /*padding=*/1);
  });
  return at::tanh(image.to(z.scalar_type()));
}

at::Tensor reverse(const ModelConfig& config, const NetworkParameters& p, const at::Tensor& image,
                   bool recompute) {
  const at::ScalarType dtype = p.image.kernel.scalar_type();
  const at::Tensor pixels = image.to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor x = layers::leaky_relu(layers::widened(pixels, [&](const auto& wide) {
    return ops::convolution(wide(pixels), wide(p.image.kernel), wide(p.image.bias.to(dtype)),
                            {1, /*padding=*/1});
  }));
  for (int m = kModules - 1; m >= 0; --m) {
    const profiling::Scope scope("reverser", m);
    x = run_module(p.modules[m], x, {Net::reverser, config.strides[m], config.ado_threshold, recompute});
  }
  const at::Tensor latent = layers::widened(x, [&](const auto& wide) {
    return ops::convolution(wide(x), wide(p.latent.kernel), wide(p.latent.bias.to(dtype)), {});
  });
  return latent.to(image.scalar_type());
}

}  // namespace san
