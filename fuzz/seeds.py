"""Writes seeds for the fuzzers: hostile streams, pickles of objects, and small files of each format."""

import hashlib
import io
import json
import os
import pickle
import random
import sys
import zipfile

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")
sys.path.insert(0, os.path.join(TESTS, "differential"))
import streams  # noqa: E402


def recipes():
    """The recipes of tare craft that are short, without tare."""
    with open(os.path.join(TESTS, "cli", "golden", "craft_recipes.tsv"), encoding="ascii") as file:
        for line in file:
            content = line.rstrip("\n").split("\t")[-1]
            if not line.startswith("#") and ":" not in content:
                yield bytes.fromhex(content)


def archive(data_pkl, method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        out.writestr("m/data.pkl", data_pkl)
        out.writestr("m/data/0", bytes(16))
        out.writestr("m/version", "3\n")
    return buffer.getvalue()


def safetensors(separators):
    """With spaces, and as writers write it, which the reader has a short cut for."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                         "__metadata__": {"format": "pt"}}, separators=separators).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


def indexes():
    """Indexes of shards: as Hugging Face writes them, without metadata, with what is refused."""
    weights = {"a.weight": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for index in ({"metadata": {"total_size": 24}, "weight_map": weights}, {"weight_map": {}},
                  {"weight_map": {"\u00e9\n": "../x", "": "."}}, {"x": [1, {}, None], "weight_map": {"a": "1"}}):
        yield json.dumps(index, indent=2).encode()
        yield json.dumps(index, separators=(",", ":")).encode()
    yield b'{"weight_map":{"a":"1","\\u0061":"2"},"metadata":{"k":"v","n":1e5,"l":[{}]}}'


def main():
    rng = random.Random(5)
    seeds = list(recipes()) + list(streams.variants()) + list(streams.of_objects(rng, 100))
    seeds += [archive(pickle.dumps({"k": [1]}, 2), m) for m in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    seeds += [safetensors(None), safetensors((",", ":")), *indexes()]
    for seed in seeds:
        with open(os.path.join(sys.argv[1], hashlib.sha1(seed).hexdigest()), "wb") as file:
            file.write(seed)


main()
