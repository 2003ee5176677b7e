"""Zip files of torch.save: what stands in the pickle. The bytes of the zip are kinds_layout.py."""

import argparse
import collections
import datetime
import decimal
import fractions
import io
import pathlib
import re
import types
import uuid

import numpy
import torch

import studio
from kinds import flatten, kind, load_torch


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


@kind("zip.state_dict")
def state_dict(k):
    k.expect(k.save(network().state_dict()))


def _protocol(number):
    @kind(f"zip.protocol_{number}")
    def with_protocol(k):
        value = {"a.w": torch.randn(3, 2), "a.b": torch.ones(300), "n": torch.tensor(7)}
        k.expect(k.save(value, pickle_protocol=number))


for _number in (1, 2, 3, 4, 5):
    _protocol(_number)


@kind("zip.buffer")
def buffer(k):
    stream = io.BytesIO()
    torch.save(network().state_dict(), stream)
    with open(k.path(), "wb") as file:
        file.write(stream.getvalue())
    k.expect(load_torch(k.path()))


@kind("zip.no_extension")
def no_extension(k):
    k.expect(k.save({"w": torch.randn(4)}, suffix=""))


@kind("zip.nested")
def nested(k):
    value = {
        "encoder": {"w": torch.randn(2, 3), "layers": [{"b": torch.randn(2)}, torch.randn(1)]},
        "head": (torch.ones(2), {"deep": {"er": torch.zeros(1, 1)}}), "empty": {}, "none": None,
    }
    k.expect(flatten(k.save(value)))


@kind("zip.list")
def root_list(k):
    k.expect(flatten(k.save([torch.ones(2), torch.zeros(3), [torch.ones(1)]])))


@kind("zip.tuple")
def root_tuple(k):
    k.expect(flatten(k.save((torch.ones(2), {"x": torch.zeros(3)}))))


@kind("zip.int_keys")
def int_keys(k):
    k.expect(flatten(k.save({0: torch.ones(2), 10: {-1: torch.zeros(3)}, 2**40: torch.ones(1)})))


@kind("zip.tensor")
def root_tensor(k):
    k.expect({"tensor": k.save(torch.randn(3, 4).t())})


@kind("zip.parameter")
def root_parameter(k):
    k.expect({"tensor": k.save(torch.nn.Parameter(torch.randn(3)))})


@kind("zip.names")
def names(k):
    k.expect(k.save({
        "": torch.ones(1), "a.b": torch.ones(2), "\u00e9\u4e2d\U0001f600": torch.ones(3),
        "a\nb\t\x01\x7f": torch.ones(4), '"\\/': torch.ones(5), "..": torch.ones(6),
        " ": torch.ones(7), "x" * 300: torch.ones(8)}))


@kind("zip.colliding_names")
def colliding_names(k):
    k.save({"a.b": torch.ones(2), "a": {"b": torch.zeros(2)}})
    k.refuse(r"a\.b")


@kind("zip.many")
def many(k):
    k.expect(k.save({f"layer.{i}.weight": torch.full((3,), float(i)) for i in range(1500)}))


@kind("zip.shapes")
def shapes(k):
    k.expect(k.save({
        "empty": torch.zeros(0), "empty_3d": torch.zeros(3, 0, 2), "scalar": torch.tensor(2.5),
        "one": torch.ones(1, 1, 1), "deep": torch.arange(4.0).reshape(1, 2, 1, 2, 1, 1)}))


@kind("zip.views")
def views(k):
    base = torch.arange(120, dtype=torch.float32)
    k.expect(k.save({
        "transposed": base.view(6, 20).t(), "sliced": base.view(6, 20)[1:5:2, 3:15:3],
        "expanded": base[:3].view(3, 1).expand(3, 4), "offset": base[10:20],
        "permuted": base.view(4, 5, 6).permute(2, 0, 1), "diagonal": base.view(10, 12).diagonal(),
        "windows": base[:20].unfold(0, 4, 2), "overlapping": base.as_strided((3, 4), (2, 1), 7),
        "flipped_axes": base.view(2, 3, 4, 5).transpose(1, 3), "scalar": base[77],
        "nothing": base[5:5], "expanded_zero": base[:1].expand(0, 4)}))


@kind("zip.channels_last")
def channels_last(k):
    convolution = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    k.expect(k.save(convolution.state_dict()))


@kind("zip.slice_of_a_large_storage")
def slice_of_large(k):
    k.expect(k.save({"slice": torch.arange(100000.0)[50000:50010], "whole": torch.ones(3)}))


@kind("zip.tied")
def tied(k):
    weight = torch.randn(4, 3)
    loaded = k.save({"head.weight": weight, "emb.weight": weight.view(4, 3), "b": torch.ones(4)})
    k.expect(loaded)


@kind("zip.tied_three")
def tied_three(k):
    weight, other = torch.randn(2, 2), torch.randn(2, 2)
    k.expect(k.save({"c": weight, "a10": weight, "a2": weight, "Z": other, "B": other}))


@kind("zip.tied_views")
def tied_views(k):
    """Ties are equal views that cover their storage; everything else is written in full."""
    base, other = torch.randn(4, 3), torch.randn(8)
    k.expect(k.save({
        "whole": base, "transposed": base.t(), "flat": base.view(12), "rows": base[:2],
        "part_1": other[:4], "part_2": other[:4], "t1": base.t(), "t2": base.t()}))


@kind("zip.tied_and_cast")
def tied_and_cast(k):
    weight = torch.randn(4, 3)
    k.expect(k.save({"b": weight, "a": weight}), "--dtype", "f16", dtype=torch.float16)


@kind("zip.tied_across_dicts")
def tied_across_dicts(k):
    shared = {"w": torch.randn(3), "b": torch.randn(2)}
    k.expect(flatten(k.save({"second": shared, "first": shared})))


@kind("zip.overlapping")
def overlapping(k):
    base = torch.arange(10.0)
    k.expect(k.save({"left": base[:6], "right": base[4:], "all": base}))


@kind("zip.tied_empty")
def tied_empty(k):
    empty = torch.zeros(0, 3)
    k.expect(k.save({"a": empty, "b": empty}))


@kind("zip.parameters")
def parameters(k):
    value = collections.OrderedDict(
        p=torch.nn.Parameter(torch.randn(4, 4)),
        frozen=torch.nn.Parameter(torch.randn(2), requires_grad=False),
        graded=torch.randn(3, requires_grad=True), plain=torch.randn(3))
    k.expect(k.save(value))


@kind("zip.parameter_with_attributes", since=(2, 0))
def parameter_with_attributes(k):
    parameter = torch.nn.Parameter(torch.randn(3))
    parameter.note = "kept"
    k.expect(k.save({"p": parameter}))


@kind("zip.nan")
def nan(k):
    bits = [0x7FC00000, 0xFFC00001, 0x7F800001, 0x7F800000, -0x80000000, 1]
    bits = [b if b < 2**31 else b - 2**32 for b in bits]
    k.expect(k.save({"n": torch.tensor(bits, dtype=torch.int32).view(torch.float32)}))


@kind("zip.cyclic")
def cyclic(k):
    value = {"w": torch.ones(2), "inner": {"b": torch.zeros(1)}}
    value["self"] = value
    value["inner"]["up"] = [value]
    loaded = k.save(value)
    k.expect({"w": loaded["w"], "inner.b": loaded["inner"]["b"]})


@kind("zip.storages")
def storages(k):
    tensor = torch.randn(4)
    loaded = k.save({"w": tensor, "storage": tensor.storage()})
    k.expect({"w": loaded["w"]}, dropped=["storage"])


@kind("zip.python_values")
def python_values(k):
    loaded = k.save({
        "w": torch.ones(2), "none": None, "truth": True, "int": -5, "large": 10**40, "float": 1.5,
        "text": "caf\u00e9", "bytes": b"\x00\xff", "array": bytearray(b"xyz"), "complex": 1 + 2j,
        "range": range(3), "slice": slice(1, 2), "set": {1, 2}, "frozen": frozenset({3}),
        "decimal": decimal.Decimal("1.5"), "fraction": fractions.Fraction(1, 3), "ellipsis": ...,
        "uuid": uuid.UUID(int=5), "pattern": re.compile("a+"), "path": pathlib.PurePosixPath("/a"),
        "date": datetime.datetime(2024, 1, 2, 3, 4, 5), "zone": datetime.timezone.utc,
        "delta": datetime.timedelta(1), "counter": collections.Counter("aab"),
        "dtype": torch.float16, "device": torch.device("cpu"), "size": torch.Size([1, 2]),
        "type": int, "function": len, "layout": torch.strided,
    })
    k.expect({"w": loaded["w"]})


@kind("zip.containers")
def containers(k):
    """Containers whose items are not in the arguments of their class."""
    defaults = collections.defaultdict(list)
    defaults["x"].append(torch.ones(2))
    loaded = k.save({
        "default": defaults, "deque": collections.deque([torch.ones(1), torch.zeros(3)], 5),
        "ordered": collections.OrderedDict(y=torch.ones(1)),
        "namespace": argparse.Namespace(z=torch.ones(4), lr=0.1),
        "simple": types.SimpleNamespace(v=[torch.zeros(2)])})
    loaded["deque"] = list(loaded["deque"])
    k.expect(flatten(loaded))


@kind("zip.objects")
def objects(k):
    """Objects of classes that tare has never heard of: their attributes."""
    loaded = k.save({
        "data": studio.Record(torch.ones(2), "text"), "slots": studio.Slots(torch.zeros(3)),
        "text": studio.Text("abc")})
    k.expect({
        "data.weight": loaded["data"].weight, "data.inner.w": loaded["data"].inner["w"],
        "slots.left": loaded["slots"].left})


@kind("zip.root_object")
def root_object(k):
    loaded = k.save(studio.Record(torch.ones(2), "text"))
    k.expect({"weight": loaded.weight, "inner.w": loaded.inner["w"]})


@kind("zip.numpy_values")
def numpy_values(k):
    loaded = k.save({
        "t": torch.ones(2), "array": numpy.arange(6, dtype=">i4").reshape(2, 3).T,
        "half": numpy.ones(2, "f2"), "scalar": numpy.float64(3), "int": numpy.int64(3),
        "zero_dim": numpy.array(1.5), "dtype": numpy.dtype("f4"), "texts": numpy.array(["a"]),
        "objects": numpy.array([None, "x"], dtype=object)})
    k.expect(flatten({name: loaded[name] for name in ("t", "array", "half", "zero_dim")}),
             dropped=["texts"])
