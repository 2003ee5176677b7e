"""The lists of operators that only compute, held against those of the real packages.

TARE_FORMAT_PYTHONS (colon-separated) names Pythons that have onnx, onnxruntime or tensorflow, besides /usr/bin/python3
and those of TARE_TORCH_PYTHONS. What no Python has is SKIPPED.
"""

import json
import os
import re
import unittest

from harness import TareTest, run_python
from test_graph_formats import needs, python_with

DEFINITIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "scan")

# A model with one node of every operator; its name says the domain, "a" for an operator of each domain.
MAKE_ONNX = r"""
import json, sys, onnx
from onnx import helper
if sys.argv[1] == "onnx":
    names = {(s.domain, s.name) for s in onnx.defs.get_all_schemas_with_history()}
else:
    from onnxruntime.capi import onnxruntime_pybind11_state as state
    names = {(s.domain, s.name) for s in state.get_all_operator_schema()}
names = sorted(n for n in names if n[0] != "ai.onnx.preview.training" or n[1] != "")
for file, chosen in (("all.onnx", names), ("native.onnx", [n for n in names if n[1] in ("EPContext", "Snpe")])):
    chosen = [n for n in chosen if file == "native.onnx" or n[1] not in ("EPContext", "Snpe")]
    nodes = [helper.make_node(name, [], [f"y{i}"], domain=domain) for i, (domain, name) in enumerate(chosen)]
    graph = helper.make_graph(nodes, "g", [], [])
    domains = sorted({d for d, _ in chosen})
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(d, 13) for d in domains])
    open(file, "wb").write(model.SerializeToString())
print(len(names))
"""

LIST_TENSORFLOW = r"""
import json
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
found = op_def_pb2.OpList()
found.ParseFromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
print(json.dumps({op.name: [[a.name for a in op.attr if a.type == "string"] + [i.name for i in op.input_arg]] for op in found.op}))
"""


class OperatorLists(TareTest):
    def listed(self, file, macro):
        with open(os.path.join(DEFINITIONS, file), encoding="ascii") as text:
            return set(re.findall(rf"^{macro}\((\w+)", text.read(), re.MULTILINE)) - {"name"}

    @needs("onnx")
    def test_every_operator_of_onnx_is_known(self):
        count = int(run_python(python_with("onnx"), MAKE_ONNX, "onnx", cwd=self.folder))
        self.assertGreater(count, 190)
        self.tare("scan", "all.onnx", expect=0)

    @needs("onnx, onnxruntime")
    def test_every_operator_of_onnx_runtime_that_computes_is_known(self):
        count = int(run_python(python_with("onnx, onnxruntime"), MAKE_ONNX, "runtime", cwd=self.folder).splitlines()[-1])
        self.assertGreater(count, 300)
        self.tare("scan", "all.onnx", expect=0)
        report = json.loads(self.tare("scan", "--format", "json", "native.onnx", expect=1).stdout)["files"][0]
        self.assertEqual({f["rule"] for f in report["findings"]}, {"TARE-ONNX-004"})

    @needs("tensorflow")
    def test_no_operator_of_tensorflow_that_names_files_is_harmless(self):
        operators = json.loads(run_python(python_with("tensorflow"), LIST_TENSORFLOW, cwd=self.folder).splitlines()[-1])
        known = self.listed("tensorflow_operators.def", "TARE_TF_KNOWN")
        reaching = self.listed("tensorflow_operators.def", "TARE_TF_REACHES")
        self.assertGreater(len(known & set(operators)), 800)
        self.assertEqual(known & reaching, set())
        self.assertEqual(sorted(known - set(operators)), [])
        wanted = re.compile(r"file|path|url|address|host$|uri|directory|descriptor_source|vocab")
        # What the directions of recurrent networks and the like are called.
        harmless = {"direction", "source"}
        for name in sorted(known & set(operators)):
            odd = [a for a in operators[name][0] if wanted.search(a) and a not in harmless]
            self.assertEqual(odd, [], name)


if __name__ == "__main__":
    unittest.main()
