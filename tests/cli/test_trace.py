"""tare trace: golden texts, and what holds for every trace. TARE_UPDATE_GOLDEN=1 writes them anew."""

import collections
import pickle
import pickletools
import random
import re
import unittest
import zipfile

import pickle_objects
from harness import TareTest



class Trace(TareTest):
    def trace(self, stream, expect=0):
        self.write("stream.pkl", stream)
        done = self.tare("trace", "stream.pkl", expect=expect)
        self.assert_printable(done.stdout)
        return done

    def check(self, golden, stream, expect=0):
        done = self.trace(stream, expect)
        text = done.stdout + "".join(f"stderr {line}\n" for line in done.stderr.splitlines())
        self.assert_golden(golden, text)

    def test_plain_values(self):
        value = {"name": [1, 300, -70000, 2**70, 1.5, None, True], b"k": ("x", ("y",), set(), {3})}
        value["again"] = value["name"]
        self.check("trace_plain", pickle.dumps(value, 4))

    def test_protocol_0(self):
        self.check("trace_protocol_0", pickle.dumps([1, "a", 2.5, (None, "a"), {"k": True}], 0))

    def test_objects(self):
        value = collections.OrderedDict(a=pickle_objects.Slots(1, [2]))
        self.check("trace_objects", pickle.dumps(value, 4))

    def test_hostile(self):
        # Every kind of effect, and the results are dropped.
        self.check(
            "trace_hostile",
            b"\x80\x04(\x8c\x07smtplib\x8c\x04SMTP\x93\x8c\x09127.0.0.1o0"
            b"(ios\nsystem\n0cfoo\nA\n)}\x920cfoo\nA\n)\x81}b(K\x01K\x02eK\x03aK\x04K\x05s"
            b"(K\x06\x90Pid\nK\x01Q\x82\x07\x97\x980000(1N.",
        )

    def test_odd_and_broken(self):
        self.check("trace_broken", b"I010\np0\np0\n0\x80\x02U\x01\xe9(0g0\ncos\nsystem\n)R\x85q\x07h\x08.",
                   expect=2)

    def test_no_opcode(self):
        self.check("trace_no_opcode", b"N\xff", expect=2)

    def test_several_pickles(self):
        self.check("trace_several", b"N." + pickle.dumps([1], 2) + b"and more")

    def test_values_are_cut(self):
        self.check("trace_cut", b"(" + b"K\x07" * 60 + b"l(" + b"X" + (500).to_bytes(4, "little")
                   + b"x" * 500 + b"tcos\nsystem\n(" + b"K\x07" * 90 + b"tR.")

    def test_every_opcode_stands_at_its_offset(self):
        for value in pickle_objects.special_objects()[:120:3]:
            for protocol in (0, 2, 4):
                try:
                    stream = pickle.dumps(value, protocol)
                except (TypeError, AttributeError, pickle.PicklingError, RecursionError):
                    continue
                found = re.findall(r"(?m)^ *(\d+): (\S+)", self.trace(stream).stdout)
                expected = [(str(at), op.name) for op, _, at in pickletools.genops(stream)]
                self.assertEqual(found, expected)

    def test_memo_is_that_of_the_pickle(self):
        stream = pickle.dumps([["a"] * 2, ["b"] * 2, ("a", "b")], 4)
        found = re.findall(r"Memoized (\d+): (.*)", self.trace(stream).stdout)
        self.assertEqual(found, [("0", "[]"), ("1", "[]"), ("2", "'a'"), ("3", "[]"), ("4", "'b'"),
                                 ("5", "('a', 'b')")])

    def test_any_stream(self):
        rng = random.Random(9)
        seeds = [pickle.dumps(v, p) for v in ([1, {"a": (2.5, "x")}], pickle_objects.Slots(1, 2),
                                              {1, 2}, pickle_objects.Keywords(1, second=2))
                 for p in (2, 4)]
        for _ in range(200):
            stream = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(1, 6)):
                stream[rng.randrange(len(stream))] = rng.randrange(256)
            self.write("stream.pkl", bytes(stream))
            done = self.tare("trace", "stream.pkl")
            self.assertIn(done.returncode, (0, 2), stream)
            self.assert_printable(done.stdout)

    def test_long_chains_take_no_longer(self):
        for stream in (b"cos\nsystem\n" + b")R" * 20000 + b".", b"\x80\x04)" + b"2\x86" * 20000 + b".",
                       b"]" * 20000 + b"a" * 19999 + b"."):
            text = self.trace(stream).stdout
            self.assertLess(len(text), 500 * len(stream))

    def test_an_entry_of_an_archive(self):
        with zipfile.ZipFile(self.path("model.pt"), "w") as archive:
            archive.writestr("model/data.pkl", b"N.")
            archive.writestr("model/other.pkl", b"K\x07.")
        self.assertIn(">>>      result = None", self.tare("trace", "model.pt", expect=0).stdout)
        self.assertIn(">>>      result = 7", self.tare("trace", "model.pt!other.pkl", expect=0).stdout)
        self.assert_one_line_error(self.tare("trace", "missing", expect=2), "missing")

    def test_help(self):
        self.assertIn("Examples:", self.tare("trace", "--help", expect=0).stdout)


if __name__ == "__main__":
    unittest.main()
