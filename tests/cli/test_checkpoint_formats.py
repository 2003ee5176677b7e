"""Checkpoints of Flax and others made by their own packages, held against what those read; and golden texts.

What no Python has (TARE_FORMAT_PYTHONS, see harness.py) is SKIPPED.
"""

import json
import os
import shutil
import struct
import subprocess
import unittest
import zipfile

from harness import TareTest, needs, python_with, read_safetensors, run_python

MAKE_FLAX = r"""
import json, sys, numpy as np, flax.serialization as fs, jax.numpy as jnp
random = np.random.default_rng(3)
NAMES = {"bool": "BOOL", "int8": "I8", "uint8": "U8", "int16": "I16", "uint16": "U16", "int32": "I32", "uint32": "U32",
         "int64": "I64", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64", "complex64": "C64",
         "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
tree = {"step": 7, "rate": 0.25, "note": "tiny"}
for name in NAMES:
    for shape in [(), (0,), (3,), (2, 3, 5)]:
        kind = np.dtype(getattr(jnp, name if name != "bool" else "bool_"))
        array = (random.normal(size=shape) * 100).astype(kind)
        tree.setdefault(name, {})["x".join(map(str, shape))] = array
tree["jax"] = jnp.arange(6.0).reshape(2, 3)
tree["scalar"] = np.float32(2.5)
tree["order"] = {"fortran": np.asfortranarray(random.normal(size=(3, 4)).astype(np.float32))}
if sys.argv[1] == "chunked":
    fs.MAX_CHUNK_SIZE = 40
open("model.msgpack", "wb").write(fs.to_bytes(tree))
out = {}
def walk(prefix, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            walk(prefix + [key], inner)
    elif not isinstance(value, (int, float, str)) or isinstance(value, np.generic):
        array = np.asarray(value)
        out[".".join(prefix)] = [NAMES[array.dtype.name], list(array.shape), array.tobytes().hex()]
walk([], fs.msgpack_restore(open("model.msgpack", "rb").read()))
print(json.dumps(out))
"""

# A checkpoint with variables of every type, one with slices in two files, and a SavedModel; prints what TensorFlow reads.
MAKE_TENSORFLOW = r"""
import json, os, sys, numpy as np
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
random = np.random.default_rng(11)
NAMES = {"bool": "BOOL", "int8": "I8", "uint8": "U8", "int16": "I16", "uint16": "U16", "int32": "I32", "uint32": "U32",
         "int64": "I64", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64", "complex64": "C64",
         "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
if sys.argv[1] == "slices":
    first = tf.constant(random.normal(size=(200, 3)).astype(np.float32))
    rest = tf.constant(random.normal(size=(100, 3)).astype(np.float32))
    tf.raw_ops.SaveV2(prefix="a", tensor_names=["part", "s"], shape_and_slices=["300 3 0,200:-", ""],
                      tensors=[first, tf.constant(["x", "yy"])])
    tf.raw_ops.SaveV2(prefix="b", tensor_names=["part"], shape_and_slices=["300 3 200,100:-"], tensors=[rest])
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=["a", "b"], destination_prefix="model", delete_old_dirs=False)
    path = "model"
else:
    module = tf.Module()
    for name in NAMES:
        for shape in [(), (0,), (3,), (2, 3, 5)]:
            array = tf.cast(tf.constant(random.normal(size=shape) * 100), name)
            setattr(module, name + "_".join(map(str, ("",) + shape)), tf.Variable(array))
    module.text = tf.Variable("a text")
    path = tf.train.Checkpoint(model=module).write("model")
    if sys.argv[1] == "saved_model":
        tf.saved_model.save(module, "saved")
        path = "saved/variables/variables"
reader = tf.train.load_checkpoint(path)
out = {}
for name, dtype in reader.get_variable_to_dtype_map().items():
    if dtype != tf.string:
        array = reader.get_tensor(name)
        out[name] = [NAMES[dtype.name], list(array.shape), array.tobytes().hex()]
print(json.dumps(out))
"""

# Models of scikit-learn that skops itself trusts, and one that it does not; prints which it does not.
MAKE_SKOPS = r"""
import functools, json, numpy as np, operator, os, skops.io as sio
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
x, y = make_classification(60, 4, random_state=0)
models = {"logistic": make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), "svc": SVC().fit(x, y),
          "forest": RandomForestClassifier(3, random_state=np.random.RandomState(1)).fit(x, y),
          "sgd": SGDClassifier().fit(x, y), "plain": {"a": [1, 2.5, None, "x"], "b": np.arange(3), "c": np.float32(2)},
          "generator": np.random.default_rng(3), "getter": operator.itemgetter(1),
          "hostile": FunctionTransformer(os.system), "method": x.sum, "partial": functools.partial(int, base=2)}
for name, model in models.items():
    sio.dump(model, name + ".skops")
print(json.dumps({name: sio.get_untrusted_types(file=name + ".skops") for name in models}))
"""

# Reads model.t7 with torchfile; prints the arrays in its tables.
READ_TORCH7 = r"""
import json, numpy as np, torchfile
NAMES = {"uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "float32": "F32", "float64": "F64"}
out = {}
def walk(prefix, value):
    if isinstance(value, np.ndarray):
        out[".".join(prefix)] = [NAMES[value.dtype.name], list(value.shape), value.tobytes().hex()]
    elif isinstance(value, dict):
        for key, inner in value.items():
            walk(prefix + [key.decode() if isinstance(key, bytes) else str(key)], inner)
    elif isinstance(value, torchfile.TorchObject):
        walk(prefix, value._obj)
walk([], torchfile.load("model.t7", use_list_heuristic=False))
print(json.dumps(out))
"""

# Files of R; prints the numbers of list.rds as C has them: row by row, little-endian.
MAKE_R = r"""
x <- list(m = matrix(c(1.5, -2, NA, Inf, 0, 1e300), 2, 3), a = array(1:24 * 3L, c(2, 3, 4)), l = c(TRUE, NA, FALSE),
          r = as.raw(0:4), n = list(x = c(0.5, 2), 7), t = c("a", NA))
hex <- function(v, d = dim(v)) {
  if (!is.null(d)) v <- aperm(v)
  if (is.logical(v)) v <- as.integer(v)
  paste0(as.character(if (is.raw(v)) v else writeBin(as.vector(v), raw(), endian = "little")), collapse = "")
}
for (v in list(x$m, x$a, x$l, x$r, x$n$x, x$n[[2]])) cat(hex(v), "\n")
saveRDS(x, "list.rds")
saveRDS(x, "xz.rds", compress = "xz")
y <- x; y$r <- NULL
saveRDS(y, "ascii.rds", ascii = TRUE)
out <- file("native.rds", "wb"); serialize(x, out, xdr = FALSE); close(out)
save(x, file = "two.rda", version = 2)
saveRDS(data.frame(x = c(1.5, 2), z = c("a", "b")), "frame.rds")
saveRDS(lm(mpg ~ wt, mtcars), "lm.rds")
saveRDS(glm(am ~ wt, data = mtcars, family = binomial), "glm.rds")
saveRDS(function(x) system(x), "function.rds")
e <- new.env(); delayedAssign("lazy", x + 1, assign.env = e); saveRDS(e, "promise.rds")
"""

MAKE_MXNET = r"""
import json, numpy as np
np.bool = np.bool_
import mxnet as mx
random = np.random.default_rng(13)
NAMES = {"float32": "F32", "float64": "F64", "float16": "F16", "uint8": "U8", "int32": "I32", "int8": "I8", "int64": "I64"}
arrays = {f"arg:{name}.{len(shape)}": mx.nd.array((random.normal(size=shape) * 100).astype(name), dtype=name)
          for name in NAMES for shape in [(3,), (2, 3, 5)]}
mx.nd.save("model.params", arrays)
read = {name: array.asnumpy() for name, array in mx.nd.load("model.params").items()}
print(json.dumps({name: [NAMES[array.dtype.name], list(array.shape), array.tobytes().hex()] for name, array in read.items()}))
"""

# Arrays of a checkpoint of Orbax without OCDBT; prints what TensorStore reads.
MAKE_ORBAX = r"""
import json, os, numpy as np, jax.numpy as jnp, tensorstore as ts, orbax.checkpoint as ocp
folder = os.path.abspath("model")
random = np.random.default_rng(17)
NAMES = {"float32": "F32", "int32": "I32", "uint8": "U8", "float16": "F16", "bfloat16": "BF16"}
tree = {name: jnp.asarray(random.normal(size=(5, 7)) * 100, name) for name in NAMES}
ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False, use_zarr3=False)).save(folder, tree)
metadata = {"compressor": None, "shape": [5, 7], "chunks": [2, 3], "dtype": "<f4"}
spec = {"driver": "zarr", "kvstore": "file://" + folder + "/chunks/", "metadata": metadata}
ts.open(spec, create=True).result().write(random.normal(size=(5, 7)).astype(np.float32)).result()
out = {}
for name in [*NAMES, "chunks"]:
    array = ts.open({"driver": "zarr", "kvstore": "file://" + folder + "/" + name + "/"}).result().read().result()
    out[name] = [NAMES[array.dtype.name], list(array.shape), array.tobytes().hex()]
print(json.dumps(out))
"""


class Torch7Writer:
    """Objects of Torch7, as torch.save() writes them."""

    def __init__(self):
        self.count = 0

    def numbered(self, kind):
        self.count += 1
        return struct.pack("<ii", kind, self.count)

    @staticmethod
    def text(value):
        return struct.pack("<i", len(value)) + value

    def table(self, items):
        head = self.numbered(3) + struct.pack("<i", len(items))
        return head + b"".join(self.value(key) + self.value(value) for key, value in items.items())

    def tensor(self, name, shape, strides, start, data, count):
        head = self.numbered(4) + self.text(b"V 1") + self.text(b"torch." + name + b"Tensor")
        numbers = struct.pack(f"<i{2 * len(shape) + 1}q", len(shape), *shape, *strides, start)
        storage = self.numbered(4) + self.text(b"V 1") + self.text(b"torch." + name + b"Storage")
        return head + numbers + storage + struct.pack("<q", count) + data

    def value(self, value):
        if callable(value):
            return value()
        if isinstance(value, dict):
            return self.table(value)
        if isinstance(value, bytes):
            return struct.pack("<i", 2) + self.text(value)
        return struct.pack("<id", 1, value)


def npy_bytes():
    header = b"{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }"
    return b"\x93NUMPY\x01\0" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n" + b"abcd"


class CheckpointFormatTest(TareTest):
    def made(self, modules, source, variant=""):
        return json.loads(run_python(python_with(modules), source, variant, cwd=self.folder))

    def converted(self, model):
        """Name -> type, shape and bytes as hex of what tare converts the model to."""
        self.tare("convert", model, "-o", "out.safetensors", expect=0)
        tensors, _ = read_safetensors(self.path("out.safetensors"))
        os.remove(self.path("out.safetensors"))
        return {name: [dtype, shape, data.hex()] for name, (dtype, shape, data) in tensors.items()}


class FlaxTest(CheckpointFormatTest):
    @needs("flax.serialization")
    def test_converts_to_what_flax_reads(self):
        for variant in ("whole", "chunked"):
            with self.subTest(variant):
                expected = self.made("flax.serialization", MAKE_FLAX, variant)
                self.assertEqual(len(expected), 67)
                self.tare("scan", "model.msgpack", expect=0)
                self.assertEqual(self.converted("model.msgpack"), expected)
                metadata = self.tare_json("inspect", "--json", "model.msgpack")["metadata"]
                self.assertEqual(metadata, {"step": "7", "rate": "0.25", "note": "tiny"})

    def test_golden(self):
        def array(*shape, data):
            content = b"\x93" + bytes([0x90 + len(shape), *shape]) + b"\xa4int8" + b"\xc4" + bytes([len(data)]) + data
            return b"\xc7" + bytes([len(content), 1]) + content

        self.write("model.msgpack", b"\x82\xa6params\x81\xa6kernel" + array(2, 2, data=b"abcd") + b"\xa4step\x07")
        self.write("odd.msgpack", b"\x82\xa1a" + array(2, 2, data=b"abc") + b"\xa1b\xc4\x03cos")
        self.check("flax_inspect", self.tare("inspect", "model.msgpack"))
        self.check("flax_scan", self.tare("scan", "model.msgpack", "odd.msgpack"))


class TensorflowCheckpointTest(CheckpointFormatTest):
    @needs("tensorflow")
    def test_converts_to_what_tensorflow_reads(self):
        models = {"checkpoint": ("model.index", 64), "saved_model": ("saved/variables", 64), "slices": ("model.index", 1)}
        for variant, (model, count) in models.items():
            with self.subTest(variant):
                expected = self.made("tensorflow", MAKE_TENSORFLOW, variant)
                self.assertEqual(len(expected), count)
                self.tare("scan", "model.index", expect=0)
                self.assertEqual(self.converted(model), expected)

    # An index with the tensor "w" and the texts "t", written by TensorFlow 2.21 (tf.raw_ops.SaveV2).
    INDEX = (
        "00000608011a0208010001117408071204120208012008280635c1cb475800010f770801120412020802280835593ce5"
        "35000000000100000000df147f46000000000100000000c0f2a1b000010278003900000000010000000053ee0f5d3e08"
        "4b0e00000000000000000000000000000000000000000000000000000000000000000000000057fb808b247547db"
    )

    def test_golden(self):
        index = bytes.fromhex(self.INDEX)
        self.write("model.index", index)
        self.write("model.data-00000-of-00001", bytes.fromhex("0000803f00000040011d15826578"))
        self.write("alone.index", index)
        self.write("checkpoint", b'model_checkpoint_path: "/tmp/elsewhere/model"\n')
        self.check("tensorflow_checkpoint_inspect", self.tare("inspect", "model.index"))
        self.check("tensorflow_checkpoint_alone", self.tare("inspect", "alone.index"))
        self.check("tensorflow_checkpoint_scan", self.tare("scan", "model.index", "checkpoint"))


class SkopsTest(CheckpointFormatTest):
    @needs("skops, sklearn")
    def test_agrees_with_what_skops_trusts(self):
        untrusted = self.made("skops, sklearn", MAKE_SKOPS)
        # Both are harmless; skops leaves them to the user.
        known = {"sklearn.tree._tree.Tree", "operator.itemgetter"}
        for name, untrusted_names in untrusted.items():
            names = set(untrusted_names) - known
            with self.subTest(name, names=names):
                report = self.tare("scan", name + ".skops")
                self.assertEqual(report.returncode, 1 if names else 0, report.stdout)
        self.assertIn("dangerous", self.tare("scan", "hostile.skops").stdout)

    def test_golden(self):
        def node(loader, module, name, content):
            return {"__class__": name, "__module__": module, "__loader__": loader, "content": content}

        function = node("FunctionNode", "posix", "system", None)
        unknown = node("ObjectNode", "my_project", "Encoder", None)
        schema = {**node("ListNode", "builtins", "list", [function, unknown]), "protocol": 2, "_skops_version": "0.16"}
        with zipfile.ZipFile(self.path("model.skops"), "w") as archive:
            archive.writestr("1.npy", npy_bytes())
            archive.writestr("schema.json", json.dumps(schema))
        self.check("skops_scan", self.tare("scan", "model.skops"))
        self.check("skops_inspect", self.tare("inspect", "model.skops"))


class Torch7Test(CheckpointFormatTest):
    def model(self, extra):
        out = Torch7Writer()
        sizes = {b"Byte": 1, b"Char": 1, b"Short": 2, b"Int": 4, b"Long": 8, b"Float": 4, b"Double": 8}
        tensors = {}
        for name, size in sizes.items():
            data = bytes(range(7, 7 + 12 * size))
            tensors[name] = lambda name=name, data=data: out.tensor(name, (2, 3), (1, 4), 2, data, 12)
        layers = {1: tensors[b"Float"], 2: {b"bias": tensors[b"Double"]}}
        return out.value({**tensors, b"layers": layers, b"epoch": 7, b"name": b"tiny", **extra})

    @needs("torchfile, numpy")
    def test_converts_to_what_torchfile_reads(self):
        self.write("model.t7", self.model({}))
        expected = json.loads(run_python(python_with("torchfile, numpy"), READ_TORCH7, cwd=self.folder))
        self.assertEqual(len(expected), 9)
        self.tare("scan", "model.t7", expect=0)
        self.assertEqual(self.converted("model.t7"), expected)

    def test_golden(self):
        function = b"\x08\0\0\0\x63\0\0\0" + Torch7Writer.text(b"\x1bLJ\x01code") + bytes(4)
        self.write("model.t7", self.model({b"hook": lambda: function}))
        self.check("torch7_inspect", self.tare("inspect", "model.t7"))
        self.check("torch7_scan", self.tare("scan", "model.t7"))


class RTest(CheckpointFormatTest):
    @unittest.skipUnless(shutil.which("Rscript"), "SKIPPED: no R here")
    def test_agrees_with_r(self):
        self.write("make.R", MAKE_R.encode())
        made = subprocess.run(["Rscript", "make.R"], cwd=self.folder, capture_output=True, text=True, check=True)
        types = {"m": ("F64", [2, 3]), "a": ("I32", [2, 3, 4]), "l": ("I32", [3]), "r": ("U8", [5]), "n.x": ("F64", [2]),
                 "n.2": ("F64", [1])}
        expected = {name: [*kind, data.strip()] for (name, kind), data in zip(types.items(), made.stdout.splitlines())}
        for model, prefix in (("list.rds", ""), ("xz.rds", ""), ("native.rds", ""), ("two.rda", "x."), ("ascii.rds", "")):
            with self.subTest(model):
                self.tare("scan", model, expect=0)
                wanted = {prefix + n: t for n, t in expected.items() if n != "r" or model != "ascii.rds"}
                self.assertEqual(self.converted(model), wanted)
        verdicts = {"frame": "safe", "lm": "suspicious", "glm": "suspicious", "function": "dangerous", "promise": "dangerous"}
        for name, verdict in verdicts.items():
            self.assertIn(f"{name}.rds: {verdict}", self.tare("scan", name + ".rds").stdout)

    def test_golden(self):
        number = lambda *values: b"".join(value.to_bytes(4, "big") for value in values)  # noqa: E731
        symbol = lambda name: number(1, 9, len(name)) + name  # noqa: E731
        doubles = number(14, 2) + struct.pack(">2d", 1.5, 2)
        call = number(6) + symbol(b"system") + number(2, 16, 1, 9, 2) + b"id" + number(254)
        head = b"RDX2\nX\n" + number(2, 0x040202, 0x020300) + number(2 | 1024) + symbol(b"w") + doubles
        self.write("plain.rda", head + number(254))
        self.write("hostile.rda", head + number(2 | 1024) + symbol(b"x") + number(5, 252) + call + number(254))
        self.check("r_inspect", self.tare("inspect", "plain.rda"))
        self.check("r_scan", self.tare("scan", "plain.rda", "hostile.rda"))


class MxnetTest(CheckpointFormatTest):
    @needs("mxnet")
    def test_converts_to_what_mxnet_reads(self):
        expected = self.made("mxnet", MAKE_MXNET)
        self.assertEqual(len(expected), 14)
        self.tare("scan", "model.params", expect=0)
        self.assertEqual(self.converted("model.params"), expected)

    def test_golden(self):
        array = struct.pack("<IIIqIII", 0xF993FAC9, 0, 1, 2, 1, 0, 0) + bytes(8)
        names = struct.pack("<QQ", 1, 5) + b"arg:w"
        self.write("model.params", struct.pack("<QQQ", 0x112, 0, 1) + array + names)
        self.write("cut.params", struct.pack("<QQQ", 0x112, 0, 1) + array[:-1])
        self.check("mxnet_inspect", self.tare("inspect", "model.params"))
        self.check("mxnet_scan", self.tare("scan", "model.params", "cut.params"))


class OrbaxTest(CheckpointFormatTest):
    @needs("orbax.checkpoint, tensorstore")
    def test_arrays_are_what_tensorstore_reads(self):
        for name, expected in self.made("orbax.checkpoint, tensorstore", MAKE_ORBAX).items():
            with self.subTest(name):
                self.tare("scan", f"model/{name}/.zarray", expect=0)
                self.assertEqual(self.converted(f"model/{name}/.zarray"), {name: expected})

    def test_golden(self):
        os.mkdir(self.path("w"))
        metadata = {"zarr_format": 2, "shape": [3], "chunks": [2], "dtype": "<i2", "order": "C", "compressor": None, "filters": None}
        self.write("w/.zarray", json.dumps(metadata).encode())
        self.write("w/0", b"abcd")
        self.write("w/1", b"ef\0\0")
        self.write("odd.json", json.dumps({**metadata, "filters": [{"id": "pickle"}]}).encode())
        self.check("zarr_inspect", self.tare("inspect", "w/.zarray"))
        self.check("zarr_scan", self.tare("scan", "w/.zarray", "odd.json"))


if __name__ == "__main__":
    unittest.main()
