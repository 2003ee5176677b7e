"""tare scan beside the scanners that people use, and beside CPython's own load, in one run.

Usage: scan_bench.py BUILD_DIR [--runs N] [--folder DIR] [--peers DIR] [--only CASE] [--limit SECONDS]

Every contender is a command. Its times are those from start to end of the process, by the wall clock and of
the processor (user and system): medians of N runs for tare, one run for a peer (it takes seconds; more runs would
not change the ratio). On a machine that does other things as well the second one tells more. A peer that is
not done after the limit is stopped, and its ratio is a lower bound. Peers are installed with pip, each into a
virtual environment of its own below DIR (default: BUILD_DIR/bench/peers), which is kept; what cannot be
installed is SKIPPED. Peak memory is the largest resident set that the system saw, which cannot be less than
that of the small Python that starts the command (about 10 MiB).
All files are benign: what is measured is how long it takes to be sure of that.
"""

import argparse
import json
import os
import pickle
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import venv
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "cli"))
from harness import Storage, Tensor, pickle_checkpoint, safetensors_bytes  # noqa: E402

# ---- files


class Zip:
    """A stored zip as torch.save writes it, zip64 where it must be; large entries may be holes."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.entries = []

    def add(self, name, size, crc, write):
        offset = self.file.tell()
        name = name.encode()
        extra = struct.pack("<HHQQ", 1, 16, size, size)
        self.file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF,
                                    len(name), len(extra)) + name + extra)
        write(self.file)
        self.entries.append((name, size, crc, offset))

    def add_bytes(self, name, content):
        self.add(name, len(content), zlib.crc32(content), lambda file: file.write(content))

    def add_zeros(self, name, size):
        self.add(name, size, crc_of_zeros(size), lambda file: file.seek(size, os.SEEK_CUR))

    def close(self):
        start = self.file.tell()
        for name, size, crc, offset in self.entries:
            extra = struct.pack("<HHQQQ", 1, 24, size, size, offset)
            self.file.write(struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF,
                                        0xFFFFFFFF, len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF) + name + extra)
        end, count = self.file.tell(), len(self.entries)
        self.file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, end - start, start))
        self.file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        self.file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, end - start, 0xFFFFFFFF, 0))
        self.file.close()


def crc_of_zeros(size):
    block, crc = bytes(1 << 24), 0
    for _ in range(size >> 24):
        crc = zlib.crc32(block, crc)
    return zlib.crc32(bytes(size & ((1 << 24) - 1)), crc)


def torch_zip(path, storages):
    """A state dict of float tensors, one for each storage: bytes, or a number of zero bytes."""
    stem = os.path.splitext(os.path.basename(path))[0]
    archive = Zip(path)
    value = {}
    for key, content in enumerate(storages):
        count = (content if isinstance(content, int) else len(content)) // 4
        value[f"layer{key}.weight"] = Tensor(Storage("FloatStorage", str(key), None, count), 0, (count,), (1,))
    archive.add_bytes(f"{stem}/data.pkl", pickle_checkpoint(value))
    for key, content in enumerate(storages):
        add = archive.add_zeros if isinstance(content, int) else archive.add_bytes
        add(f"{stem}/data/{key}", content)
    archive.add_bytes(f"{stem}/version", b"3\n")
    archive.close()


def small_value():
    return {f"key{j}": [j, str(j), float(j)] for j in range(40)}


def small_pickles(folder):
    for i in range(2000):
        with open(os.path.join(folder, f"small{i}.pkl"), "wb") as file:
            pickle.dump(small_value(), file, 4)


def op_heavy(folder):
    rng = random.Random(1)
    value = [[rng.randrange(256) if rng.random() < 0.75 else rng.randrange(65536) for _ in range(20)]
             for _ in range(167_000)]
    with open(os.path.join(folder, "heavy.pkl"), "wb") as file:
        pickle.dump(value, file, 4)


def large_zip(folder):
    rng = random.Random(2)
    torch_zip(os.path.join(folder, "model.pt"), [rng.randbytes(2_100_000) for _ in range(100)])


def sparse_zip(folder):
    torch_zip(os.path.join(folder, "model.pt"), [10_000_000_000])


def mixed_tree(folder):
    rng = random.Random(3)
    checkpoint = os.path.join(folder, "checkpoint.pt")
    torch_zip(checkpoint, [rng.randbytes(4096), rng.randbytes(64)])
    with open(checkpoint, "rb") as file:
        zipped = file.read()
    os.unlink(checkpoint)
    contents = [(".pkl", pickle.dumps(small_value(), 4)), (".pt", zipped),
                (".safetensors", safetensors_bytes({"w": ("F32", [1024], rng.randbytes(4096))})),
                (".py", b"import os\n\n\ndef main():\n    return os.getpid()\n" * 40), (".json", b'{"a": [1, 2, 3]}' * 50),
                (".md", b"# A title\n\nAnd some text.\n" * 60), (".png", b"\x89PNG\r\n\x1a\n" + rng.randbytes(8000))]
    kinds = rng.choices(range(len(contents)), [40, 15, 10, 15, 10, 5, 5], k=10_000)
    for i, kind in enumerate(kinds):
        where = os.path.join(folder, f"project{i % 20}", f"run{i % 200}")
        os.makedirs(where, exist_ok=True)
        extension, content = contents[kind]
        with open(os.path.join(where, f"file{i}{extension}"), "wb") as file:
            file.write(content)


CASES = {
    "2,000 small pickles": small_pickles,
    "4 M opcodes in a pickle": op_heavy,
    "210 MB torch zip": large_zip,
    "10 GB sparse torch zip": sparse_zip,
    "a tree of 10,000 files": mixed_tree,
}

# ---- contenders

# Starts a command, and says how long it took, the most memory it had, and how it ended.
STARTER = """
import json, os, subprocess, sys, threading, time
with open(os.devnull, "wb") as null:
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[3:], stdout=open(sys.argv[2], "wb"), stderr=null, stdin=null)
    # Not wait(timeout), which looks only now and then whether the process has ended.
    limit = threading.Timer(float(sys.argv[1]), process.kill)
    limit.daemon = True
    limit.start()
    process.wait()
    seconds = time.perf_counter() - start
    limit.cancel()
import resource
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([[seconds, usage.ru_utime + usage.ru_stime], usage.ru_maxrss * 1024, process.returncode]))
"""

# The command of fickling takes one file; this is what it does, for many, in one process.
FICKLING = """
import sys
from pathlib import Path
from fickling.fickle import StackedPickle
from fickling.analysis import check_safety
for path in sorted(Path(sys.argv[1]).rglob("*.pkl")):
    with open(path, "rb") as file:
        for pickled in StackedPickle.load(file):
            check_safety(pickled)
"""

# All pickles of a folder, by who made them; without the start of Python.
LOAD = """
import pickle, sys, time
from pathlib import Path
paths = sorted(Path(sys.argv[1]).rglob("*.pkl"))
start = time.perf_counter()
for path in paths:
    with open(path, "rb") as file:
        pickle.load(file)
print(time.perf_counter() - start)
"""


def measure(limit, *command):
    with tempfile.NamedTemporaryFile() as output:
        done = subprocess.run([sys.executable, "-S", "-E", "-c", STARTER, str(limit), output.name, *command],
                              capture_output=True, text=True, check=True)
        seconds, peak, code = json.loads(done.stdout)
        return seconds, peak, code, output.read().decode(errors="replace")


def tare(build, runs, limit, folder, *options):
    """Median seconds by the wall clock and of the processor, largest peak, and the line with the totals."""
    seconds, peaks = [], []
    for _ in range(runs):
        taken, peak, code, text = measure(limit, f"{build}/tare", "scan", *options, folder)
        if code != 0:
            raise RuntimeError(f"tare ends with {code}:\n{text[-1000:]}")
        seconds.append(taken)
        peaks.append(peak)
    return list(map(statistics.median, zip(*seconds))), max(peaks), text.splitlines()[-1].split("  (")[0]


# What a package needs and does not say (fickling 0.1.12, before Python 3.12).
ALSO = {"fickling": ["typing_extensions"]}


def install(folder, package):
    """The Python of a virtual environment that has the package; None if it cannot be had."""
    where = os.path.join(folder, package)
    python = os.path.join(where, "bin", "python")
    if not os.path.exists(os.path.join(where, "installed")):
        venv.create(where, with_pip=True, clear=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", package, *ALSO.get(package, [])],
                              capture_output=True, check=False)
        if done.returncode != 0:
            return None
        with open(os.path.join(where, "installed"), "wb"):
            pass
    return python


def version(python, package):
    source = f"from importlib.metadata import version; print(version('{package}'))"
    return subprocess.run([python, "-c", source], capture_output=True, text=True, check=True).stdout.strip()


def peers(folder):
    """(name with version, command for a folder) for each peer that is there."""
    commands = {
        "picklescan": lambda bin, path: [f"{bin}/picklescan", "-p", path],
        "modelscan": lambda bin, path: [f"{bin}/modelscan", "scan", "-p", path],
        "fickling": lambda bin, path: [f"{bin}/python", "-c", FICKLING, path],
        "modelaudit": lambda bin, path: ["env", "PROMPTFOO_DISABLE_TELEMETRY=1", "NO_ANALYTICS=1",
                                         f"{bin}/modelaudit", "scan", "--no-cache", path],
    }
    for package, command in commands.items():
        python = install(folder, package)
        if python is None:
            print(f"SKIPPED: {package}: pip cannot install it here")
            continue
        where = os.path.dirname(python)
        yield f"{package} {version(python, package)}", lambda path, command=command, where=where: command(where, path)


def line(name, seconds, peak, ours, note=""):
    figures = ""
    for i, taken in enumerate(seconds):
        figures += f" {taken * 1e3:11.2f} ms" + (f" {taken / ours[i]:8.1f} x" if ours else " " * 11)
    print(f"  {name:34}{figures}  {peak / (1 << 20):7.1f} MiB  {note}".rstrip(), flush=True)


def run_cached(arguments, folder, ours):
    """The first scan with a cache, and scans after it; ratios to a scan without."""
    time.sleep(3)  # a file is known by its times if they are not those of just now
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        first, peak, totals = tare(arguments.build, 1, arguments.limit, folder, "--cache")
        line("tare scan --cache, first", first, peak, ours, totals)
        again, peak, totals = tare(arguments.build, arguments.runs, arguments.limit, folder, "--cache")
        line("tare scan --cache, again", again, peak, ours, f"{first[0] / again[0]:.1f} x faster than the first")
        read, peak, _ = tare(arguments.build, arguments.runs, arguments.limit, folder, "--cache=content")
        line("tare scan --cache=content, again", read, peak, ours)
        del os.environ["XDG_CACHE_HOME"]


def run_case(arguments, contenders, name, folder):
    print(f"{name}:")
    ours, peak, totals = tare(arguments.build, arguments.runs, arguments.limit, folder)
    line("tare scan", ours, peak, None, totals)
    one, peak, _ = tare(arguments.build, arguments.runs, arguments.limit, folder, "-j", "1")
    line("tare scan -j 1", one, peak, ours)
    if name == "a tree of 10,000 files":
        run_cached(arguments, folder, ours)
    if name in ("2,000 small pickles", "4 M opcodes in a pickle"):
        seconds, peak, _, text = measure(arguments.limit, sys.executable, "-c", LOAD, folder)
        line("CPython's pickle.load, with start", seconds, peak, ours)
        line("CPython's pickle.load, without", [float(text), float(text)], peak, ours)
    for peer, command in contenders:
        if "zip" in name and peer.startswith("fickling"):
            continue  # what it is asked to do here is for pickles
        seconds, peak, code, _ = measure(arguments.limit, *command(folder))
        note = "stopped at the limit" if code == -9 else f"exit {code}"
        line(peer, seconds, peak, ours, note)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--peers")
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--limit", type=float, default=300)
    arguments = parser.parse_args()
    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} processors; wall clock, processor time, start of the "
          f"process included; ratios to `tare scan`")
    contenders = list(peers(arguments.peers or os.path.join(arguments.build, "bench", "peers")))
    for name, make in CASES.items():
        if arguments.only and name != arguments.only:
            continue
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            make(folder)
            run_case(arguments, contenders, name, folder)


main()
