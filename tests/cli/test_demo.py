"""The exercise. Outcomes must be observed: a payload with a random marker, and one without payload."""

import os
import re
import secrets
import shutil
import subprocess
import unittest

from harness import TARE, TareTest, needs_torch, torch_pythons

SECTION = re.compile(r"^\[(\d)\]", re.MULTILINE)


def sections(text):
    """The numbered attacks of `tare demo attack`, by number."""
    parts = SECTION.split(text.split("== The catch")[0])
    return {int(parts[i]): parts[i + 1] for i in range(1, len(parts) - 1, 2)}


def has_sandbox():
    return shutil.which("bwrap") is not None and subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, check=False
    ).returncode == 0


@unittest.skipUnless(has_sandbox(), "SKIPPED: bubblewrap does not work here")
@needs_torch
class Attack(TareTest):
    def attack(self, python, *arguments):
        return self.tare("demo", "attack", "--python", python, *arguments, expect=0).stdout

    def test_payload_runs_and_its_random_marker_is_seen(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                marker = "marker-" + secrets.token_hex(8)
                text = self.attack(python, "--marker", marker)
                first = sections(text)[1]
                self.assertIn(f"before: /tmp/{marker} exists? no", first)
                self.assertIn("printed while loading: ALERT: Malicious code executed!", first)
                self.assertIn(f"after:  /tmp/{marker} exists? yes", first)
                self.assertIn("ARBITRARY CODE RAN", first)
                self.assertFalse(os.path.exists(f"/tmp/{marker}"), "the payload left the sandbox")
                self.assertIn(f"touch /tmp/{marker}", text.split("== The catch")[1])

    def test_weights_only_stops_the_plain_payload(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                second = sections(self.attack(python))[2]
                self.assertIn("after:  /tmp/pwned_by_pickle.txt exists? no", second)
                self.assertIn("nothing ran", second)

    def test_torchscript_acts_only_where_torch_is_vulnerable(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                third = sections(self.attack(python))[3]
                major, minor = (int(n) for n in version.split(".")[:2])
                vulnerable = (major, minor) < (2, 6)
                self.assertIn(f"exists? {'yes' if vulnerable else 'no'}\n  =>", third)
                self.assertIn("ACTED although" if vulnerable else "nothing ran", third)

    def test_neutered_files_do_nothing(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                text = self.attack(python, "--neutered")
                self.assertEqual(sorted(sections(text)), [1, 2, 3])
                for section in sections(text).values():
                    self.assertIn("nothing ran", section)
                    self.assertNotIn("exists? yes", section)
                self.assertNotIn("TARE-PKL-001", text)

    def test_files_stay_where_asked_and_scan_catches_them(self):
        self.tare("demo", "attack", "--dir", self.folder, expect=0)
        self.assertEqual(self.files(), ["malicious_model.pt", "malicious_torchscript.pt"])
        for name in self.files():
            self.assertIn("dangerous", self.tare("scan", name, expect=1).stdout)

    def test_a_plain_container_is_the_sandbox(self):
        marker = "marker-" + secrets.token_hex(8)
        environment = {"PATH": self.folder, "container": "test"}
        done = self.tare("demo", "attack", "--marker", marker, env=environment, expect=0)
        self.assertIn("the container around this program", done.stdout)
        self.assertIn(f"after:  /tmp/{marker} exists? yes", done.stdout)
        self.assertFalse(os.path.exists(f"/tmp/{marker}"), "the marker was not cleaned up")

    def test_compare_measures_and_observes(self):
        done = self.tare("demo", "compare", "--size-mb", "30", expect=0)
        self.assertRegex(done.stdout, r"torch\.load \S+ \.pt +yes, it ran +\d+\.\d+ ms")
        self.assertRegex(done.stdout, r"tare, \.safetensors +cannot +\d+\.\d+ ms")
        neutered = self.tare("demo", "compare", "--size-mb", "30", "--neutered", expect=0)
        self.assertRegex(neutered.stdout, r"torch\.load \S+ \.pt +did not run")

    def test_safe_agrees_with_torch(self):
        done = self.tare("demo", "safe", expect=0)
        difference = re.search(r"computes the same layer: largest difference (\S+)", done.stdout)
        self.assertLess(float(difference.group(1)), 1e-4)


class AnyMachine(TareTest):
    def test_bare_host_without_sandbox_refuses(self):
        """Seen from a root without the marks that container engines leave, and without bwrap."""
        if not has_sandbox():
            self.skipTest("SKIPPED: bubblewrap does not work here")
        program = os.path.dirname(os.path.abspath(TARE))
        root = ["bwrap", "--unshare-pid", "--unshare-cgroup-try", "--proc", "/proc", "--dev", "/dev",
                "--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr", "--ro-bind", program, program]
        for name in ("bin", "lib", "lib64"):
            if os.path.islink("/" + name):
                root += ["--symlink", os.readlink("/" + name), "/" + name]
            else:
                root += ["--ro-bind-try", "/" + name, "/" + name]
        done = subprocess.run(
            [*root, "--clearenv", "--setenv", "PATH", "/nowhere", os.path.abspath(TARE), "demo",
             "attack"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stderr.startswith("bwrap:"):
            self.skipTest("SKIPPED: no such root can be made here: " + done.stderr.strip())
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("refused: no sandbox here", done.stderr)
        self.assertNotIn("before:", done.stdout)

    def test_safe_shows_the_four_guarantees(self):
        done = self.tare("demo", "safe", "--dir", self.folder, expect=0)
        self.assertIn("output shape [1, 3]", done.stdout)
        self.assertIn("among them: none", done.stdout)
        self.assertEqual(done.stdout.count("inside it: yes"), 2)
        self.assertIn("equal: yes", done.stdout)
        self.assertIn('"fc.weight":{"dtype":"F32","shape":[3,150528]', done.stdout)
        listed = self.tare_json("inspect", "--json", "safe_model.safetensors")
        self.assertEqual([t["shape"] for t in listed["tensors"]], [[3], [3, 150528]])

    def test_safe_is_the_same_on_every_run(self):
        first = self.tare("demo", "safe", expect=0).stdout
        second = self.tare("demo", "safe", expect=0).stdout
        digest = re.compile(r"sha256 of two saves: ([0-9a-f]{64})")
        self.assertEqual(digest.search(first).group(1), digest.search(second).group(1))

    def test_missing_torch_is_said(self):
        if not has_sandbox():
            self.skipTest("SKIPPED: bubblewrap does not work here")
        done = self.tare("demo", "attack", "--python", "/usr/bin/no-such-python", expect=0)
        self.assertIn("SKIPPED: loading the files", done.stdout)
        self.assertIn("malicious_model.pt: dangerous", done.stdout)

    def test_marker_must_be_a_plain_name(self):
        for marker in ("a b", "../x", "$(id)", "x;y", ""):
            self.tare("demo", "attack", "--marker", marker, expect=4)

    def test_demo_help(self):
        self.assertIn("Examples:", self.tare("demo", "--help", expect=0).stdout)
        self.assertTrue(os.path.exists(os.path.join(os.path.dirname(TARE), "tare-demo")))


if __name__ == "__main__":
    unittest.main()
