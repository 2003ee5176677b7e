"""tare hash: each digest is what hashlib computes, and says the same of the same tensors."""

import hashlib
import os
import re
import struct
import subprocess
import unittest

from harness import (
    Storage,
    TareTest,
    Tensor,
    needs_torch,
    pickle_checkpoint,
    read_safetensors,
    run_python,
    safetensors_bytes,
    small_state_dict,
    torch_pythons,
    write_checkpoint,
)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def all_tensors(tensors):
    """The digest of {name: (dtype, shape, bytes)}, by the definition in docs/models.md."""
    text = b"tare tensors v1\n"
    for name, (dtype, shape, data) in sorted((n.encode(), t) for n, t in tensors.items()):
        sizes = ",".join(map(str, shape))
        text += f"{sha256(data)} {dtype} [{sizes}] {len(name)} ".encode() + name + b"\n"
    return sha256(text)


class Hash(TareTest):
    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def check_against_hashlib(self, name, tensors):
        document = self.tare_json("hash", "--json", name)
        self.assertEqual(document["algorithm"], "sha256")
        self.assertEqual(
            document["files"],
            [{"path": name, "bytes": os.path.getsize(self.path(name)),
              "sha256": sha256(self.read(name))}],
        )
        self.assertEqual(
            [(t["name"], t["dtype"], t["shape"], t["bytes"], t["sha256"])
             for t in document["tensors"]],
            [(n, *tensors[n][:2], len(tensors[n][2]), sha256(tensors[n][2]))
             for n in sorted(tensors, key=str.encode)],
        )
        self.assertEqual(document["tensors_sha256"], all_tensors(tensors))

    def test_digests_are_those_of_hashlib(self):
        tensors = {
            "b": ("F32", [2, 2], bytes(range(16))), "a.10": ("U8", [], b"x"), "Z": ("I64", [0], b""),
            "line\nfeed 1 x": ("BF16", [1, 2], b"1234"), "\u00e9\u4e2d": ("F4", [2], b"q"), "": ("U8", [1], b"y"),
            "large": ("U8", [9 << 20], os.urandom(9 << 20)),
        }
        self.write("m.safetensors", safetensors_bytes(tensors, {"format": "pt"}))
        self.check_against_hashlib("m.safetensors", tensors)
        self.write("empty.safetensors", safetensors_bytes({}))
        self.check_against_hashlib("empty.safetensors", {})

    def test_a_checkpoint_has_the_digest_of_its_conversion(self):
        value, storages = small_state_dict()
        value["t"] = Tensor(Storage("FloatStorage", "0", storages["0"], 12), 0, (4, 3), (1, 4))
        write_checkpoint(self.path("m.pt"), pickle_checkpoint(value), storages)
        self.tare("convert", "m.pt", expect=0)
        tensors, _ = read_safetensors(self.path("m.safetensors"))
        self.check_against_hashlib("m.safetensors", tensors)
        self.check_against_hashlib("m.pt", tensors)

    def test_the_python_of_the_documentation_computes_it(self):
        with open(os.path.join(ROOT, "docs", "models.md"), encoding="ascii") as file:
            (source,) = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
        tensors = {"b": ("F32", [2], b"12345678"), "a\n": ("U8", [], b"x")}
        self.write("m.safetensors", safetensors_bytes(tensors, {"k": "v"}))
        scope = {}
        exec(source, scope)
        self.assertEqual(
            scope["all_tensors"](self.path("m.safetensors")),
            self.tare_json("hash", "--json", "m.safetensors")["tensors_sha256"],
        )

    def test_everything_that_makes_a_tensor_counts(self):
        digests = set()
        for name, dtype, shape, data in (
            ("a", "U8", [4], b"1234"), ("b", "U8", [4], b"1234"), ("a", "I8", [4], b"1234"),
            ("a", "U8", [2, 2], b"1234"), ("a", "U8", [4], b"1235"),
        ):
            self.write("m", safetensors_bytes({name: (dtype, shape, data)}))
            digests.add(self.tare_json("hash", "--json", "m")["tensors_sha256"])
        self.assertEqual(len(digests), 5)
        self.write("m", safetensors_bytes({"a": ("U8", [4], b"1234")}, {"more": "x"}))
        self.assertIn(self.tare_json("hash", "--json", "m")["tensors_sha256"], digests)

    def test_whole_is_what_sha256sum_checks(self):
        self.write("m.safetensors", safetensors_bytes({"a": ("U8", [4], b"1234")}))
        text = self.tare("hash", "--whole", "m.safetensors", expect=0).stdout
        self.assertEqual(text, f"{sha256(self.read('m.safetensors'))}  m.safetensors\n")
        checked = subprocess.run(
            ["sha256sum", "--check"], input=text, capture_output=True, text=True, cwd=self.folder,
            check=False)
        self.assertEqual(checked.stdout, "m.safetensors: OK\n", checked.stderr)

    def test_whole_and_tensors_choose(self):
        self.write("m", safetensors_bytes({"a": ("U8", [4], b"1234")}))
        whole = self.tare_json("hash", "--json", "--whole", "m")
        self.assertEqual((len(whole["files"]), whole["tensors"]), (1, []))
        self.assertIsNone(whole["tensors_sha256"])
        tensors = self.tare_json("hash", "--json", "--tensors", "m")
        self.assertEqual((tensors["files"], len(tensors["tensors"])), ([], 1))
        self.tare("hash", "--whole", "--tensors", "m", expect=4)

    def test_part_of_a_model_has_no_digest_of_all_tensors(self):
        value, storages = small_state_dict()
        value["packed"] = Tensor(Storage("QUInt4x2Storage", "9", bytes(3), 3), 0, (3,), (1,))
        storages["9"] = bytes(3)
        write_checkpoint(self.path("m.pt"), pickle_checkpoint(value), storages)
        document = self.tare_json("hash", "--json", "m.pt", expect=2)
        self.assertIsNone(document["tensors_sha256"])
        self.assertEqual([p["subject"] for p in document["problems"]], ["packed"])
        self.assertIn("packed: is of a type", self.tare("hash", "m.pt", expect=2).stdout)
        self.tare("hash", "--whole", "m.pt", expect=0)

    def test_an_expanded_tensor_beyond_all_memory(self):
        huge = Tensor(Storage("FloatStorage", "0", bytes(4), 1), 0, (1 << 58,), (0,))
        write_checkpoint(self.path("m.pt"), pickle_checkpoint({"huge": huge}), {"0": bytes(4)})
        self.assert_one_line_error(
            self.tare("hash", "m.pt", expect=2), "m.pt: 'huge': repeats its storage")

    def test_names_cannot_reach_the_terminal(self):
        self.write("m", safetensors_bytes({"\x1b]0;owned\x07\n": ("U8", [1], b"1")}))
        done = self.tare("hash", "m", expect=0)
        self.assert_printable(done.stdout)
        self.assertEqual(len(done.stdout.splitlines()), 5)


@needs_torch
class TorchFiles(TareTest):
    def test_every_version_of_torch_saves_the_same_tensors(self):
        source = (
            "import torch\n"
            "torch.save({'w': torch.arange(12.).view(3, 4).t(), 'n': torch.tensor(float('nan'))},"
            " 'm.pt')\n"
        )
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                run_python(python, source, cwd=self.folder)
                document = self.tare_json("hash", "--json", "m.pt")
                weight = struct.pack("<12f", *[4 * j + i for i in range(4) for j in range(3)])
                nan = bytes.fromhex("0000c07f")
                self.assertEqual(
                    document["tensors_sha256"],
                    all_tensors({"w": ("F32", [4, 3], weight), "n": ("F32", [], nan)}),
                )


if __name__ == "__main__":
    unittest.main()
