"""What the HTTP service does: requests per second and latency beside the same pipeline in a plain loop, and its memory.

bench_serve.py [OUT.json] [REQUESTS for memory]
"""

import json
import re
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

import cv2
import httpx
import numpy as np
from serving import serving

from emotion_ros.config import PipelineConfig
from emotion_ros.io.sources import frames
from emotion_ros.perception.pipeline import Pipeline

CLIENTS = (1, 4, 16, 64)
SECONDS = 8.0


def loop(picture):
    """Images per second of one process that decodes and perceives one after the other."""
    pipeline = Pipeline(PipelineConfig())
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        pipeline.reset()
        pipeline.perceive(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), 0.0)
        count += 1
    rate = count / (time.perf_counter() - begin)
    pipeline.close()
    return rate


def load(url, path, picture, clients, seconds=SECONDS, requests=None):
    """Callers that ask again at once: seconds of each answered request, how many were refused, seconds of it all."""
    times, refused, lock = [], [0], threading.Lock()
    left = [requests]
    until = time.perf_counter() + seconds

    def more():
        if requests is None:
            return time.perf_counter() < until
        with lock:
            left[0] -= 1
            return left[0] >= 0

    def call():
        with httpx.Client(base_url=url, timeout=60) as client:
            while more():
                begin = time.perf_counter()
                status = client.post(path, content=picture).status_code
                with lock:
                    if status == 200:
                        times.append(time.perf_counter() - begin)
                    else:
                        refused[0] += 1

    begin = time.perf_counter()
    callers = [threading.Thread(target=call) for _ in range(clients)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    return np.array(times), refused[0], time.perf_counter() - begin


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def main(out="", requests="100000"):
    picture = cv2.imencode(".jpg", next(frames("sample")).image)[1].tobytes()
    figures = {"loop": loop(picture)}
    print(f"plain loop: {figures['loop']:.1f} images/s", flush=True)
    for name, options in (("batched", ()), ("one by one", ("--batch", "1"))):
        with serving(*options) as running:
            url = running.url
            load(url, "/v1/detect", picture, 4, 2.0)
            for clients in CLIENTS:
                times, refused, took = load(url, "/v1/detect", picture, clients)
                p50, p95, p99 = (1000 * np.percentile(times, each) for each in (50, 95, 99))
                rate = len(times) / took
                figures[f"{name}, {clients} clients"] = {
                    "requests/s": rate, "of the loop": rate / figures["loop"],
                    "p50 ms": p50, "p95 ms": p95, "p99 ms": p99, "told to come back": refused,
                }  # fmt: skip
                print(f"{name}, {clients} clients: " + text(figures[f"{name}, {clients} clients"]), flush=True)
    crop = cv2.imencode(".png", next(frames("sample")).image[100:230, 205:335])[1].tobytes()
    with serving() as running:
        url, pid = running.url, running.process.pid
        load(url, "/v1/classify", crop, 8, requests=2000)
        before, steps = resident(pid), []
        for _ in range(10):
            load(url, "/v1/classify", crop, 8, requests=int(requests) // 10)
            steps.append(resident(pid))
        figures["memory"] = {"after 2000 requests": before, "every tenth of the rest": steps}
        print(f"memory: {before:.1f} MiB after 2000 requests, then with {int(requests) // 10} more each: "
              + ", ".join(f"{each:.1f}" for each in steps))  # fmt: skip
    if out:
        Path(out).write_text(json.dumps(figures, indent=2) + "\n")


def text(figures):
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


if __name__ == "__main__":
    main(*sys.argv[1:])
