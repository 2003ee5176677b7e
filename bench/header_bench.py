"""Opening safetensors files with many tensors, beside the reference package, in one run.

Usage: header_bench.py BUILD_DIR [--runs N] [--python PYTHON_WITH_SAFETENSORS]
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

REFERENCE = """
import sys, time
import safetensors
from safetensors import safe_open
seconds = []
for _ in range(int(sys.argv[1])):
    start = time.perf_counter()
    with safe_open(sys.argv[2], "np"):
        pass
    seconds.append(time.perf_counter() - start)
seconds.sort()
print(seconds[len(seconds) // 2])
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
print(safetensors.__version__)
"""


def write(path, entries, data):
    header = ("{" + ",".join(entries) + "}").encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


def model(path, count):
    write(path, [f'"model.layers.{i // 10}.self_attn.q_proj.weight_{i % 10}":'
                 f'{{"dtype":"F32","shape":[2,2],"data_offsets":[{16 * i},{16 * i + 16}]}}' for i in range(count)],
          bytes(16 * count))


def hostile(path):
    """As many tensors without bytes as a header of 99 MB holds."""
    entries, size, i = [], 0, 0
    while size < 98_999_000:
        entries.append(f'"{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')
        size += len(entries[-1]) + 1
        i += 1
    write(path, entries, b"")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    # Memory that the machine never used costs whoever has it first.
    bytearray(2_000_000_000).clear()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        for name, make, runs in (("1,000 tensors", lambda: model(path, 1000), arguments.runs),
                                 ("10,000 tensors", lambda: model(path, 10_000), arguments.runs),
                                 ("100,000 tensors", lambda: model(path, 100_000), arguments.runs),
                                 ("99 MB, hostile", lambda: hostile(path), 3)):
            make()
            done = subprocess.run([f"{arguments.build}/bench/tare_header_bench", str(runs), path],
                                  capture_output=True, text=True, check=True)
            ours = json.loads(done.stdout)
            line = f"{name:16} tare {ours['seconds'] * 1e3:8.2f} ms, peak {ours['peak_kib'] / 1024:6.0f} MiB"
            peer = subprocess.run([arguments.python, "-c", REFERENCE, str(runs), path], capture_output=True,
                                  text=True, check=False)
            if peer.returncode == 0:
                *figures, version = peer.stdout.split()
                seconds, kib = map(float, figures)
                line += (f" | safetensors {version} {seconds * 1e3:8.2f} ms, peak {kib / 1024:6.0f} MiB | "
                         f"ratio {seconds / ours['seconds']:5.1f}")
            else:
                line += " | SKIPPED: no safetensors package in " + arguments.python
            print(line, flush=True)


main()
