#!/usr/bin/env python3
"""The binary interface of libtare.so: what the header declares, the version script lists and the library
exports is the same, under the SONAME libtare.so.0; and the header is C99, and C++ as well.

Usage: abi.py LIBRARY C_COMPILER CXX_COMPILER
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "tare" / "tare.h"
SCRIPT = ROOT / "src" / "capi" / "tare.map"
SONAME = "libtare.so.0"

FIRST = "TARE_0.1"  # the version of tare_open(), for the self-test


def declared(header):
    """The functions that a header declares."""
    code = re.sub(r"//.*", "", header)
    return set(re.findall(r"\b(tare_[a-z0-9_]+)\s*\(", code))


def listed(script):
    """{function: version} of a version script."""
    names = {}
    code = re.sub(r"#.*", "", script)
    for version, body in re.findall(r"(\w[\w.]*)\s*\{(.*?)\}", code, re.S):
        for name in re.findall(r"^\s*([\w*]+);", body.split("local:")[0], re.M):
            names[name] = version
    return names


def exported(listing):
    """{function: version} of the output of nm -D --defined-only."""
    names = {}
    for line in listing.splitlines():
        kind, _, symbol = line.partition(" ")[2].partition(" ")
        name, _, version = symbol.partition("@@")
        if kind != "A":  # the names of the versions themselves
            names[name] = version
    return names


def faults_of(header, script, listing, dynamic):
    functions, versions, symbols = declared(header), listed(script), exported(listing)
    for name in sorted(functions ^ set(versions)):
        yield f"{name}: is only in the {'header' if name in functions else 'version script'}"
    for name in sorted(set(versions) | set(symbols)):
        if versions.get(name) != symbols.get(name):
            yield f"{name}: listed as {versions.get(name)}, exported as {symbols.get(name)}"
    if "local:\n    *;" not in script:
        yield "the version script does not hide what it does not list"
    if f"[{SONAME}]" not in dynamic:
        yield f"the SONAME is not {SONAME}"


def self_test(good):
    """Each change for the worse gives a fault."""
    header, script, listing, dynamic = good
    line = next(line for line in listing.splitlines() if line.endswith(f"tare_open@@{FIRST}"))
    worse = [
        (header + "\nvoid tare_new(void);\n", script, listing, dynamic),
        (header.replace("tare_status tare_open(", "tare_status tare_opened("), script, listing, dynamic),
        (header, script.replace("    tare_open;\n", ""), listing, dynamic),
        (header, script.replace("local:\n    *;", ""), listing, dynamic),
        (header, script, listing.replace(line + "\n", ""), dynamic),
        (header, script, listing.replace(f"tare_open@@{FIRST}", "tare_open@@TARE_0.2"), dynamic),
        (header, script, listing.replace(f"tare_open@@{FIRST}", "tare_open"), dynamic),
        (header, script, listing + "\n0000 T _ZN4tare7versionEv\n", dynamic),
        (header, script, listing, dynamic.replace(SONAME, "libtare.so")),
    ]
    for case in worse:
        if not list(faults_of(*case)):
            sys.exit(f"self-test: change {worse.index(case) + 1} is not noticed")
    print(f"self-test: all {len(worse)} changes for the worse are noticed")


def compiles(compiler, standard, language, code):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "user"
        source.write_text(code, encoding="ascii")
        command = [compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                   f"-I{ROOT / 'include'}", "-fsyntax-only", source]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stderr


def header_faults(c_compiler, cxx_compiler):
    code = ('#include "tare/tare.h"\n#include "tare/tare.h"\n'
            "int main(void) { tare_open_options o = TARE_OPEN_OPTIONS_INIT; tare_read_options r = TARE_READ_OPTIONS_INIT;"
            " tare_save_options s = TARE_SAVE_OPTIONS_INIT; return o.access + r.past_cache + s.overwrite; }\n")
    for compiler, language, standard in [(c_compiler, "c", "c99"), (c_compiler, "c", "c11"), (c_compiler, "c", "c17"),
                                         (cxx_compiler, "c++", "c++11"), (cxx_compiler, "c++", "c++23")]:
        fine, errors = compiles(compiler, standard, language, code)
        if not fine:
            yield f"tare.h as {standard}: {errors}"
    if compiles(c_compiler, "c99", "c", code.replace("o.access", "o.acces"))[0]:
        yield "self-test: a broken program compiles"


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main():
    library, c_compiler, cxx_compiler = sys.argv[1:]
    case = (HEADER.read_text(encoding="ascii"), SCRIPT.read_text(encoding="ascii"),
            output("nm", "-D", "--defined-only", library), output("readelf", "-d", library))
    self_test(case)
    faults = list(faults_of(*case)) + list(header_faults(c_compiler, cxx_compiler))
    for fault in faults:
        print(fault)
    print(f"abi: {len(declared(case[0]))} functions, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
