"""PNG files of a checkpoint's images in PyTorch eager: drawn in batches, encoded by Pillow in a pool of threads."""
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image

import san
import worker

BATCH = 32


def open_peer(options):
    torch.set_num_threads(options["threads"])
    config = options["config"]
    parameters = san.load(options["weights"], "ema.")
    parent = Path(options["folder"])
    pool = ThreadPoolExecutor(options["threads"])
    done = 0

    @torch.inference_mode()
    def draw():
        z = torch.randn(BATCH, config["latentChannels"], config["latentSize"], config["latentSize"])
        return san.to_bytes(san.generate(parameters, config, z)).numpy()

    def save(target, index, pixels):
        image = pixels if config["imageChannels"] == 3 else pixels[..., 0]
        Image.fromarray(image).save(target / f"{index:06d}.png")

    def work(items):
        nonlocal done
        target = parent / f"peer-{done}"
        begin = time.perf_counter()
        target.mkdir(parents=True)
        batches = -(-items // BATCH)
        pending = []
        for b in range(batches):
            images = draw()
            pending += [pool.submit(save, target, b * BATCH + i, image) for i, image in enumerate(images)]
        for file in pending:
            file.result()
        seconds = time.perf_counter() - begin
        done += batches * BATCH
        return {"seconds": seconds, "items": batches * BATCH}

    return {"torch": torch.__version__}, work


if __name__ == "__main__":
    worker.serve(open_peer)
