"""Hosts one peer: a line of JSON on stdin asks, a line on file descriptor 3 answers (bench/worker.ts)."""
import json
import os
import sys
import time
import traceback


def serve(open_peer):
    """open_peer(options) -> (facts, work); work(items) -> items done."""
    answers = os.fdopen(3, "w")
    work = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "open" in request:
                result, work = open_peer(request["open"])
            elif "round" in request:
                begin = time.perf_counter()
                items = work(request["round"])
                result = {"seconds": time.perf_counter() - begin, "items": items}
            else:
                result = None
            answer = {"ok": result}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
