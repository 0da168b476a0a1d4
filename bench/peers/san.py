"""SAN in PyTorch as a user who cares for speed would write it; the mathematics is that of the SAN specification.

Parameters are dicts of tensors under the names of a checkpoint. Everything is channels-last.
"""
import math

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

SLOPE = 0.2


def place(options):
    """The device and the type of activations that a contender is asked for, set up for speed."""
    torch.set_num_threads(options["threads"])
    device = torch.device(options.get("device", "cpu"))
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.cuda.set_device(device)
    return device, torch.bfloat16 if options.get("precision") == "bf16" else torch.float32


def finish(device):
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory(device):
    """Most bytes that tensors held on a GPU; None on the processor, where the process's own peak counts."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else None


def compiled(function, options, **settings):
    """torch.compile as the options want it: not at all, as it is, or in a mode such as max-autotune."""
    wanted = options["compile"]
    if not wanted:
        return function
    return torch.compile(function, mode=wanted if isinstance(wanted, str) else None, **settings)


def keep_in_place(tensors):
    """Tells the compiler that these stay where they are, as parameters of modules do: graphs then read them without a copy."""
    for tensor in tensors:
        torch._dynamo.mark_static_address(tensor)


class Gate(torch.autograd.Function):
    """x where a >= threshold, else 0; the mask's derivative with respect to a is taken as 1."""

    @staticmethod
    def forward(ctx, x, a, threshold):
        mask = a >= threshold
        ctx.save_for_backward(x, mask)
        return x * mask

    @staticmethod
    def backward(ctx, g):
        x, mask = ctx.saved_tensors
        return g * mask, g * x, None


def pixel_norm(x):
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def lrelu(x):
    return F.leaky_relu(x, SLOPE)


def attention(p, name, x):
    a = x.mean((2, 3))
    a = lrelu(F.linear(a, p[name + ".squeeze.weight"], p[name + ".squeeze.bias"]))
    a = torch.sigmoid(F.linear(a, p[name + ".excite.weight"], p[name + ".excite.bias"]))
    return x * a[:, :, None, None]


def rpa(p, name, x):
    a = F.conv2d(x, p[name + ".squeeze.weight"], p[name + ".squeeze.bias"], 2, 1)
    a = F.conv2d(lrelu(pixel_norm(a)), p[name + ".gate.weight"], p[name + ".gate.bias"], 2, 1)
    a = torch.sigmoid(pixel_norm(a))
    return x * F.interpolate(a, size=x.shape[2:], mode="bilinear", align_corners=False)


def ado(p, name, x, threshold):
    a = lrelu(F.conv2d(pixel_norm(x), p[name + ".squeeze.weight"], p[name + ".squeeze.bias"], 1, 1))
    a = torch.sigmoid(F.conv2d(pixel_norm(a), p[name + ".gate.weight"], p[name + ".gate.bias"], 1, 1))
    return Gate.apply(x, a, threshold)


def match_channels(x, channels):
    present = x.shape[1]
    if channels == present:
        return x
    last = x.permute(0, 2, 3, 1)
    if channels < present:
        last = last.unflatten(3, (channels, present // channels)).mean(4)
    else:
        last = last.repeat_interleave(channels // present, 3)
    return last.permute(0, 3, 1, 2)


def generate(p, config, z):
    """z (B, Zc, Sz, Sz) -> image (B, C, S, S) in [-1, 1]."""
    x = F.conv_transpose2d(z.contiguous(memory_format=torch.channels_last), p["kernel.latent"], p["generator.latent.bias"])
    for m in range(6):
        x = ado(p, f"generator.m{m}.ado", x, config["adoThreshold"])
        for b in range(3):
            s = config["strides"][m] if b == 0 else 1
            name = f"generator.m{m}.b{b}"
            y = F.conv_transpose2d(attention(p, name + ".attention", x), p[f"kernel.m{m}.b{b}"],
                                   p[name + ".bias"], s, 1, s - 1)
            skip = match_channels(x, config["widths"][m + 1])
            if s > 1:
                skip = F.interpolate(skip, scale_factor=s, mode="nearest")
            x = lrelu(pixel_norm(y)) + skip
        x = rpa(p, f"generator.m{m}.rpa", x)
    return torch.tanh(F.conv_transpose2d(x, p["kernel.image"], p["generator.image.bias"], 1, 1))


def reverse(p, config, x):
    """image (B, C, S, S) -> latent (B, Zc, Sz, Sz)."""
    x = lrelu(F.conv2d(x.contiguous(memory_format=torch.channels_last), p["kernel.image"], p["reverser.image.bias"], 1, 1))
    for m in reversed(range(6)):
        x = rpa(p, f"reverser.m{m}.rpa", x)
        for b in (2, 1, 0):
            s = config["strides"][m] if b == 0 else 1
            name = f"reverser.m{m}.b{b}"
            y = F.conv2d(attention(p, name + ".attention", x), p[f"kernel.m{m}.b{b}"], p[name + ".bias"], s, 1)
            skip = x if s == 1 else F.avg_pool2d(x, s)
            x = lrelu(pixel_norm(y)) + match_channels(skip, y.shape[1])
        x = ado(p, f"reverser.m{m}.ado", x, config["adoThreshold"])
    return F.conv2d(x, p["kernel.latent"], p["reverser.latent.bias"])


def load(path, prefix="", device="cpu", dtype=torch.float32):
    """The tensors of a checkpoint under a prefix, convolution kernels channels-last."""
    read = load_file(path).items()
    tensors = {name.removeprefix(prefix): t.to(device, dtype) for name, t in read if name.startswith(prefix)}
    return {name: t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for name, t in tensors.items()}


def parameters_of(tensors, net):
    """One network's parameters, its own copies of the kernels included."""
    return {name: t.clone() for name, t in tensors.items() if name.startswith(("kernel.", net + "."))}


def polyphase_projection():
    """(9, 9): from the taps of a 3x3 kernel of stride 2 to the nearest whose polyphase components sum to the same."""
    groups = torch.tensor([[0, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0, 0, 0],
                           [0, 1, 0, 0, 0, 0, 0, 1, 0], [1, 0, 1, 0, 0, 0, 1, 0, 1]], dtype=torch.float32)
    shares = groups / groups.sum(1, keepdim=True)
    mean = shares.sum(0) * 4 / 9
    return torch.eye(9) - (groups - mean).T @ shares


def quantiles(batch, device="cpu"):
    """Of the normal distribution at (k - 1/2) / batch, k = 1 ... batch."""
    return torch.special.ndtri((torch.arange(batch, device=device) + 0.5) / batch)[:, None]


def wd_normal(latents, directions, q):
    """Sliced W2 of (B, ...) against the standard normal; directions (D, P) of unit columns."""
    return ((latents.flatten(1) @ directions).sort(0).values - q).square().mean()


def image_error(difference, scales):
    """Mean square at full resolution, half of it, and so on, each with its weight."""
    total = 0.0
    for s, weight in enumerate(scales):
        if s > 0:
            difference = F.avg_pool2d(difference, 2, ceil_mode=True, count_include_pad=False)
        if weight != 0:
            total = total + weight * difference.square().mean()
    return total


def draw_directions(numbers, count, axes):
    """Fresh unit columns and the coordinate axes."""
    drawn = F.normalize(torch.randn(numbers, count, device=axes.device), dim=0)
    return torch.cat([drawn, axes], 1)


def from_bytes(pixels):
    """uint8 (B, S, S, C) -> (B, C, S, S) in [-1, 1], channels-last."""
    return pixels.to(torch.float32).div_(127.5).sub_(1).permute(0, 3, 1, 2)


def to_bytes(images):
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8).contiguous()


def latent_numbers(config):
    return config["latentChannels"] * config["latentSize"] ** 2


def decay_of(config):
    """The moving average's decay per step; the presets give a half-life in images."""
    half_life = config.get("emaHalfLife")
    return config["emaDecay"] if half_life is None else math.pow(0.5, config["batchSize"] / half_life)
