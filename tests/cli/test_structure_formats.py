"""Models of XGBoost, LightGBM, CatBoost and others made by their own packages: whole ones are safe, changed ones
are not.

TARE_FORMAT_PYTHONS (colon-separated) names Pythons that have them, besides /usr/bin/python3 and those of
TARE_TORCH_PYTHONS. What no Python has is SKIPPED.
"""

import json
import os
import unittest

from harness import TareTest, run_python
from test_graph_formats import READ_SAFETENSORS, needs, python_with

# Each prints nothing and writes files into the working directory: honest ones.
MAKE_XGBOOST = r"""
import numpy as np, xgboost as xgb
random = np.random.default_rng(0)
x, y = random.normal(size=(60, 4)), random.integers(0, 3, 60)
data = xgb.DMatrix(x, label=y)
model = xgb.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 3}, data, 3)
model.set_attr(best_score="0.5")
model.save_model("tree.json")
model.save_model("tree.ubj")
xgb.train({"booster": "dart"}, data, 3).save_model("dart.json")
xgb.train({"booster": "dart"}, data, 3).save_model("dart.ubj")
xgb.train({"booster": "gblinear"}, data, 2).save_model("linear.json")
xgb.train({"tree_method": "hist", "max_cat_to_onehot": 1},
          xgb.DMatrix(np.c_[y, x], label=y == 1, feature_types=["c"] + ["q"] * 4, enable_categorical=True), 2).save_model("sets.json")
xgb.train({"multi_strategy": "multi_output_tree", "tree_method": "hist"},
          xgb.DMatrix(x, label=x[:, :2]), 2).save_model("targets.ubj")
for name in ("reg:gamma", "count:poisson", "survival:cox", "reg:tweedie", "reg:pseudohubererror"):
    xgb.train({"objective": name}, xgb.DMatrix(x, label=y + 1), 1).save_model(name.replace(":", ".") + ".json")
"""

MAKE_LIGHTGBM = r"""
import numpy as np, lightgbm as lgb
random = np.random.default_rng(0)
x, y = random.normal(size=(400, 4)), random.integers(0, 3, 400)
settings = {"verbose": -1, "num_leaves": 7}
def save(name, label=y, values=x, group=None, **more):
    lgb.train({**settings, **more}, lgb.Dataset(values, label, group=group, categorical_feature=more.get("sets", "auto")), 3).save_model(name)
save("plain.txt")
save("classes.txt", objective="multiclass", num_class=3)
save("linear.txt", x[:, 0], linear_tree=True)
save("forest.txt", boosting="rf", bagging_freq=1, bagging_fraction=0.5)
save("rank.txt", objective="lambdarank", group=[100] * 4)
save("sets.txt", values=np.c_[random.integers(0, 40, 400), x], sets=[0])
save("stump.txt", values=np.zeros((400, 2)))
"""

MAKE_CATBOOST = r"""
import numpy as np
from catboost import CatBoostClassifier, CatBoostRegressor
random = np.random.default_rng(0)
x = random.normal(size=(300, 4))
settings = {"iterations": 4, "depth": 3, "verbose": 0, "allow_writing_files": False}
CatBoostRegressor(**settings).fit(x, x[:, 0]).save_model("plain.cbm")
CatBoostClassifier(**settings).fit(x, random.integers(0, 3, 300)).save_model("classes.cbm")
for policy in ("Lossguide", "Depthwise"):
    CatBoostRegressor(grow_policy=policy, **settings).fit(x, x[:, 0]).save_model(policy + ".cbm")
CatBoostRegressor(border_count=1000, **settings).fit(random.normal(size=(3000, 2)), np.arange(3000) % 7).save_model("wide.cbm")
names = [[str(i % 5), float(i)] for i in range(300)]
CatBoostRegressor(one_hot_max_size=9, cat_features=[0], **settings).fit(names, x[:, 0]).save_model("sets.cbm")
"""

# A model with a constant of every type that has one here; prints what numpy has of them.
MAKE_OPENVINO = r"""
import json, numpy as np, openvino as ov
from openvino import opset13 as op
random = np.random.default_rng(3)
KINDS = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16, "I32": np.int32,
         "I64": np.int64, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64, "BOOL": np.bool_}
out, results = {}, []
for name, kind in KINDS.items():
    for shape in [(), (3,), (2, 3, 5)]:
        array = (random.normal(size=shape) * 100).astype(kind)
        if kind == np.bool_:
            array = np.array(random.integers(0, 2, shape), bool)
        label = f"{name}.{len(shape)}"
        out[label] = [name, list(shape), array.tobytes().hex()]
        constant = op.constant(array)
        constant.set_friendly_name(label)
        results.append(op.result(op.convert(constant, "f32")))
ov.save_model(ov.Model(results, [], "constants"), "constants.xml", compress_to_fp16=False)

x, c = op.parameter([1, 3, 8, 8], np.float32), op.parameter([], bool)
y = op.softmax(op.prelu(op.gelu(op.mvn(x, op.constant([2, 3]), True, 1e-5, "inside_sqrt"), "erf"), op.constant([0.1], np.float32)), 1)
y = op.reduce_mean(op.convolution(y, op.constant(np.ones((4, 3, 3, 3), np.float32)), [1, 1], [1, 1], [1, 1], [1, 1]), op.constant([2, 3]), False)
def body(number):
    inner = op.parameter([1, 4], np.float32)
    return ov.Model([op.result(op.add(inner, op.constant(np.full(4, number, np.float32))))], [inner], "body"), inner
branch = op.if_op(c)
(yes, yes_in), (no, no_in) = body(1), body(2)
branch.set_then_body(yes)
branch.set_else_body(no)
branch.set_input(y.output(0), yes_in, no_in)
z = branch.set_output(yes.results[0], no.results[0])
parts = op.variadic_split(z, op.constant(1), op.constant([1, 3]))
more = [op.hswish(parts.output(0)), op.log_softmax(parts.output(1), 1), op.topk(y, op.constant(2), 1, "max", "value")]
ov.save_model(ov.Model([op.result(m.output(0)) for m in more], [x, c], "many"), "many.xml")
print(json.dumps(out))
"""

MAKE_PMML = r"""
import numpy as np, pandas
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn2pmml import make_pmml_pipeline, sklearn2pmml
random = np.random.default_rng(0)
x = pandas.DataFrame(random.normal(size=(60, 3)), columns=list("abc"))
y = pandas.Series((x.a > 0).astype(int), name="y")
models = [DecisionTreeClassifier(), make_pipeline(StandardScaler(), LogisticRegression()), RandomForestRegressor(3), SVC(),
          GradientBoostingClassifier(n_estimators=3), KMeans(2), MLPClassifier((3,), max_iter=5), KNeighborsClassifier(),
          make_pipeline(KBinsDiscretizer(), LogisticRegression())]
for i, model in enumerate(models):
    sklearn2pmml(make_pmml_pipeline(model.fit(x, y), active_fields=list("abc"), target_fields=["y"]), f"{i}.pmml")
"""

MAKE_COREML = r"""
import numpy as np, coremltools as ct
from coremltools.converters.mil import Builder as mb
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
builder = NeuralNetworkBuilder([("x", datatypes.Array(3))], [("y", datatypes.Array(2))])
builder.add_inner_product("dense", np.ones((2, 3)), np.zeros(2), 3, 2, True, "x", "h")
builder.add_activation("relu", "RELU", "h", "y")
ct.models.utils.save_spec(builder.spec, "network.mlmodel")
@mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))])
def program(x):
    y = mb.relu(x=mb.conv(x=x, weight=np.arange(432, dtype=np.float32).reshape(16, 3, 3, 3), pad_type="same"))
    return mb.reduce_mean(x=y, axes=[2, 3])
ct.convert(program, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32).save("program.mlpackage")
ct.convert(program, convert_to="neuralnetwork").save("converted.mlmodel")
from coremltools.proto import NeuralNetwork_pb2
layer = builder.spec.neuralNetwork.layers.add(name="c", input=["h"], output=["z"])
layer.custom.className = "MyLayer"
ct.models.utils.save_spec(builder.spec, "custom.mlmodel")
"""

MAKE_PADDLE = r"""
import json, numpy as np, paddle
from paddle.pir_utils import OldIrGuard
with OldIrGuard():
    paddle.enable_static()
    main, start = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, start):
        x = paddle.static.data("x", [None, 1, 8, 8], "float32")
        y = paddle.static.nn.conv2d(x, 4, 3, act="relu")
        y = paddle.static.nn.fc(y, 2)
        y = paddle.nn.functional.softmax(y)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(start)
    paddle.static.save_inference_model("honest", [x], [y], executor, program=main)
    values = {v.name: np.array(paddle.static.global_scope().find_var(v.name).get_tensor())
              for v in main.list_vars() if v.persistable and "@" not in v.name}
    with paddle.static.program_guard(main, start):
        out = main.current_block().create_var(name="z", dtype="float32", shape=[1])
        paddle.static.py_func(lambda a: a, y, out)
    open("hostile.pdmodel", "wb").write(main.desc.serialize_to_string())
names = sorted(n for n in values if n.endswith(("b_0", "w_0")))
print(json.dumps([[list(values[n].shape), values[n].tobytes().hex()] for n in names]))
"""

MAKE_MXNET = r"""
import numpy
numpy.bool = bool
import mxnet as mx
x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4)
mx.sym.softmax(mx.sym.Activation(x, act_type="relu")).save("plain.json")
mx.sym.contrib.foreach(lambda a, s: (a + s, a + s), mx.sym.Variable("a"), mx.sym.Variable("s"))[0].save("loop.json")
"""


class StructureFormatTest(TareTest):
    def made(self, modules, source):
        run_python(python_with(modules), source, cwd=self.folder)
        return self.files()

    def verdict(self, name):
        report = json.loads(self.tare("scan", "--format", "json", name).stdout)
        return report["files"][0]["verdict"]

    def assert_safe(self, names, format_name):
        for name in names:
            with self.subTest(name):
                report = json.loads(self.tare("scan", "--format", "json", name, expect=0).stdout)["files"][0]
                self.assertEqual(report["verdict"], "safe")
                self.assertIn(format_name, report["formats"][0])

    def assert_cut_is_not_safe(self, name, step):
        """Cut off anywhere, a model is not safe."""
        with open(self.path(name), "rb") as file:
            content = file.read()
        for size in range(8, len(content) - 4, max(1, len(content) // step)):
            self.write("cut", content[:size])
            self.assertNotEqual(self.tare("scan", "cut").returncode, 0, size)
        os.remove(self.path("cut"))

    @needs("xgboost")
    def test_xgboost(self):
        names = self.made("xgboost", MAKE_XGBOOST)
        self.assertEqual(len(names), 12)
        self.assert_safe(names, "xgboost")
        self.assert_cut_is_not_safe("tree.ubj", 20)
        with open(self.path("tree.json"), encoding="utf-8") as file:
            model = json.load(file)
        model["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"][0] = 1 << 30
        self.write("hostile.json", json.dumps(model).encode())
        self.assertEqual(self.verdict("hostile.json"), "dangerous")

    @needs("lightgbm")
    def test_lightgbm(self):
        names = self.made("lightgbm", MAKE_LIGHTGBM)
        self.assertEqual(len(names), 7)
        self.assert_safe(names, "lightgbm")
        with open(self.path("plain.txt"), "rb") as file:
            content = file.read()
        self.write("hostile.txt", content.replace(b"left_child=1 ", b"left_child=9 "))
        self.assertEqual(self.verdict("hostile.txt"), "dangerous")
        self.write("hostile.txt", content.replace(b"tree_sizes=", b"tree_sizes=9"))
        self.assertEqual(self.verdict("hostile.txt"), "dangerous")

    @needs("catboost")
    def test_catboost(self):
        names = self.made("catboost", MAKE_CATBOOST)
        self.assertEqual(len(names), 6)
        self.assert_safe(names, "catboost")
        self.assert_cut_is_not_safe("plain.cbm", 20)

    @needs("openvino")
    def test_openvino(self):
        expected = json.loads(run_python(python_with("openvino"), MAKE_OPENVINO, cwd=self.folder))
        self.assertEqual(len(expected), 36)
        self.assert_safe(["constants.xml", "many.xml"], "openvino")
        self.tare("convert", "constants.xml", "-o", "out.safetensors", expect=0)
        scope = {}
        exec(READ_SAFETENSORS, scope)  # pylint: disable=exec-used
        self.assertEqual({n: list(t) for n, t in scope["tensors_of"](self.path("out.safetensors")).items()}, expected)
        with open(self.path("many.xml"), "rb") as file:
            content = file.read()
        self.write("custom.xml", content.replace(b'type="Gelu" version="opset7"', b'type="Gelu" version="extension"'))
        self.assertEqual(self.verdict("custom.xml"), "suspicious")
        self.write("outside.xml", content.replace(b'offset="0"', b'offset="18446744073709551615"', 1))
        self.assertEqual(self.verdict("outside.xml"), "dangerous")

    @needs("sklearn2pmml")
    def test_pmml(self):
        names = self.made("sklearn2pmml", MAKE_PMML)
        self.assertEqual(len(names), 9)
        self.assert_safe(names, "pmml")

    @needs("coremltools")
    def test_coreml(self):
        self.made("coremltools", MAKE_COREML)
        inside = os.path.join("program.mlpackage", "Data", "com.apple.CoreML")
        weights = os.path.join(inside, "weights", "weight.bin")
        self.assert_safe(["network.mlmodel", "converted.mlmodel", os.path.join(inside, "model.mlmodel"), weights,
                          os.path.join("program.mlpackage", "Manifest.json")], "coreml")
        self.tare("scan", "program.mlpackage", expect=0)
        self.assertEqual(self.verdict("custom.mlmodel"), "suspicious")
        tensors = self.tare_json("inspect", "--json", weights)["tensors"]
        self.assertEqual([(t["dtype"], t["shape"]) for t in tensors], [("F32", [432])])

    @needs("paddle")
    def test_paddle(self):
        expected = json.loads(run_python(python_with("paddle"), MAKE_PADDLE, cwd=self.folder).splitlines()[-1])
        self.assert_safe(["honest.pdmodel", "honest.pdiparams"], "paddle")
        self.assertEqual(self.verdict("hostile.pdmodel"), "dangerous")
        self.tare("convert", "honest.pdiparams", "-o", "out.safetensors", expect=0)
        scope = {}
        exec(READ_SAFETENSORS, scope)  # pylint: disable=exec-used
        tensors = scope["tensors_of"](self.path("out.safetensors"))
        self.assertEqual([list(tensors[f"tensor.{i}"][1:]) for i in range(len(tensors))], expected)

    @needs("mxnet, numpy")
    def test_mxnet(self):
        self.made("mxnet, numpy", MAKE_MXNET)
        self.assert_safe(["plain.json", "loop.json"], "mxnet")
        with open(self.path("plain.json"), "rb") as file:
            content = file.read()
        self.write("hostile.json", content.replace(b'"softmax"', b'"_Native"'))
        self.assertEqual(self.verdict("hostile.json"), "dangerous")


if __name__ == "__main__":
    unittest.main()
