"""The time from a checkpoint to the first image, each time in a fresh process, once torch is imported."""
import json
import subprocess
import sys

import worker

PROGRAM = """
import json, resource, sys, time
import torch
import san
config = json.loads(sys.argv[2])
begin = time.perf_counter()
parameters = san.load(sys.argv[1], "ema.")
with torch.inference_mode():
    z = torch.randn(1, config["latentChannels"], config["latentSize"], config["latentSize"])
    san.to_bytes(san.generate(parameters, config, z)).numpy()
print(json.dumps([time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def open_peer(options):
    def work(items):
        command = [sys.executable, "-c", PROGRAM, options["weights"], json.dumps(options["config"])]
        folder = __file__.rpartition("/")[0]
        rounds = [json.loads(subprocess.check_output(command, cwd=folder)) for _ in range(items)]
        return {
            "seconds": sum(seconds for seconds, _ in rounds),
            "items": items,
            "peakMemory": max(memory for _, memory in rounds),
        }

    return {}, work


if __name__ == "__main__":
    worker.serve(open_peer)
