"""Durable saves of 2 GB, and ways to read them, against the plain methods on the same disk, in one run.

Usage: safetensors_bench.py BUILD_DIR [--runs N] [--folder DIR] [--python PYTHON_WITH_SAFETENSORS]
                            [--only saves|reads]

What is timed of a save ends when the bytes are on disk: dd with fdatasync, tare with fsync of the file and
of its folder. What is read is in the page cache; into a buffer means one that was in memory before. The
contenders take turns; figures are medians, and what counts is the ratio. The files go to a temporary folder
in DIR (default: TMPDIR), which must not be in memory.
"""

import argparse
import json
import os
import random
import re
import shutil
import statistics
import struct
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


# 32 tensors of 64 MiB.
TENSORS, ROWS, COLUMNS = 32, 4096, 8192

# The same as tare does, with what the package has for it: tensors of torch, which knows BF16.
REFERENCE_READS = """
import statistics, sys, time
import safetensors, torch
from safetensors import safe_open
path, runs = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
print("safetensors", safetensors.__version__, "torch", torch.__version__)
def touch():
    with safe_open(path, "pt") as file:
        return sum(int(file.get_tensor(name).view(torch.int64).sum()) for name in file.keys()), 1
opened = safe_open(path, "pt").__enter__()
for name in opened.keys():  # touched, and so mapped
    opened.get_tensor(name).view(torch.int64).sum()
def columns(count):
    out = torch.ones(4096, count, dtype=torch.bfloat16)
    for name in opened.keys():
        out.copy_(opened.get_slice(name)[:, :count])
    return 0, count / 8192
for what, call in (("open and touch all", touch), ("columns, rows of 2 kB", lambda: columns(1024)),
                   ("columns, rows of 64 B", lambda: columns(32))):
    seconds, part = [], 1
    for _ in range(runs):
        start = time.perf_counter()
        _, part = call()
        seconds.append(time.perf_counter() - start)
    print(f"  {what}: {part * 32 * 4096 * 8192 * 2 / statistics.median(seconds) / 1e9:.2f} GB/s")
"""


def write_model(path):
    """In one way for all contenders, and then read once, so that it is in the page cache."""
    size = ROWS * COLUMNS * 2
    entries = [f'"layer{i}.weight":{{"dtype":"BF16","shape":[{ROWS},{COLUMNS}],"data_offsets":[{i * size},{(i + 1) * size}]}}'
               for i in range(TENSORS)]
    header = ("{" + ",".join(entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    block = random.Random(1).randbytes(1 << 20)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _ in range(TENSORS * size // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        while file.read(8 << 20):
            pass


def measure_reads(build, python, folder, runs):
    path = os.path.join(folder, "model.safetensors")
    write_model(path)
    done = subprocess.run([f"{build}/bench/tare_safetensors_read_bench", path, str(runs), str(os.cpu_count())],
                          capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        figures = json.loads(line)
        print(f"{figures['what']:53} {figures['tare']:6.2f} GB/s  plain {figures['plain']:6.2f} GB/s"
              f"  {figures['tare'] / figures['plain']:4.2f} of plain", flush=True)
    peer = subprocess.run([python, "-c", REFERENCE_READS, path, str(runs)], capture_output=True, text=True, check=False)
    print(peer.stdout.rstrip() if peer.returncode == 0 else f"SKIPPED: {python} has not both safetensors and torch")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", choices=["saves", "reads"])
    arguments = parser.parse_args()
    free = shutil.disk_usage(arguments.folder).free
    if free < FREE:
        print(f"SKIPPED: {arguments.folder} has {free / 1e9:.1f} GB free, {FREE / 1e9:.0f} are needed")
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.only != "reads":
            print(f"durable saves of {BYTES / 1e9:.0f} GB, medians of {arguments.runs} runs (least to most)")
            measure_saves(arguments.build, arguments.python, folder, arguments.runs)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.only != "saves":
            print(f"reads of 2 GB in the page cache, medians of {arguments.runs} runs, {os.cpu_count()} processors, "
                  f"Linux {os.uname().release}")
            measure_reads(arguments.build, arguments.python, folder, arguments.runs)


main()
