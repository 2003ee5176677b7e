"""Files of joblib: arrays stand between the opcodes of the pickle, perhaps all of it compressed."""

import io

import numpy

import studio
from kinds import flatten, kind


def value():
    base = numpy.arange(24, dtype="f4").reshape(4, 6)
    return {
        "c": base, "f": numpy.asfortranarray(base), "strided": base[::2, 1:], "n": numpy.array(5),
        "big": numpy.arange(3, dtype=">i4"), "empty": numpy.zeros((0, 2)), "flag": True,
        "bool": numpy.array([True]), "layers": [numpy.ones(3), {"w": numpy.zeros((2, 2))}],
        "epoch": 7}


def dumped(k, content, suffix=".joblib", **options):
    import joblib

    joblib.dump(content, k.path(suffix), **options)
    return joblib.load(k.path(suffix))


def _compressed(label, needs=(), **options):
    @kind(f"joblib.{label}", needs=["joblib", *needs])
    def with_options(k):
        k.expect(flatten(dumped(k, value(), **options)), dropped=["epoch"])


_compressed("raw")
_compressed("zlib", compress=3)
_compressed("gzip", compress=("gzip", 3))
_compressed("bz2", compress=("bz2", 3))
_compressed("xz", compress=("xz", 3))
_compressed("lzma", compress=("lzma", 3))
_compressed("lz4", compress=("lz4", 1), needs=["lz4.frame"])
for _number in (2, 3, 5):
    _compressed(f"protocol_{_number}", protocol=_number)


@kind("joblib.array", needs=["joblib"])
def array(k):
    k.expect({"tensor": dumped(k, numpy.arange(6.0).reshape(2, 3))})


@kind("joblib.aligned", needs=["joblib"])
def aligned(k):
    """Arrays after texts of every length: each number of bytes in front of the data occurs."""
    parts = {f"{'x' * i}": numpy.full(3, i, "u1") for i in range(1, 20)}
    k.expect(dumped(k, parts))


@kind("joblib.object_array", needs=["joblib"])
def object_array(k):
    """A whole pickle of its own stands where the bytes would."""
    inner = numpy.empty(2, object)
    inner[:] = [numpy.arange(3.0), "text"]
    loaded = dumped(k, {"before": numpy.ones(2), "o": inner, "after": numpy.zeros(3)})
    k.expect(flatten(loaded))


@kind("joblib.matrix", needs=["joblib"])
def matrix(k):
    k.expect(dumped(k, {"m": numpy.matrix([[1.0, 2.0]])}))


@kind("joblib.one_array_twice", needs=["joblib"])
def one_array_twice(k):
    """Written twice, so no tie."""
    once = numpy.arange(3.0)
    loaded = dumped(k, {"a": once, "b": once})
    assert loaded["a"] is not loaded["b"]
    k.expect(loaded)


@kind("joblib.structured", needs=["joblib"])
def structured(k):
    loaded = dumped(k, {"w": numpy.ones(2), "points": numpy.zeros(2, [("x", "f4"), ("y", "i1")]),
                        "texts": numpy.array(["a"]), "last": numpy.ones(1)})
    k.expect({"w": loaded["w"], "last": loaded["last"]}, dropped=["points", "texts"])


@kind("joblib.object", needs=["joblib"])
def own_object(k):
    loaded = dumped(k, studio.Record(numpy.ones(2), "text", {"w": numpy.zeros(1)}))
    k.expect(flatten(loaded))


class _Pipe:
    """A stream without positions: joblib then writes no padding in front of the arrays, as its
    versions before 1.2 never did."""

    def __init__(self, file):
        self.write, self.flush = file.write, file.flush

    def tell(self):
        raise io.UnsupportedOperation


@kind("joblib.unaligned", needs=["joblib"])
def unaligned(k):
    import joblib

    saved = value()
    with open(k.path(".joblib"), "wb") as file:
        joblib.dump(saved, _Pipe(file))
    loaded = joblib.load(k.path(".joblib"))
    k.expect(flatten(loaded), same_as=flatten(saved))


@kind("joblib.memory_map", needs=["joblib"])
def memory_map(k):
    import joblib

    joblib.dump(value(), k.path(".joblib"))
    k.expect(flatten(joblib.load(k.path(".joblib"), mmap_mode="r")))
