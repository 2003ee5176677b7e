"""tare convert from end to end: what is taken and what is left out, the forms of the output, refusals,
and that an output is there whole or not at all."""

import glob
import json
import os
import re
import signal
import struct
import subprocess
import time
import unittest

from harness import (
    TARE,
    Storage,
    TareTest,
    Tensor,
    has_nameless_files,
    is_writing,
    pickle_checkpoint,
    read_safetensors,
    safetensors_bytes,
    write_checkpoint,
)

try:
    import numpy
except ImportError:
    numpy = None


def floats(*values, code="f"):
    return struct.pack(f"<{len(values)}{code}", *values)


class ConvertTest(TareTest):
    def setUp(self):
        super().setUp()
        self.storages = {}

    def storage(self, content, kind="FloatStorage", width=4):
        key = str(len(self.storages))
        self.storages[key] = content
        return Storage(kind, key, content, len(content) // width)

    def tensor(self, *values):
        return Tensor(self.storage(floats(*values)), 0, (len(values),), (1,))

    def save(self, name, value):
        write_checkpoint(self.path(name), pickle_checkpoint(value), self.storages)

    def convert(self, *arguments, expect=0):
        done = self.tare("convert", *arguments, expect=expect)
        self.assert_printable(done.stdout + done.stderr)
        return done

    def converted(self, *arguments, output="out.safetensors"):
        self.convert(*arguments, "-o", output, "--overwrite")
        return read_safetensors(self.path(output))

    def values(self, *arguments):
        """The names that a conversion writes, with their floats."""
        tensors, _ = self.converted(*arguments)
        return {name: [x for x, in struct.iter_unpack("<f", raw)] for name, (_, _, raw) in tensors.items()}

    def refuse(self, *arguments, code=2, texts=()):
        before = self.files()
        done = self.convert(*arguments, expect=code)
        self.assertEqual(self.files(), before)
        self.assertEqual(done.stdout, "")
        for text in texts:
            self.assertIn(text, done.stderr)
        return done

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


class Selection(ConvertTest):
    def setUp(self):
        super().setUp()
        self.save("two.pt", {"model": {"w": self.tensor(1, 2)}, "ema": {"w": self.tensor(3)}, "epoch": 7})

    def test_of_several_models_none_is_chosen(self):
        for arguments in (("two.pt",), ("two.pt", "--dry-run"), ("two.pt", "--json")):
            done = self.refuse(*arguments, "-o", "out.safetensors", texts=["two.pt", "--key"])
            for candidate in ("model", "ema"):
                self.assertRegex(done.stderr, rf"\b{candidate}\b")
            self.assertNotIn("epoch", done.stderr)

    def test_a_key_chooses(self):
        self.assertEqual(self.values("two.pt", "--key", "model"), {"w": [1, 2]})
        self.assertEqual(self.values("two.pt", "--key", "ema"), {"w": [3]})
        self.assertEqual(self.values("two.pt", "--key", "."), {"model.w": [1, 2], "ema.w": [3]})
        done = self.refuse("two.pt", "--key", "emma", texts=["emma", "no object has this key"])
        for key in ("model", "ema", "epoch"):
            self.assertRegex(done.stderr, rf"\b{key}\b")

    def test_nested_objects_have_their_paths_for_names(self):
        value = {"a": {"b": [self.tensor(4), {"c": self.tensor(5)}]}, "d": (self.tensor(6),)}
        self.save("nested.pt", value)
        self.assertEqual(self.values("nested.pt"), {"a.b.0": [4], "a.b.1.c": [5], "d.0": [6]})
        self.assertEqual(self.values("nested.pt", "--key", "a.b.1"), {"c": [5]})

    def test_prefixes_are_stripped(self):
        value = {"module._orig_mod.w": self.tensor(1), "module.b": self.tensor(2), "c": self.tensor(3)}
        self.save("wrapped.pt", value)
        flags = "--strip-prefix", "module.", "--strip-prefix", "_orig_mod."
        self.assertEqual(self.values("wrapped.pt", *flags), {"w": [1], "b": [2], "c": [3]})
        self.save("clash.pt", {"module.w": self.tensor(1), "w": self.tensor(2)})
        self.refuse("clash.pt", "--strip-prefix", "module.", texts=["two tensors have this name"])

    def test_scalars_are_kept_on_request(self):
        value = {"state_dict": {"w": self.tensor(1)}, "epoch": 3, "args": {"lr": 0.5, "name": "net"},
                 "best": True, "classes": ["cat", "dog"]}
        self.save("training.pt", value)
        _, metadata = self.converted("training.pt")
        self.assertEqual(metadata, {"format": "pt"})
        _, metadata = self.converted("training.pt", "--keep-scalars")
        self.assertLessEqual(
            {"format": "pt", "epoch": "3", "args.lr": "0.5", "args.name": "net", "best": "True"}.items(),
            metadata.items())


class Summary(ConvertTest):
    def test_all_that_a_summary_says(self):
        shared = self.storage(floats(*range(6)))
        optimizer = {"state": {0: {"exp_avg": self.tensor(0, 0), "step": 5}}, "param_groups": [{"lr": 0.1}]}
        self.save("training.pt", {
            "state_dict": {
                "module.head": Tensor(shared, 0, (2, 3), (3, 1)),
                "module.tail": Tensor(shared, 0, (2, 3), (3, 1)),
                "module.part": Tensor(shared, 2, (2,), (1,)),
            },
            "optimizer": optimizer, "epoch": 3, "note": "\x1b[31mred", "args": {"lr": 0.1}})
        arguments = "training.pt", "--strip-prefix", "module.", "-o", "out.safetensors"
        dry = self.convert(*arguments, "--dry-run").stdout
        self.assertEqual(self.files(), ["training.pt"])
        text = dry + self.convert(*arguments).stdout
        self.assert_golden(
            "convert_summary", re.sub(r"in \d+\.\d+ s \(\d+ MB/s\)", "in N s (N MB/s)", text))
        summary = self.tare_json("convert", *arguments, "--overwrite", "--json")
        self.assertEqual((summary["key"], summary["tensors"], summary["overlapping"], summary["verified"]),
                         ("state_dict", 2, 2, True))
        self.assertEqual(summary["tied"], {"tail": "head"})
        self.assertLessEqual({"epoch", "note", "args"}, {x["path"] for x in summary["dropped"]})
        self.assertEqual(summary["file_bytes"], os.path.getsize(self.path("out.safetensors")))
        # A reader that knows of the tie finds it in the file.
        tensors, metadata = read_safetensors(self.path("out.safetensors"))
        self.assertEqual(sorted(tensors), ["head", "part"])
        self.assertEqual(metadata, {"format": "pt", "tail": "head"})

    def test_without_verification_it_says_so(self):
        self.save("m.pt", {"w": self.tensor(1, 2)})
        self.assertIn("verified against the source", self.convert("m.pt", "-o", "a.safetensors").stdout)
        done = self.convert("m.pt", "-o", "b.safetensors", "--no-verify")
        self.assertIn("not verified", done.stdout)
        self.assertEqual(self.content("a.safetensors"), self.content("b.safetensors"))


class Sharding(ConvertTest):
    SHARDS = [f"big-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    INDEX = "big.safetensors.index.json"

    def setUp(self):
        super().setUp()
        self.wanted = {name: [float(i)] * 4 for i, name in enumerate("abcde")}
        tied = Tensor(self.storage(floats(*[4.0] * 4)), 0, (4,), (1,))
        value = {name: self.tensor(*self.wanted[name]) for name in "abcd"}
        self.save("m.pt", {**value, "e": tied, "f": tied})

    def split(self, *more, size="40B", expect=0):
        return self.convert("m.pt", "-o", "big.safetensors", "--max-shard-size", size, *more, expect=expect)

    def test_shards_and_their_index(self):
        done = self.split()
        self.assertEqual(self.files(), sorted([*self.SHARDS, self.INDEX, "m.pt"]))
        for name in (*self.SHARDS, self.INDEX):
            self.assertIn(name, done.stdout)
        index = json.loads(self.content(self.INDEX))
        first, second, third = self.SHARDS
        self.assertEqual(index, {
            "metadata": {"total_size": 80, "f": "e"},
            "weight_map": {"a": first, "b": first, "c": second, "d": second, "e": third}})
        for shard in self.SHARDS:
            tensors, metadata = read_safetensors(self.path(shard))
            self.assertEqual({index["weight_map"][name] for name in tensors}, {shard})
            self.assertEqual(metadata, {"format": "pt"})
        self.tare("verify", "m.pt", self.INDEX, expect=0)

    def test_an_index_a_pattern_and_a_folder_are_one_model(self):
        os.mkdir(self.path("folder"))
        self.split()
        for name in (*self.SHARDS, self.INDEX):
            os.rename(self.path(name), self.path(f"folder/{name}"))
        for source in (f"folder/{self.INDEX}", "folder/big-*.safetensors", "folder"):
            self.assertEqual(self.values(source), self.wanted, source)
        # The default output stands beside its source, under a name without the index.
        self.convert(f"folder/{self.INDEX}")
        self.assertEqual(read_safetensors(self.path("folder/big.safetensors")),
                         read_safetensors(self.path("out.safetensors")))

    def test_what_fits_is_one_file(self):
        self.split(size="1KB")
        self.assertEqual(self.files(), ["big.safetensors", "m.pt"])

    def test_one_tensor_may_be_larger(self):
        self.split(size="1")
        self.assertEqual(len(glob.glob(self.path("big-*-of-00005.safetensors"))), 5)

    def test_existing_files_stay_all_of_them(self):
        self.write(self.SHARDS[1], b"precious")
        self.split(expect=2)
        self.assertEqual(self.files(), sorted([self.SHARDS[1], "m.pt"]))
        self.assertEqual(self.content(self.SHARDS[1]), b"precious")

    def test_shards_of_before_go_with_overwrite(self):
        self.split()
        self.write("big-00001-of-00009.safetensors.bak", b"not a shard")
        self.split("--overwrite", size="64B")
        first, second = (f"big-0000{i}-of-00002.safetensors" for i in (1, 2))
        self.assertEqual(
            self.files(),
            sorted([first, second, "big-00001-of-00009.safetensors.bak", self.INDEX, "m.pt"]))

    def test_sizes_that_are_none(self):
        for size in ("", "0", "5XB", "-1", "GB", "99999999999TB"):
            self.split(size=size, expect=4)


class Types(ConvertTest):
    def test_casts_round_to_even_and_leave_integers(self):
        # 1 + 2^-8 and 1 + 3 * 2^-8 stand between two of bf16, 1 + 2^-11 between two of f16.
        source = (1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-11, -0.0, 1e9, float("inf"))
        number = Tensor(self.storage(struct.pack("<2q", 1, -2), "LongStorage", 8), 0, (2,), (1,))
        half = Tensor(self.storage(floats(0.5, -2, code="e"), "HalfStorage", 2), 0, (2,), (1,))
        self.save("m.pt", {"w": self.tensor(*source), "n": number, "h": half})
        inf = float("inf")
        wanted = {
            "f32": ("F32", floats(*source), "F32", floats(0.5, -2)),
            "f16": ("F16", floats(*source[:2], 1, -0.0, inf, inf, code="e"), "F16", floats(0.5, -2, code="e")),
            "bf16": ("BF16", struct.pack("<6H", 0x3F80, 0x3F82, 0x3F80, 0x8000, 0x4E6E, 0x7F80),
                     "BF16", struct.pack("<2H", 0x3F00, 0xC000)),
        }
        for flag, (kind, content, half_kind, half_content) in wanted.items():
            tensors, _ = self.converted("m.pt", "--dtype", flag)
            self.assertEqual(tensors["w"], (kind, [6], content), flag)
            self.assertEqual(tensors["h"], (half_kind, [2], half_content), flag)
            self.assertEqual(tensors["n"], ("I64", [2], struct.pack("<2q", 1, -2)), flag)
        self.convert("m.pt", "--dtype", "f64", expect=4)

    def test_quantized_tensors_only_on_request(self):
        self.storages = {"0": struct.pack("<4b", -2, 0, 3, 127)}
        write_checkpoint(self.path("q.pt"), b"".join((
            b"\x80\x02}X\x01\x00\x00\x00q", b"ctorch._utils\n_rebuild_qtensor\n(",
            b"(X\x07\x00\x00\x00storagectorch\nQInt8Storage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ",
            b"K\x00K\x02K\x02\x86K\x02K\x01\x86",
            b"(ctorch\nper_tensor_affine\nG", struct.pack(">d", 0.25), b"K\x01t",
            b"\x89ccollections\nOrderedDict\n)RtRs.")), self.storages)
        self.refuse("q.pt", texts=["q", "--dequantize"])
        self.refuse("q.pt", "--densify", texts=["--dequantize"])
        tensors, _ = self.converted("q.pt", "--dequantize")
        self.assertEqual(tensors, {"q": ("F32", [2, 2], floats(-0.75, -0.25, 0.5, 31.5))})

    def test_sparse_tensors_only_on_request(self):
        self.storages = {"0": struct.pack("<4q", 0, 1, 2, 0), "1": floats(1.5, 2.5)}

        def dense(storage, key, count, shape, strides):
            return b"".join((
                b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n", storage,
                b"\nX\x01\x00\x00\x00", key, b"X\x03\x00\x00\x00cpuK", bytes([count]), b"tQK\x00",
                b"(", *(b"K" + bytes([n]) for n in shape), b"t(", *(b"K" + bytes([n]) for n in strides),
                b"t\x89ccollections\nOrderedDict\n)RtR"))

        write_checkpoint(self.path("s.pt"), b"".join((
            b"\x80\x02}X\x01\x00\x00\x00s", b"ctorch._utils\n_rebuild_sparse_tensor\n(",
            b"ctorch.serialization\n_get_layout\n(X\x10\x00\x00\x00torch.sparse_cootR",
            b"(", dense(b"LongStorage", b"0", 4, (2, 2), (2, 1)),
            dense(b"FloatStorage", b"1", 2, (2,), (1,)), b"K\x02K\x03\x86ttRs.")), self.storages)
        self.refuse("s.pt", texts=["s", "--densify"])
        self.refuse("s.pt", "--dequantize", texts=["--densify"])
        tensors, _ = self.converted("s.pt", "--densify")
        self.assertEqual(tensors, {"s": ("F32", [2, 3], floats(0, 0, 1.5, 2.5, 0, 0))})


class Targets(ConvertTest):
    def setUp(self):
        super().setUp()
        self.save("m.pt", {"w": self.tensor(1, 2, 3), "deep.b": self.tensor(4)})

    def test_there_and_back(self):
        for chain in (["a.safetensors", "b.pt", "c.npz", "d.safetensors"], ["e.npz", "f.bin", "g.pth"]):
            source = "m.pt"
            for target in chain:
                self.convert(source, "-o", target)
                self.tare("verify", "m.pt", target, expect=0)
                source = target
        self.assertEqual(self.content("a.safetensors"), self.content("d.safetensors"))
        self.tare("scan", "b.pt", "c.npz", "d.safetensors", expect=0)

    @unittest.skipIf(numpy is None, "SKIPPED: no numpy")
    def test_numpy_reads_an_npz(self):
        self.convert("m.pt", "-o", "m.npz")
        with numpy.load(self.path("m.npz"), allow_pickle=False) as arrays:
            self.assertEqual({name: arrays[name].tolist() for name in arrays.files},
                             {"w": [1, 2, 3], "deep.b": [4]})
            self.assertEqual(arrays["w"].dtype, numpy.float32)
        numpy.savez(self.path("own.npz"), w=numpy.array([1, 2, 3], "<f4"), **{"deep.b": numpy.array([4], "<f4")})
        self.tare("verify", "own.npz", "m.npz", expect=0)

    def test_the_name_of_the_output(self):
        self.convert("m.pt")
        self.convert("m.pt", "--to", "npz")
        self.convert("m.pt", "--to", "npz", "-o", "odd.name")
        os.mkdir(self.path("folder"))
        self.convert("m.safetensors", "--to", "torch", "-o", "folder")
        self.assertEqual(self.files(), ["folder", "m.npz", "m.pt", "m.safetensors", "odd.name"])
        self.assertEqual(os.listdir(self.path("folder")), ["m.pt"])
        self.assertEqual(self.content("odd.name"), self.content("m.npz"))
        self.convert("m.pt", "--to", "gguf", expect=4)

    def test_never_over_the_input(self):
        before = self.content("m.pt")
        for output in ("m.pt", "./m.pt"):
            self.refuse("m.pt", "-o", output, "--overwrite", texts=["written over the input"])
        os.symlink("m.pt", self.path("link.pt"))
        self.refuse("m.pt", "-o", "link.pt", "--overwrite", texts=["written over the input"])
        self.assertEqual(self.content("m.pt"), before)


class Hostile(ConvertTest):
    def setUp(self):
        super().setUp()
        self.save("benign.pt", {"w": self.tensor(1, 2)})
        self.tare("craft", "--call", "os.system", "--args", "touch acted", "--inject", "benign.pt",
                  "-o", "hostile.pt", expect=0)

    def test_refused_unless_asked_for(self):
        for more in ((), ("--json",), ("--dry-run",), ("--overwrite",), ("--no-verify",)):
            self.refuse("hostile.pt", *more, code=1,
                        texts=["TARE-PKL-001", "touch acted", "--weights-only-anyway"])
        done = self.convert("hostile.pt", "--weights-only-anyway")
        self.assertIn("TARE-PKL-001", done.stderr)
        self.convert("benign.pt")
        self.assertEqual(self.content("hostile.safetensors"), self.content("benign.safetensors"))
        self.tare("scan", "hostile.safetensors", expect=0)
        self.assertNotIn("acted", self.files())

    def test_one_hostile_file_among_several(self):
        self.save("other.pt", {"b": self.tensor(3)})
        self.refuse("*e*.pt", "-o", "out.safetensors", texts=["in two of the files"])
        os.unlink(self.path("benign.pt"))
        self.refuse("*.pt", "-o", "out.safetensors", code=1, texts=["hostile.pt", "TARE-PKL-001"])
        self.assertEqual(self.values("*.pt", "--weights-only-anyway"), {"w": [1, 2], "b": [3]})
        self.assertNotIn("acted", self.files())

    def test_a_storage_that_is_short_is_refused_either_way(self):
        self.storages["0"] = b"short"
        self.save("short.pt", {"w": Tensor(Storage("FloatStorage", "0", b"", 2), 0, (2,), (1,))})
        self.refuse("short.pt", code=1, texts=["TARE-TEN-001"])
        self.refuse("short.pt", "--weights-only-anyway", texts=["CVE-2026-24747"])

    def test_what_is_only_unknown_is_converted_with_a_word(self):
        pickle = (b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
                  b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x02\x85K\x01\x85"
                  b"\x89ccollections\nOrderedDict\n)RtRsX\x01\x00\x00\x00xcstudio\nConfig\n)\x81s.")
        write_checkpoint(self.path("config.pt"), pickle, self.storages)
        done = self.convert("config.pt")
        self.assert_one_line_error(done, "suspicious", "only tensors are taken")
        self.assertIn("studio.Config", done.stdout)


class Interrupted(ConvertTest):
    def interrupt(self, sent, *flags):
        """Sends the signal while the output is being written. True if it hit."""
        before = set(self.files())
        process = subprocess.Popen(
            [os.path.abspath(TARE), "convert", "big.safetensors", "--dtype", "bf16", *flags],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not is_writing(process, self.folder) and process.poll() is None:
            time.sleep(0.0005)
        process.send_signal(sent)
        hit = process.wait() == -sent
        new = set(self.files()) - before
        if hit:
            # Nothing under a name that somebody would take for a model, and nothing at all where
            # the file system can do that.
            left = () if has_nameless_files(self.folder) else ".tare-"
            self.assertTrue(all(name.startswith(left) for name in new), new)
        for name in new:
            os.unlink(self.path(name))
        return hit

    def test_no_output_is_left(self):
        size = 16 << 20
        self.write("big.safetensors", safetensors_bytes(
            {f"w{i}": ("F32", [size // 4], bytes(size)) for i in range(4)}))
        outputs = ("-o", "out.safetensors"), ("-o", "out.pt"), ("-o", "out.npz"), (
            "-o", "out.safetensors", "--max-shard-size", "20MB")
        hits = [self.interrupt(sent, *flags) for sent in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
                for flags in outputs]
        self.assertGreaterEqual(sum(hits), 6, hits)


if __name__ == "__main__":
    unittest.main()
