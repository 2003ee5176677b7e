"""Golden texts of every verb, on files built by hand. TARE_UPDATE_GOLDEN=1 writes them anew."""

import gzip
import io
import os
import pickle
import re
import tarfile
import unittest

from harness import (
    TareTest,
    pickle_checkpoint,
    safetensors_bytes,
    small_state_dict,
    write_checkpoint,
)



class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Golden(TareTest):
    def setUp(self):
        super().setUp()
        value, storages = small_state_dict()
        write_checkpoint(self.path("benign.pt"), pickle_checkpoint(value), storages)
        write_checkpoint(
            self.path("hostile.pt"),
            pickle_checkpoint({**value, "hook": Call(os.system, "echo hello")}),
            storages,
        )
        write_checkpoint(self.path("training.pt"), pickle_checkpoint({**value, "epoch": 3}), storages)

    def test_scan_benign(self):
        self.check("scan_benign", self.tare("scan", "benign.pt"))

    def test_scan_hostile(self):
        self.check("scan_hostile", self.tare("scan", "hostile.pt"))

    def test_scan_json(self):
        self.check("scan_json", self.tare("scan", "--format", "json", "hostile.pt", "benign.pt"))

    def test_inspect_nesting(self):
        def tar(entries):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as out:
                for name, content in entries:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    out.addfile(info, io.BytesIO(content))
            return buffer.getvalue()

        inner = tar([("layer/list.pkl", pickle.dumps([1], 2)), ("notes.txt", b"text\n"),
                     ("m.safetensors", safetensors_bytes({"w": ("U8", [4], bytes(4))}))])
        self.write("all.tar", tar([("inner.tar.gz", gzip.compress(inner, mtime=0)), ("program", b"\x7fELF" + bytes(60)),
                                   ("cut.gz", gzip.compress(inner, mtime=0)[:-20]), ("odd\x1b[31m", b"x")]))
        self.check("inspect_nesting", self.tare("inspect", "--tree", "all.tar"))
        self.write("none.tar", tar([("notes.txt", b"text\n")]))
        self.check("inspect_nesting_json", self.tare("inspect", "--tree", "--json", "none.tar"))
        self.assertEqual(self.tare("inspect", "none.tar").returncode, 2)

    def test_scan_bare_pickle(self):
        self.write("list.pkl", pickle.dumps([1, 2, 3], 4) + b"and more")
        self.check("scan_bare_pickle", self.tare("scan", "list.pkl"))

    def test_scan_several_with_an_error(self):
        self.check("scan_several", self.tare("scan", "benign.pt", "missing.pt", "hostile.pt"))

    def test_fail_on_dangerous(self):
        self.write("list.pkl", pickle.dumps([1], 2) + b"more")
        self.tare("scan", "--fail-on", "dangerous", "list.pkl", expect=0)
        self.tare("scan", "--fail-on", "dangerous", "hostile.pt", expect=1)

    def test_inspect_checkpoint(self):
        self.check("inspect_checkpoint", self.tare("inspect", "benign.pt"))

    def test_inspect_json(self):
        self.check("inspect_json", self.tare("inspect", "--json", "benign.pt"))

    def test_inspect_training_checkpoint(self):
        self.check("inspect_training", self.tare("inspect", "training.pt"))

    def test_convert_and_inspect_safetensors(self):
        self.check("convert", self.tare("convert", "benign.pt"))
        self.check("inspect_safetensors", self.tare("inspect", "benign.safetensors"))

    def test_convert_refuses_hostile(self):
        self.check("convert_hostile", self.tare("convert", "hostile.pt"))
        self.assertNotIn("hostile.safetensors", self.files())

    def test_convert_lists_what_is_no_tensor(self):
        self.check("convert_training", self.tare("convert", "training.pt"))

    def write_other(self):
        """Like benign.pt, but for one tensor of each kind of difference."""
        _, storages = small_state_dict()
        weight = bytearray(storages["0"])
        weight[17] ^= 1
        self.write("other.safetensors", safetensors_bytes({
            "fc.weight": ("F32", [3, 4], bytes(weight)), "fc.bias": ("I64", [3, 1], storages["1"]),
            "new": ("BF16", [2], b"1234"),
        }, {"format": "pt"}))

    def test_verify_equal(self):
        self.tare("convert", "benign.pt", expect=0)
        self.check("verify_equal", self.tare("verify", "benign.pt", "benign.safetensors"))

    def test_verify_different(self):
        self.write_other()
        self.check("verify_different", self.tare("verify", "benign.pt", "other.safetensors"))

    def test_verify_json(self):
        self.write_other()
        self.check(
            "verify_json",
            self.tare("verify", "--json", "--metadata", "benign.pt", "other.safetensors"))

    def test_verify_training_checkpoint(self):
        self.check("verify_training", self.tare("verify", "training.pt", "benign.pt"))

    def test_hash(self):
        self.tare("convert", "benign.pt", expect=0)
        self.check("hash", self.tare("hash", "benign.safetensors"))
        self.check("hash_tensors", self.tare("hash", "--tensors", "benign.safetensors"))
        self.check("hash_json", self.tare("hash", "--json", "benign.safetensors"))

    def write_unsorted(self):
        """A file that the reference accepts, one that nobody does, and none."""
        header = (b'{"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":1},'
                  b'"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}')
        self.write("odd.safetensors", len(header).to_bytes(8, "little") + header + b"1234")
        self.write("hole.safetensors", len(header).to_bytes(8, "little")
                   + header.replace(b"[2,4]", b"[3,5]") + b"12345")

    def test_check(self):
        self.write_other()
        self.write_unsorted()
        self.check("check", self.tare("check", "other.safetensors", "benign.pt", "odd.safetensors"))
        self.check("check_reference", self.tare(
            "check", "--rules", "reference", "odd.safetensors", "hole.safetensors"))
        self.check("check_json", self.tare(
            "check", "--json", "other.safetensors", "odd.safetensors", "missing"))

    def test_inspect_tree(self):
        tensors = {"model.embed.weight": ("BF16", [32, 8], bytes(512))}
        for layer in (0, 1, 10):
            for part in ("q", "k", "v"):
                tensors[f"model.layers.{layer}.attn.{part}"] = ("BF16", [8, 8], bytes(128))
            tensors[f"model.layers.{layer}.norm"] = ("F32", [8], bytes(32))
        tensors["lm_head.weight"] = ("BF16", [32, 8], bytes(512))
        self.write("model.safetensors", safetensors_bytes(tensors))
        self.check("inspect_tree", self.tare("inspect", "--tree", "model.safetensors"))

    def test_inspect_shards(self):
        self.write("1.safetensors", safetensors_bytes(
            {"a": ("U8", [2], b"12"), "c": ("F32", [0], b"")}, {"format": "pt"}))
        self.write("2.safetensors", safetensors_bytes({"b": ("U8", [1], b"3")}, {"format": "pt"}))
        self.write("index.json", b'{"metadata":{"total_size":3},"weight_map":'
                   b'{"a":"1.safetensors","b":"2.safetensors","lm_head":"2.safetensors"}}')
        self.check("inspect_shards", self.tare("inspect", "index.json"))
        self.check("check_shards", self.tare("check", "index.json"))

    def test_help(self):
        for verb in ("scan", "inspect", "convert", "verify", "hash", "check"):
            self.assertIn("Examples:", self.tare(verb, "--help", expect=0).stdout)
        self.assertIn("Examples:", self.tare("--help", expect=0).stdout)
        self.assertRegex(self.tare("--version", expect=0).stdout, r"^tare \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
