"""Trains one peer and leaves its pictures in a folder, to be measured by `npm run quality`. Goes on where it stopped.

OUT/progress.jsonl          a line at each measuring point: images seen, seconds of training, losses, files
OUT/samples-IMAGES.npy      uint8 (N, S, S, C), from latents that are the same at each point
OUT/reconstructions-IMAGES.npy  what the autoencoders make of --real
OUT/state.pt                networks, optimizers and random numbers

Tensors that no device is named for are made on --device (torch.set_default_device).
"""
import argparse
import copy
import json
import time
from pathlib import Path

import numpy
import torch

from autoencoders import SoftIntroVae, Swae
from files import read_images, save_images, write_whole
from gans import Dcgan, WganGp

PEERS = {"dcgan": Dcgan, "wgan-gp": WganGp, "swae": Swae, "soft-intro-vae": SoftIntroVae}
BLOCK = 250


def parameters_of(model):
    return sum(p.numel() for p in model.parameters())


def sized(peer, size, channels, parameters):
    """The width at which the peer comes closest to so many parameters in all."""
    with torch.device("meta"):
        count = {width: parameters_of(peer(size, channels, width)) for width in range(4, 129)}
    return min(count, key=lambda width: abs(count[width] - parameters))


class Batches:
    """Rows in a new order each epoch, the same for a seed on every device; as SAN's, no augmentation."""

    def __init__(self, images, batch, seed, device):
        self.images, self.batch, self.device = torch.tensor(images, device=device), batch, device
        self.numbers = torch.Generator("cpu").manual_seed(seed)
        self.order = torch.empty(0, dtype=torch.long, device="cpu")
        self.seen = 0

    def __call__(self):
        if len(self.order) < self.batch:
            self.order = torch.randperm(len(self.images), generator=self.numbers, device="cpu")
        index, self.order = self.order[: self.batch], self.order[self.batch :]
        self.seen += self.batch
        return pixels(self.images[index.to(self.device)])

    def state(self):
        return {"numbers": self.numbers.get_state(), "order": self.order, "seen": self.seen}

    def restore(self, state):
        self.numbers.set_state(state["numbers"].cpu())
        self.order, self.seen = state["order"].cpu(), state["seen"]


def place(name):
    """The device of that name, set up as a user who cares for speed would; ends the program where there is none."""
    device = torch.device(name)
    if device.type == "cuda":
        found = torch.cuda.device_count()
        if (device.index or 0) >= found:
            raise SystemExit(f"device {name}: this Python's torch {torch.__version__} finds {found} GPUs; install a torch "
                             "of CUDA there, or use --device cpu")
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
    torch.set_default_device(device)
    return device


def numbers_of(device):
    """State of the random numbers that a step draws."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def restore_numbers(device, state):
    if device.type == "cuda":
        torch.cuda.set_rng_state(state.cpu(), device)
    else:
        torch.set_rng_state(state)


def finish(device):
    """Waits for the device: steps are queued on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pixels(images):
    """uint8 (N, S, S, C) -> (N, C, S, S) in [-1, 1]"""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(images):
    return (images.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


@torch.inference_mode()
def pictures(function, inputs):
    return numpy.concatenate([to_bytes(function(block)) for block in inputs.split(BLOCK)])


# SAN's emaHalfLife and emaRampUp.
HALF_LIFE, RAMP_UP = 10_000, 0.05


@torch.no_grad()
def follow(average, model, seen, count):
    """average, a copy of model, a step of count images on: weights and batch norm's statistics."""
    decay = 0.5 ** (count / min(HALF_LIFE, RAMP_UP * seen))
    pairs = list(zip(average.state_dict().values(), model.state_dict().values()))
    floats = [(a, b) for a, b in pairs if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--data", required=True, help=".npy of uint8 images, from `san-native prepare`")
    parser.add_argument("--out", required=True)
    parser.add_argument("--parameters", type=int, required=True, help="of both networks together")
    parser.add_argument("--images", type=int, required=True, help="to be seen in all")
    parser.add_argument("--points", type=int, default=4, help="measuring points, evenly spread")
    parser.add_argument("--samples", type=int, default=2000, help="at each of them")
    parser.add_argument("--real", help=".npy of images to reconstruct at each of them")
    parser.add_argument("--batch", type=int, help="images in a batch; the default is the paper's, as the peer's text says")
    parser.add_argument("--average", action="store_true", help="measure the weights' moving average, as SAN's is measured")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = place(options.device)
    torch.manual_seed(options.seed)
    images = read_images(options.data)
    size, channels = images.shape[1], images.shape[3]
    peer = PEERS[options.peer]
    width = sized(peer, size, channels, options.parameters)
    model = peer(size, channels, width)
    batches = Batches(images, min(options.batch or model.batch, len(images)), options.seed, device)
    average = copy.deepcopy(model).eval() if options.average else None
    with torch.device("cpu"):
        fixed = model.latents(options.samples, torch.Generator("cpu").manual_seed(options.seed)).to(device)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    state, progress = out / "state.pt", out / "progress.jsonl"
    points = [round(options.images * (i + 1) / options.points) for i in range(options.points)]
    lines, seconds, cpu_seconds = [], 0.0, 0.0
    if state.exists():
        saved = torch.load(state, weights_only=True, map_location=device)
        model.load_state_dict(saved["model"])
        for optimizer, values in zip(model.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(values)
        if average:
            average.load_state_dict(saved["average"])
        batches.restore(saved["batches"])
        restore_numbers(device, saved["numbers"])
        lines = saved["lines"]
        seconds, cpu_seconds = lines[-1]["seconds"], lines[-1]["cpuSeconds"]

    facts = {"peer": options.peer, "parameters": parameters_of(model), "width": width, "batch": batches.batch,
             "torch": str(torch.__version__), "threads": options.threads, "device": options.device}
    losses = {}
    for point in points[len(lines):]:
        begin, cpu_begin = time.perf_counter(), time.process_time()
        model.train()
        while batches.seen < point:
            before = batches.seen
            losses = model.step(batches)
            if average:
                follow(average, model, batches.seen, batches.seen - before)
        finish(device)
        seconds += time.perf_counter() - begin
        cpu_seconds += time.process_time() - cpu_begin
        model.eval()
        shown = average or model
        samples = f"samples-{point}.npy"
        save_images(out / samples, pictures(shown.generate, fixed))
        line = {**facts, "images": batches.seen, "seconds": seconds, "cpuSeconds": cpu_seconds, 
                "losses": {name: loss.item() for name, loss in losses.items()}, "samples": samples}
        if options.real and model.reconstructs:
            real = pixels(torch.tensor(read_images(options.real), device=device))
            line["reconstructions"] = f"reconstructions-{point}.npy"
            save_images(out / line["reconstructions"], pictures(shown.reconstruct, real))
        lines.append(line)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_whole(progress, lambda path: path.write_text(text))
        write_whole(state, lambda path: torch.save({
            "model": model.state_dict(), "optimizers": [o.state_dict() for o in model.optimizers],
            **({"average": average.state_dict()} if average else {}),
            "batches": batches.state(), "numbers": numbers_of(device), "lines": lines}, path))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
