"""Durable saves of 2 GB against the plain methods on the same disk, in one run.

Usage: safetensors_bench.py BUILD_DIR [--runs N] [--folder DIR] [--python PYTHON_WITH_SAFETENSORS]

What is timed ends when the bytes are on disk: dd with fdatasync, tare with fsync of the file and of its
folder. The contenders take turns in random order; figures are medians, and what counts is the ratio.
The files go to a temporary folder in DIR (default: TMPDIR), which must not be in memory.
"""

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

BYTES = 2_000_000_000
FREE = 6_000_000_000

# save_file() of the reference does not flush; its time is that of the call and of a flush after it.
REFERENCE = """
import os, sys, time
import numpy
from safetensors.numpy import save_file
rng = numpy.random.default_rng(7)
data = rng.integers(0, 256, int(sys.argv[2]), dtype=numpy.uint8)
step = 64 << 20
tensors = {f"layer{i // step}.weight": data[i : i + step] for i in range(0, data.size, step)}
start = time.perf_counter()
save_file(tensors, sys.argv[1])
fd = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(fd)
print(time.perf_counter() - start)
"""


def dd(output, *options):
    command = ["dd", "if=/dev/zero", f"of={output}", "bs=4M", "iflag=fullblock,count_bytes", f"count={BYTES}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True,
                          env=dict(os.environ, LC_ALL="C"))
    return float(re.search(r"copied, ([0-9.]+) s", done.stderr).group(1))


def tare(build, how, output, *source):
    done = subprocess.run([f"{build}/bench/tare_safetensors_bench", how, output, str(BYTES), *source],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["seconds"]


def reference(python, output):
    done = subprocess.run([python, "-c", REFERENCE, output, str(BYTES)], capture_output=True, text=True,
                          check=False)
    return float(done.stdout) if done.returncode == 0 else None


def saves(build, python, folder):
    """Name: what saves once and returns the seconds it took, None if it cannot."""
    output = os.path.join(folder, "out")
    source = os.path.join(folder, "source")
    with open(source, "wb") as file:
        block = random.Random(1).randbytes(1_000_000)
        for _ in range(BYTES // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    return {
        "dd oflag=direct conv=fdatasync": lambda: dd(output, "oflag=direct", "conv=fdatasync"),
        "dd conv=fdatasync": lambda: dd(output, "conv=fdatasync"),
        "tare, from memory": lambda: tare(build, "memory", output),
        "tare, from memory, with SHA-256": lambda: tare(build, "sha256", output),
        "tare, from ranges of a file": lambda: tare(build, "range", output, source),
        "safetensors (Python), then fsync": lambda: reference(python, output),
    }


def measure_saves(build, python, folder, runs):
    contenders = saves(build, python, folder)
    seconds = {name: [] for name in contenders}
    for _ in range(runs):
        for name in random.sample(sorted(contenders), len(contenders)):
            seconds[name].append(contenders[name]())
            output = os.path.join(folder, "out")
            if os.path.exists(output):
                os.unlink(output)
    plain = statistics.median(seconds["dd oflag=direct conv=fdatasync"])
    for name, times in seconds.items():
        if None in times:
            print(f"SKIPPED: {name}: not importable by {python}")
            continue
        median = statistics.median(times)
        print(f"{name:34} {median:6.2f} s ({min(times):.2f} to {max(times):.2f})  {BYTES / median / 1e6:5.0f} MB/s"
              f"  {plain / median:4.2f} of dd oflag=direct", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    free = shutil.disk_usage(arguments.folder).free
    if free < FREE:
        print(f"SKIPPED: save: {arguments.folder} has {free / 1e9:.1f} GB free, {FREE / 1e9:.0f} are needed")
        return
    print(f"durable saves of {BYTES / 1e9:.0f} GB, medians of {arguments.runs} runs (least to most)")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure_saves(arguments.build, arguments.python, folder, arguments.runs)


main()
