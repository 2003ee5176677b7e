"""Archives of real tools: 7-Zip's, where it is there, and what NeMo and TorchServe make, as tarfile and zipfile write it."""

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import tarfile
import unittest
import zipfile

from harness import TareTest, safetensors_bytes

SEVENZIP = shutil.which("7z")


def tar(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Command:
    def __reduce__(self):
        return print, ("hello",)


@unittest.skipIf(SEVENZIP is None, "SKIPPED: there is no 7z here (p7zip-full)")
class SevenZip(TareTest):
    def setUp(self):
        super().setUp()
        self.write("a.safetensors", safetensors_bytes({"w": ("F32", [1000], bytes(range(250)) * 16)}))
        self.write("b.safetensors", safetensors_bytes({"v": ("U8", [3], b"abc")}))
        self.write("evil.pkl", b"cos\nsystem\n(S'id'\ntR.")

    def pack(self, name, *options):
        subprocess.run([SEVENZIP, "a", "-bd", "-y", name, *options], cwd=self.folder, check=True, capture_output=True)

    def test_models_are_safe_listed_and_converted(self):
        for method in ("LZMA2", "LZMA", "BZip2", "Deflate", "Copy"):
            name = method + ".7z"
            self.pack(name, "a.safetensors", "-m0=" + method)
            self.assertIn("safe", self.tare("scan", name, expect=0).stdout)
            self.tare("convert", name, "-o", method + ".safetensors", expect=0)
            self.tare("verify", "a.safetensors", method + ".safetensors", expect=0)
        self.pack("two.7z", "a.safetensors", "b.safetensors")
        names = {t["name"] for t in self.tare_json("inspect", "--json", "two.7z")["tensors"]}
        self.assertEqual(names, {"a.w", "b.v"})

    def test_what_is_hostile_is_found(self):
        for options in ((), ("-ms=off",), ("-m0=BCJ", "-m1=LZMA"), ("-mhc=off",)):
            name = "x%d.7z" % len(str(options))
            self.pack(name, "a.safetensors", "evil.pkl", *options)
            done = self.tare("scan", name, expect=1)
            self.assertIn("os.system('id')", done.stdout)
            self.assertIn("evil.pkl", done.stdout)

    def test_what_cannot_be_read_is_not_safe(self):
        self.pack("secret.7z", "a.safetensors", "-psecret")
        self.pack("hidden.7z", "a.safetensors", "-psecret", "-mhe=on")
        self.pack("ppmd.7z", "a.safetensors", "-m0=PPMd")
        for name, word in (("secret.7z", "encrypted"), ("hidden.7z", "encrypted"), ("ppmd.7z", "PPMd")):
            self.assertIn(word, self.tare("scan", name, expect=2).stdout)
            self.assertIn(word, self.tare("convert", name, "-o", "out.safetensors", expect=2).stderr)

    def test_self_extracting_archives(self):
        try:
            self.pack("sfx.exe", "evil.pkl", "-sfx")
        except subprocess.CalledProcessError:
            self.skipTest("SKIPPED: this 7z has no module for self-extracting archives")
        done = self.tare("scan", "sfx.exe", expect=1)
        self.assertIn("TARE-EXE-001", done.stdout)
        self.assertIn("os.system('id')", done.stdout)

    def test_parts_of_an_archive_in_volumes(self):
        self.pack("v.7z", "a.safetensors", "-v200b", "-m0=Copy")
        self.assertIn("cut off", self.tare("scan", "v.7z.001", expect=2).stdout)


class Bundles(TareTest):
    CONFIG = b"""sample_rate: 16000
encoder:
  _target_: nemo.collections.asr.modules.ConformerEncoder
  feat_in: 80
"""

    def nemo(self, config):
        weights = safetensors_bytes({"w": ("U8", [3], b"abc")})
        self.write("m.nemo", gzip.compress(tar([("./model_config.yaml", config), ("./model_weights.safetensors", weights)])))
        return json.loads(self.tare("scan", "--format", "json", "m.nemo").stdout)["files"][0]

    def test_nemo(self):
        self.assertEqual(self.nemo(self.CONFIG)["verdict"], "safe")
        # What a class of models does with the rest of the configuration is not known.
        model = self.nemo(self.CONFIG + b"target: nemo.collections.asr.models.ctc_models.EncDecCTCModel\n")
        self.assertEqual([f["rule"] for f in model["findings"]], ["TARE-HYD-002"])
        hostile = self.nemo(self.CONFIG + b"x:\n  _target_: subprocess.check_output\n  args: [id]\n")
        self.assertEqual(hostile["verdict"], "dangerous")
        self.assertEqual(hostile["findings"][0]["rule"], "TARE-HYD-001")
        self.assertEqual(hostile["findings"][0]["entry"], "gzip!./model_config.yaml")
        self.assertEqual(self.tare_json("inspect", "--json", "m.nemo")["tensors"][0]["name"], "w")

    def test_mar(self):
        manifest = {"model": {"handler": "handler.py", "serializedFile": "m.pt"}, "archiverVersion": "0.9.0"}
        with zipfile.ZipFile(self.path("m.mar"), "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest, indent=2))
            out.writestr("handler.py", "import os\nos.system('id')\n")
            out.writestr("m.pt", pickle.dumps(Command()))
        rules = {f["rule"] for f in json.loads(self.tare("scan", "--format", "json", "m.mar", expect=1).stdout)[
            "files"][0]["findings"]}
        self.assertLessEqual({"TARE-MAR-001", "TARE-SRC-001"}, rules)
        self.assertTrue(any(rule.startswith("TARE-PKL") for rule in rules), rules)

    def test_a_layout_of_an_image_as_a_folder(self):
        layer = gzip.compress(tar([("app/evil.pkl", b"cos\nsystem\n(S'id'\ntR."), ("app/.wh.old", b"")]), mtime=0)
        manifest = json.dumps({"schemaVersion": 2, "config": {}, "layers": [{"size": len(layer)}]}).encode()
        os.makedirs(self.path("image/blobs/sha256"))
        self.write("image/oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        self.write("image/index.json", b'{"schemaVersion": 2, "manifests": []}')
        for blob in (layer, manifest):
            self.write("image/blobs/sha256/" + hashlib.sha256(blob).hexdigest(), blob)
        done = self.tare("scan", "image", expect=1)
        self.assertIn("gzip!app/evil.pkl", done.stdout)
        self.assertNotIn("TARE-OCI-001", done.stdout)
        self.write("image/blobs/sha256/" + hashlib.sha256(b"x").hexdigest(), manifest)
        self.assertIn("TARE-OCI-001", self.tare("scan", "image", expect=1).stdout)


if __name__ == "__main__":
    unittest.main()
