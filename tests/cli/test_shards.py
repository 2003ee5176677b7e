"""Sharded models: an index and its shards are one model for every verb; a bad index is refused."""

import json
import os
import unittest

from harness import (
    TareTest,
    needs_torch,
    pickle_checkpoint,
    read_safetensors,
    run_python,
    safetensors_bytes,
    small_state_dict,
    torch_pythons,
    write_checkpoint,
)

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


class Shards(TareTest):
    def setUp(self):
        super().setUp()
        self.tensors = {
            "a": ("F32", [2], b"12345678"), "b": ("U8", [3], b"abc"), "c": ("BF16", [], b"xy"),
        }
        self.shard(FIRST, "ab")
        self.shard(SECOND, "c")
        self.map = {"a": FIRST, "b": FIRST, "c": SECOND}
        self.index(self.map)
        self.write("whole.safetensors", safetensors_bytes(self.tensors))

    def shard(self, name, tensors, metadata=None):
        self.write(name, safetensors_bytes({t: self.tensors[t] for t in tensors}, metadata))

    def index(self, weight_map, name=INDEX, **more):
        index = {"metadata": {"total_size": 13}, "weight_map": weight_map, **more}
        self.write(name, json.dumps(index, indent=2).encode())

    def refuse(self, *texts, index=INDEX):
        for verb in ("inspect", "hash", "convert"):
            self.assert_one_line_error(self.tare(verb, index, expect=2), index, *texts)
        for arguments in ((index, "whole.safetensors"), ("whole.safetensors", index)):
            done = self.tare("verify", *arguments, expect=2)
            self.assert_one_line_error(done, index, *texts)

    def problems(self):
        listed = self.tare_json("inspect", "--json", INDEX)["problems"]
        self.tare("verify", INDEX, "whole.safetensors", expect=2)
        self.tare("convert", INDEX, "-o", "out.safetensors", expect=2)
        self.assertNotIn("out.safetensors", self.files())
        self.tare("check", INDEX, expect=1)
        self.assertIsNone(self.tare_json("hash", "--json", INDEX, expect=2)["tensors_sha256"])
        return [(p["subject"], p["message"]) for p in listed]

    def test_an_index_is_one_model_for_every_verb(self):
        listed = self.tare_json("inspect", "--json", INDEX)
        self.assertEqual(listed["format"], "safetensors")
        self.assertEqual(listed["shards"], [FIRST, SECOND])
        self.assertEqual({t["name"]: t["entry"] for t in listed["tensors"]}, self.map)
        self.assertEqual(listed["metadata"], {"total_size": "13"})
        self.assertEqual(listed["problems"], [])
        self.assertIn("2 shards, 3 tensors", self.tare("inspect", INDEX, expect=0).stdout)

        self.tare("verify", INDEX, "whole.safetensors", expect=0)
        sharded = self.tare_json("hash", "--json", INDEX)
        whole = self.tare_json("hash", "--json", "whole.safetensors")
        self.assertEqual(sharded["tensors_sha256"], whole["tensors_sha256"])
        self.assertEqual([f["path"] for f in sharded["files"]], [INDEX, FIRST, SECOND])
        self.assertIn("safetensors by strict rules, 2 shards", self.tare("check", INDEX).stdout)

        self.tare("convert", INDEX, "-o", "out.safetensors", expect=0)
        self.assertEqual(read_safetensors(self.path("out.safetensors"))[0], self.tensors)

    def test_the_folder_of_the_index_counts_and_its_name_does_not(self):
        os.mkdir(self.path("sub"))
        for name in (FIRST, SECOND):
            os.rename(self.path(name), self.path("sub/" + name))
        os.rename(self.path(INDEX), self.path("sub/anything"))
        self.tare("verify", "sub/anything", "whole.safetensors", expect=0)
        paths = [f["path"] for f in self.tare_json("hash", "--json", "sub/anything")["files"]]
        self.assertEqual(paths, ["sub/anything", "sub/" + FIRST, "sub/" + SECOND])

    def test_shards_may_be_links(self):
        # The cache of the Hugging Face hub is made of them.
        os.mkdir(self.path("blobs"))
        os.rename(self.path(FIRST), self.path("blobs/0123"))
        os.symlink("blobs/0123", self.path(FIRST))
        self.tare("verify", INDEX, "whole.safetensors", expect=0)

    def test_shards_of_checkpoints(self):
        value, storages = small_state_dict()
        for number, (name, key) in enumerate((("fc.weight", "0"), ("fc.bias", "1")), 1):
            write_checkpoint(self.path(f"pytorch_model-{number}.bin"),
                             pickle_checkpoint({name: value[name]}), {key: storages[key]})
        write_checkpoint(self.path("whole.pt"), pickle_checkpoint(value), storages)
        self.index({"fc.weight": "pytorch_model-1.bin", "fc.bias": "pytorch_model-2.bin"})
        self.tare("verify", INDEX, "whole.pt", expect=0)
        self.tare("convert", INDEX, "-o", "out.safetensors", expect=0)
        self.tare("verify", "out.safetensors", "whole.pt", expect=0)

    def test_convert_scans_every_shard(self):
        class Call:
            def __reduce__(self):
                return os.system, ("echo hello",)

        value, storages = small_state_dict()
        write_checkpoint(self.path("one.bin"), pickle_checkpoint(value), storages)
        write_checkpoint(self.path("two.bin"), pickle_checkpoint({"x": Call()}), {})
        self.index({"fc.weight": "one.bin", "fc.bias": "one.bin"})
        self.tare("convert", INDEX, "-o", "out", expect=0)
        self.index({"fc.weight": "one.bin", "fc.bias": "one.bin", "x": "two.bin"})
        done = self.tare("convert", INDEX, "-o", "bad", expect=1)
        self.assertIn("tare: two.bin: not converted: the file is hostile", done.stderr)

    def test_only_plain_names_beside_the_index(self):
        os.mkdir(self.path("sub"))
        for name in ("../whole.safetensors", "/etc/passwd", "sub/x", "..", ".", "", "a\0b", "a\\b",
                     self.path("whole.safetensors")):
            self.index({"a": name})
            self.refuse("is no plain name of a file beside the index", "(at byte ")
            self.tare("check", INDEX, expect=1)

    def test_a_missing_shard_is_named(self):
        os.remove(self.path(SECOND))
        self.refuse(SECOND, "No such file")
        self.assertIn(SECOND, self.tare("check", INDEX, expect=2).stdout)

    def test_a_broken_shard_is_named(self):
        with open(self.path(SECOND), "r+b") as file:
            file.truncate(50)
        self.refuse(SECOND, "incomplete download")
        self.assertIn(SECOND + ": ", self.tare("check", INDEX, expect=1).stdout)
        self.write(SECOND, b"version https://git-lfs.github.com/spec/v1\n")
        self.refuse(SECOND, "git-lfs pointer")

    def test_an_index_is_no_shard(self):
        self.index({"a": INDEX})
        self.refuse(INDEX)
        self.index({"a": "other.json"})
        self.index({"a": INDEX}, name="other.json")
        self.refuse("other.json", "an index of shards")

    def test_a_tensor_that_its_shard_lacks(self):
        self.index({**self.map, "lm_head": SECOND})
        self.assertEqual(self.problems(),
                         [(SECOND + ": lm_head", "is in the index, but not in this shard")])

    def test_a_tensor_that_the_index_does_not_list(self):
        self.index({"a": FIRST, "c": SECOND})
        self.assertEqual(self.problems(), [(FIRST + ": b", "is in the shard, but not in the index")])

    def test_a_tensor_in_two_shards(self):
        self.shard(SECOND, "bc")
        self.assertEqual(
            self.problems(),
            [(SECOND + ": b", "is in this shard, but the index names another one")])
        names = [t["name"] for t in self.tare_json("inspect", "--json", INDEX)["tensors"]]
        self.assertEqual(sorted(names), ["a", "b", "c"])

    def test_a_tensor_listed_twice(self):
        text = json.dumps({"weight_map": self.map})[:-2] + f', "a": "{SECOND}"}}}}'
        self.write(INDEX, text.encode())
        self.refuse("'a': is listed twice")

    def test_metadata_that_shards_share_stands_once(self):
        self.shard(FIRST, "ab", {"format": "pt", "part": "1"})
        self.shard(SECOND, "c", {"format": "pt", "part": "2"})
        self.assertEqual(
            self.tare_json("inspect", "--json", INDEX)["metadata"],
            {"format": "pt", "part": "1", SECOND + ": part": "2", "total_size": "13"})

    def test_broken_indexes(self):
        with open(self.path(INDEX), "rb") as file:
            whole = file.read().strip()
        behind_key = whole.index(b"weight_map") + 12
        for length in range(behind_key, len(whole)):
            self.write("cut", whole[:length])
            self.assert_one_line_error(self.tare("inspect", "cut", expect=2), "cut: invalid")
        for text, word in (
            (b'{"weight_map":[]}', "weight_map is no object"), (b'{"weight_map":{"a":1}}', "a string"),
            (b'{"weight_map":{}} x', "bytes behind"),
            (b'{"weight_map":{},"weight_map":{}}', "'weight_map': the index has two"),
        ):
            self.write(INDEX, text)
            self.refuse(word)
        for text, word in ((b'{"model_type":"llama"}', "a configuration of a Hugging Face library, which holds no tensors"),
                           (b'{\n  "a": 1\n}', "JSON text, not a model")):
            self.write(INDEX, text)
            self.refuse(word)

    def test_an_empty_index(self):
        self.index({})
        self.assertIn("0 tensors", self.tare("inspect", INDEX, expect=0).stdout)

    def test_scan_asks_for_the_shards(self):
        self.assert_one_line_error(
            self.tare("scan", INDEX, expect=3), "nothing to scan: an index of shards")


SAVE = """
import json, sys, torch
from safetensors.torch import save_file
torch.manual_seed(0)
d = {f"layers.{i}.weight": torch.randn(4, i + 1) for i in range(6)}
files = {f"model-{n:05}-of-00003.safetensors": list(d)[2 * n - 2 : 2 * n] for n in (1, 2, 3)}
for file, names in files.items():
    save_file({n: d[n] for n in names}, file, metadata={"format": "pt"})
total = sum(t.numel() * 4 for t in d.values())
with open("model.safetensors.index.json", "w") as out:
    json.dump({"metadata": {"total_size": total},
               "weight_map": {n: f for f, names in files.items() for n in names}}, out, indent=2)
torch.save(d, "model.pt")
"""


@needs_torch
class RealFiles(TareTest):
    def test_shards_of_the_reference_are_what_torch_saved(self):
        tried = 0
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                try:
                    run_python(python, SAVE, cwd=self.folder)
                except AssertionError as error:
                    if "No module named 'safetensors'" not in str(error):
                        raise
                    continue
                tried += 1
                self.tare("verify", INDEX, "model.pt", expect=0)
                self.tare("check", INDEX, expect=0)
        if tried == 0:
            self.skipTest("SKIPPED: no Python here has torch and safetensors (TARE_TORCH_PYTHONS)")


if __name__ == "__main__":
    unittest.main()
