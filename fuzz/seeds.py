"""Writes seeds for the fuzzers: hostile streams, pickles of objects, and small files of each format."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import random
import sys
import tarfile
import zipfile
import zlib

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


# "some content content content content", as `lz4 -c` 1.9.4 and `zstd -c` 1.5.4 pack it.
LZ4 = "04224d186440a716000000cf736f6d6520636f6e74656e74080000506e74656e740000000039087495"
ZSTD = "28b52ffd242495000060736f6d6520636f6e74656e740100034b123082cddb"


def packed():
    """A pickle in every kind of stream, and two in a row where that is one content."""
    content = pickle.dumps({"k": [1, "text " * 20]}, 2)
    yield zlib.compress(content)
    yield b"ZF" + hex(len(content)).ljust(19).encode() + zlib.compress(content)
    streams_in_a_row = (gzip.compress(content, mtime=0), bz2.compress(content), lzma.compress(content),
                        lzma.compress(content, lzma.FORMAT_ALONE), bytes.fromhex(LZ4), bytes.fromhex(ZSTD))
    for stream in streams_in_a_row:
        yield stream
        yield stream + stream
    yield b"\x50\x2a\x4d\x18\x03\0\0\0abc" + bytes.fromhex(ZSTD)


def tar(format):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as out:
        for name, kind in (("storages", b"0"), ("a" * 60 + "/" + "b" * 60, b"0"), ("link", b"2"), ("folder", b"5")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "target" if kind == b"2" else "", 3 if kind == b"0" else 0
            out.addfile(info, io.BytesIO(b"abc"))
    return buffer.getvalue().rstrip(b"\0") + bytes(1024)


def npy():
    types = ["'<f4'", "'|O'", "[(('t', 'a'), '>i2', (2, 3)), ('', '|V4'), ('\\xe9', [('c', 'U3')])]", "('<M8[25s]', 3)"]
    for version, descr in enumerate(types, 1):
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (2, 3), }}   \n".encode()
        major = min(version, 3)
        length = len(header).to_bytes(2 if major == 1 else 4, "little")
        yield b"\x93NUMPY" + bytes([major, 0]) + length + header
        yield header


def indexes():
    """Indexes of shards: as Hugging Face writes them, without metadata, with what is refused."""
    weights = {"a.weight": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for index in ({"metadata": {"total_size": 24}, "weight_map": weights}, {"weight_map": {}},
                  {"weight_map": {"\u00e9\n": "../x", "": "."}}, {"x": [1, {}, None], "weight_map": {"a": "1"}}):
        yield json.dumps(index, indent=2).encode()
        yield json.dumps(index, separators=(",", ":")).encode()
    yield b'{"weight_map":{"a":"1","\\u0061":"2"},"metadata":{"k":"v","n":1e5,"l":[{}]}}'


def hdf5():
    """A float dataset "w", by hand: superblock 2, object headers 2."""
    def header(*messages):
        content = b"".join(bytes([kind]) + len(data).to_bytes(2, "little") + b"\0" + data for kind, data in messages)
        return b"OHDR\x02\x02" + len(content).to_bytes(4, "little") + content + bytes(4)

    def number(value):
        return value.to_bytes(8, "little")

    f32 = bytes.fromhex("11201f000400000000002000170800177f000000")
    data = header((1, b"\x02\x01\0\x01" + number(2)), (3, f32), (8, b"\x03\x01" + number(48) + number(8)))
    root = header((6, b"\x01\0\x01w" + number(56)))
    end = 56 + len(data) + len(root)
    front = b"\x89HDF\r\n\x1a\n\x02\x08\x08\0" + number(0) + b"\xff" * 8 + number(end) + number(56 + len(data)) + bytes(4)
    yield front + bytes(8) + data + root


def configurations():
    yield json.dumps({"auto_map": {"AutoModel": "a/b--c.D"}, "chat_template": [{"template": "{{ x.__class__ }}"}]}).encode()
    yield json.dumps({"module": "keras.layers", "class_name": "Lambda", "config": {"function": ["4wEA", None]}}).encode()
    yield b"{% for m in messages %}{{ m['role'] ~ '\\x41' | trim }}{# c #}{% raw %}{{{% endraw %}{% endfor %}"
    yield b"{% macro m(a) %}{{ a.get('b') }}{% endmacro %}{{ m(dict(a=1)) }}{{ x|map('attr', 'y') }}"
    yield b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><PMML version="4.4"/>'
    yield b"\x81\xa1w\xc7\x0a\x01\x93\x91\x01\xa2f4\xc4\x01\0"


def main():
    rng = random.Random(5)
    seeds = list(recipes()) + list(streams.variants()) + list(streams.of_objects(rng, 100))
    seeds += [archive(pickle.dumps({"k": [1]}, 2), m) for m in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    seeds += packed()
    seeds += npy()
    seeds += [tar(f) for f in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    seeds += [safetensors(None), safetensors((",", ":")), *indexes()]
    seeds += [*hdf5(), *configurations()]
    for seed in seeds:
        with open(os.path.join(sys.argv[1], hashlib.sha1(seed).hexdigest()), "wb") as file:
            file.write(seed)


main()
