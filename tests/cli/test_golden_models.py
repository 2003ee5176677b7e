"""Golden texts of `tare scan` and `tare inspect` for each model format, on small files by hand. TARE_UPDATE_GOLDEN=1 writes
them anew."""

import os
import re
import sys
import unittest

import model_files
from harness import TareTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "fuzz"))
import seeds  # noqa: E402


def of_main():
    """The formats of which the fuzzers have seeds."""
    config, keras, template, *_ = seeds.configurations()
    graph, _, saved = seeds.tensorflow()
    little, _ = seeds.gguf()
    return {"config.json": config, "keras.json": keras, "template.jinja": template, "weights.h5": next(seeds.hdf5()),
            "model.gguf": little, "model.onnx": next(seeds.onnx()), "model.tflite": bytes.fromhex(seeds.TFLITE),
            "graph.pb": graph, "saved_model.pb": saved}


class GoldenModels(TareTest):
    def check(self, golden, files):
        """One text for all: a scan of each file, and what is in it."""
        text = ""
        for name, content in files.items():
            self.write(name, content)
            for verb in ("scan", "inspect"):
                done = self.tare(verb, name)
                self.assert_printable(done.stdout)
                text += f"$ tare {verb} {name}\n" + re.sub(r"\d+\.\d+ ms", "N ms", done.stdout)
                text += "".join(f"stderr {line}\n" for line in done.stderr.splitlines()) + f"exit {done.returncode}\n\n"
        self.assert_golden(golden, text)

    def test_honest_models(self):
        files = model_files.honest()
        self.check("models_honest", files)
        self.tare("scan", *files, expect=0)

    def test_hostile_models(self):
        files = model_files.hostile()
        self.check("models_hostile", files)
        for name in files:
            self.tare("scan", name, expect=1)

    def test_other_models(self):
        self.check("models_other", of_main())


if __name__ == "__main__":
    unittest.main()
