"""HDF5 files of h5py: tare lists and converts every numeric dataset bit for bit as h5py reads it.

TARE_H5PY_PYTHONS (colon-separated) names further Pythons with h5py, besides /usr/bin/python3.
"""

import json
import os
import struct
import subprocess
import sys
import unittest

from harness import TareTest

WRITER = r'''
import json, sys
import h5py, numpy as np

rng = np.random.default_rng(7)
TYPES = ["<f2", "<f4", ">f4", "<f8", ">f8", "<i1", "<u1", "<i2", ">i2", "<i4", ">u4", "<i8", "<u8", "?"]

def array(dtype, shape):
    a = rng.integers(-100, 100, shape)
    return (a > 0) if dtype == "?" else a.astype(dtype)

def fill(f, latest):
    for i, dtype in enumerate(TYPES):
        f.create_dataset(f"types/t{i}", data=array(dtype, (3, 4)))
    f["scalar"] = np.float32(1.5)
    f["empty"] = np.zeros((0, 3), "<f4")
    f["deep/er/and/deeper"] = array("<f4", (2,))
    f.create_dataset("unwritten", (3, 5), "<f4", fillvalue=2.5)
    f.create_dataset("zeros", (4,), "<i8")
    for i, (shape, chunk) in enumerate([((10,), (4,)), ((7, 5), (3, 2)), ((4, 4), (4, 4)), ((5, 6, 7), (2, 3, 4))]):
        data = array("<f4", shape)
        f.create_dataset(f"chunked/plain{i}", data=data, chunks=chunk)
        f.create_dataset(f"chunked/gzip{i}", data=data, chunks=chunk, compression="gzip")
        f.create_dataset(f"chunked/shuffle{i}", data=data.astype(">f8"), chunks=chunk, compression="gzip", shuffle=True)
    part = f.create_dataset("chunked/partial", (20, 20), "<i4", chunks=(4, 6), fillvalue=9)
    part[5:9, 3:14] = array("<i4", (4, 11))
    for i, (shape, most, chunk) in enumerate([
            ((30, 4), None, (3, 4)), ((3000,), None, (1,)), ((9, 2500), (9, 3000), (4, 2)), ((10, 4), (None, 4), (3, 3)),
            ((4, 10), (4, None), (3, 3)), ((5, 3, 7), (6, 4, None), (2, 2, 1)), ((9, 9), (None, None), (2, 4)),
            ((700,), (None,), (1,)), ((3000,), (None,), (1,)), ((60, 60), (None, None), (1, 1)),
            ((3, 4), (None, None), (3, 4)), ((40,), (40,), (7,))]):
        data = array(">i2", shape)
        f.create_dataset(f"indexes/plain{i}", data=data, chunks=chunk, maxshape=most)
        f.create_dataset(f"indexes/gzip{i}", data=data, chunks=chunk, maxshape=most, compression="gzip")
        sparse = f.create_dataset(f"indexes/sparse{i}", shape, "<i4", chunks=chunk, maxshape=most, fillvalue=-3)
        corner = tuple(slice(n // 2, n // 2 + 2) for n in shape)
        sparse[corner] = array("<i4", sparse[corner].shape)
        grown = f.create_dataset(f"indexes/grown{i}", shape, "<i4", chunks=chunk, maxshape=most)
        grown[...] = array("<i4", shape)
        grown.resize(tuple(n - n // 3 for n in shape))
    if latest:
        paged = f.create_dataset("indexes/paged", (140000,), "<i4", chunks=(1,), maxshape=(None,), fillvalue=5)
        paged[131058:131062] = paged[139000:139003] = 7
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((3, 4))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((10, 9))
    h5py.h5d.create(f["indexes"].id, b"implicit", h5py.h5t.IEEE_F32LE, space, early)
    f["indexes/implicit"][...] = array("<f4", (10, 9))
    for name, options in (("lzf", {"compression": "lzf"}), ("checked", {"fletcher32": True}),
                          ("all", {"compression": "lzf", "shuffle": True, "fletcher32": True}),
                          ("gzip", {"compression": "gzip", "fletcher32": True})):
        for i, dtype in enumerate(("<f8", "<i2", "<u1")):
            f.create_dataset(f"filters/{name}{i}", data=array(dtype, (50, 37)), chunks=(7, 11), **options)
            f.create_dataset(f"filters/{name}_zeros{i}", data=np.zeros((50, 37), dtype), chunks=(7, 11), **options)
    for i in range(500):
        f.create_dataset(f"many/n{i:04}", data=np.int32(i)) if i % 25 == 0 else f.create_group(f"many/n{i:04}")
    for i in range(300):
        f["types"].attrs[f"attribute{i}"] = "text " * 20
    f["types"].attrs["numbers"] = np.arange(50)
    f["names"] = np.array([b"one", b"two three"])
    f["texts"] = ["variable", "length", "of texts"]
    f.attrs["keras_version"] = "3.15.1"

def expected(f):
    out = {}
    def visit(name, thing):
        if isinstance(thing, h5py.Dataset) and thing.dtype.kind in "fiub":
            a = np.asarray(thing[()])
            out[name] = [list(a.shape), a.dtype.newbyteorder("<").str, a.astype(a.dtype.newbyteorder("<")).tobytes().hex()]
    f.visititems(visit)
    return out

result = {"version": h5py.__version__, "files": {}}
for libver, block in [(None, 0), ("earliest", 1024), ("v108", 0), ("latest", 0), (("v110", "latest"), 512)]:
    path = f"{sys.argv[1]}/{len(result['files'])}.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=block) as f:
        fill(f, libver == "latest")
    with h5py.File(path, "r") as f:
        result["files"][path] = expected(f)
with h5py.File(f"{sys.argv[1]}/external.h5", "w") as f:
    f.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)])
with h5py.File(f"{sys.argv[1]}/link.h5", "w") as f:
    f["x"] = h5py.ExternalLink("/etc/other.h5", "/y")
with h5py.File(f"{sys.argv[1]}/virtual.h5", "w") as f:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "y", (4,))
    f.create_virtual_dataset("x", layout)
with h5py.File(f"{sys.argv[1]}/soft.h5", "w") as f:
    f["x"] = h5py.SoftLink("/y")
with h5py.File(f"{sys.argv[1]}/lambda.h5", "w") as f:
    f.attrs["model_config"] = json.dumps({"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}})
with h5py.File(f"{sys.argv[1]}/scaled.h5", "w") as f:
    f.create_dataset("contiguous", data=array("<f4", (3,)))
    f.create_dataset("scaled", data=array("<i4", (30, 4)), chunks=(3, 4), scaleoffset=True)
json.dump(result, sys.stdout)
'''

DTYPES = {"BOOL": "|b1", "I8": "|i1", "U8": "|u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8",
          "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}


def h5py_python():
    for python in ["/usr/bin/python3", *filter(None, os.environ.get("TARE_H5PY_PYTHONS", "").split(":"))]:
        done = subprocess.run([python, "-c", "import h5py"], capture_output=True, check=False)
        if done.returncode == 0:
            return python
    return None


def tensors_of(path):
    """{name: [shape, dtype of numpy, bytes]} of a safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        out[name] = [entry["shape"], DTYPES[entry["dtype"]], data[8 + size + begin:8 + size + end].hex()]
    return out


class Hdf5Test(TareTest):
    def setUp(self):
        super().setUp()
        self.python = h5py_python()
        if self.python is None:
            self.skipTest("SKIPPED: no Python here has h5py (python3-h5py, TARE_H5PY_PYTHONS)")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run([self.python, "-c", WRITER, self.folder], capture_output=True, text=True, check=True,
                              env=environment)
        self.written = json.loads(done.stdout)

    def test_every_dataset_is_that_of_h5py(self):
        print("h5py", self.written["version"], file=sys.stderr)
        for path, expected in self.written["files"].items():
            with self.subTest(path):
                self.assertGreater(len(expected), 50)
                self.tare("convert", path, "-o", "out.safetensors", "--overwrite", expect=0)
                self.assertEqual(tensors_of(self.path("out.safetensors")), expected)
                self.tare("scan", path, expect=0)

    def test_what_reaches_out_is_found(self):
        for name, rule in (("external", "TARE-HDF-001"), ("link", "TARE-HDF-001"), ("virtual", "TARE-HDF-001"),
                           ("soft", "TARE-HDF-002"), ("lambda", "TARE-KER-001")):
            with self.subTest(name):
                done = self.tare("scan", name + ".h5")
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(rule, done.stdout)

    def test_what_is_not_read_is_a_problem(self):
        done = self.tare("inspect", "scaled.h5")
        self.assertIn("contiguous", done.stdout)
        self.assertIn("a filter that tare does not undo", done.stdout + done.stderr)
        self.assertNotEqual(self.tare("convert", "scaled.h5", "-o", "x.safetensors").returncode, 0)


if __name__ == "__main__":
    unittest.main()
