"""tare's safetensors reader and writer against the reference package.

Usage: safetensors_differential.py DRIVER [--headers N] [--models N] [--seed N]

The same bytes, mutated in many ways, go through `safetensors.deserialize` and through tare under the
reference's rules: both accept or both refuse, with the same tensors. Files that the reference writes are
read and written anew by tare: the same bytes.
"""

import argparse
import ctypes
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

try:
    import safetensors
except ImportError:
    safetensors = None

DTYPES = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
          "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
          "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
NAMES = ["a", "b", "weight", "", "\0", "\u00e9", "\U0001f600", "../x", "a.10", "a.2", 'q"q', "\\", "\n", "\x7f", "Z",
         "__metadata", "\u2028", "/"]


def framed(data):
    return struct.pack("<Q", len(data)) + data


def file_of(text, data):
    header = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return framed(header) + data


def random_model(rng):
    """A header as nested Python values, and its data."""
    entries, offset = {}, 0
    for name in rng.sample(NAMES, rng.randrange(5)):
        dtype = rng.choice(list(DTYPES))
        shape = [rng.choice([0, 1, 2, 3, 4, 8]) for _ in range(rng.randrange(4))]
        count = 1
        for size in shape:
            count *= size
        size = count * DTYPES[dtype] // 8
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    if rng.random() < 0.3:
        entries["__metadata__"] = {rng.choice(NAMES): rng.choice(NAMES) for _ in range(rng.randrange(3))}
    items = list(entries.items())
    rng.shuffle(items)
    return items, bytes(rng.randrange(256) for _ in range(offset))


def odd_value(rng):
    return rng.choice([
        "null", "true", "1", "-1", "-0", "0", "1.0", "1e2", "1e999", "-1e999", "1e-999", "01", "0x1", "+1", "1.", ".5",
        "18446744073709551615", "18446744073709551616", '"F32"', '"f32"', '"1"', "[]", "{}", "[0]", "[0,0]", "[0,0,0]",
        '{"F32":null}', '{"F32":{}}', '{"F32":[]}', '{"F32":0}', '{"U8":null,"U8":null}', '["U8",[0],[0,0]]', '["U8",[0]]',
        '["U8",[0],[0,0],1]', '["U8",[0],[0,0,0]]', '"\\ud800"', '"\\u0041"', '"\\ud83d\\ude00"', '"\\x"', '"\\/"', "'a'",
        "[1,]", "[,]", "NaN", "Infinity", "//", '{"a":1,"a":2}', "[" * 124 + "]" * 124, "[" * 125 + "]" * 125,
        "[" * 126 + "]" * 126, "[" * 127 + "]" * 127, "9" * 400, "0e99999", '"\x01"', '"a\tb"', "1 2", "--1", "1e+5", "1E5",
        '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}', '{"dtype":"U8","shape":[],"data_offsets":[0,1]}',
        '{"x":{"dtype":[]},"dtype":"U8","shape":[0],"data_offsets":[0,0]}', "[18446744073709551615,2,0]",
        "[0,18446744073709551615]", "[2,0]", '""',
    ])


def header_text(rng, items):
    """JSON of a model, with a few things wrong or odd about it."""
    compact = rng.random() < 0.5  # as writers write it, which is read by a short cut
    space = lambda: rng.choice(["", "", "", " ", "\n", "\t\r "]) if not compact and rng.random() < 0.1 else ""
    wrong = rng.random()

    def entry(value):
        fields = [(key, json.dumps(field, separators=(",", ":") if compact else None)) for key, field in value.items()]
        if wrong < 0.4 and rng.random() < 0.5:
            how = rng.randrange(6)
            at = rng.randrange(len(fields)) if fields else 0
            if how == 0 and fields:
                fields[at] = (fields[at][0], odd_value(rng))
            elif how == 1:
                fields.append((rng.choice(["x", "dtype", "shape", "\\u0064type", ""]), odd_value(rng)))
            elif how == 2 and fields:
                del fields[at]
            elif how == 3:
                return odd_value(rng)
            elif how == 4 and len(fields) == 3:
                return "[" + ",".join(text for _, text in fields) + "]"
            else:
                fields.append(fields[at] if fields else ("x", "1"))
        if not compact:
            rng.shuffle(fields)
        return "{" + space() + ",".join(f'"{key}"{space()}:{space()}{text}{space()}' for key, text in fields) + "}"

    parts = []
    for name, value in items:
        quoted = json.dumps(name, ensure_ascii=rng.random() < 0.3)
        if rng.random() < 0.02:
            quoted = '"' + "".join(f"\\u{ord(c):04x}" for c in name if ord(c) < 0x10000) + '"'
        text = entry(value) if name != "__metadata__" or wrong < 0.1 else json.dumps(value)
        parts.append(f"{space()}{quoted}{space()}:{space()}{text}{space()}")
    if wrong > 0.9 and parts:
        parts.append(rng.choice(parts))
    if 0.85 < wrong < 0.9:
        parts.append(rng.choice(['"__metadata__":null', '"__metadata__":{}', '"\\u005f_metadata__":{"a":"b"}',
                                 '"__metadata__":{"a":"1","a":"2"}', '"__metadata__":{"a":1}', '"__metadata__":[]',
                                 '"":' + odd_value(rng), odd_value(rng)]))
    return space() + "{" + ",".join(parts) + "}" + space()


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(5)
        if how == 0 and at < len(data):
            data[at] = rng.choice(b'{}[]",:0123456789 \\eE.-+nulltruefalse\x00\x1f\x7f\x80\xc0\xed\xff')
        elif how == 1:
            data[at:at] = rng.choice([b",", b'"', b"{", b"}", b"[", b"]", b" ", b"0", b"\\", b"\xc3\xa9", b"1e5"])
        elif how == 2 and at < len(data):
            del data[at]
        elif how == 3:
            del data[at:at + rng.randrange(4)]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def files(rng, count):
    """Files with headers of every kind; the length in front fits most of the time."""
    for _ in range(count):
        items, data = random_model(rng)
        kind = rng.random()
        text = header_text(rng, items).encode("utf-8", "surrogatepass")
        if kind < 0.4:
            text = mutated(rng, text)
        whole = file_of(text, data)
        if kind > 0.95:
            whole = mutated(rng, whole)
        elif kind > 0.93:
            whole = whole[: rng.randrange(len(whole) + 1)] + bytes(rng.randrange(2))
        yield whole


def described(data):
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return "no"
    lines = sorted(f"{name.encode('utf-8', 'surrogatepass').hex()}={value['dtype']}"
                   f"[{''.join(f'{size},' for size in value['shape'])}]{bytes(value['data']).hex()}"
                   for name, value in tensors)
    return "".join(line + " " for line in lines)


def run(driver, mode, inputs):
    done = subprocess.run([driver, mode], input=b"".join(map(framed, inputs)), capture_output=True, check=True)
    return done.stdout


def compare_reading(driver, rng, count):
    faults = accepted = 0
    for start in range(0, count, 5000):
        batch = list(files(rng, min(5000, count - start)))
        ours = run(driver, "read", batch).decode().splitlines()
        for data, line in zip(batch, ours):
            theirs = described(data)
            # deserialize() does not show the metadata.
            line = line.split("meta ")[0]
            accepted += theirs != "no"
            if line != theirs:
                faults += 1
                if faults <= 20:
                    print(f"differ on {data!r}\n  tare: {line}\n  safetensors: {theirs}")
    print(f"{count} headers, {accepted} of them accepted: {faults} disagreements")
    return faults


# Names that the package's Python interface has for element types, and their bits.
WRITABLE = {"bool": 8, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64,
            "uint64": 64, "float16": 16, "float32": 32, "float64": 64, "bfloat16": 16, "complex64": 64,
            "float8_e4m3fn": 8, "float8_e4m3fnuz": 8, "float8_e5m2": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
            "float4_e2m1fn_x2": 8}


def written_by_reference(rng):
    tensors, buffers = {}, []
    for name in rng.sample(NAMES, rng.randrange(8)):
        dtype = rng.choice(list(WRITABLE))
        shape = [rng.choice([0, 1, 1, 2, 3]) for _ in range(rng.randrange(9))]
        if dtype.startswith("float4"):
            shape.append(2)
        size = WRITABLE[dtype] // 8
        for length in shape:
            size *= length
        buffers.append(ctypes.create_string_buffer(rng.randbytes(size), max(size, 1)))
        tensors[name] = safetensors.TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[-1]),
                                               data_len=size)
    # An empty one without tensors is written as something that the package itself cannot read.
    several = {key: rng.choice(NAMES) for key in rng.sample(NAMES, rng.randrange(2, 8))}
    metadata = rng.choice([None, None, {} if tensors else None, {"format": "pt"}, {rng.choice(NAMES): rng.choice(NAMES)},
                           several, several])
    return bytes(safetensors.serialize(tensors, metadata))


STRING = rb'"(?:[^"\\]|\\.)*"'
PAIR = rb"(" + STRING + rb"):(" + STRING + rb")"


def with_sorted_metadata(model):
    """What the reference wrote, with its metadata, which it writes in random order, sorted by key."""
    end = 8 + struct.unpack("<Q", model[:8])[0]
    found = re.match(rb'\{"__metadata__":\{((?:' + PAIR + rb",?)*)\}", model[8:end])
    if not found:
        return model
    pairs = sorted(re.findall(PAIR, found[1]), key=lambda pair: json.loads(pair[0]).encode())
    text = b",".join(key + b":" + value for key, value in pairs)
    return model[:8 + found.start(1)] + text + model[8 + found.end(1):]


def compare_writing(driver, rng, count):
    models = [written_by_reference(rng) for _ in range(count)]
    wanted = [with_sorted_metadata(model) for model in models]
    unsorted = sum(model != other for model, other in zip(models, wanted))
    ours = run(driver, "rewrite", models)
    if ours == b"".join(map(framed, wanted)):
        print(f"{count} models written by both, {unsorted} of them with metadata in another order: 0 differences")
        return 0
    faults = 0
    for model, other in zip(models, wanted):
        if run(driver, "rewrite", [model]) != framed(other):
            faults += 1
            if faults <= 20:
                print(f"written otherwise: {model!r}\n  tare: {run(driver, 'rewrite', [model])!r}")
            if faults == 100:
                break
    print(f"{count} models written by both: at least {faults} differences")
    return faults


def compare_metadata(driver, rng, count):
    """deserialize() does not show the metadata; a file on disk does."""
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        for _ in range(count):
            pairs = ",".join(f"{json.dumps(rng.choice(NAMES))}:{json.dumps(rng.choice(NAMES), ensure_ascii=False)}"
                             for _ in range(rng.randrange(9)))
            data = file_of('{"__metadata__":{' + pairs + "}}", b"")
            with open(path, "wb") as file:
                file.write(data)
            with safetensors.safe_open(path, "np") as file:
                theirs = file.metadata() or {}
            expected = "".join(f"meta {key}={value} " for key, value in sorted(
                (key.encode().hex(), value.encode().hex()) for key, value in theirs.items()))
            ours = run(driver, "read", [data]).decode().strip("\n")
            if ours != expected:
                faults += 1
                print(f"metadata of {data!r}: {ours} and {expected}")
    print(f"{count} metadata: {faults} disagreements")
    return faults


def use_another_python():
    """Goes on in a Python that has the package: one of TARE_TORCH_PYTHONS (colon-separated)."""
    for python in filter(None, os.environ.pop("TARE_TORCH_PYTHONS", "").split(":")):
        if subprocess.run([python, "-c", "import safetensors"], capture_output=True, check=False).returncode == 0:
            os.execv(python, [python, "-B", *sys.argv])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--headers", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if safetensors is None:
        use_another_python()
        print("SKIPPED: no Python here has the safetensors package of PyPI (TARE_TORCH_PYTHONS)")
        return 77
    print("safetensors", safetensors.__version__)
    rng = random.Random(arguments.seed)
    faults = compare_reading(arguments.driver, rng, arguments.headers)
    faults += compare_metadata(arguments.driver, rng, min(200, arguments.headers))
    faults += compare_writing(arguments.driver, rng, arguments.models)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
