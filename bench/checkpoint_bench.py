"""Opening and converting a checkpoint of 2 GB, against torch, cp and a plain mapping, in one run.

Usage: checkpoint_bench.py BUILD_DIR [--runs N] [--folder DIR] [--python PYTHON_WITH_TORCH_AND_SAFETENSORS]

The file is in the page cache. The contenders take turns; figures are medians, and what counts is the ratio.
`cp` is that of coreutils without a clone of the blocks; `and fsync` ends when the bytes are on disk. tare
always flushes what it writes, so that is what it is held against; its times are those of the whole process.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TENSORS, ROWS, COLUMNS = 128, 2048, 4096
BYTES = TENSORS * ROWS * COLUMNS * 2
FREE = 6_500_000_000

# What users do today. Memory counts from what the imports took.
LOAD = """
import sys, time
import torch
def peak(): return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
start = time.perf_counter()
model = torch.load(sys.argv[1], weights_only=True)
names = [(name, tensor.shape, tensor.dtype) for name, tensor in model.items()]
loaded = time.perf_counter() - start
saved = 0
if len(sys.argv) > 2:
    from safetensors.torch import save_file
    save_file(model, sys.argv[2], metadata={"format": "pt"})
    import os
    fd = os.open(sys.argv[2], os.O_RDONLY)
    os.fsync(fd)
print(loaded, time.perf_counter() - start, peak() - before)
"""


def write_checkpoint(build, folder):
    """As torch.save() lays it out: by the way of a safetensors file, which is quick to write."""
    size = ROWS * COLUMNS * 2
    entries = [f'"layer{i}.weight":{{"dtype":"BF16","shape":[{ROWS},{COLUMNS}],"data_offsets":[{i * size},{(i + 1) * size}]}}'
               for i in range(TENSORS)]
    header = ("{" + ",".join(entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    source = os.path.join(folder, "source.safetensors")
    block = random.Random(1).randbytes(1 << 20)
    with open(source, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _ in range(BYTES // len(block)):
            file.write(block)
    path = os.path.join(folder, "model.pt")
    subprocess.run([f"{build}/tare", "convert", source, "-o", path, "--no-verify"], check=True, capture_output=True)
    os.unlink(source)
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        while file.read(8 << 20):
            pass
    return path


def flush(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def peak_of(pid):
    """In KiB. Not ru_maxrss: that starts at what the parent had."""
    with open(f"/proc/{pid}/status") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)


class Contest:
    def __init__(self, build, python, folder, path):
        self.build, self.python, self.folder, self.path = build, python, folder, path
        self.output = os.path.join(folder, "out.safetensors")
        self.memory = {}

    def cp(self, fsync):
        start = time.perf_counter()
        subprocess.run(["cp", "--reflink=never", self.path, self.output], check=True)
        if fsync:
            flush(self.output)
        return time.perf_counter() - start

    def convert(self, name, *options):
        start = time.perf_counter()
        process = subprocess.Popen([f"{self.build}/tare", "convert", self.path, "-o", self.output, *options],
                                   stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        assert process.returncode == 0, process.args
        self.memory[name] = peak
        return seconds

    def torch(self):
        done = subprocess.run([self.python, "-c", LOAD, self.path, self.output], capture_output=True, text=True)
        if done.returncode != 0:
            return None
        loaded, saved, memory = done.stdout.split()
        self.memory["torch.load and save_file"] = int(memory)
        return float(saved)

    def contenders(self):
        return {
            "cp": lambda: self.cp(False),
            "cp and fsync": lambda: self.cp(True),
            "convert --no-verify --no-sha256": lambda: self.convert("convert --no-verify --no-sha256", "--no-verify",
                                                                    "--no-sha256"),
            "convert --no-verify": lambda: self.convert("convert --no-verify", "--no-verify"),
            "convert --no-sha256": lambda: self.convert("convert --no-sha256", "--no-sha256"),
            "convert": lambda: self.convert("convert"),
            "torch.load and save_file": self.torch,
        }


def measure_conversions(contest, runs):
    contenders = contest.contenders()
    seconds = {name: [] for name in contenders}
    for _ in range(runs):
        for name in random.sample(sorted(contenders), len(contenders)):
            seconds[name].append(contenders[name]())
            if os.path.exists(contest.output):
                os.unlink(contest.output)
            os.sync()
    copy = statistics.median(seconds["cp and fsync"])
    for name, times in seconds.items():
        if None in times:
            print(f"SKIPPED: {name}: {contest.python} has not both torch and safetensors")
            continue
        median = statistics.median(times)
        memory = f"  peak {contest.memory[name] / 1024:5.0f} MiB" if name in contest.memory else ""
        print(f"{name:32} {median:5.2f} s ({min(times):.2f} to {max(times):.2f})  {median / copy:4.2f} of cp and fsync"
              f"{memory}", flush=True)


def measure_opening(contest, runs):
    done = subprocess.run([f"{contest.build}/bench/tare_checkpoint_bench", contest.path, str(runs)],
                          capture_output=True, text=True, check=True)
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    listed, touched = figures[0]["seconds"], figures[1]
    print(f"open and list {TENSORS} tensors: tare {listed * 1e3:.3f} ms", end="")
    peer = [subprocess.run([contest.python, "-c", LOAD, contest.path], capture_output=True, text=True)
            for _ in range(runs)]
    if any(one.returncode != 0 for one in peer):
        print(f"\nSKIPPED: torch.load: {contest.python} has no torch")
    else:
        loads = statistics.median(float(one.stdout.split()[0]) for one in peer)
        memory = max(int(one.stdout.split()[2]) for one in peer) / 1024
        print(f", torch.load {loads * 1e3:.0f} ms and {memory:.0f} MiB: {loads / listed:.0f} times")
    print(f"open and touch all: tare {touched['tare']:.2f} GB/s, plain mapping {touched['plain']:.2f} GB/s: "
          f"{touched['tare'] / touched['plain']:.2f} of it", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    free = shutil.disk_usage(arguments.folder).free
    if free < FREE:
        print(f"SKIPPED: {arguments.folder} has {free / 1e9:.1f} GB free, {FREE / 1e9:.1f} are needed")
        return
    print(f"a checkpoint of {BYTES / 1e9:.2f} GB in the page cache, medians of {arguments.runs} runs, "
          f"{os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        contest = Contest(arguments.build, arguments.python, folder, write_checkpoint(arguments.build, folder))
        measure_opening(contest, arguments.runs)
        measure_conversions(contest, arguments.runs)


main()
