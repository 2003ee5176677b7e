"""GGUF, ONNX and TensorFlow Lite models made by their own packages, held against what those read.

TARE_FORMAT_PYTHONS (colon-separated) names Pythons that have onnx, gguf or tflite with flatbuffers, besides
/usr/bin/python3 and those of TARE_TORCH_PYTHONS. What no Python has is SKIPPED.
"""

import json
import os
import unittest

from harness import TareTest, needs, python_with, run_python


# Reads a safetensors file without its package: name -> (type, shape, bytes as hex).
READ_SAFETENSORS = r"""
import json, struct, sys
def tensors_of(path):
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    return {n: (t["dtype"], t["shape"], data[8 + length:][slice(*t["data_offsets"])].hex())
            for n, t in header.items() if n != "__metadata__"}
"""

# Makes model.onnx with a tensor of every type, in raw data or typed fields; prints what onnx reads of it.
MAKE_ONNX = r"""
import json, sys, numpy as np, onnx
from onnx import TensorProto as T, helper, numpy_helper
random = np.random.default_rng(5)
NAMES = {T.FLOAT: "F32", T.DOUBLE: "F64", T.INT8: "I8", T.INT16: "I16", T.INT32: "I32", T.INT64: "I64", T.UINT8: "U8",
         T.UINT16: "U16", T.UINT32: "U32", T.UINT64: "U64", T.BOOL: "BOOL", T.FLOAT16: "F16", T.COMPLEX64: "C64"}
# Before 1.13: it cannot read its own complex numbers, nor tensors without elements from another file.
OLD = not hasattr(helper, "tensor_dtype_to_np_dtype")
SHAPES = [(), (3,), (2, 3, 5)] + ([] if OLD and sys.argv[1] == "external" else [(0,)])
if OLD:
    del NAMES[T.COMPLEX64]
tensors = []
for number in NAMES:
    kind = onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[number] if OLD else helper.tensor_dtype_to_np_dtype(number)
    size = np.dtype(kind).itemsize
    for shape in SHAPES:
        count = int(np.prod(shape))
        if number == T.BOOL:
            array = random.integers(0, 2, count).astype(bool).reshape(shape)
        elif number in (T.FLOAT, T.DOUBLE, T.FLOAT16, T.COMPLEX64):
            array = random.normal(size=count).astype(kind).reshape(shape)
        else:
            array = np.frombuffer(random.bytes(count * size), kind).reshape(shape)
        name = f"{NAMES[number]}.{'x'.join(map(str, shape))}"
        tensors.append(numpy_helper.from_array(array, name + ".raw"))
        if sys.argv[1] == "typed":
            tensors.append(helper.make_tensor(name + ".typed", number, shape, array.flatten().tolist()))
node = helper.make_node("Identity", ["x"], ["y"])
info = lambda name: helper.make_tensor_value_info(name, T.FLOAT, [1])
graph = helper.make_graph([node], "g", [info("x")], [info("y")], tensors)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
if sys.argv[1] == "external":
    onnx.save(model, "model.onnx", save_as_external_data=True, all_tensors_to_one_file=True, location="w.bin", size_threshold=0)
else:
    onnx.save(model, "model.onnx")
read = onnx.load("model.onnx")
out = {}
for tensor in read.graph.initializer:
    array = numpy_helper.to_array(tensor)
    out[tensor.name] = [NAMES[tensor.data_type], list(array.shape), array.tobytes().hex()]
print(json.dumps(out))
"""

MAKE_GGUF = r"""
import json, sys, numpy as np, gguf
random = np.random.default_rng(7)
endian = gguf.GGUFEndian.BIG if sys.argv[1] == "big" else gguf.GGUFEndian.LITTLE
writer = gguf.GGUFWriter("model.gguf", "llama", endianess=endian)
writer.add_name("tiny")
writer.add_uint32("llama.block_count", 1)
writer.add_float32("llama.rope.freq_base", 10000.0)
writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])
writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
if sys.argv[1] == "aligned":
    writer.add_custom_alignment(128)
names = {np.float32: "F32", np.float16: "F16", np.float64: "F64", np.int8: "I8", np.int16: "I16", np.int32: "I32", np.int64: "I64"}
for kind, name in names.items():
    for shape in [(3,), (2, 5), (2, 3, 4)]:
        array = (random.normal(size=shape) * 100).astype(kind)
        writer.add_tensor(f"{name}.{len(shape)}", array)
for quantized in ("Q4_0", "Q8_0") if sys.argv[1] != "big" else ():
    kind = gguf.GGMLQuantizationType[quantized]
    blocks = gguf.quants.quantize(random.normal(size=(4, 64)).astype(np.float32), kind)
    if sys.argv[1] == "quantized":
        writer.add_tensor(quantized, blocks, raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
reader = gguf.GGUFReader("model.gguf")
out = {}
for tensor in reader.tensors:
    data = tensor.data
    data = data.astype(data.dtype.newbyteorder("<"))
    out[tensor.name] = [tensor.tensor_type.name, [int(n) for n in reversed(tensor.shape)], data.tobytes().hex()]
print(json.dumps(out))
"""

# A model of one graph with a constant of every type, by the object API of the package.
MAKE_TFLITE = r"""
import json, sys, numpy as np, flatbuffers, tflite
random = np.random.default_rng(9)
KINDS = {0: ("F32", np.float32), 1: ("F16", np.float16), 2: ("I32", np.int32), 3: ("U8", np.uint8), 4: ("I64", np.int64),
         6: ("BOOL", np.bool_), 7: ("I16", np.int16), 9: ("I8", np.int8), 10: ("F64", np.float64), 12: ("U64", np.uint64)}
b = flatbuffers.Builder(1024)
def table(name, *fields):
    b.StartObject(12)
    for slot, kind, value in fields:
        if kind == "offset":
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
        elif kind == "u32":
            b.PrependUint32Slot(slot, value, 0)
        else:
            b.PrependInt8Slot(slot, value, 0)
    return b.EndObject()
def vector(offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()
buffers, tensors = [table("Buffer")], []
for code, (name, kind) in KINDS.items():
    for shape in [(3,), (2, 3)]:
        count = int(np.prod(shape))
        array = (random.normal(size=shape) * 100).astype(kind) if kind != np.bool_ else random.integers(0, 2, shape).astype(bool)
        data = b.CreateByteVector(array.tobytes())
        buffers.append(table("Buffer", (0, "offset", data)))
        shape_at = b.CreateNumpyVector(np.array(shape, np.int32))
        name_at = b.CreateString(f"{name}.{len(shape)}")
        tensors.append(table("Tensor", (0, "offset", shape_at), (1, "i8", code), (2, "u32", len(buffers) - 1), (3, "offset", name_at)))
ends = b.CreateNumpyVector(np.array([0], np.int32))
operator = table("Operator", (0, "u32", 0), (1, "offset", ends), (2, "offset", ends))
graph = table("SubGraph", (0, "offset", vector(tensors)), (1, "offset", ends), (2, "offset", ends), (3, "offset", vector([operator])))
code = table("OperatorCode", (0, "i8", 0))
model = table("Model", (0, "u32", 3), (1, "offset", vector([code])), (2, "offset", vector([graph])), (4, "offset", vector(buffers)))
b.Finish(model, b"TFL3")
open("model.tflite", "wb").write(b.Output())
read = tflite.Model.GetRootAs(open("model.tflite", "rb").read(), 0)
out, graph = {}, read.Subgraphs(0)
for i in range(graph.TensorsLength()):
    tensor = graph.Tensors(i)
    data = read.Buffers(tensor.Buffer()).DataAsNumpy()
    out[tensor.Name().decode()] = [KINDS[tensor.Type()][0], tensor.ShapeAsNumpy().tolist(), data.tobytes().hex()]
print(json.dumps(out))
"""


class GraphFormatTest(TareTest):
    def made(self, modules, source, variant=""):
        return json.loads(run_python(python_with(modules), source, variant, cwd=self.folder))

    def converted(self, model):
        self.tare("convert", model, "-o", "out.safetensors", expect=0)
        scope = {}
        exec(READ_SAFETENSORS, scope)  # pylint: disable=exec-used
        return {name: list(tensor) for name, tensor in scope["tensors_of"](self.path("out.safetensors")).items()}

    @needs("onnx")
    def test_onnx_converts_to_what_onnx_reads(self):
        for variant in ("raw", "typed", "external"):
            with self.subTest(variant):
                expected = self.made("onnx", MAKE_ONNX, variant)
                self.assertGreater(len(expected), 35)
                self.tare("scan", "model.onnx", expect=0)
                self.assertEqual(self.converted("model.onnx"), expected)
                os.remove(self.path("out.safetensors"))

    @needs("gguf")
    def test_gguf_converts_to_what_gguf_reads(self):
        for variant in ("little", "big", "aligned"):
            with self.subTest(variant):
                expected = self.made("gguf", MAKE_GGUF, variant)
                self.assertEqual(len(expected), 21)
                self.tare("scan", "model.gguf", expect=0)
                self.assertEqual(self.converted("model.gguf"), expected)
                os.remove(self.path("out.safetensors"))

    @needs("gguf")
    def test_gguf_lists_quantized_tensors_and_does_not_convert_them(self):
        expected = self.made("gguf", MAKE_GGUF, "quantized")
        self.tare("scan", "model.gguf", expect=0)
        listed = self.tare_json("inspect", "--json", "model.gguf")
        self.assertEqual([t["name"] for t in listed["special_tensors"]], ["Q4_0", "Q8_0"])
        for tensor in listed["special_tensors"]:
            self.assertEqual(tensor["layout"], "block_quantized")
            self.assertEqual(tensor["shape"], [4, 64])
            self.assertEqual(expected[tensor["name"]][1], [4, 64])
        self.assertEqual(listed["metadata"]["general.name"], "tiny")
        self.assertIn("blocks of ggml", self.tare("convert", "model.gguf", "-o", "x.safetensors", expect=2).stderr)

    @needs("tflite, flatbuffers, numpy")
    def test_tflite_converts_to_what_tflite_reads(self):
        expected = self.made("tflite, flatbuffers, numpy", MAKE_TFLITE)
        self.assertEqual(len(expected), 20)
        self.tare("scan", "model.tflite", expect=0)
        self.assertEqual(self.converted("model.tflite"), expected)


if __name__ == "__main__":
    unittest.main()
