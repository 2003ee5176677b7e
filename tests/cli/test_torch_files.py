"""Files made by the real torch.save: safe, listed and converted tensor by tensor; hostile ones not."""

import json
import os
import re
import unittest
import zipfile

from harness import TareTest, needs_torch, read_safetensors, run_python, torch_pythons

# Saves a checkpoint and, beside it, what every tensor is: dtype, shape and bytes, from torch itself.
SAVE = """
import json, torch
from collections import OrderedDict
torch.manual_seed(0)
base = torch.arange(60, dtype=torch.float32)
kinds = {
    "linear": torch.nn.Linear(7, 5).state_dict(),
    "network": torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2)).state_dict(),
    "dtypes": {str(d): torch.ones(3, 2).to(d) for d in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
        torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64)},
    "views": {
        "transposed": base.view(6, 10).t(), "sliced": base.view(6, 10)[1:5:2, 3:9:3],
        "expanded": base[:3].view(3, 1).expand(3, 4), "offset": base[10:20],
        "permuted": base.view(3, 4, 5).permute(2, 0, 1)},
    "shapes": {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5), "one": torch.ones(1, 1, 1),
               "deep": torch.ones(1, 2, 1, 2, 1, 2)},
    "parameters": OrderedDict(p=torch.nn.Parameter(torch.randn(4, 4))),
    "nan": {"n": torch.tensor([float("nan"), float("inf"), -0.0])},
    "names": {"": torch.ones(1), "a.b": torch.ones(2), "\\u00e9\\u4e2d": torch.ones(3), "a\\nb": torch.ones(4)},
    "many": {f"layer.{i}.weight": torch.full((3,), float(i)) for i in range(1500)},
}
names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
         torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
         torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64"}
def raw(t):
    t = t.detach().contiguous()
    if t.numel() == 0: return ""
    if t.dtype == torch.complex64: t = torch.view_as_real(t)
    if t.dtype == torch.bfloat16: t = t.view(torch.int16)
    return t.numpy().tobytes().hex()
for kind, value in kinds.items():
    torch.save(value, kind + ".pt")
with open("truth.json", "w") as file:
    json.dump({kind: {k: [names[t.dtype], list(t.shape), raw(t)] for k, t in value.items()}
               for kind, value in kinds.items()}, file)
"""

HOSTILE = """
import os, sys, torch
class Payload:
    def __reduce__(self):
        return os.system, ("echo hello",)
torch.save(Payload(), "alone.pt")
torch.save({"weight": torch.ones(2), "hook": Payload()}, "inside.pt")
torch.save(torch.nn.Linear(2, 2), "module.pt")
class Own(torch.nn.Linear): pass
torch.save(Own(2, 2), "own.pt")
torch.save({"epoch": 3, "weight": torch.ones(2)}, "training.pt")
torch.save({"weight": torch.ones(2)}, "legacy.pt", _use_new_zipfile_serialization=False)
"""


@needs_torch
class TorchFiles(TareTest):
    def test_state_dicts_are_safe_listed_and_converted(self):
        for python, version in torch_pythons():
            run_python(python, SAVE, cwd=self.folder)
            with open(self.path("truth.json"), encoding="utf-8") as file:
                truths = json.load(file)
            self.assertGreaterEqual(len(truths), 9)
            for kind, truth in truths.items():
                with self.subTest(torch=version, kind=kind):
                    self.check_state_dict(kind + ".pt", truth)

    def check_state_dict(self, model, truth):
        self.assertIn(f"{model}: safe", self.tare("scan", model, expect=0).stdout)

        listed = self.tare_json("inspect", "--json", model)
        self.assertEqual(listed["problems"], [])
        self.assertEqual(
            {t["name"]: (t["dtype"], t["shape"], t["bytes"]) for t in listed["tensors"]},
            {k: (d, s, len(raw) // 2) for k, (d, s, raw) in truth.items()},
        )
        self.assertEqual([t["name"] for t in listed["tensors"]], list(truth))

        self.tare("convert", model, "-o", "out.safetensors", "--overwrite", expect=0)
        tensors, metadata = read_safetensors(self.path("out.safetensors"))
        self.assertEqual(metadata, {"format": "pt"})
        self.assertEqual(
            {k: (d, s, raw.hex()) for k, (d, s, raw) in tensors.items()},
            {k: (d, s, raw) for k, (d, s, raw) in truth.items()},
        )
        relisted = self.tare_json("inspect", "--json", "out.safetensors")
        self.assertEqual(
            {t["name"]: (t["dtype"], t["shape"]) for t in relisted["tensors"]},
            {k: (d, s) for k, (d, s, _) in tensors.items()},
        )

    def test_hostile_and_unknown_files(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                run_python(python, HOSTILE, cwd=self.folder)
                self.check_verdicts()

    def check_verdicts(self):
        for name in ("alone.pt", "inside.pt"):
            done = self.tare("scan", name, expect=1)
            self.assertIn(f"{name}: dangerous", done.stdout)
            self.assertIn(">>> posix.system('echo hello')", done.stdout)
            self.tare("convert", name, expect=1)
            self.assertNotIn(name.replace(".pt", ".safetensors"), self.files())
        # A class that is not known is made, and nothing of it is needed to take the tensors.
        self.assertIn("own.pt: suspicious", self.tare("scan", "own.pt", expect=1).stdout)
        for name in ("module.pt", "legacy.pt", "training.pt"):
            self.assertIn(f"{name}: safe", self.tare("scan", name, expect=0).stdout)
        for name in ("own", "module", "legacy", "training"):
            self.tare("convert", f"{name}.pt", "--overwrite", expect=0)
            self.assertTrue(read_safetensors(self.path(f"{name}.safetensors"))[0], name)

    def test_reported_offset_is_that_of_the_call(self):
        python, _ = torch_pythons()[0]
        run_python(python, HOSTILE, cwd=self.folder)
        report = self.tare_json("scan", "--format", "json", "alone.pt", expect=1)
        finding = report["files"][0]["findings"][0]
        with zipfile.ZipFile(self.path("alone.pt")) as archive:
            stream = archive.read(finding["entry"])
        self.assertEqual(stream[finding["offset"] : finding["offset"] + 1], b"R")


def zip_layout(path):
    """Everything about an archive but the digits of its serialization id, which are torch's own."""
    with open(path, "rb") as file:
        data = file.read()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith("serialization_id"):
                content = archive.read(info)
                assert re.fullmatch(rb"\d{40}", content)
                data = data.replace(content, b"#" * 40)
                crc = info.CRC.to_bytes(4, "little")
                data = data.replace(b"PK\x07\x08" + crc, b"PK\x07\x08####")
                data = data.replace(crc + (40).to_bytes(4, "little") * 2, b"####" + bytes(8))
    return data


@needs_torch
class AttackLayout(TareTest):
    """The attack that tare writes is byte for byte what torch.save writes for the same object."""

    def test_malicious_model_is_what_torch_writes(self):
        newest = [(p, v) for p, v in torch_pythons() if int(v.split(".")[0]) >= 2]
        if not newest:
            self.skipTest("SKIPPED: byte order records need torch >= 2.7 (TARE_TORCH_PYTHONS)")
        for python, version in newest:
            with self.subTest(torch=version):
                self.tare("demo", "attack", "--dir", self.folder, "--marker", "m", expect=0)
                os.mkdir(self.path("theirs"))
                source = (
                    "import os, torch\n"
                    "class Payload:\n"
                    "    def __reduce__(self):\n"
                    "        return os.system, (\"echo 'ALERT: Malicious code executed!' "
                    "&& touch /tmp/m\",)\n"
                    "torch.save(Payload(), 'theirs/malicious_model.pt')\n"
                )
                run_python(python, source, cwd=self.folder)
                self.assertEqual(
                    zip_layout(self.path("malicious_model.pt")),
                    zip_layout(self.path("theirs/malicious_model.pt")),
                )


if __name__ == "__main__":
    unittest.main()
