"""Folders and patterns in place of a file: every verb takes the same model, or says which it could be."""

import json
import os
import unittest

from harness import TareTest, read_safetensors, safetensors_bytes

TENSORS = {"a": ("F32", [2], b"12345678"), "b": ("U8", [3], b"abc")}
INDEX = "model.safetensors.index.json"
VERBS = ("inspect", "hash", "convert")


def shard(*names):
    return safetensors_bytes({name: TENSORS[name] for name in names})


class Folders(TareTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("m"))
        self.write("whole.safetensors", safetensors_bytes(TENSORS))

    def shards(self):
        self.write("m/1.safetensors", shard("a"))
        self.write("m/2.safetensors", shard("b"))

    def index(self, name=INDEX):
        places = {"a": "1.safetensors", "b": "2.safetensors"}
        self.write(f"m/{name}", json.dumps({"weight_map": places}).encode())

    def is_whole(self, path):
        """Every verb takes the path for the model that whole.safetensors has."""
        self.assertEqual(len(self.tare_json("inspect", "--json", path)["tensors"]), 2)
        digests = [self.tare_json("hash", "--json", p)["tensors_sha256"]
                   for p in (path, "whole.safetensors")]
        self.assertEqual(digests[0], digests[1])
        self.tare("verify", path, "whole.safetensors", expect=0)
        self.tare("convert", path, "-o", "out.safetensors", "--overwrite", expect=0)
        self.assertEqual(read_safetensors(self.path("out.safetensors"))[0], TENSORS)

    def refused(self, path, *texts):
        for verb in VERBS:
            self.assert_one_line_error(self.tare(verb, path, expect=2), path, *texts)
        self.assertEqual(self.files(), ["m", "whole.safetensors"])

    def test_a_folder_with_an_index_is_its_model(self):
        self.shards()
        self.index()
        self.is_whole("m")

    def test_a_folder_with_one_model_is_that(self):
        self.write("m/model.bin", safetensors_bytes(TENSORS))
        self.write("m/config.json", b"{}")
        self.write("m/readme.md", b"# words\n")
        self.is_whole("m")
        self.is_whole("m/")

    def test_several_models_are_named(self):
        self.shards()
        self.refused("m", "1.safetensors, 2.safetensors", "several models")
        self.index()
        self.index("other.index.json")
        self.refused("m", "other.index.json", "several indexes")

    def test_a_folder_without_a_model(self):
        self.refused("m", "without a model")
        self.write("m/notes", b"hello")
        self.refused("m", "without a model")

    def test_names_of_files_are_printed_safely(self):
        self.write("m/\x1b[31m1.bin", shard("a"))
        self.write("m/2.bin", shard("b"))
        self.assert_printable(self.tare("inspect", "m", expect=2).stderr)

    def test_a_pattern_joins_files(self):
        self.shards()
        for pattern in ("m/*.safetensors", "m/[12].safetensors", "m/?.safetensors"):
            self.is_whole(pattern)

    def test_a_pattern_of_one_file_is_that_file(self):
        self.shards()
        self.index()
        self.is_whole("m/*.json")

    def test_a_pattern_that_matches_nothing(self):
        self.refused("m/*.gguf", "no file has such a name")

    def test_a_file_that_is_called_like_a_pattern_is_that_file(self):
        self.write("m/[1].bin", safetensors_bytes(TENSORS))
        self.write("m/1.bin", b"not taken")
        self.is_whole("m/[1].bin")

    def test_files_of_a_pattern_share_no_name(self):
        self.shards()
        self.write("m/3.safetensors", shard("a"))
        self.refused("m/*.safetensors", "1.safetensors", "3.safetensors")

    def test_what_is_no_file_in_a_folder_is_left_alone(self):
        # Opening the pipe would wait for a writer.
        os.mkfifo(self.path("m/pipe"))
        os.symlink("nowhere", self.path("m/dangling"))
        os.symlink(".", self.path("m/loop"))
        self.write("m/model.bin", safetensors_bytes(TENSORS))
        self.is_whole("m")

    def test_a_model_may_be_a_link(self):
        os.mkdir(self.path("blobs"))
        self.write("blobs/01", safetensors_bytes(TENSORS))
        os.symlink("../blobs/01", self.path("m/model.bin"))
        self.is_whole("m")

    def test_scan_judges_the_files_of_a_folder(self):
        self.shards()
        done = self.tare("scan", "m", expect=0)
        self.assertIn("m/1.safetensors: safe", done.stdout)
        self.assertIn("m/2.safetensors: safe", done.stdout)


class Checkpoints(TareTest):
    """Folders that only claim to be distributed checkpoints."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("m"))

    def test_the_metadata_is_no_pipe(self):
        os.mkfifo(self.path("m/.metadata"))
        for verb in VERBS:
            self.assert_one_line_error(self.tare(verb, "m", expect=2), ".metadata")
        self.assertNotEqual(self.tare("scan", "m").returncode, 0)

    def test_the_metadata_is_a_link_to_nothing_or_to_itself(self):
        for target in ("nowhere", ".metadata"):
            os.symlink(target, self.path("m/.metadata"))
            self.assert_one_line_error(self.tare("inspect", "m", expect=2), ".metadata")
            self.assertNotEqual(self.tare("scan", "m").returncode, 0)
            os.remove(self.path("m/.metadata"))

    def test_scan_judges_every_file(self):
        self.write("m/.metadata", b"\x80\x02N.")
        self.write("m/__0_0.distcp", b"cos\nsystem\n(S'id'\ntR.")
        os.mkfifo(self.path("m/pipe"))
        reports = {os.path.basename(f["path"]): f
                   for f in self.tare_json("scan", "--format", "json", "m", expect=2)["files"]}
        self.assertEqual(sorted(reports), [".metadata", "__0_0.distcp", "pipe"])
        self.assertEqual(reports["__0_0.distcp"]["verdict"], "dangerous")
        self.assertEqual(reports["pipe"]["error"], "not_a_file")


if __name__ == "__main__":
    unittest.main()
