"""tare check: what is valid by which rules, where an error lies, and the exit codes."""

import unittest
import zipfile

from harness import (
    Storage,
    Tensor,
    TareTest,
    needs_torch,
    pickle_checkpoint,
    run_python,
    safetensors_bytes,
    small_state_dict,
    torch_pythons,
    write_checkpoint,
)


def with_header(text, data=b""):
    return len(text).to_bytes(8, "little") + text + data


A = b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'


class Check(TareTest):
    def check(self, content, *options, expect):
        self.write("m.safetensors", content)
        document = self.tare_json("check", "--json", *options, "m.safetensors", expect=expect)
        (file,) = document["files"]
        self.assertEqual(file["verdict"], {0: "valid", 1: "invalid", 2: "unknown"}[expect])
        self.assertEqual(file["problems"] == [], expect == 0)
        return file

    def problem(self, content, *options, expect=1):
        return self.check(content, *options, expect=expect)["problems"][0]

    def test_a_valid_file(self):
        content = safetensors_bytes({"a": ("F32", [2], b"12345678"), "b": ("U8", [], b"x")})
        for rules in ("strict", "reference"):
            file = self.check(content, "--rules", rules, expect=0)
            self.assertEqual((file["rules"], file["tensors"], file["tensor_bytes"]), (rules, 2, 9))
            self.assertTrue(file["reference_accepts"])

    def test_an_error_names_the_entry_and_the_byte(self):
        for broken, word in (
            (b'"b":{"dtype":"f32","shape":[1],"data_offsets":[1,2]}', "dtype"),
            (b'"b":{"dtype":"U8","shape":[-1],"data_offsets":[1,2]}', "integer"),
            (b'"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2],}', "a string"),
            (b'"b":{"dtype":"U8","shape":[1]}', "lacks"),
            (b'"b":{"dtype":"U8","shape":[2],"data_offsets":[1,2]}', "do not fit"),
            (b'"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}', "holes or overlap"),
        ):
            content = with_header(b"{" + A + b", " + broken + b"}", b"12")
            problem = self.problem(content)
            self.assertEqual(problem["subject"], "b", problem)
            self.assertIn(word, problem["message"])
            self.assertGreaterEqual(problem["offset"], content.index(b'"b"'))
            self.assertLess(problem["offset"], len(content))
            text = self.tare("check", "m.safetensors", expect=1).stdout
            self.assertIn(f"  'b': {problem['message']}\n", text)
            self.assertIn(f"(at byte {problem['offset']})", text)

    def test_an_error_outside_of_all_entries_names_none(self):
        for content in (with_header(b"{" + A + b"}", b"12"), with_header(b"{" + A + b"}x", b"1"),
                        with_header(b"[]"), with_header(b'{"\xff":1}')):
            self.assertEqual(self.problem(content)["subject"], "")

    def test_strict_rules_say_that_the_reference_accepts(self):
        twice = with_header(b"{" + A + b"," + A + b"}", b"1")
        file = self.check(twice, expect=1)
        self.assertTrue(file["reference_accepts"])
        self.assertIn("occurs twice", file["problems"][0]["message"])
        self.assertEqual(file["problems"][0]["subject"], "a")
        self.assertIn("by reference rules it is valid", self.tare("check", "m.safetensors").stdout)
        self.check(twice, "--rules", "reference", expect=0)
        space = with_header(b" {" + A + b"}", b"1")
        self.assertIn("white space", self.problem(space)["message"])
        self.check(space, "--rules", "reference", expect=0)
        hole = with_header(b"{" + A + b"}", b"12")
        self.assertFalse(self.check(hole, expect=1)["reference_accepts"])
        self.check(hole, "--rules", "reference", expect=1)

    def test_a_truncated_file_has_its_sizes(self):
        whole = safetensors_bytes({"a": ("F32", [2], b"12345678")})
        for length in range(1, len(whole)):
            problem = self.problem(whole[:length])
            self.assertEqual(problem["error"], "truncated")
            self.assertIn(f"have {length})", problem["message"])

    def test_what_is_something_else_is_neither_valid_nor_invalid(self):
        for content, word in (
            (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
            (b"<!DOCTYPE html><html>", "HTML page"), (b"\x7fELF" + bytes(20), "ELF"),
            (bytes(100), "zero bytes"), (b"", "empty"),
        ):
            self.assertIn(word, self.problem(content, expect=2)["message"])
        self.tare("check", "missing", expect=2)

    def test_other_formats_say_what_was_checked(self):
        value, storages = small_state_dict()
        write_checkpoint(self.path("m.pt"), pickle_checkpoint(value), storages)
        done = self.tare("check", "m.pt", expect=0)
        self.assertIn("m.pt: valid (torch-zip, 2 tensors, 72 B; checked: that every", done.stdout)
        value["packed"] = Tensor(Storage("QUInt4x2Storage", "9", bytes(3), 3), 0, (3,), (1,))
        storages["9"] = bytes(3)
        write_checkpoint(self.path("m.pt"), pickle_checkpoint(value), storages)
        self.assertIn("'packed': is of a type", self.tare("check", "m.pt", expect=2).stdout)
        del value["packed"]
        write_checkpoint(self.path("m.pt"), pickle_checkpoint(value), {"0": b"short", "1": bytes(24)})
        self.assertIn("'fc.weight': ", self.tare("check", "m.pt", expect=1).stdout)

    def test_two_formats_at_once_are_not_strict(self):
        with zipfile.ZipFile(self.path("other.zip"), "w") as archive:
            archive.writestr("m/data.pkl", pickle_checkpoint({}))
        with open(self.path("other.zip"), "rb") as file:
            data = file.read()
        polyglot = safetensors_bytes({"a": ("U8", [len(data)], data)})
        self.assertIn("two formats", self.problem(polyglot)["message"])

    def test_the_worst_file_decides(self):
        self.write("good", safetensors_bytes({}))
        self.write("bad", with_header(b"[]"))
        self.tare("check", "good", "good", expect=0)
        self.tare("check", "good", "bad", "good", expect=1)
        done = self.tare("check", "bad", "missing", "good", expect=2)
        self.assertEqual([line.split(": ")[1].split()[0] for line in done.stdout.splitlines()
                          if line[0] != " "], ["invalid", "unknown", "valid"])
        self.tare("check", expect=4)
        self.tare("check", "--rules", "lax", "good", expect=4)

    def test_names_cannot_reach_the_terminal(self):
        self.write("m", with_header(b'{"\x1b]0;owned\x07":{"dtype":"x"}}'))
        self.write("n", with_header(b'{"\xe2\x80\xae":{"dtype":"x"}}'))
        for name in ("m", "n"):
            done = self.tare("check", name, expect=1)
            self.assert_printable(done.stdout)


@needs_torch
class TorchFiles(TareTest):
    def test_files_of_torch_are_valid(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                run_python(python, "import torch\n"
                           "torch.save(torch.nn.Linear(3, 4).state_dict(), 'm.pt')\n",
                           cwd=self.folder)
                self.tare("check", "m.pt", expect=0)


if __name__ == "__main__":
    unittest.main()
