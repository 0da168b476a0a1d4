"""Hosts one peer: a line of JSON on stdin asks, a line on file descriptor 3 answers (bench/worker.ts)."""
import json
import os
import sys
import time
import traceback


def serve(open_peer):
    """open_peer(options) -> (facts, work) or (facts, work, memory).

    work(items) -> items done, or the whole answer; memory() -> most bytes held on a device so far, or None.
    """
    answers = os.fdopen(3, "w")
    work, memory = None, lambda: None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "open" in request:
                result, work, *more = open_peer(request["open"])
                memory = more[0] if more else memory
            elif "round" in request:
                begin = time.perf_counter()
                done = work(request["round"])
                seconds = time.perf_counter() - begin
                result = done if isinstance(done, dict) else {"seconds": seconds, "items": done}
                if memory() is not None:
                    result["peakMemory"] = memory()
            else:
                result = None
            answer = {"ok": result}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
