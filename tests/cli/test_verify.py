"""tare verify: what counts as the same tensors, how a difference is told, and the exit codes."""

import struct
import unittest

from harness import (
    Storage,
    TareTest,
    Tensor,
    needs_torch,
    pickle_checkpoint,
    run_python,
    safetensors_bytes,
    small_state_dict,
    torch_pythons,
    write_checkpoint,
)

NAN = bytes.fromhex("0000c07f")
OTHER_NAN = bytes.fromhex("0100c07f")


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


class Verify(TareTest):
    def safetensors(self, name, tensors, metadata=None):
        self.write(name, safetensors_bytes(tensors, metadata))
        return name

    def differences(self, a, b, expect=1):
        document = self.tare_json("verify", "--json", a, b, expect=expect)
        self.assertEqual(document["equal"], expect == 0)
        return {d["name"]: d for d in document["differences"]}

    def test_order_and_format_do_not_count(self):
        value, storages = small_state_dict()
        write_checkpoint(self.path("a.pt"), pickle_checkpoint(value), storages)
        weight, bias = ("F32", [3, 4], storages["0"]), ("I64", [3], storages["1"])
        self.safetensors("b.safetensors", {"fc.weight": weight, "fc.bias": bias})
        self.safetensors("c.safetensors", {"fc.bias": bias, "fc.weight": weight})
        for a in ("a.pt", "b.safetensors", "c.safetensors"):
            for b in ("a.pt", "b.safetensors", "c.safetensors"):
                self.assertEqual(self.differences(a, b, expect=0), {})

    def test_strides_do_not_count(self):
        data = b"".join(i.to_bytes(4, "little") for i in range(12))
        view = Tensor(Storage("FloatStorage", "0", data, 12), 0, (4, 3), (1, 4))
        write_checkpoint(self.path("a.pt"), pickle_checkpoint({"t": view}), {"0": data})
        order = [4 * column + row for row in range(4) for column in range(3)]
        packed = b"".join(i.to_bytes(4, "little") for i in order)
        self.safetensors("b.safetensors", {"t": ("F32", [4, 3], packed)})
        self.tare("verify", "a.pt", "b.safetensors", expect=0)
        self.safetensors("c.safetensors", {"t": ("F32", [4, 3], data)})
        found = self.differences("a.pt", "c.safetensors")["t"]
        self.assertEqual((found["first_element"], found["first_byte"]), (1, 4))

    def test_bytes_are_compared_not_numbers(self):
        self.safetensors("a", {"t": ("F32", [2], NAN + floats(0.0))})
        self.safetensors("nan", {"t": ("F32", [2], OTHER_NAN + floats(0.0))})
        self.safetensors("zero", {"t": ("F32", [2], NAN + floats(-0.0))})
        self.tare("verify", "a", "a", expect=0)
        self.assertEqual(self.differences("a", "nan")["t"]["first_element"], 0)
        self.assertEqual(self.differences("a", "zero")["t"]["first_byte"], 7)

    def test_every_kind_of_difference_is_told(self):
        self.safetensors("a", {
            "gone": ("U8", [1], b"1"), "kind": ("F32", [1], b"1234"), "form": ("U8", [4], b"1234"),
            "same": ("U8", [2], b"12"), "content": ("U8", [2, 4], b"abcdefgh"),
        })
        self.safetensors("b", {
            "new": ("U8", [1], b"1"), "kind": ("I32", [1], b"1234"), "form": ("U8", [2, 2], b"1234"),
            "same": ("U8", [2], b"12"), "content": ("U8", [2, 4], b"abcdeFgH"),
        })
        found = self.differences("a", "b")
        self.assertEqual(
            {name: d["difference"] for name, d in found.items()},
            {"gone": "only_in_a", "new": "only_in_b", "kind": "dtype", "form": "shape",
             "content": "bytes"},
        )
        self.assertIsNone(found["gone"]["b"])
        self.assertEqual(found["form"]["b"], {"dtype": "U8", "shape": [2, 2]})
        self.assertEqual(found["content"]["first_byte"], 5)
        self.assertEqual(found["content"]["differing_bytes"], 2)
        text = self.tare("verify", "a", "b", expect=1).stdout
        self.assertIn("in element [1, 1]", text)
        self.assertIn("1 tensor equal, 5 differ", text)

    def test_a_difference_far_inside_a_large_tensor(self):
        data = bytearray(3 << 20)
        self.safetensors("a", {"t": ("U8", [3 << 20], bytes(data))})
        data[(2 << 20) + 12345] = 1
        self.safetensors("b", {"t": ("U8", [3 << 20], bytes(data))})
        found = self.differences("a", "b")["t"]
        self.assertEqual((found["first_byte"], found["differing_bytes"]), ((2 << 20) + 12345, 1))

    def test_metadata_counts_only_if_asked(self):
        tensors = {"t": ("U8", [1], b"1")}
        self.safetensors("a", tensors, {"format": "pt", "both": "1"})
        self.safetensors("b", tensors, {"format": "np", "both": "1", "more": "x"})
        done = self.tare("verify", "a", "b", expect=0)
        self.assertIn("format: 'pt' in A, 'np' in B", done.stdout)
        self.assertIn("more: none in A, 'x' in B", done.stdout)
        self.assertNotIn("both", done.stdout)
        self.tare("verify", "--metadata", "a", "b", expect=1)
        self.tare("verify", "--metadata", "a", "a", expect=0)

    def test_what_was_not_compared_is_an_error(self):
        value, storages = small_state_dict()
        value["packed"] = Tensor(Storage("QUInt4x2Storage", "9", bytes(3), 3), 0, (3,), (1,))
        storages["9"] = bytes(3)
        write_checkpoint(self.path("a.pt"), pickle_checkpoint(value), storages)
        done = self.tare("verify", "a.pt", "a.pt", expect=2)
        self.assertIn("not compared\n  A packed: is of a type", done.stdout)
        self.assertFalse(self.tare_json("verify", "--json", "a.pt", "a.pt", expect=2)["equal"])

    def test_an_expanded_tensor_beyond_all_memory(self):
        data = bytes(4)
        huge = Tensor(Storage("FloatStorage", "0", data, 1), 0, (1 << 58,), (0,))
        write_checkpoint(self.path("a.pt"), pickle_checkpoint({"huge": huge}), {"0": data})
        done = self.tare("verify", "a.pt", "a.pt", expect=2)
        self.assert_one_line_error(done, "'huge': repeats its storage")

    def test_every_bad_file_is_named(self):
        self.safetensors("good", {})
        self.write("cut", safetensors_bytes({"t": ("U8", [4], b"1234")})[:-1])
        self.assert_one_line_error(
            self.tare("verify", "good", "missing", expect=2), "missing", "No such file")
        self.assert_one_line_error(
            self.tare("verify", "cut", "good", expect=2), "cut", "incomplete download")
        self.assertEqual(len(self.tare("verify", "cut", "missing", expect=2).stderr.splitlines()), 2)
        self.tare("verify", "good", expect=4)

    def test_names_cannot_reach_the_terminal(self):
        self.safetensors("a", {"\x1b]0;owned\x07": ("U8", [1], b"1")})
        self.safetensors("b", {}, {"e\u202ee": "\x1b"})
        done = self.tare("verify", "a", "b", expect=1)
        self.assert_printable(done.stdout)


@needs_torch
class TorchFiles(TareTest):
    def test_what_convert_wrote_is_what_torch_saved(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                run_python(
                    python,
                    "import torch\n"
                    "torch.manual_seed(0)\n"
                    "d = torch.nn.Conv2d(3, 4, 3).state_dict()\n"
                    "d['nan'] = torch.tensor([float('nan'), float('inf')])\n"
                    "d['t'] = torch.randn(5, 7).t()\n"
                    "torch.save(d, 'a.pt')\n"
                    "d['t'][3, 2] += 1\n"
                    "torch.save(d, 'b.pt')\n",
                    cwd=self.folder,
                )
                self.tare("convert", "--overwrite", "a.pt", expect=0)
                self.tare("verify", "a.pt", "a.safetensors", expect=0)
                done = self.tare("verify", "a.safetensors", "b.pt", expect=1)
                self.assertRegex(done.stdout, r"  t: F32 \[7, 5\], .* in element \[3, 2\]\n")


if __name__ == "__main__":
    unittest.main()
