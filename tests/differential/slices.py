"""Slices of tensors against numpy: the same elements for the same index.

Usage: slices.py DRIVER [--slices N] [--seed N]
"""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import numpy

DTYPES = {"U8": "uint8", "I16": "int16", "F32": "float32", "C64": "complex64", "F64": "float64"}
SHAPES = [[], [0], [1], [7], [3, 4], [5, 1, 6], [2, 3, 4, 5], [4, 0, 3], [2, 2, 2, 2, 2, 2], [1, 1], [40, 3000],
          [3000, 7], [2, 70000]]


def write_model(rng, path):
    arrays, header, data = {}, {}, b""
    for i, shape in enumerate(SHAPES * 2):
        dtype = rng.choice(list(DTYPES))
        count = int(numpy.prod(shape, dtype=int))
        raw = rng.randbytes(count * numpy.dtype(DTYPES[dtype]).itemsize)
        arrays[f"t{i}"] = numpy.frombuffer(raw, DTYPES[dtype]).reshape(shape)
        header[f"t{i}"] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    return arrays


def random_index(rng, shape):
    """An index as text, and as numpy has it."""
    texts, values = [], []
    for axis in range(rng.randrange(len(shape) + 2)):
        size = shape[min(axis, len(shape) - 1)] if shape else 1
        bound = lambda: None if rng.random() < 0.4 else rng.randrange(-size - 2, size + 3)
        kind = rng.random()
        if kind < 0.2:
            value = rng.randrange(-size - 1, size + 1)
            texts.append(str(value))
        elif kind < 0.3 and Ellipsis not in values:
            value = Ellipsis
            texts.append("...")
        else:
            step = rng.choice([None, None, 1, 2, 3, -1, -2, -7, 100, -100, 2**62])
            value = slice(bound(), bound(), step)
            texts.append(":".join("" if part is None else str(part) for part in (value.start, value.stop))
                         + ("" if step is None else f":{step}"))
        values.append(value)
    text = rng.choice([", ", ","]).join(texts)
    return (f"[{text}]" if rng.random() < 0.5 else text), tuple(values)


def expected(array, index):
    try:
        return numpy.asarray(array[index]).tobytes()
    except IndexError:
        return None


def answers(output):
    at = 0
    while at < len(output):
        (length,) = struct.unpack_from("<Q", output, at)
        at += 8
        if length == 2**64 - 1:
            yield None
        else:
            yield output[at:at + length]
            at += length


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--slices", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    faults = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        arrays = write_model(rng, path)
        names = [rng.choice(list(arrays)) for _ in range(arguments.slices)]
        indexes = [random_index(rng, list(arrays[name].shape)) for name in names]
        lines = "".join(f"{name} {text}\n" for name, (text, _) in zip(names, indexes))
        done = subprocess.run([arguments.driver, path], input=lines.encode(), capture_output=True, check=False)
        if done.returncode != 0:
            print(done.stderr.decode())
            return 1
        found = list(answers(done.stdout))
    if len(found) != arguments.slices:
        print(f"{len(found)} answers for {arguments.slices} slices")
        return 1
    for name, (text, index), ours in zip(names, indexes, found):
        theirs = expected(arrays[name], index)
        refused += theirs is None
        if ours != theirs:
            faults += 1
            if faults <= 20:
                print(f"{name} {arrays[name].shape}[{text}]: {ours and ours[:40]} and {theirs and theirs[:40]}")
    print(f"{arguments.slices} slices, {refused} of them refused by numpy {numpy.__version__}: {faults} disagreements")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
