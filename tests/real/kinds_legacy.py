"""The formats of torch before 1.6: stacked pickles and tar, written by torch or by hand.

What only old versions could write is put together here from what they wrote; the real torch.load
of this Python reads each of them, and must find what was put in.
"""

import io
import pickle
import struct
import tarfile

import numpy
import torch

from kinds import kind, load_torch
from opcodes import (
    call, dict_of, integer, integers, line_text, list_of, long, name, new, none, old_text,
    ordered_dict, persistent, stream, text, truth, tuple_of, with_state)

LEGACY = {"_use_new_zipfile_serialization": False}
MAGIC = 0x1950A86A20F9469CFC6C


def _protocol(number):
    @kind(f"legacy.protocol_{number}")
    def with_protocol(k):
        value = {"a.w": torch.randn(3, 2), "b": torch.arange(300), "tied": torch.ones(2)}
        k.expect(k.save(value, pickle_protocol=number, **LEGACY))


for _number in (1, 2, 3, 4, 5):
    _protocol(_number)


@kind("legacy.state_dict")
def state_dict(k):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    k.expect(k.save(model.state_dict(), **LEGACY))


@kind("legacy.views")
def views(k):
    base = torch.arange(24.0)
    k.expect(k.save({"t": base.view(4, 6).t(), "part": base[5:9], "all": base, "same": base,
                     "expanded": base[:2].view(2, 1).expand(2, 3), "n": base[3]}, **LEGACY))


@kind("legacy.dtypes")
def dtypes(k):
    every = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
             torch.int8, torch.uint8, torch.bool, torch.complex64)
    k.expect(k.save({str(d): torch.tensor([0, 1, 1]).to(d) for d in every}, **LEGACY))


@kind("legacy.shapes")
def shapes(k):
    k.expect(k.save({"empty": torch.zeros(0, 2), "scalar": torch.tensor(1.5)}, **LEGACY))


@kind("legacy.checkpoint")
def checkpoint(k):
    loaded = k.save({"epoch": 3, "state_dict": {"w": torch.ones(2)}, "best": numpy.float64(1),
                     "optimizer": torch.optim.SGD([torch.ones(1)], 0.1).state_dict()}, **LEGACY)
    k.expect(loaded["state_dict"], dropped=["epoch"])


@kind("legacy.sparse")
def sparse(k):
    loaded = k.save({"s": torch.eye(3).to_sparse()}, **LEGACY)
    k.refuse("sparse", "--densify")
    k.expect({"s": loaded["s"].to_dense()}, "--densify", variant="densify")


@kind("legacy.quantized")
def quantized(k):
    loaded = k.save(
        {"q": torch.quantize_per_tensor(torch.arange(6.0), 0.5, 2, torch.quint8)}, **LEGACY)
    k.refuse("quantized", "--dequantize")
    k.expect({"q": loaded["q"].dequantize()}, "--dequantize", variant="dequantize")


@kind("legacy.tensor")
def tensor(k):
    k.expect({"tensor": k.save(torch.randn(2, 3), **LEGACY)})


@kind("legacy.many")
def many(k):
    """More storages than one digit counts: their order is that of text."""
    k.expect(k.save({f"w{i}": torch.full((i % 5 + 1,), float(i)) for i in range(200)}, **LEGACY))


# ---- by hand

def storage(key, numel, cls=("torch", "FloatStorage"), location="cpu", view=None, texts=text):
    """A storage of the stacked format; `view`: (key, offset, numel) of a part of it."""
    part = none()
    if view is not None:
        part = tuple_of(texts(view[0]), integer(view[1]), integer(view[2]))
    return persistent(tuple_of(
        texts("storage"), name(*cls), texts(key), texts(location), integer(numel), part))


def rebuilt(saved, offset, shape, strides, version="_rebuild_tensor_v2"):
    arguments = [saved, integer(offset), integers(*shape), integers(*strides)]
    if version == "_rebuild_tensor_v2":
        arguments += [truth(False), ordered_dict()]
    return call(name("torch._utils", version), *arguments)


def old_tensor(saved, offset, shape, strides, cls="FloatTensor"):
    """As torch 0.1 wrote a tensor."""
    state = tuple_of(saved, long(offset), integers(*shape), integers(*strides))
    return with_state(call(name("torch", cls)), state)


def stacked(value, storages):
    """A file of stacked pickles; storages: {key: (numel, bytes)}."""
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    parts = [pickle.dumps(v, 2) for v in (MAGIC, 1001, system)]
    parts += [stream(value), pickle.dumps(sorted(storages), 2)]
    for key in sorted(storages):
        numel, data = storages[key]
        parts += [struct.pack("<q", numel), data]
    return b"".join(parts)


def put(k, data, suffix=".pt"):
    with open(k.path(suffix), "wb") as file:
        file.write(data)
    return load_torch(k.path(suffix))


def floats(*values):
    return len(values), struct.pack(f"<{len(values)}f", *values)


@kind("legacy.storage_views")
def storage_views(k):
    """Torch 0.2 and 0.3: a storage that is a part of another, which alone has bytes."""
    value = dict_of(
        (text("whole"), rebuilt(storage("100", 6), 0, (2, 3), (3, 1))),
        (text("part"), rebuilt(storage("100", 6, view=("101", 2, 3)), 0, (3,), (1,))),
        (text("inner"), rebuilt(storage("100", 6, view=("102", 1, 4)), 1, (2,), (2,))))
    loaded = put(k, stacked(value, {"100": floats(0, 1, 2, 3, 4, 5)}))
    base = torch.arange(6.0)
    k.expect(loaded, same_as={
        "whole": base.view(2, 3).clone(), "part": base[2:5].clone(),
        "inner": torch.tensor([2.0, 4.0])})


@kind("legacy.first_tensors")
def first_tensors(k):
    """Torch 0.1: the class of a tensor is called, its storage is its state."""
    value = dict_of(
        (text("f"), old_tensor(storage("7", 6), 0, (3, 2), (1, 3))),
        (text("i"), old_tensor(storage("8", 2, ("torch", "LongStorage")), 0, (2,), (1,),
                               "LongTensor")))
    loaded = put(k, stacked(value, {
        "7": floats(0, 1, 2, 3, 4, 5), "8": (2, struct.pack("<2q", -1, 2**40))}))
    k.expect(loaded, same_as={
        "f": torch.arange(6.0).view(2, 3).t(), "i": torch.tensor([-1, 2**40])})


@kind("legacy.rebuild_v1")
def rebuild_v1(k):
    """Torch 0.2: _rebuild_tensor, and a parameter around it with its state."""
    plain = rebuilt(storage("7", 4), 0, (2, 2), (2, 1), "_rebuild_tensor")
    other = rebuilt(storage("8", 1), 0, (1,), (1,), "_rebuild_tensor")
    parameter = with_state(
        call(name("torch.nn.parameter", "Parameter"), other),
        tuple_of(truth(True), truth(False), ordered_dict()))
    value = ordered_dict((text("w"), plain), (text("p"), parameter))
    loaded = put(k, stacked(value, {"7": floats(1, 2, 3, 4), "8": floats(5)}))
    k.expect(loaded, same_as={
        "w": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "p": torch.tensor([5.0])})


@kind("legacy.variable")
def variable(k):
    """Torch 0.1: a parameter without arguments, and all of it as its state."""
    inner = old_tensor(storage("7", 2), 0, (2,), (1,))
    parameter = with_state(
        new(name("torch.nn.parameter", "Parameter")),
        tuple_of(inner, none(), ordered_dict(), truth(True), truth(False)))
    loaded = put(k, stacked(dict_of((text("p"), parameter)), {"7": floats(1, 2)}))
    k.expect(loaded, same_as={"p": torch.tensor([1.0, 2.0])})


@kind("legacy.python_2")
def python_2(k):
    """Texts without an encoding, for names, keys and places."""
    saved = storage("140", 2, texts=old_text)
    value = call(name("collections", "OrderedDict"), list_of(
        list_of(old_text("w"), rebuilt(saved, 0, (2,), (1,), "_rebuild_tensor")),
        list_of(old_text("epoch"), integer(5))))
    loaded = put(k, stacked(value, {"140": floats(1, 2)}))
    k.expect({"w": loaded["w"]}, same_as={"w": torch.tensor([1.0, 2.0])}, dropped=["epoch"])


@kind("legacy.cuda")
def cuda(k):
    """Saved on a GPU: another class of storage, another place, the same bytes."""
    saved = storage("5", 2, ("torch.cuda", "HalfStorage"), "cuda:1")
    value = dict_of((text("w"), rebuilt(saved, 0, (2,), (1,))))
    half = torch.tensor([1.5, -2.0]).half()
    loaded = put(k, stacked(value, {"5": (2, struct.pack("<2e", 1.5, -2.0))}))
    k.expect(loaded, same_as={"w": half})


@kind("legacy.bytes_behind")
def bytes_behind(k):
    """Torch does not look behind the last storage."""
    value = dict_of((text("w"), rebuilt(storage("5", 1), 0, (1,), (1,))))
    loaded = put(k, stacked(value, {"5": floats(3)}) + bytes(64))
    k.expect(loaded, same_as={"w": torch.tensor([3.0])})


@kind("legacy.nested_bytes")
def nested_bytes(k):
    """pickle.dump of a storage: its bytes are a whole file of torch inside the pickle."""
    with open(k.path(".pkl"), "wb") as file:
        pickle.dump({"w": torch.arange(6.0).view(2, 3), "n": 1}, file)
    with open(k.path(".pkl"), "rb") as file:
        loaded = pickle.load(file)
    k.expect({"w": loaded["w"]}, dropped=[r"\bn\b"])


def tar_of(members):
    stream_of = io.BytesIO()
    with tarfile.open(fileobj=stream_of, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream_of.getvalue()


def _tar_storages(entries, views=()):
    """entries: [(key, class, numel, bytes)]; views: [(key, root, offset, numel)]."""
    data = pickle.dumps(len(entries), 2)
    for key, cls, numel, content in entries:
        data += stream(tuple_of(integer(key), text("cpu"), name("torch", cls)))
        data += struct.pack("<q", numel) + content
    return data + pickle.dumps([tuple(v) for v in views], 2)


def _tar_tensors(entries):
    """entries: [(key, storage, class, shape, strides, offset)]."""
    data = pickle.dumps(len(entries), 2)
    for key, saved, cls, shape, strides, offset in entries:
        data += stream(tuple_of(integer(key), integer(saved), name("torch", cls)))
        data += struct.pack("<i4x", len(shape))
        data += struct.pack(f"<{2 * len(shape) + 1}q", *shape, *strides, offset)
    return data


def _tar_file(value):
    storages = _tar_storages(
        [(11, "FloatStorage", 6, floats(0, 1, 2, 3, 4, 5)[1]),
         (12, "LongStorage", 2, struct.pack("<2q", -1, 7))],
        [(13, 11, 1, 4)])
    tensors = _tar_tensors([
        (21, 11, "FloatTensor", (3, 2), (1, 3), 0), (22, 12, "LongTensor", (2,), (1,), 0),
        (23, 13, "FloatTensor", (2,), (2,), 1)])
    system = {"protocol_version": 1000, "little_endian": True,
              "type_sizes": {"short": 2, "int": 4, "long": 8}}
    return tar_of([("sys_info", pickle.dumps(system, 2)), ("pickle", value),
                 ("tensors", tensors), ("storages", storages)])


TAR_TENSORS = {
    "f": torch.arange(6.0).view(2, 3).t(), "i": torch.tensor([-1, 7]),
    "v": torch.tensor([2.0, 4.0])}


@kind("legacy.tar")
def tar(k):
    """Torch 0.1.0 to 0.1.9: an archive with the tensors in one member, their bytes in another."""
    value = ordered_dict(*((text(n), persistent(text(key)))
                           for n, key in (("f", "21"), ("i", "22"), ("v", "23"))))
    k.expect(put(k, _tar_file(stream(value))), same_as=TAR_TENSORS)


@kind("legacy.tar_protocol_0")
def tar_protocol_0(k):
    """The same with the object in text opcodes."""
    pairs = b"".join(line_text(n) + f"P{key}\n".encode() + b"s"
                     for n, key in (("f", 21), ("i", 22), ("v", 23)))
    k.expect(put(k, _tar_file(b"(d" + pairs + b".")), same_as=TAR_TENSORS)
