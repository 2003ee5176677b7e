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
sys.path.insert(0, os.path.join(TESTS, "cli"))
import model_files  # noqa: E402
from model_files import message  # noqa: E402


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


def sevenzip():
    """By hand: two stored files in a folder, an empty one, and the same with a packed header."""
    header = (b"\x01\x04\x06\0\1\x09\6\0\x07\x0b\1\0\1\1\0\x0c\6\0\x08\x0d\2\x09\3\x0a\1" + bytes(8) + b"\0\0"
              b"\x05\3\x0e\1\x20\x0f\1\x80\x11\x0d\0a\0\0\0b\0\0\0c\0\0\0\x15\x0e\1\0" + bytes(12) + b"\0\0")
    size = len(header)
    packed = b"\x17\x06\6\1\x09" + bytes([size]) + b"\0\x07\x0b\1\0\1\1\0\x0c" + bytes([size]) + b"\0\0"
    for body, head in ((b"abcdef", header), (b"abcdef" + header, packed)):
        start = len(body).to_bytes(8, "little") + len(head).to_bytes(8, "little") + zlib.crc32(head).to_bytes(4, "little")
        yield b"7z\xbc\xaf\x27\x1c\0\4" + zlib.crc32(start).to_bytes(4, "little") + start + body + head


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
    yield b"a: &x\n  _target_: os.system\n  _args_: ['id', \"\\x41\", {b: *x}]\nc: ${oc.env:HOME}\nd: |-\n  text\n"
    yield json.dumps({"model": {"handler": "h.py", "serializedFile": "../m.pt"}}).encode()
    yield json.dumps({"os": "linux", "rootfs": {}, "config": {"Cmd": ["sh"]}}).encode()
    yield b"\x81\xa1w\xc7\x0a\x01\x93\x91\x01\xa2f4\xc4\x01\0"


def gguf():
    """Keys of every kind and three tensors, in both byte orders."""
    for big in (False, True):
        def number(value, width, order="big" if big else "little"):
            return value.to_bytes(width, order)

        def text(value):
            return number(len(value), 8) + value

        keys = [text(b"general.alignment") + number(4, 4) + number(32, 4),
                text(b"tokenizer.chat_template") + number(8, 4) + text(b"{{ x }}"),
                text(b"a") + number(9, 4) + number(8, 4) + number(2, 8) + text(b"b") + text(b""),
                text(b"c") + number(9, 4) + number(6, 4) + number(2, 8) + bytes(8),
                text(b"d") + number(7, 4) + b"\1", text(b"e") + number(12, 4) + bytes(8)]
        infos = [text(b"w") + number(2, 4) + number(2, 8) + number(3, 8) + number(0, 4) + number(0, 8),
                 text(b"q") + number(1, 4) + number(32, 8) + number(2, 4) + number(32, 8),
                 text(b"s") + number(0, 4) + number(27, 4) + number(64, 8)]
        head = b"GGUF" + number(3, 4) + number(len(infos), 8) + number(len(keys), 8) + b"".join(keys + infos)
        yield head + bytes(-len(head) % 32) + bytes(96)


def flax():
    """An array, a scalar of numpy, one in chunks, a list, plain values."""
    def array(kind, shape, data):
        content = b"\x93" + bytes([0x90 + len(shape), *shape]) + b"\xa4int8" + b"\xc4" + bytes([len(data)]) + data
        return b"\xc7" + bytes([len(content), kind]) + content

    chunks = b"\x82\xa10" + array(1, [4], b"abcd") + b"\xa11" + array(1, [2], b"ef")
    mark = b"__msgpack_chunked_array__"
    chunked = b"\x83" + bytes([0xa0 + len(mark)]) + mark + b"\xc3\xa5shape\x82\xa10\x02\xa11\x03\xa6chunks" + chunks
    plain = b"\x94\xc0\xcb" + bytes(8) + b"\xc4\x01x\xd2" + bytes(4)
    yield array(1, [2, 1], b"ab")
    yield b"\x84\xa1w" + array(1, [2, 1], b"ab") + b"\xa1s" + array(3, [], b"a") + b"\xa1c" + chunked + b"\xa1p" + plain


def mxnet():
    """Arrays of three versions, a sparse one, and their names."""
    def number(*values):
        return b"".join(value.to_bytes(4, "little") for value in values)

    def long(*values):
        return b"".join(value.to_bytes(8, "little") for value in values)

    arrays = [number(0xF993FAC9, 0, 1) + long(2) + number(1, 0, 0) + bytes(8),
              number(0xF993FAC8, 1) + long(2) + number(1, 0, 3) + b"ab", number(1, 2, 1, 0, 3) + b"ab",
              number(0xF993FACA, 1, 1) + long(1) + number(1) + long(4) + number(1, 0, 3, 6, 1) + long(1) + b"a" + long(2)]
    yield long(0x112, 0, 4) + b"".join(arrays) + long(4) + b"".join(long(1) + name for name in (b"a", b"b", b"c", b"d"))


def rdata():
    """Numbers, texts, a call, a function with bytecode, a promise, in each of the three forms."""
    def number(*values):
        return b"".join(value.to_bytes(4, "big") for value in values)

    def symbol(name):
        return number(1, 9, len(name)) + name

    doubles = number(14 | 512, 2) + bytes(16) + number(2 | 1024) + symbol(b"dim") + number(13, 2, 1, 2, 254)
    call = number(6) + symbol(b"system") + number(2, 16, 1, 9, 2) + b"id" + number(254)
    code = number(3, 253, 254, 21, 1, 13, 2, 12, 1, 2, 14, 14, 1) + bytes(8) + number(6, 254, 1) + symbol(b"f") + number(254, 254)
    form = number(238, 2) + symbol(b"wrap_real") + number(2) + symbol(b"base") + number(2, 13, 1, 14, 254, 19, 1) + doubles + number(254)
    head = number(2, 0x040202, 0x020300)
    for item in (doubles, call, code, form, number(5, 252) + call, number(249, 0, 1, 9, 1) + b"x", number(4, 0, 253, 254, 254, 254)):
        yield b"X\n" + head + number(19, 1) + item
    yield b"RDX2\nX\n" + head + number(2 | 1024) + symbol(b"x") + doubles + number(254)
    yield b"A\n2\n262658\n131840\n19\n2\n14\n2\n1.5\nNA\n16\n1\n9\n3\na\\n\\001\n"
    yield b"B\n" + bytes.fromhex("0200000002020400000302000d00000001000000ffffffff")


def torch7():
    def number(*values):
        return b"".join(value.to_bytes(4, "little") for value in values)

    def text(value):
        return number(len(value)) + value

    def long(*values):
        return b"".join(value.to_bytes(8, "little") for value in values)

    def item(index, name, content):
        return number(4, index) + text(b"V 1") + text(name) + content

    storage = item(3, b"torch.ShortStorage", long(2) + b"abcd")
    tensor = item(2, b"torch.ShortTensor", number(2) + long(2, 1, 1, 1, 1) + storage)
    function = number(8, 4) + text(b"\x1bLJ\x01") + number(3, 5, 0)
    pairs = number(2) + text(b"w") + tensor + number(2) + text(b"t") + number(4, 2) + number(1) + bytes(8) + function
    yield number(3, 1, 3) + pairs
    yield b"3\n1\n1\n2\n1\nw\n4\n2\n3\nV 1\n17\ntorch.FloatTensor\n1\n2\n1\n1\n4\n3\n3\nV 1\n18\ntorch.FloatStorage\n2\n1 nan\n"


def skops():
    def node(loader, module, name, content):
        return {"__class__": name, "__module__": module, "__loader__": loader, "content": content}

    text = node("JsonNode", "builtins", "str", '"PCG64"')
    state = node("DictNode", "builtins", "dict", {"bit_generator": text})
    generator = node("RandomGeneratorNode", "numpy.random._generator", "Generator", {"bit_generator": state, "seed_seq": state})
    method = node("MethodNode", "a.b", "C", {"func": "run", "obj": node("ObjectNode", "a.b", "C", None)})
    both = node("ListNode", "builtins", "list", [generator, method, node("OperatorFuncNode", "os", "call", {"attrs": text})])
    yield json.dumps({**both, "protocol": 2, "_skops_version": "0.16"}).encode()


def tensor_bundle():
    """A block: the header of an index, a tensor, a slice and the tensor that it is of."""
    def entry(key, value):
        return bytes([0, len(key), len(value)]) + key + value

    shape = message((2, message((1, 2))))
    extent = message((1, message((1, 0), (2, 2))))
    yield b"".join((entry(b"", message((1, 1))), entry(b"\0p\0\1\1\1\x80\x82", message((1, 1), (2, shape), (5, 8))),
                    entry(b"a", message((1, 1), (2, shape), (4, 8), (5, 8))),
                    entry(b"p", message((1, 1), (2, shape), (7, extent))))) + bytes(4)
    yield b'model_checkpoint_path: "ckpt-1"\nall_model_checkpoint_paths: "/x/ckpt-1"\nlast_preserved_timestamp: 1.5\n'


def message(*fields):
    """A protobuf message: (number, int or bytes) each."""
    def varint(value):
        out = b""
        while value >= 128:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    return b"".join(varint(n << 3) + varint(v) if isinstance(v, int) else varint(n << 3 | 2) + varint(len(v)) + v
                    for n, v in fields)


def onnx():
    raw = message((1, 2), (2, 1), (8, b"w"), (9, bytes(8)))
    typed = message((1, 2), (2, 6), (8, b"t"), (5, b"\1\2"))
    outside = message((1, 2), (2, 1), (8, b"x"), (13, message((1, b"location"), (2, b"../x"))), (14, 1))
    sparse = message((1, message((1, 1), (2, 1), (9, bytes(4)))), (2, message((1, 1), (2, 7), (9, bytes(8)))), (3, 6))
    inner = message((1, message((1, b"a"), (4, b"Relu"))), (5, raw))
    node = message((1, b"a"), (2, b"b"), (4, b"If"), (5, message((1, b"then"), (6, inner), (20, 5))), (7, b"my"))
    function = message((1, b"f"), (10, b"my"), (7, message((4, b"f"), (7, b"my"))))
    graph = message((1, node), (2, b"g"), (5, raw), (5, typed), (5, outside), (15, sparse))
    yield message((1, 8), (2, b"p"), (7, graph), (8, message((1, b""), (2, 17))), (25, function))


def tensorflow():
    text = message((5, message((1, b"value"), (2, message((8, message((1, 7), (8, b"/etc/x"))))))))
    nodes = [message((1, b"c"), (2, b"Const")) + text, message((1, b"j"), (2, b"StringJoin"), (3, b"c"), (3, b"x")),
             message((1, b"r"), (2, b"RestoreV2"), (3, b"j:0")), message((1, b"p"), (2, b"StatefulPartitionedCall"), (3, b"c"))]
    function = message((1, message((1, b"f"))), (3, nodes[0]), (3, nodes[2]))
    graph = message(*[(1, node) for node in nodes], (2, message((1, function))))
    meta = message((1, message((4, b"serve"))), (2, graph), (6, message((2, b"vocab"))))
    yield from (graph, meta, message((1, 1), (2, meta)))


# A graph with a constant and a custom operator, by flatbuffers 25.12.19.
TFLITE = (
    "1800000054464c3300000e00140010000c000800000004000e000000bc0000000c000000100000000300000001000000"
    "38000000010000000c00000008000c000b00040008000000080000000000002007000000466c6578416464000c001400"
    "10000c00080004000c0000001000000034000000300000000c0000000100000018000000010000003000000000000a00"
    "0c000000080004000a000000080000000400000001000000000000000c0010000c000000080004000c0000000c000000"
    "010000000c00000001000000770000000100000002000000020000001c0000000c000000000006000800040006000000"
    "0c0000000400040004000000080000000000000000000000"
)


def main():
    rng = random.Random(5)
    seeds = list(recipes()) + list(streams.variants()) + list(streams.of_objects(rng, 100))
    seeds += [archive(pickle.dumps({"k": [1]}, 2), m) for m in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    seeds += packed()
    seeds += sevenzip()
    seeds += npy()
    seeds += [tar(f) for f in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    seeds += [safetensors(None), safetensors((",", ":")), *indexes()]
    seeds += [*hdf5(), *configurations()]
    seeds += [*gguf(), *onnx(), *tensorflow(), bytes.fromhex(TFLITE)]
    zarr = {"zarr_format": 2, "shape": [2, 3], "chunks": [2, 2], "dtype": "<f4", "compressor": {"id": "zstd"},
            "filters": [{"id": "pickle"}], "order": "C", "fill_value": None}
    seeds += [json.dumps(zarr).encode(), *flax(), *tensor_bundle(), *skops(), *torch7(), *rdata(), *mxnet()]
    seeds += [*model_files.honest().values(), *model_files.hostile().values()]
    for seed in seeds:
        with open(os.path.join(sys.argv[1], hashlib.sha1(seed).hexdigest()), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main()
