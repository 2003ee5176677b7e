"""The pickle machine, the disassembler and the decompiler against their peers, in one run.

Usage: pickle_bench.py BUILD_DIR [--runs N] [--python PYTHON_WITH_FICKLING]

Peers: CPython's C pickle.loads, pickletools.genops, and fickling where a Python has it. Everything runs
in turn on the same inputs; figures are medians, and what counts is the ratio.
"""

import argparse
import json
import os
import pickle
import pickletools
import random
import statistics
import subprocess
import sys
import tempfile
import time


def inputs(folder):
    """(name, files): op-heavy streams, one large bytes object, many small pickles."""
    rng = random.Random(1)
    made = {
        "4 M opcodes": [[rng.randrange(256) if rng.random() < 0.75 else rng.randrange(65536)
                         for _ in range(20)] for _ in range(167_000)],
        "200,000 dicts": [{"id": i, "name": f"item{i}", "x": rng.random(), "tags": ["a", "b", str(i % 100)],
                           "ok": i % 2 == 0, "n": None, "t": (i, i + 1), "big": i * 10**6,
                           "note": "some more text " * 2} for i in range(200_000)],
        "200 MB of bytes": b"x" * 200_000_000,
    }
    for name, value in made.items():
        path = os.path.join(folder, name.replace(" ", "_"))
        with open(path, "wb") as file:
            pickle.dump(value, file, 4)
        yield name, [path]
    small = []
    for i in range(2000):
        value = {f"key{j}": [j, str(j), float(j)] for j in range(40)}
        small.append(os.path.join(folder, f"small{i}"))
        with open(small[-1], "wb") as file:
            pickle.dump(value, file, 4)
    yield "2,000 of 1.3 kB", small


def median_time(runs, work):
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def machine(build, runs, files):
    done = subprocess.run([f"{build}/bench/tare_pickle_bench", str(runs), *files],
                          capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def tare_verb(build, runs, verb, path):
    with open(os.devnull, "w", encoding="ascii") as null:
        return median_time(runs, lambda: subprocess.run([f"{build}/tare", verb, path], stdout=null, check=True))


def fickling_time(python, path):
    source = ("import sys, time, fickling.fickle as f\n"
              "data = open(sys.argv[1], 'rb').read()\n"
              "start = time.perf_counter()\n"
              "import ast; ast.unparse(f.Pickled.load(data).ast)\n"
              "print(time.perf_counter() - start)\n")
    done = subprocess.run([python, "-c", source, path], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    sys.setrecursionlimit(10_000)
    print(f"CPython {sys.version.split()[0]}, medians of {arguments.runs} runs")
    with tempfile.TemporaryDirectory() as folder:
        for name, files in inputs(folder):
            data = [open(path, "rb").read() for path in files]
            ours = machine(arguments.build, arguments.runs, files)
            theirs = median_time(arguments.runs, lambda: [pickle.loads(d) for d in data])
            print(f"{name:18} machine {ours['seconds'] * 1e3:8.2f} ms, "
                  f"{ours['seconds'] * 1e9 / ours['opcodes']:6.2f} ns/opcode, "
                  f"peak {ours['peak_kib'] * 1024 / ours['bytes']:4.1f} x input | "
                  f"pickle.loads {theirs * 1e3:8.2f} ms | ratio {theirs / ours['seconds']:6.1f}", flush=True)
            if name == "4 M opcodes":
                genops = median_time(1, lambda: sum(1 for _ in pickletools.genops(data[0])))
                for verb in ("disasm", "decompile"):
                    seconds = tare_verb(arguments.build, arguments.runs, verb, files[0])
                    print(f"{name:18} tare {verb} {seconds * 1e3:8.2f} ms | genops {genops * 1e3:8.2f} ms | "
                          f"ratio {genops / seconds:6.1f}", flush=True)
        small = os.path.join(folder, "for_fickling")
        with open(small, "wb") as file:
            pickle.dump([[i % 256 for i in range(20)] for _ in range(300)], file, 4)
        theirs = fickling_time(arguments.python, small)
        if theirs is None:
            print("SKIPPED: fickling: not importable by", arguments.python)
        else:
            seconds = tare_verb(arguments.build, arguments.runs, "decompile", small)
            print(f"decompile of {os.path.getsize(small)} bytes: tare {seconds * 1e3:.2f} ms with process "
                  f"start | fickling {theirs * 1e3:.2f} ms | ratio {theirs / seconds:.1f}")


main()
