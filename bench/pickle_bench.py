"""The pickle machine, the disassembler and the decompiler against their peers, in one run.

Usage: pickle_bench.py BUILD_DIR [--runs N] [--python PYTHON_WITH_FICKLING]

Peers: CPython's C pickle.loads, pickletools.genops, and fickling where a Python has it. Everything runs
in turn on the same inputs; figures are medians, and what counts is the ratio. Time is processor time, of user
and system: all that is measured here runs in one thread, and what else the machine does counts for less.
"""

import argparse
import json
import os
import pickle
import pickletools
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def small_integers(rng):
    return [[rng.randrange(256) if rng.random() < 0.75 else rng.randrange(65536) for _ in range(20)]
            for _ in range(167_000)]


def dicts(rng):
    return [{"id": i, "name": f"item{i}", "x": rng.random(), "tags": ["a", "b", str(i % 100)],
             "ok": i % 2 == 0, "n": None, "t": (i, i + 1), "big": i * 10**6,
             "note": "some more text " * 2} for i in range(200_000)]


def large_bytes(_):
    return b"x" * 200_000_000


def dump(folder, name, value):
    path = os.path.join(folder, name.replace(" ", "_"))
    with open(path, "wb") as file:
        pickle.dump(value, file, 4)
    return path


def inputs(folder):
    """(name, files): op-heavy streams, one large bytes object, many small pickles.

    No object stays alive: CPython's garbage collector would look through it during each load.
    """
    rng = random.Random(1)
    for name, make in (("4 M opcodes", small_integers), ("200,000 dicts", dicts),
                       ("200 MB of bytes", large_bytes)):
        yield name, [dump(folder, name, make(rng))]
    value = {f"key{j}": [j, str(j), float(j)] for j in range(40)}
    yield "2,000 of 1.3 kB", [dump(folder, f"small{i}", value) for i in range(2000)]


def median_time(runs, work, clock=time.process_time):
    seconds = []
    for _ in range(runs):
        start = clock()
        work()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def children_time():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def machine(build, runs, files):
    done = subprocess.run([f"{build}/bench/tare_pickle_bench", str(runs), *files],
                          capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def tare_verb(build, runs, verb, path):
    with open(os.devnull, "w", encoding="ascii") as null:
        return median_time(
            runs, lambda: subprocess.run([f"{build}/tare", verb, path], stdout=null, check=True), children_time)


def start_time(build, runs):
    return median_time(
        runs, lambda: subprocess.run([f"{build}/tare", "--version"], capture_output=True, check=True),
        children_time)


def fickling_time(python, path):
    source = ("import sys, time\n"
              "from fickling.fickle import Pickled\n"
              "from fickling.analysis import check_safety\n"
              "data = open(sys.argv[1], 'rb').read()\n"
              "start = time.process_time()\n"
              "check_safety(Pickled.load(data))\n"
              "print(time.process_time() - start)\n")
    done = subprocess.run([python, "-c", source, path], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def beside_fickling(arguments, path):
    theirs = fickling_time(arguments.python, path)
    if theirs is None:
        print("SKIPPED: fickling: not importable by", arguments.python)
        return
    whole = tare_verb(arguments.build, 5 * arguments.runs, "decompile", path)
    start = start_time(arguments.build, 5 * arguments.runs)
    print(f"{os.path.getsize(path)} bytes: tare decompile {whole * 1e3:.2f} ms, of which the start of a "
          f"process {start * 1e3:.2f} ms | fickling's analysis {theirs * 1e3:.2f} ms | "
          f"ratio {theirs / whole:.0f}, without the start {theirs / (whole - start):.0f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    sys.setrecursionlimit(10_000)
    print(f"CPython {sys.version.split()[0]}, medians of {arguments.runs} runs, processor time")
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
        for count in (3_000, 30_000):
            path = dump(folder, "for fickling", [[i % 256 for i in range(20)] for _ in range(count)])
            beside_fickling(arguments, path)


main()
