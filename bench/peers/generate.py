"""Images from a checkpoint's moving average in PyTorch: 8-bit, in memory."""
import base64
import os
import time

import torch
from safetensors.torch import load_file

import san
import worker

BATCHES = (16, 32, 64)


def open_peer(options):
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = options["cache"]
    torch.set_num_threads(options["threads"])
    config = options["config"]
    parameters = san.load(options["weights"], "ema.")
    generate = torch.compile(san.generate, dynamic=False) if options["compile"] else san.generate

    @torch.inference_mode()
    def draw(z):
        return san.to_bytes(generate(parameters, config, z)).numpy()

    def latents(count):
        return torch.randn(count, config["latentChannels"], config["latentSize"], config["latentSize"])

    checked = draw(load_file(options["latents"])["z"])

    def seconds_per_image(batch):
        draw(latents(batch))
        begin = time.perf_counter()
        for _ in range(2):
            draw(latents(batch))
        return (time.perf_counter() - begin) / (2 * batch)

    batch = min(BATCHES, key=seconds_per_image)

    def work(items):
        batches = -(-items // batch)
        for _ in range(batches):
            draw(latents(batch))
        return batches * batch

    return {"torch": torch.__version__, "batch": batch, "images": base64.b64encode(checked.tobytes()).decode()}, work


if __name__ == "__main__":
    worker.serve(open_peer)
