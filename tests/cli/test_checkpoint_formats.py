"""Checkpoints of Flax and others made by their own packages, held against what those read; and golden texts.

What no Python has (TARE_FORMAT_PYTHONS, see harness.py) is SKIPPED.
"""

import json
import os
import unittest

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


if __name__ == "__main__":
    unittest.main()
