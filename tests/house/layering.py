#!/usr/bin/env python3
"""Arrows point down: who may include whom.

    cli -> report, convert, craft, scan, sandbox -> format -> object -> archive, pickle, tensor -> io
    cli -> cache -> scan (its public headers)
    cli, report, fetch -> remote -> archive, io
    capi -> format -> ...

A public header (include/tare/) belongs to the layer that implements it and counts as part of it.
Public headers include only each other and the standard library; that in C, the library of C.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CORE = {"io"}
READERS = {"archive", "pickle", "tensor"}
FORMAT = CORE | READERS | {"object", "format"}

# Layer: the layers it may include, besides itself.
BELOW = {
    "io": set(),
    "remote": CORE | {"archive"},
    "fetch": CORE | {"remote"},
    "archive": CORE,
    "pickle": CORE,
    "tensor": CORE,
    "object": CORE | {"pickle", "tensor"},
    "format": CORE | READERS | {"object"},
    "scan": FORMAT,
    "convert": FORMAT,
    "craft": FORMAT,
    # A report tells what scan and convert return; their public headers say what that is.
    "report": FORMAT | {"public scan", "public convert", "remote"},
    # What a scan says is kept and given back.
    "cache": CORE | {"public format", "public scan"},
    "sandbox": CORE,
    "capi": FORMAT,
    "cli": FORMAT | {"scan", "convert", "craft", "report", "cache", "sandbox", "remote"},
}

# Public header, below include/tare/: the layer that it belongs to.
PUBLIC = {
    "byte_sink.hpp": "io",
    "bytes.hpp": "io",
    "detail/pod_vector.hpp": "io",
    "error.hpp": "io",
    "input.hpp": "io",
    "version.hpp": "io",
    "pickle.hpp": "pickle",
    "pickle_disasm.hpp": "pickle",
    "pickle_opcodes.def": "pickle",
    "pickle_decompile.hpp": "pickle",
    "pickle_trace.hpp": "pickle",
    "pickle_writer.hpp": "pickle",
    "slice.hpp": "tensor",
    "named_tensor.hpp": "tensor",
    "tensor.hpp": "tensor",
    "check.hpp": "format",
    "compare.hpp": "format",
    "digest.hpp": "format",
    "model.hpp": "format",
    "nesting.hpp": "format",
    "objects.hpp": "tensor",
    "select.hpp": "format",
    "safetensors.hpp": "format",
    "safetensors_file.hpp": "format",
    "safetensors_writer.hpp": "format",
    "torch_save.hpp": "format",
    "policy.hpp": "scan",
    "scan.hpp": "scan",
    "convert.hpp": "convert",
    "craft.hpp": "craft",
    "tare.h": "capi",
}

DIRECTIVE = re.compile(r"^\s*#\s*(?:include|include_next|import)\b\s*(.*)$")
TARGET = re.compile(r'^(?:"([^"]+)"|<([^>]+)>)')
STANDARD = re.compile(r"^[a-z_0-9]+$")  # <vector>; the headers of C and of others have a dot
STANDARD_C = re.compile(r"^std(def|int)\.h$")
SUFFIXES = {".hpp", ".cpp", ".def", ".h", ".inc"}


def includes(path):
    """(line number, name, is_quoted); the name is None if the line cannot be read."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        directive = DIRECTIVE.match(line)
        if not directive:
            continue
        target = TARGET.match(directive.group(1))
        if not target:
            yield number, None, False
        else:
            yield number, target.group(1) or target.group(2), target.group(1) is not None


def fault_of_target(layer, name):
    """What is wrong with code of `layer` that includes "name" of this repository, or None."""
    directory, slash, rest = name.partition("/")
    if not slash or ".." in name.split("/"):
        return f'"{name}": write it from the top, "layer/file.hpp"'
    if directory == "tare":
        owner = PUBLIC.get(rest)
        if owner is None:
            return f'"{name}" has no layer yet: add it to PUBLIC in tests/house/layering.py'
        allowed = owner == layer or {owner, f"public {owner}"} & BELOW[layer]
    else:
        owner = directory
        if owner not in BELOW:
            return f'"{name}": there is no layer {owner}/'
        allowed = owner == layer or owner in BELOW[layer]
    return None if allowed else f'{layer} must not include "{name}" ({owner})'


def fault_of(layer, public, name, quoted, standard):
    if name is None:
        return "an #include that this test cannot read"
    if quoted or name.startswith("tare/"):
        if public and not name.startswith("tare/"):
            return f'a public header must not include "{name}"'
        return fault_of_target(layer, name)
    if public and not standard.match(name):
        return f"a public header must not include <{name}>: only the standard library"
    if name.partition("/")[0] in BELOW:
        return f'<{name}>: write "{name}"'
    return None


def check(root):
    """(faults, files, includes) of the tree below `root`."""
    faults, files, count = [], 0, 0
    sources = sorted(p for p in (root / "src").rglob("*") if p.suffix in SUFFIXES)
    headers = sorted(p for p in (root / "include").rglob("*") if p.suffix in SUFFIXES)
    for path in sources + headers:
        relative = path.relative_to(root)
        public = relative.parts[0] == "include"
        layer = PUBLIC.get("/".join(relative.parts[2:])) if public else relative.parts[1]
        files += 1
        if public and layer is None:
            faults.append(f"{relative}: has no layer: add it to PUBLIC in tests/house/layering.py")
            continue
        if layer not in BELOW:
            faults.append(f"{relative}: there is no layer {layer}/")
            continue
        for number, name, quoted in includes(path):
            count += 1
            standard = STANDARD_C if path.suffix == ".h" else STANDARD
            fault = fault_of(layer, public, name, quoted, standard)
            if fault:
                faults.append(f"{relative}:{number}: {fault}")
    return faults, files, count


# Where, and the line that must not stand there.
INJECTIONS = [
    ("src/io/error.cpp", '#include "format/format.hpp"'),
    ("src/io/error.cpp", '#include "tare/scan.hpp"'),
    ("src/pickle/machine.cpp", '#include "format/torch_types.hpp"'),
    ("src/pickle/machine.cpp", '#include "archive/zip_reader.hpp"'),
    ("src/pickle/machine.cpp", '#include "tare/tensor.hpp"'),
    ("src/archive/zip_reader.cpp", '# include "pickle/memo.hpp"'),
    ("src/format/registry.cpp", '#include "scan/policy.hpp"'),
    ("src/format/registry.cpp", "#include <tare/scan.hpp>"),
    ("src/scan/scan.cpp", '#include "report/text.hpp"'),
    ("src/scan/scan.cpp", '#include "../report/text.hpp"'),
    ("src/scan/scan.cpp", "#include HEADER"),
    ("src/convert/convert.cpp", '#include "tare/scan.hpp"'),
    ("src/craft/recipes.cpp", '#include "tare/scan.hpp"'),
    ("src/scan/scan.cpp", '#include "tare/craft.hpp"'),
    ("src/report/text.cpp", '#include "scan/policy.hpp"'),
    ("src/sandbox/sandbox.cpp", '#include "tare/pickle.hpp"'),
    ("src/fetch/session.cpp", '#include "tare/scan.hpp"'),
    ("src/remote/fetcher.cpp", '#include "format/format.hpp"'),
    ("src/cli/scan.cpp", '#include "fetch/client.hpp"'),
    ("include/tare/scan.hpp", '#include "scan/policy.hpp"'),
    ("include/tare/scan.hpp", "#include <fmt/format.h>"),
    ("include/tare/scan.hpp", "#include <unistd.h>"),
    ("include/tare/scan.hpp", '#include "tare/no_such_layer.hpp"'),
    ("include/tare/tare.h", "#include <vector>"),
    ("include/tare/tare.h", "#include <unistd.h>"),
    ("src/capi/model.cpp", '#include "report/text.hpp"'),
    ("src/format/registry.cpp", '#include "tare/tare.h"'),
]


def self_test():
    """Each forbidden line, added to a copy of the tree, must give one more fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("src", "include"):
            shutil.copytree(ROOT / name, copy / name)
        before = len(check(copy)[0])
        for name, line in INJECTIONS:
            path = copy / name
            original = path.read_text(encoding="utf-8")
            path.write_text(original + "\n" + line + "\n", encoding="utf-8")
            if len(check(copy)[0]) != before + 1:
                sys.exit(f"self-test: {line} in {name} is not found")
            path.write_text(original, encoding="utf-8")
    print(f"self-test: all {len(INJECTIONS)} forbidden includes are found")


def main():
    self_test()
    faults, files, count = check(ROOT)
    for fault in faults:
        print(fault)
    print(f"layering: {count} includes in {files} files, {len(faults)} faults")
    if count == 0:
        sys.exit("layering: no includes at all: this is not the tree")
    sys.exit(1 if faults else 0)


main()
