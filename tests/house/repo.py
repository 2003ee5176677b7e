#!/usr/bin/env python3
"""The files of the repository: size, characters, width, and headers that open with prose."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MAX_BYTES = 1_000_000
MAX_COLUMNS = 100
SOURCES = {".hpp", ".cpp", ".def", ".h", ".c", ".py", ".sh"}
CXX = {".hpp", ".cpp", ".def", ".h", ".c"}
HEADERS = {".hpp", ".h"}
PROSE = re.compile(r"// [A-Za-z`].*[a-z]{2,}.* ")  # more than a file name


def tracked(root):
    """The files that git tracks; outside of a checkout, all files but what was built."""
    command = ["git", "-C", root, "ls-files", "-z"]
    listing = subprocess.run(command, capture_output=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        names = os.fsdecode(listing.stdout).split("\0")
        return [root / name for name in names if name and (root / name).is_file()], "tracked"
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - {".git", "build", "__pycache__"})
        files += [Path(folder) / name for name in sorted(names)]
    return files, "found (git does not list them here)"


def faults_of(path, name):
    """What is wrong with one file."""
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        yield f"{name}: {len(data)} bytes, more than {MAX_BYTES}"
    if path.suffix not in SOURCES:
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        where = f"{name}:{number}"
        if not line.isascii():
            yield f"{where}: not ASCII"
        if line != line.rstrip():
            yield f"{where}: space at the end of the line"
        if b"\t" in line:
            yield f"{where}: a tab"
        if path.suffix in CXX and len(line) > MAX_COLUMNS:
            yield f"{where}: {len(line)} columns, more than {MAX_COLUMNS}"
    if data and not data.endswith(b"\n"):
        yield f"{name}: the last line has no end"
    if path.suffix in HEADERS:
        first = data.split(b"\n", 1)[0].decode("ascii", "replace")
        if not PROSE.match(first):
            yield f"{name}: does not open with a // comment that says what it is"


# A file that is at fault, and how often.
BAD = [
    ("big.bin", b"\0" * (MAX_BYTES + 1), 1),
    ("a.cpp", b"// caf\xc3\xa9\n", 1),
    ("a.def", b"int a; \n\tint b;\n", 2),
    ("a.hpp", b"// A header that says what it is.\n" + b"x" * 101 + b"\n", 1),
    ("b.hpp", b"#pragma once\n", 1),
    ("c.hpp", b"// c.hpp\n", 1),
    ("d.hpp", b"\n// A header that says what it is.\n", 1),
    ("e.h", b"#ifndef E_H\n", 1),
    ("a.c", b"// caf\xc3\xa9\n", 1),
    ("a.py", b"x = 1\r\n", 1),
    ("a.sh", b"true", 1),
]
GOOD = [
    ("a.hpp", b"// A header that says what it is.\n#pragma once\n"),
    ("a.cpp", b"x" * 100 + b"\n"),
    ("a.md", b"caf\xc3\xa9 \t\n"),
    ("empty.py", b""),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        cases = BAD + [(name, data, 0) for name, data in GOOD]
        for name, data, count in cases:
            path = Path(folder) / name
            path.write_bytes(data)
            found = list(faults_of(path, name))
            if len(found) != count:
                sys.exit(f"self-test: {name} {data[:40]!r}: {count} faults expected, found {found}")
    print(f"self-test: {len(BAD)} bad files are found, {len(GOOD)} good ones pass")


def main():
    self_test()
    files, how = tracked(ROOT)
    faults = []
    for path in files:
        faults += faults_of(path, str(path.relative_to(ROOT)))
    for fault in faults:
        print(fault)
    sources = sum(path.suffix in SOURCES for path in files)
    print(f"repo: {len(files)} files {how}, {sources} of them sources, {len(faults)} faults")
    sys.exit(1 if faults or sources == 0 else 0)


main()
