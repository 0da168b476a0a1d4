"""Images from a checkpoint's moving average in PyTorch: 8-bit, in memory."""
import base64
import os
import time

import torch
from safetensors.torch import load_file

import san
import worker

# Of which the fastest is taken.
BATCHES = {"cpu": (16, 32, 64), "cuda": (64, 256, 1024)}


def open_peer(options):
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = options["cache"]
    device, dtype = san.place(options)
    config = options["config"]
    parameters = san.load(options["weights"], "ema.", device, dtype)
    san.keep_in_place(parameters.values())
    generate = san.compiled(san.generate, options, dynamic=False)

    @torch.inference_mode()
    def draw(z):
        return san.to_bytes(generate(parameters, config, z.to(device, dtype)).float()).cpu().numpy()

    def latents(count):
        shape = (count, config["latentChannels"], config["latentSize"], config["latentSize"])
        return torch.randn(shape, device=device)

    checked = draw(load_file(options["latents"])["z"])

    def seconds_per_image(batch):
        draw(latents(batch))
        begin = time.perf_counter()
        for _ in range(2):
            draw(latents(batch))
        return (time.perf_counter() - begin) / (2 * batch)

    batches = options.get("batches") or BATCHES[device.type]
    batch = min(batches, key=seconds_per_image)

    def work(items):
        count = -(-items // batch)
        for _ in range(count):
            draw(latents(batch))
        return count * batch

    facts = {"torch": torch.__version__, "batch": batch, "images": base64.b64encode(checked.tobytes()).decode()}
    return facts, work, lambda: san.peak_memory(device)


if __name__ == "__main__":
    worker.serve(open_peer)
