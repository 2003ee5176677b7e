"""tare's 7z reader against archives that 7-Zip writes, and against what it still reads of damaged ones.

Usage: sevenzip.py DRIVER [--archives N] [--mutants N] [--seed N]

Well-formed archives: the files that went in, with their names, sizes and contents, and no anomaly that is not
really there. Damaged ones: what 7-Zip reads without complaint, tare reads as well, and the same.
Exit code 77 if there is no 7z.
"""

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

PARTS = ["a", "model", "weights.bin", "data", "x" * 60, "\u00e9t\u00e9", "\u6a21\u578b", "\U0001f600", "with space", "q'q"]
METHODS = ["Copy", "LZMA", "LZMA2", "BZip2", "Deflate", "LZMA2:d=64m", "LZMA:lc=0:lp=2:pb=0", "LZMA:eos"]
FILTERS = ["BCJ", "ARM", "ARMT", "PPC", "SPARC", "IA64", "ARM64", "Delta:1", "Delta:4", "Delta:256"]
# Known, and not read: 7-Zip writes them, tare says so.
UNREAD = ["PPMd", "Deflate64", "BCJ2+LZMA"]
# What is said of a link is true; anything else of a well-formed archive is not.
HONEST = ("the entry is a link",)


def run(driver, archives):
    """For each archive None, or (entries, anomalies)."""
    data = b"".join(struct.pack("<Q", len(a)) + a for a in archives)
    done = subprocess.run([driver], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{driver} failed: {done.returncode} {done.stderr.decode()}")
    results, entries, anomalies = [], [], []
    for line in done.stdout.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "entry":
            kind, name, size, crc, is_whole = rest.split(" ")
            entries.append((kind, bytes.fromhex(name[1:]).decode(), int(size), int(crc), is_whole == "1"))
        elif word == "anomaly":
            anomalies.append(rest)
        else:
            results.append((entries, anomalies) if word == "end" else None)
            entries, anomalies = [], []
    assert len(results) == len(archives)
    return results


def content(rng):
    size = rng.choice((0, 1, 100, 5000, 300_000))
    code = bytes(rng.choice((0xE8, 0xE9, 0x94, 0xEB, 0x48, 0, 0xFF)) for _ in range(min(size, 3000)))
    return (code + rng.randbytes(size // 3) + b"text " * size)[:size]


def tree(rng, folder):
    """Writes files; returns what an archive of them holds: (kind, name, size, crc)."""
    expected = {}
    for _ in range(rng.randrange(1, 9)):
        parts = [rng.choice(PARTS) for _ in range(rng.randrange(1, 4))]
        path = os.path.join(folder, *parts)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            kind = rng.choice(("file",) * 8 + ("directory", "link"))
            if kind == "file":
                with open(path, "xb") as file:
                    file.write(content(rng))
            elif kind == "link":
                os.symlink("target/of it", path)
            else:
                os.mkdir(path)
        except OSError:  # a file or a link stands in the way
            continue
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                data, kind = os.readlink(path).encode(), "link"
            elif os.path.isdir(path):
                data, kind = b"", "directory"
            else:
                with open(path, "rb") as file:
                    data, kind = file.read(), "file"
            expected[key] = (kind, len(data), zlib.crc32(data))
    return expected


def make(sevenzip, rng, work, chain):
    """(archive, expected)."""
    folder = os.path.join(work, "tree")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    expected = tree(rng, folder)
    out = os.path.join(work, "out.7z")
    if os.path.exists(out):
        os.remove(out)
    options = [f"-m{i}={method}" for i, method in enumerate(chain)]
    options.append(rng.choice(("-ms=on", "-ms=off", "-ms=2f")))
    options.append(rng.choice(("-mhc=on", "-mhc=off")))
    options.append(f"-mx={rng.choice((1, 5))}")
    names = sorted(os.listdir(folder))
    done = subprocess.run([sevenzip, "a", "-bd", "-y", "-snl", *options, out, *names], cwd=folder, capture_output=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"7z failed: {done.stdout.decode()}")
    with open(out, "rb") as file:
        return file.read(), expected


def chains(rng, count):
    for i in range(count):
        method = METHODS[i % len(METHODS)]
        yield [rng.choice(FILTERS), method] if rng.random() < 0.6 else [method]


def check_well_formed(driver, sevenzip, rng, work, count):
    made = [make(sevenzip, rng, work, chain) for chain in chains(rng, count)]
    for (archive, expected), found in zip(made, run(driver, [archive for archive, _ in made])):
        assert found is not None, "7-Zip wrote it, tare refuses it"
        entries, anomalies = found
        assert all(is_whole for *_, is_whole in entries), entries
        assert {name: (kind, size, crc) for kind, name, size, crc, _ in entries} == expected, (entries, expected)
        assert len(entries) == len(expected)
        assert not [a for a in anomalies if a not in HONEST], anomalies
    return made


def check_unread(driver, sevenzip, rng, work):
    for chain in UNREAD:
        archive, expected = make(sevenzip, rng, work, chain.split("+"))
        entries, _ = run(driver, [archive])[0]
        assert {name for _, name, *_ in entries} == set(expected)
        assert all(size == 0 or not is_whole for _, _, size, _, is_whole in entries), chain


def header_of(archive):
    return 32 + struct.unpack_from("<Q", archive, 12)[0]


def mutant(rng, archive):
    """Damaged in the header as a rule: 7-Zip finds what is damaged elsewhere by its checksum."""
    data = bytearray(archive)
    header = len(data) - header_of(archive)
    for _ in range(rng.choice((1, 1, 2))):
        where = len(data) - rng.randrange(1, header) if rng.random() < 0.9 else rng.randrange(len(data))
        action = rng.choice((0, 0, 0, 1, 2))
        if action == 0:
            data[where] ^= 1 << rng.randrange(8)
        elif action == 1:
            data[where:where + 1] = b""
        else:
            data[where:where] = bytes([rng.randrange(256)])
    # The checksums are right again: whoever means harm computes them as well.
    if rng.random() < 0.8 and len(data) >= 32:
        offset, size = struct.unpack_from("<QQ", data, 12)
        if offset + size <= len(data) - 32:
            struct.pack_into("<I", data, 28, zlib.crc32(data[32 + offset:32 + offset + size]))
        struct.pack_into("<I", data, 8, zlib.crc32(data[12:32]))
    return bytes(data)


def extracted(sevenzip, work, archive):
    """The files that 7-Zip takes out of it; None if it complains about anything."""
    path, out = os.path.join(work, "m.7z"), os.path.join(work, "x")
    with open(path, "wb") as file:
        file.write(archive)
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run([sevenzip, "x", "-bd", "-y", "-snld", "-o" + out, path], capture_output=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0 or b"WARNING" in done.stdout + done.stderr:
        return None
    found = {}
    for base, _, files in os.walk(out):
        for name in files:
            path = os.path.join(base, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    data = file.read()
                found[os.path.relpath(path, out)] = (len(data), zlib.crc32(data))
    return found


def check_mutants(driver, sevenzip, rng, work, made, count):
    plain = [archive for archive, _ in made if archive[header_of(archive)] == 1]
    small = [archive for archive in plain if len(archive) < 20_000]
    mutants = [mutant(rng, rng.choice(small)) for _ in range(count)]
    agreed = 0
    for archive, found in zip(mutants, run(driver, mutants)):
        reference = extracted(sevenzip, work, archive)
        if reference is None:
            continue
        if found is None:
            assert not reference, ("7-Zip reads it, tare refuses it", archive.hex())
            continue
        entries, anomalies = found
        if anomalies:
            continue  # it is reported, and readers may differ
        listed = {name: (size, crc) for kind, name, size, crc, is_whole in entries if kind == "file" and is_whole}
        for name, file in reference.items():
            assert listed.get(name) == file, (name, file, listed, archive.hex())
        agreed += 1
    return agreed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--archives", type=int, default=60)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20)
    arguments = parser.parse_args()
    sevenzip = shutil.which("7z")
    if sevenzip is None:
        print("SKIPPED: there is no 7z here (p7zip-full)")
        sys.exit(77)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as work:
        made = check_well_formed(arguments.driver, sevenzip, rng, work, arguments.archives)
        check_unread(arguments.driver, sevenzip, rng, work)
        agreed = check_mutants(arguments.driver, sevenzip, rng, work, made, arguments.mutants)
        assert agreed > 0, "no mutant that both read"
    print(f"{len(made)} archives alike, {arguments.mutants} mutants ({agreed} that both read)")


main()
