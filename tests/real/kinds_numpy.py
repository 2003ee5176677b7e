"""Files of NumPy: .npy, .npz, and plain pickles of arrays as many programs write them."""

import collections
import gzip
import pickle
import struct

import numpy
import numpy.lib.format
import torch

from kinds import flatten, kind
from opcodes import (
    call, dict_of, integer, name, none, old_text, stream, truth, tuple_of, with_state)


# ---- npy


def npy(k, array, **options):
    numpy.save(k.path(".npy"), array, **options)
    return numpy.load(k.path(".npy"), allow_pickle=options.get("allow_pickle", False))


def _npy_kind(label, make):
    @kind(f"npy.{label}")
    def with_array(k):
        k.expect({"array": npy(k, make())})


for _label, _make in {
    "plain": lambda: numpy.arange(12, dtype="f4").reshape(3, 4),
    "fortran": lambda: numpy.asfortranarray(numpy.arange(12, dtype="f8").reshape(3, 4)),
    "big_endian": lambda: numpy.arange(12, dtype=">f4").reshape(3, 4),
    "big_endian_fortran": lambda: numpy.asfortranarray(numpy.arange(6, dtype=">i2").reshape(2, 3)),
    "zero_dim": lambda: numpy.array(2.5),
    "bool": lambda: numpy.array([True, False]),
    "empty": lambda: numpy.zeros((0, 3), "i4"),
    "half": lambda: numpy.array([1.5, -0.0, numpy.inf], "f2"),
    "complex64": lambda: numpy.array([1 + 2j], "c8"),
    "complex64_big_endian": lambda: numpy.array([1 + 2j, -3j], ">c8"),
    "uint8": lambda: numpy.arange(256, dtype="u1").reshape(2, 2, 64),
    "uint16": lambda: numpy.array([0, 65535], "u2"),
    "uint32": lambda: numpy.array([0, 2**32 - 1], ">u4"),
    "uint64": lambda: numpy.array([0, 2**64 - 1], "u8"),
    "int8": lambda: numpy.array([[-128], [127]], "i1"),
    "strided": lambda: numpy.arange(24.0).reshape(4, 6)[::2, 1:4],
}.items():
    _npy_kind(_label, _make)


def _npy_version(number):
    @kind(f"npy.version_{number}")
    def with_version(k):
        with open(k.path(".npy"), "wb") as file:
            numpy.lib.format.write_array(file, numpy.arange(5, dtype="i4"), version=(number, 0))
        k.expect({"array": numpy.load(k.path(".npy"))})


for _number in (1, 2, 3):
    _npy_version(_number)


@kind("npy.old_header")
def old_header(k):
    """Before NumPy 1.14, Python 2: shapes of long integers, padded to 16."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }"
    header += b" " * (-(len(header) + 11) % 16) + b"\n"
    with open(k.path(".npy"), "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        file.write(numpy.arange(6, dtype="f4").tobytes())
    loaded = numpy.load(k.path(".npy"))
    k.expect({"array": loaded}, same_as={"array": numpy.arange(6, dtype="f4").reshape(2, 3)})


def _npy_refused(label, make, *words):
    @kind(f"npy.{label}")
    def refused(k):
        npy(k, make(), allow_pickle=True)
        k.refuse(*words)


_POINTS = [("x", "f4"), ("y", "i8", (2,))]
for _label, _make, _words in (
    ("complex128", lambda: numpy.array([1j]), "complex128|C128"),
    ("longdouble", lambda: numpy.array([1], numpy.longdouble), "f16|longdouble|float128"),
    ("structured", lambda: numpy.zeros(3, _POINTS), "no tensors|structured"),
    ("text", lambda: numpy.array(["ab", "c"]), "no tensors|text|string|U2"),
    ("bytes", lambda: numpy.array([b"ab", b"c"]), "no tensors|bytes|string|S2"),
    ("date", lambda: numpy.array(["2024-01-02"], "M8[D]"), "no tensors|date|M8"),
    ("objects", lambda: numpy.array([None, "x"], object), "no tensors|object"),
):
    _npy_refused(_label, _make, _words)


def arrays_in_array():
    array = numpy.empty(2, object)
    array[:] = [numpy.arange(3.0), numpy.ones((2, 2), "f4")]
    return array


@kind("npy.arrays_in_an_array")
def arrays_in_an_array(k):
    k.expect(flatten(npy(k, arrays_in_array(), allow_pickle=True)))


@kind("npy.dict")
def dict_in_an_array(k):
    """numpy.save of a dict: an array without axes that holds it."""
    loaded = npy(k, {"w": numpy.ones(2), "epoch": 3}, allow_pickle=True)
    k.expect({"w": loaded[()]["w"]})


# ---- npz


def npz(k, save=numpy.savez, *arrays, **named):
    save(k.path(".npz"), *arrays, **named)
    with numpy.load(k.path(".npz"), allow_pickle=True) as archive:
        return dict(archive)


def some_arrays():
    return {"w": numpy.arange(6, dtype="f4").reshape(2, 3), "b": numpy.arange(3, dtype=">f8"),
            "f": numpy.asfortranarray(numpy.eye(3, dtype="f2")), "n": numpy.array(7)}


@kind("npz.plain")
def npz_plain(k):
    k.expect(npz(k, **some_arrays()))


@kind("npz.compressed")
def npz_compressed(k):
    k.expect(npz(k, numpy.savez_compressed, **some_arrays(), zeros=numpy.zeros((100, 100))))


@kind("npz.positions")
def npz_positions(k):
    k.expect(npz(k, numpy.savez, numpy.ones(2), numpy.zeros(1, "i4")))


@kind("npz.nested_names")
def npz_nested_names(k):
    named = {"encoder/w": numpy.ones(2), "a.b": numpy.zeros(1), "\u00e9": numpy.ones(3)}
    k.expect(npz(k, **named))


@kind("npz.other_members")
def npz_other_members(k):
    loaded = npz(k, w=numpy.ones(2), texts=numpy.array(["a"]), points=numpy.zeros(2, _POINTS),
                 objects=numpy.array([None], object))
    k.expect({"w": loaded["w"]}, dropped=["texts", "points", "objects"])


@kind("npz.sparse_matrix", needs=["scipy.sparse"])
def npz_sparse(k):
    import scipy.sparse

    scipy.sparse.save_npz(k.path(".npz"), scipy.sparse.csr_matrix(numpy.eye(3)))
    with numpy.load(k.path(".npz")) as archive:
        loaded = {name: archive[name] for name in archive if archive[name].dtype.kind != "S"}
    assert {"indices", "indptr", "data", "shape"} <= set(loaded)
    k.expect(loaded, dropped=["format"])


# ---- pickles


def pickled(k, value, protocol=4, **options):
    with open(k.path(".pkl"), "wb") as file:
        pickle.dump(value, file, protocol)
    with open(k.path(".pkl"), "rb") as file:
        return pickle.load(file, **options)


def _pickle_protocol(number):
    @kind(f"pickle.protocol_{number}")
    def with_protocol(k):
        base = numpy.arange(256, dtype="u1").reshape(16, 16)
        read_only = numpy.arange(4.0)
        read_only.flags.writeable = False
        value = {**some_arrays(), "bytes": base, "strided": base[::2, ::3], "frozen": read_only,
                 "empty": numpy.zeros((0, 2)), "epoch": 3, "scalar": numpy.float32(1.5),
                 "layers": [{"w": numpy.ones(2)}, (numpy.zeros(1), "text")]}
        k.expect(flatten(pickled(k, value, number)), dropped=["epoch"])


for _number in range(6):
    _pickle_protocol(_number)


@kind("pickle.array")
def pickle_array(k):
    k.expect({"tensor": pickled(k, numpy.arange(6.0).reshape(2, 3))})


@kind("pickle.list")
def pickle_list(k):
    k.expect(flatten(pickled(k, [numpy.ones(2), numpy.zeros(3)])))


@kind("pickle.one_array_twice")
def one_array_twice(k):
    array = numpy.arange(3.0)
    loaded = pickled(k, {"b": array, "a": array, "view": array[:2], "copy": array.copy()})
    assert loaded["a"] is loaded["b"]
    k.expect(loaded)


@kind("pickle.matrix")
def matrix(k):
    k.expect(pickled(k, {"m": numpy.matrix([[1.0, 2.0], [3.0, 4.0]])}))


@kind("pickle.masked")
def masked(k):
    """Not one tensor but two: the numbers, and which of them count."""
    loaded = pickled(k, {"m": numpy.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])})
    k.expect({"m.data": loaded["m"].data, "m.mask": loaded["m"].mask})


@kind("pickle.object_array")
def object_array(k):
    k.expect(flatten(pickled(k, {"layers": arrays_in_array()})))


@kind("pickle.other_arrays")
def other_arrays(k):
    loaded = pickled(k, {
        "w": numpy.ones(2), "points": numpy.zeros(2, _POINTS), "texts": numpy.array(["a", "bc"]),
        "dates": numpy.array(["2024-01-02"], "M8[D]"), "raw": numpy.zeros(2, "V3")})
    k.expect({"w": loaded["w"]}, dropped=["points", "texts", "dates", "raw"])


@kind("pickle.complex128")
def pickle_complex128(k):
    pickled(k, {"fine": numpy.ones(2), "wide": numpy.array([1j])})
    k.refuse("wide", "complex128|C128")


@kind("pickle.random_state")
def random_state(k):
    k.expect(flatten(pickled(k, numpy.random.RandomState(5).get_state())))


@kind("pickle.sparse_matrix", needs=["scipy.sparse"])
def pickle_sparse(k):
    import scipy.sparse

    loaded = pickled(k, {"m": scipy.sparse.csr_matrix(numpy.eye(3)), "w": numpy.ones(1)})
    k.expect({"m.data": loaded["m"].data, "m.indices": loaded["m"].indices,
              "m.indptr": loaded["m"].indptr, "w": loaded["w"]})


@kind("pickle.gzip")
def pickle_gzip(k):
    with gzip.open(k.path(".pkl.gz"), "wb") as file:
        pickle.dump((numpy.ones((2, 3), "f4"), numpy.arange(2)), file)
    with gzip.open(k.path(".pkl.gz")) as file:
        k.expect(flatten(pickle.load(file)))


@kind("pickle.torch_tensors")
def torch_tensors(k):
    """Each tensor brings its storage as a file of torch in the pickle."""
    weight = torch.randn(2, 3)
    k.expect(pickled(k, collections.OrderedDict(w=weight.t(), b=torch.ones(2).half())))


@kind("pickle.torch_module")
def torch_module(k):
    k.expect(pickled(k, torch.nn.Linear(2, 3)).state_dict())


@kind("pickle.python_2")
def python_2(k):
    """Bytes and names are both str of Python 2, as in data sets and weights of its time."""
    data = struct.pack("<3f", 1.5, -2.0, 3.0)
    dtype = with_state(
        call(name("numpy", "dtype"), old_text("f4"), integer(0), integer(1)),
        tuple_of(integer(3), old_text("<"), none(), none(), none(), integer(-1), integer(-1),
                 integer(0)))
    array = with_state(
        call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"),
             tuple_of(integer(0)), old_text("b")),
        tuple_of(integer(1), tuple_of(integer(3)), dtype, truth(False),
                 old_text(data.decode("latin1"))))
    value = dict_of((old_text("w"), array), (old_text("label"), old_text("caf\xe9")))
    with open(k.path(".pkl"), "wb") as file:
        file.write(stream(value))
    with open(k.path(".pkl"), "rb") as file:
        loaded = pickle.load(file, encoding="latin1")
    k.expect({"w": loaded["w"]}, same_as={"w": numpy.array([1.5, -2.0, 3.0], "f4")})


@kind("paddle.parameters")
def paddle_parameters(k):
    loaded = pickled(k, {
        "linear_0.w_0": numpy.ones((2, 3), "f4"), "linear_0.b_0": numpy.zeros(3, "f4"),
        "StructuredToParameterName@@": {"weight": "linear_0.w_0", "bias": "linear_0.b_0"}})
    k.expect(flatten(loaded))


class _Eager:
    """A tensor of Paddle: pickled as a pair of its name and its array."""

    def __init__(self, label, array):
        self.pair = label, array

    def __reduce__(self):
        return tuple, (self.pair,)


@kind("paddle.named_pairs")
def paddle_named_pairs(k):
    """Since Paddle 2.1: tuple((name, array)). Names are those of the items, as in any tuple."""
    loaded = pickled(k, {"weight": _Eager("linear_0.w_0", numpy.ones((2, 3), "f4"))}, 2)
    assert loaded["weight"][0] == "linear_0.w_0"
    k.expect({"weight.1": loaded["weight"][1]})


class _Dense:
    """A dense tensor of Paddle: pickled as a call of eval that looks up its argument."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        return eval, ("data", {"data": self.array})


@kind("paddle.dense_tensors")
def paddle_dense_tensors(k):
    k.expect(pickled(k, {"w": _Dense(numpy.ones((2, 3), "f4"))}, 2))
