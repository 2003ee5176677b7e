"""The files for CI systems: they parse, and what they run exists."""

import os
import re
import subprocess
import unittest

from harness import TARE, TareTest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
YAML = [".pre-commit-hooks.yaml", "action.yml", "examples/ci/github.yml", "examples/ci/gitlab-ci.yml"]
OTHERS = ["examples/ci/Jenkinsfile", "docs/ci.md"]

try:
    import yaml
except ImportError:
    yaml = None
needs_yaml = unittest.skipUnless(yaml, "SKIPPED: this Python has no yaml (python3-yaml)")


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class CiFiles(TareTest):
    @needs_yaml
    def test_they_parse(self):
        for name in YAML:
            with self.subTest(name):
                self.assertTrue(yaml.safe_load(text_of(name)))

    @needs_yaml
    def test_the_action_uses_its_inputs_and_only_through_the_environment(self):
        action = yaml.safe_load(text_of("action.yml"))
        used = re.findall(r"\$\{\{ inputs\.([a-z]+) \}\}", text_of("action.yml"))
        self.assertEqual(sorted(used), sorted(action["inputs"]))
        for step in action["runs"]["steps"]:
            # Text of whoever uses the action would be run by the shell.
            self.assertNotIn("${{", step["run"])
            done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
            self.assertEqual(done.stderr, "")

    @needs_yaml
    def test_the_hook_takes_models_and_runs(self):
        (hook,) = yaml.safe_load(text_of(".pre-commit-hooks.yaml"))
        pattern = re.compile(hook["files"])
        for name in ("a.pt", "b/model.SAFETENSORS", "x.pkl", "pytorch_model.bin", "y.tar.gz"):
            self.assertTrue(pattern.search(name), name)
        for name in ("a.py", "pt", "README.md", "model.pt.md"):
            self.assertFalse(pattern.search(name), name)
        program, *arguments = hook["entry"].split()
        self.assertEqual(program, "tare")
        self.write("a.pkl", b"\x80\x04N.")
        self.write("b.pkl", b"cos\nsystem\n(S'id'\ntR.")
        self.tare(*arguments, "a.pkl", expect=0)
        self.tare(*arguments, "a.pkl", "b.pkl", expect=1)

    def test_every_option_that_they_use_exists(self):
        known = subprocess.run([os.path.abspath(TARE), "scan", "--help"], capture_output=True, text=True,
                               check=True).stdout
        count = 0
        for name in [*YAML, *OTHERS]:
            text = text_of(name)
            for command in re.findall(r"(?:tare|^ *) ?scan (-.*(?:\n +--.*)*)", text, re.MULTILINE):
                for option in re.findall(r"(?<![\w-])--[a-z-]+", command):
                    self.assertRegex(known, rf"(?m)^  (-\w,)?{option}\b", name)
                    count += 1
        self.assertGreater(count, 10)

    def test_every_file_that_the_docs_name_is_there(self):
        for target in re.findall(r"\]\(([^)#]+)\)", text_of("docs/ci.md")):
            self.assertTrue(os.path.exists(os.path.join(ROOT, "docs", target)), target)


if __name__ == "__main__":
    unittest.main()
