"""Hostile files, cut off at every byte and with every byte changed: what comes out as safe is held
against CPython's unpicklers, which must not find anything in it that is not on the list.

Nothing of a file is run: find_class is replaced (tests/differential/recorder.py)."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import random
import subprocess
import sys
import tarfile
import unittest
import zipfile
import zlib

from harness import TARE, TareTest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import recorder  # noqa: E402

# What a payload here may name and still be safe: nothing of it does any harm.
HARMLESS = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch", "FloatStorage"),
}
# Changed bytes of a file beyond this size are a sample.
MOST_BYTES = 700
SEED = 20260926


def crafted():
    """The bytes of every recipe of `tare craft`, without the marker."""
    def craft(*arguments):
        command = [os.path.abspath(TARE), "craft", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    listed = craft("--list").decode()
    names = [line.split()[0] for block in listed.split("\n\n") for line in block.splitlines()[1:]]
    recipes = {}
    for name in names:
        done = subprocess.run(
            [os.path.abspath(TARE), "craft", "--recipe", name, "--bare", "-o", "-"],
            capture_output=True, check=False)
        if done.returncode == 0:
            recipes[name] = done.stdout
    return recipes


def more():
    """Containers around a payload that `tare craft` does not make."""
    payload = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", payload + b" " * 50)
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w") as archive:
        member = tarfile.TarInfo("model.pkl")
        member.size = len(payload)
        archive.addfile(member, io.BytesIO(payload))
    return {
        "deflated.zip": encoded.getvalue(),
        "model.tar": package.getvalue()[:1600],
        "model.pkl.xz": lzma.compress(payload),
        "model.lzma": lzma.compress(payload, format=lzma.FORMAT_ALONE),
        "model.bz2": bz2.compress(payload),
    }


def mutants(content, rng):
    """(what was done, bytes): every prefix, and every byte changed in two ways."""
    offsets = range(len(content))
    if len(content) > MOST_BYTES:
        offsets = sorted(rng.sample(offsets, MOST_BYTES))
    for at in offsets:
        yield f"cut at {at}", content[:at]
        for flip in (1 << rng.randrange(8), rng.randrange(1, 256)):
            changed = bytearray(content)
            changed[at] ^= flip
            yield f"byte {at} ^ {flip:#x}", bytes(changed)


def streams_of(content, depth=0):
    """What a loader could hand to an unpickler."""
    yield content
    if depth == 3:
        return
    inner = []
    for unpack in (gzip.decompress, bz2.decompress, zlib.decompress, lzma.decompress):
        try:
            inner.append(unpack(content))
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
            pass
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                try:
                    inner.append(archive.read(member))
                except Exception:  # whatever this reader refuses, another one is told of
                    pass
    except Exception:
        pass
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                if member.isreg():
                    inner.append(archive.extractfile(member).read())
    except Exception:
        pass
    if content[:6] == b"\x93NUMPY":
        inner.append(content[128:])
    for stream in inner:
        yield from streams_of(stream, depth + 1)


def imports_of(stream):
    """What the unpicklers would import, of this stream and those that follow."""
    found = set()
    for unpickler in (recorder.C, recorder.PYTHON):
        rest = stream
        for _ in range(8):
            run = recorder.record(unpickler, rest)
            found |= {event[1:] for event in run.events if event[0] == "import"}
            end = run.file.tell()
            if run.end != "STOP" or end == 0 or end >= len(rest):
                break
            rest = rest[end:]
    return found


def harm_in(content):
    return {pair for stream in streams_of(content) for pair in imports_of(stream)} - HARMLESS


class Mutants(TareTest):
    def scan(self, files):
        """The verdict of each file; none for what no format recognises."""
        for number, content in enumerate(files):
            self.write(f"{number:06}", content)
        names = "".join(f"{number:06}\n" for number in range(len(files)))
        verdicts = []
        for begin in range(0, len(files), 1000):
            batch = names.splitlines()[begin : begin + 1000]
            report = self.tare("scan", "--format", "json", *batch)
            self.assertNotIn(report.returncode, (-6, -11), report.stderr)
            verdicts += [file.get("verdict") for file in json.loads(report.stdout)["files"]]
        self.assertEqual(len(verdicts), len(files))
        return verdicts

    def test_nothing_hostile_is_safe(self):
        rng = random.Random(SEED)
        sources = {**crafted(), **more()}
        self.assertGreaterEqual(len(sources), 85)
        # 131 kB of padding: its mutants are those of its first bytes.
        sources = {name: data for name, data in sources.items() if len(data) < 20_000}
        total = 0
        safe = 0
        for name, content in sources.items():
            made = list(mutants(content, rng))
            total += len(made)
            for (what, mutant), verdict in zip(made, self.scan([data for _, data in made])):
                if verdict != "safe":
                    continue
                safe += 1
                self.assertEqual(harm_in(mutant), set(), f"{name}: {what} is safe: {mutant!r}")
        print(f"{len(sources)} files, {total} mutants, {safe} of them safe")
        self.assertGreater(total, 20_000)

    def test_the_check_can_fail(self):
        self.assertEqual(harm_in(b"cos\nsystem\n."), {("os", "system")})
        self.assertEqual(harm_in(gzip.compress(b"N.cos\nsystem\n.")), {("os", "system")})
        self.assertEqual(harm_in(b"N."), set())
        self.assertEqual(pickle.loads(b"N."), None)


if __name__ == "__main__":
    unittest.main()
