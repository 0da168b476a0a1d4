"""The generator's transposed convolutions of stride 1 with their gradients: as such, or as convolutions by flipped kernels."""
import torch

import worker

F = torch.nn.functional
LAST = torch.channels_last


def flipped(kernel):
    """The kernel of the convolution that does the same: computed anew in each step, for the step changes the kernel."""
    return kernel.flip(2, 3).transpose(0, 1).contiguous(memory_format=LAST)


def layers(config):
    """Channels and image size of the second block of each module; the third is the same."""
    size = config["latentSize"]
    for module, stride in enumerate(config["strides"]):
        size *= stride
        yield config["widths"][module + 1], size


def open_peer(options):
    torch.set_num_threads(options["threads"])
    config = options["config"]
    torch.manual_seed(1)

    def random(*shape):
        return torch.randn(shape).contiguous(memory_format=LAST)

    cases = [
        (
            random(config["batchSize"], channels, size, size).requires_grad_(),
            random(channels, channels, 3, 3).requires_grad_(),
            random(config["batchSize"], channels, size, size),
        )
        for channels, size in layers(config)
    ]

    def result(x, kernel):
        if options["flip"]:
            return F.conv2d(x, flipped(kernel), padding=1)
        return F.conv_transpose2d(x, kernel, padding=1)

    def work(items):
        for _ in range(items):
            for x, kernel, gradient in cases:
                torch.autograd.grad(result(x, kernel), [x, kernel], gradient)
        return items

    with torch.no_grad():
        sums = [result(x, kernel).double().square().sum().item() for x, kernel, _ in cases]
    return {"torch": torch.__version__, "sums": sums}, work


if __name__ == "__main__":
    worker.serve(open_peer)
