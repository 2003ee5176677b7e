"""tare disasm against pickletools: the same text where that reads a stream, more where it gives up.

pickletools runs in this process, so the text compared with is that of this Python."""

import collections
import datetime
import decimal
import io
import os
import pickle
import pickletools
import random
import re
import struct
import subprocess
import sys
import unicodedata
import unittest
import zipfile

from harness import TARE, TareTest

HERE = os.path.dirname(os.path.abspath(__file__))
OPCODES = os.path.join(HERE, "..", "..", "include", "tare", "pickle_opcodes.def")

# The table of printable characters in tare is that of Python 3.11.
SAME_UNICODE = unicodedata.unidata_version == "14.0.0"
OLD_CHARACTERS = [
    *range(0x250), *range(0x391, 0x3A2), *range(0x400, 0x500), *range(0x200B, 0x2010),
    *range(0x2028, 0x2030), *range(0x4E00, 0x5000), *range(0xD800, 0xD900), *range(0xE000, 0xE010),
    *range(0x1F600, 0x1F640), *range(0x10FFF0, 0x110000),
]


class Reduced:
    """Pickles as a call of itself."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return Reduced, self.arguments


class Plain:
    """Pickles with a state."""

    def __init__(self, value):
        self.value = value


class Slotted:
    """Pickles with a state for slots."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class WithKeywords:
    """Pickles with NEWOBJ_EX from protocol 4 on."""

    def __new__(cls, *, value=None):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"value": 1}


NUMBERS = [0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63]
FLOATS = [0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 123456789012345678.0, 1e22, 1e-4, 1e-5, 5e-324, 1.5e300,
          sys.float_info.max, float("inf"), float("-inf"), float("nan")]
TEXTS = ["", "a", "it's", '"', "both ' and \"", "back\\slash", "\t\n\r\0\x7f", "x" * 300, "\u202e",
         "caf\u00e9", "\u4e2d\u6587", "\U0001f600", "\ud800", "\ufeff", "y" * 1500]


class Values:
    """Random values, the same in every run."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.scalars = [self.number, self.real, self.text, self.binary, self.constant, self.odd]
        self.containers = [self.list, self.tuple, self.dict, self.set, self.shared, self.object]

    def value(self, depth=0):
        """Any value; the deeper, the plainer."""
        containers = self.containers if depth < 4 else []
        return self.random.choice(self.scalars + containers + containers)(depth + 1)

    def number(self, _):
        bits = self.random.choice([0, 8, 8, 16, 31, 32, 33, 64, 65, 300, 2100])
        return self.random.choice([*NUMBERS, self.random.getrandbits(bits + 1) - (1 << bits)])

    def real(self, _):
        bits = self.random.randbytes(8)
        return self.random.choice([*FLOATS, self.random.random(), struct.unpack("d", bits)[0]])

    def text(self, _):
        points = range(0x110000) if SAME_UNICODE else OLD_CHARACTERS
        if self.random.random() < 0.5:
            points = range(0x20, 0x7F)
        characters = self.random.choices(points, k=self.random.randrange(20))
        return self.random.choice([*TEXTS, "".join(map(chr, characters))])

    def binary(self, _):
        content = self.random.randbytes(self.random.choice([0, 1, 5, 20, 300]))
        content = self.random.choice([content, b"'", b'"', b"'\"\\", b"\t\n\r", b"it's"])
        return bytearray(content) if self.random.random() < 0.3 else content

    def constant(self, _):
        return self.random.choice([None, True, False, (), Ellipsis, NotImplemented, len, Plain])

    def odd(self, _):
        return self.random.choice([
            1 + 2j, range(3), slice(1, None), decimal.Decimal("1.5"), datetime.date(2024, 2, 29),
            datetime.timedelta(1), collections.Counter("abca"), ValueError("no"),
        ])

    def list(self, depth):
        return [self.value(depth) for _ in range(self.random.randrange(6))]

    def tuple(self, depth):
        return tuple(self.list(depth))

    def dict(self, depth):
        keys = self.random.sample(["a", "b", 1, 2.5, b"x", None, (1, 2)], 3)
        kind = self.random.choice([dict, collections.OrderedDict])
        return kind((key, self.value(depth)) for key in keys)

    def set(self, _):
        return self.random.choice([set, frozenset])(self.random.sample(range(400), 4))

    def shared(self, depth):
        value = self.value(depth)
        cycle = [value, value, (value,)]
        cycle.append(cycle)
        return cycle

    def object(self, depth):
        kind = self.random.choice([Reduced, Plain, Slotted, WithKeywords])
        return kind(value=None) if kind is WithKeywords else kind(self.value(depth))

    def pickled(self, protocol):
        """A value as bytes; some of them without the memo entries that nothing reads."""
        while True:
            try:
                content = pickle.dumps(self.value(), protocol)
                break
            except (UnicodeEncodeError, TypeError):
                pass  # a surrogate in a protocol 0 name, slots below protocol 2
        return pickletools.optimize(content) if self.random.random() < 0.25 else content


def dis(stream, annotate=0):
    """The text of pickletools, and what it raised, if it did."""
    out = io.StringIO()
    try:
        pickletools.dis(stream, out, annotate=annotate)
    except Exception as error:  # IndexError, ValueError, AssertionError, ...
        return out.getvalue(), error
    return out.getvalue(), None


def pickletools_lines(text):
    """The text without the lines that are tare's own."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("# "))


def our_notes():
    """Opcode names to the notes of the table."""
    with open(OPCODES, encoding="ascii") as file:
        table = file.read()
    found = re.findall(r'TARE_OPCODE\(\w+, "(\w+)".*?"((?:[^"\\]|\\.)*)"\)\n', table, re.DOTALL)
    return dict(found)


class Disasm(TareTest):
    def disasm(self, content, *options, expect=0):
        path = self.write("f.pkl", content)
        done = self.tare("disasm", *options, path, expect=expect, encoding="utf-8")
        return done.stdout

    def check_text(self, text, expected):
        """assertEqual, whose message for long texts takes minutes."""
        if text == expected:
            return
        for ours, theirs in zip(text.splitlines(), expected.splitlines()):
            self.assertEqual(ours[:2000], theirs[:2000])
        self.assertEqual(len(text), len(expected))

    def check_same(self, content):
        text, error = dis(content)
        self.assertIsNone(error)
        self.check_text(self.disasm(content), text)

    def check_stacked(self, pickles):
        """Many pickles in one file: what pickletools says if asked for one after the other."""
        content = b"".join(pickles)
        stream = io.BytesIO(content)
        expected = []
        while stream.tell() < len(content):
            if stream.tell() > 0:
                expected.append(f"# taken as another pickle: all from byte {stream.tell()} on\n")
            text, error = dis(stream)
            self.assertIsNone(error)
            expected.append(text)
        self.check_text(self.disasm(content), "".join(expected))


class SameText(Disasm):
    """Streams that pickletools reads to the end."""

    def test_many_values_in_every_protocol(self):
        values = Values(1)
        count = 0
        for batch in range(30):
            pickles = [values.pickled(protocol) for protocol in range(6) for _ in range(20)]
            values.random.shuffle(pickles)
            with self.subTest(batch=batch):
                self.check_stacked(pickles)
            count += len(pickles)
        self.assertGreaterEqual(count, 3600)

    def test_one_at_a_time(self):
        values = Values(2)
        for i in range(240):
            content = values.pickled(i % 6)
            with self.subTest(content=content[:200]):
                self.check_same(content)

    def test_notes(self):
        notes = our_notes()
        values = Values(3)
        originals = {opcode: opcode.doc for opcode in pickletools.opcodes}
        self.assertEqual(sorted(notes), sorted(opcode.name for opcode in originals))
        try:
            for opcode in originals:
                opcode.doc = notes[opcode.name]
            for i in range(120):
                content = values.pickled(i % 6)
                text, error = dis(content, annotate=30)
                self.assertIsNone(error)
                self.check_text(self.disasm(content, "-a"), text)
        finally:
            for opcode, doc in originals.items():
                opcode.doc = doc

    @unittest.skipUnless(SAME_UNICODE, "SKIPPED: this Python has another version of Unicode")
    def test_every_character(self):
        everything = [
            "".join(map(chr, range(start, start + 4096))) for start in range(0, 0x110000, 4096)
        ]
        self.check_same(pickle.dumps(everything, 4))

    def test_floats(self):
        values = random.Random(4)
        floats = [struct.unpack("d", values.randbytes(8))[0] for _ in range(20000)]
        floats += [round(values.random(), n % 17) for n in range(5000)]
        floats += [float(f"1e{n}") for n in range(-330, 309)]
        self.check_same(pickle.dumps(floats, 2))
        self.check_same(pickle.dumps(floats, 0))

    def test_integers(self):
        values = random.Random(5)
        numbers = [values.getrandbits(8 * n) - (1 << (4 * n)) for n in range(1, 300)]
        numbers += [sign * (1 << n) + off for n in range(0, 520, 8) for sign in (1, -1)
                    for off in (-1, 0, 1)]
        numbers += [10**4300 - 1, 1 - 10**4300]
        for protocol in (0, 1, 2):
            self.check_same(pickle.dumps(numbers, protocol))
        # Longer than they need be.
        for padding in (b"\0" * 3000, b"\xff" * 3000):
            self.check_same(b"\x8b" + struct.pack("<i", 3001) + b"\x85" + padding + b".")

    def test_numpy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("SKIPPED: this Python has no numpy (python3-numpy)")
        arrays = [numpy.arange(2000.0), numpy.zeros((3, 4), "i1"), numpy.float32(1.5),
                  numpy.array(["a", None], object), numpy.array([(1, 2.0)], "i4,f8")]
        for protocol in range(6):
            self.check_same(pickle.dumps(arrays, protocol))

    def test_deep_and_long(self):
        deep = b"(" * 900 + b"N" + b"l" * 900 + b"."
        self.check_same(deep)
        self.check_same(b"".join(b"(K\x01" for _ in range(300)) + b"t" * 300 + b".")
        # Offsets of six digits, memo indices of five, frames.
        self.check_same(pickle.dumps([[i, str(i), (i, -i)] for i in range(12000)], 4))
        self.check_same(pickle.dumps([[i, str(i), (i, -i)] for i in range(12000)], 2))

    def test_frames(self):
        """Frames of 64 KiB that end in the middle of runs of all kinds."""
        values = random.Random(7)
        texts = ["x" * values.randrange(40) for _ in range(40000)]
        self.check_same(pickle.dumps(texts, 4))
        self.check_same(pickle.dumps([(text, values.random(), i) for i, text in enumerate(texts)], 5))
        self.check_same(pickle.dumps([text.encode() * 9 for text in texts], 4))

    def test_more_marks_than_lines_are_indented_by(self):
        text = self.disasm(b"(" * 1500 + b"N" + b"t" * 1500 + b".")
        self.assertIn("# more than 1024 marks are open: lines are not indented further\n", text)
        self.assertIn(" 1500: N    " + "    " * 1024 + "NONE\n", text)

    def test_opcodes_that_no_pickler_writes_here(self):
        self.check_same(b"\x80\x05N\x97\x98\x940.")
        self.check_same(b"\x82\x01\x83\x02\x01\x84\x03\x00\x00\x01\x87.")
        self.check_same(b"Pab c\nQ.")
        self.check_same(b"(K\x01(cos\npath\noibuiltins\nlist\n.")
        self.check_same(b"(T\x03\x00\x00\x00a\xe9\x80U\x02\xa0\xadI00\nI01\nt.")
        self.check_same(b"N2(10(0.")


class Further(Disasm):
    """Streams that pickletools stops at or misreads."""

    def check_stop(self, content, message, *texts, expect=0):
        """pickletools stops with `message`; tare says so, there, and goes on to show `texts`."""
        theirs, error = dis(content)
        self.assertIn(message, str(error))
        text = self.disasm(content, expect=expect)
        mark = "# pickletools stops here: "
        self.assertIn(mark, text)
        before, _, after = text.partition(mark)
        self.assertIn(message, after.splitlines()[0])
        # What it had printed, perhaps the beginning of a line that tare shows in full.
        shown = pickletools_lines(before)
        self.assertTrue(shown.startswith(theirs), text)
        self.assertRegex(shown[len(theirs):], r"\A([^\n]+\n)?\Z")
        for wanted in texts:
            self.assertIn(wanted, after)
        return text

    PAYLOAD = b"0cos\nsystem\nS'id'\n\x85R."
    SHOWN = ["GLOBAL     'os system'\n", "STRING     'id'\n", "REDUCE\n", "highest protocol"]

    def test_numbers_that_only_unpicklers_read(self):
        for number, message, value in [
            (b"I0x10\n", "invalid literal for int() with base 10: b'0x10'", "INT        16\n"),
            (b"I0b1\n", "invalid literal for int()", "INT        1\n"),
            (b"I-0x8000000000000000\n", "invalid literal", "INT        -9223372036854775808\n"),
            (b"I0xffffffffffffffffff\n", "invalid literal", "INT        0xffffffffffffffffff\n"),
            (b"L0x10L\n", "invalid literal for int()", "LONG       16\n"),
            (b"I1\0zz\n", "invalid literal for int()", "INT        1\n"),
            (b"I\0a\n", "invalid literal for int()", "INT        False\n"),
            (b"L1\0zz\n", "invalid literal for int()", "LONG       1\n"),
            (b"F1.5\0zz\n", "could not convert string to float: b'1.5\\x00zz'", "FLOAT      1.5\n"),
            (b"Np0\n0g0\0\n", "invalid literal for int()", "GET        0\n"),
            (b"Np0\0zz\n", "invalid literal for int()", "PUT        0\n"),
        ]:
            with self.subTest(number=number):
                self.check_stop(number + self.PAYLOAD, message, value, *self.SHOWN)

    def test_text_that_only_unpicklers_read(self):
        self.check_stop(b"S'\xc3\xa9'\n" + self.PAYLOAD, "'ascii' codec can't decode byte 0xc3 in",
                        r"STRING     b'\xc3\xa9'", *self.SHOWN)
        self.check_stop(b"cm\xd0\xbe\nname\n" + self.PAYLOAD, "'ascii' codec can't decode byte",
                        "GLOBAL     'm\u043e name'", *self.SHOWN)
        self.check_stop(b"cos\\x\nname\n" + self.PAYLOAD, "escape",
                        r"GLOBAL     'os\\x name'", *self.SHOWN)

    def test_memo(self):
        self.check_stop(b"Nq\x00q\x00" + self.PAYLOAD, "memo key 0 already defined", *self.SHOWN)
        self.check_stop(b"Nr\x00\x00\x00\x05p83886080\n" + self.PAYLOAD,
                        "memo key 83886080 already defined", *self.SHOWN)
        self.check_stop(b"Nq\x01\x94" + self.PAYLOAD, "memo key None already defined", *self.SHOWN)
        self.check_stop(b"Np00\np0\n" + self.PAYLOAD, "memo key 0 already defined", *self.SHOWN)
        self.check_stop(b"Np99999999999999999999999\np99999999999999999999999\n" + self.PAYLOAD,
                        "memo key 99999999999999999999999 already defined", *self.SHOWN)
        self.check_stop(b"h\x07" + self.PAYLOAD, "memo key 7 has never been stored into",
                        "# broken: a memo entry is read that was never written at byte 0\n",
                        *self.SHOWN, expect=2)
        self.check_stop(b"q\x00N" + self.PAYLOAD, "stack is empty -- can't store into memo",
                        "# broken: ", *self.SHOWN, expect=2)
        self.check_stop(b"(q\x001N" + self.PAYLOAD, "can't store markobject in the memo",
                        "# broken: ", *self.SHOWN, expect=2)

    def test_stack_and_marks(self):
        for content, message in [
            (b"Nt" + self.PAYLOAD, "no MARK exists on stack"),
            (b"K\x01\x86" + self.PAYLOAD, "tries to pop 2 items from stack with only 1 items"),
            (b"(e" + self.PAYLOAD, "tries to pop 1 items from stack with only 0 items"),
            (b"(\x85t" + self.PAYLOAD, "list index out of range"),
        ]:
            with self.subTest(content=content):
                text = self.check_stop(content, message, *self.SHOWN, expect=2)
                self.assertIn("# broken: ", text)

    def test_values_left_on_the_stack(self):
        text = self.check_stop(b"NN.", "stack not empty after STOP: ")
        self.assertTrue(text.endswith("here: stack not empty after STOP: 1 left\n"))

    def test_a_mark_taken_for_a_value(self):
        """pickletools sees nothing wrong with it, unpicklers do."""
        text = self.disasm(b"(\x85.", expect=2)
        self.assertEqual(pickletools_lines(text), dis(b"(\x85.")[0])
        self.assertIn("# broken: a value is needed where the stack has a mark at byte 1\n", text)

    def test_what_pickletools_misreads(self):
        for content, remark in [
            (b"I010\n.", "# differs: the C unpickler reads 8\n"),
            (b"I 1\n.", "# differs: the C unpickler reads True\n"),
            (b"cos\nsys\\x74em\n.", "# differs: unpicklers read 'os sys\\\\x74em'\n"),
            (b"Pa\\nb\n.", "# differs: unpicklers read 'a\\\\nb'\n"),
            (b"F1_0.5\n.", "# differs: the C unpickler fails here, the Python one goes on\n"),
            (b"F1e400\n.", "# differs: the C unpickler fails here, the Python one goes on\n"),
            (b"\x95\xff\0\0\0\0\0\0\0N.", "# differs: a frame is longer than the input"),
            (b"\x95\x02\0\0\0\0\0\0\0J\1\0\0\0.", "# differs: an argument reaches past"),
            (b"\x95\x0b\0\0\0\0\0\0\0\x95\x02\0\0\0\0\0\0\0N.", "# differs: a frame begins inside"),
        ]:
            with self.subTest(content=content):
                text = self.disasm(content)
                self.assertIn(remark, text)
                self.assertEqual(pickletools_lines(text), dis(content)[0])

    def test_what_no_unpickler_takes(self):
        for content, remark in [
            (b"\x80\x06N.", "# broken: a protocol above 5 at byte 0\n"),
            (b"\x82\x00.", "# broken: an extension code below 1 at byte 0\n"),
            (b"Np-1\n.", "# broken: a negative memo index at byte 1\n"),
            (b"c\nx\n.", "# broken: an import without a name at byte 0\n"),
            (b"I08\n.", "# broken: text that no unpickler takes for an integer at byte 0\n"),
            (b"L010L\n.", "# broken: text that no unpickler takes for an integer at byte 0\n"),
            (b'S"\n.', "# broken: a STRING without quotes at byte 0\n"),
        ]:
            with self.subTest(content=content):
                text = self.disasm(content, expect=2)
                self.assertIn(remark, text)
                self.assertEqual(pickletools_lines(text), dis(content)[0])

    def test_arguments_that_nobody_decodes(self):
        self.check_stop(b"X\x02\0\0\0\xff\xfe" + self.PAYLOAD, "'utf-8' codec can't decode",
                        r"BINUNICODE b'\xff\xfe'", "# broken: ", *self.SHOWN, expect=2)
        self.check_stop(b"Izz\n" + self.PAYLOAD, "invalid literal", "INT        b'zz'",
                        "# broken: ", *self.SHOWN, expect=2)
        self.check_stop(b"V\\u00\n" + self.PAYLOAD, "codec can't decode", r"UNICODE    b'\\u00'",
                        "# broken: ", *self.SHOWN, expect=2)
        self.check_stop(b"Sabc\n" + self.PAYLOAD, "no string quotes around b'abc'", "# broken: ",
                        *self.SHOWN, expect=2)

    def test_integers_with_too_many_digits(self):
        content = b"\x8b" + struct.pack("<i", 1800) + b"\x01" * 1800
        self.check_stop(content + self.PAYLOAD, "Exceeds the limit", *self.SHOWN)
        negative = b"\x8b" + struct.pack("<i", 1801) + b"\0" * 1800 + b"\xff" + b"."
        self.assertIn("LONG4      -0x1" + "00" * 1800 + "\n", self.disasm(negative))
        self.check_stop(b"L" + b"7" * 4301 + b"L\n" + self.PAYLOAD, "value has 4301 digits",
                        "LONG       " + "7" * 4301, *self.SHOWN)

    def test_ends(self):
        for content, message in [
            (b"N", "pickle exhausted before seeing STOP"),
            (b"N\xff.", r"at position 1, opcode b'\xff' unknown"),
            (b"J\1\2", "not enough data in stream to read int4"),
            (b"\x95\1\2", "not enough data in stream to read uint8"),
            (b"G\1\2", "not enough data in stream to read float8"),
            (b"\x8a\5\1", "not enough data in stream to read long1"),
            (b"\x8b\xff\xff\xff\xff", "long4 byte count < 0: -1"),
            (b"T\xfe\xff\xff\xff..", "string4 byte count < 0: -2"),
            (b"U\5ab", "expected 5 bytes in a string1, but only 2 remain"),
            (b"C\5ab", "expected 5 bytes in a bytes1, but only 2 remain"),
            (b"\x96\5\0\0\0\0\0\0\0ab", "expected 5 bytes in a bytearray8, but only 2 remain"),
            (b"\x8e" + b"\xff" * 8, "bytes8 byte count > sys.maxsize: 18446744073709551615"),
            (b"\x8c\5ab", "expected 5 bytes in a unicodestring1, but only 2 remain"),
            (b"X\5\0\0\0ab", "expected 5 bytes in a unicodestring4, but only 2 remain"),
            (b"X\5\0", "not enough data in stream to read uint4"),
            (b"I12", "no newline found when trying to read stringnl"),
            (b"Vab", "no newline found when trying to read unicodestringnl"),
        ]:
            with self.subTest(content=content):
                self.assertIn("# broken: ", self.check_stop(b"N0" + content, message.replace(
                    "position 1", "position 3"), expect=2))

    def test_the_end_of_a_name(self):
        """The Python unpickler imports what stands in the last line, even if it has no end."""
        text = self.check_stop(b"cos\nsystem", "no newline found", expect=2)
        self.assertIn("# differs: the last line has no end: the C unpickler fails", text)

    def test_goes_on_as_long_as_bytes_can_be_told_apart(self):
        """The published streams that break scanners behind their payload."""
        text = self.disasm(b"cbuiltins\nexec\n(S'x=1'\ntR.\xff\xff", expect=2)
        self.assertIn("GLOBAL     'builtins exec'\n", text)
        self.assertIn("# taken as another pickle: all from byte 26 on\n", text)
        self.assertIn("# broken: a byte that is no opcode at byte 26\n", text)
        self.assertTrue(text.endswith("# not shown: all from byte 26 on\n"))

    def test_each_stacked_pickle_has_its_own_memo(self):
        content = b"Nq\x00.Nq\x00." + b"h\x00."
        text = self.disasm(content, expect=2)
        self.assertNotIn("already defined", text)
        self.assertIn("# pickletools stops here: memo key 0 has never been stored into\n", text)
        self.assertEqual(text.count("highest protocol"), 3)

    def test_mutated_streams(self):
        """Above the first stop, the text is that of pickletools, whatever the bytes are."""
        values = Values(6)
        choose = values.random
        opcodes = [ord(opcode.code) for opcode in pickletools.opcodes]
        for i in range(500):
            content = bytearray(values.pickled(i % 6)[:300])
            for _ in range(choose.randrange(1, 4)):
                at = choose.randrange(len(content))
                byte = choose.choice([*opcodes, choose.randrange(256)])
                if choose.random() < 0.5:
                    content[at] = byte
                else:
                    content[at:at + choose.randrange(2)] = bytes([byte])
            content = bytes(content)
            theirs, error = dis(content)
            done = self.tare("disasm", self.write("f.pkl", content), encoding="utf-8")
            self.assertIn(done.returncode, (0, 2))
            with self.subTest(content=content):
                self.assertTrue(pickletools_lines(done.stdout).startswith(theirs))
                stop = done.stdout.find("# pickletools stops here: ")
                if error is None:
                    above = done.stdout.partition("# taken as another pickle")[0]
                    self.assertNotIn("pickletools stops", above)
                else:
                    self.assertGreaterEqual(stop, 0)
                    above = pickletools_lines(done.stdout[:stop])
                    self.assertLessEqual(above.count("\n") - theirs.count("\n"), 1)


class CommandLine(Disasm):
    def check_golden(self, name, done):
        text = done.stdout + f"exit {done.returncode}\n"
        text += "".join(f"stderr {line}\n" for line in done.stderr.splitlines())
        self.assert_golden(name, text)

    def test_golden_notes(self):
        value = {"a": [1, 2.5, (None, True)], "b": [b"x", 2**70, {1, 2}]}
        self.write("value.pkl", pickle.dumps(value, 4))
        self.check_golden("disasm_notes", self.tare("disasm", "-a", "value.pkl"))

    def test_golden_hostile(self):
        payload = b"0cos\nsystem\n(S'echo hello'\ntR"
        self.write("hostile.pkl", b"I0x10\n" + payload + b"q\x00q\x00I010\n(t.N.\x80\x06\xff")
        self.check_golden("disasm_hostile", self.tare("disasm", "hostile.pkl"))

    def test_entries_of_archives(self):
        content = pickle.dumps({"a": 1}, 2)
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(self.path("model.pt"), "w", method) as archive:
                archive.writestr("model/data.pkl", content)
                archive.writestr("model/other", b"N.")
            expected = dis(content)[0]
            self.assertEqual(self.tare("disasm", "model.pt", expect=0).stdout, expected)
            self.assertEqual(self.tare("disasm", "model.pt!data.pkl", expect=0).stdout, expected)
            other = self.tare("disasm", "model.pt!model/other", expect=0).stdout
            self.assertEqual(other, dis(b"N.")[0])
        done = self.tare("disasm", "model.pt!missing", expect=2)
        self.assert_one_line_error(done, "no such entry")

    def test_broken_streams_are_told_on_stderr_as_well(self):
        self.write("f.pkl", b"N\xff")
        self.assert_one_line_error(self.tare("disasm", "f.pkl", expect=2), "f.pkl", "(at byte 1)")

    def test_files_that_cannot_be_read(self):
        self.write("empty.pkl", b"")
        for name in ("missing.pkl", "empty.pkl", "."):
            self.assert_one_line_error(self.tare("disasm", name, expect=2), name)
        self.tare("disasm", expect=4)

    def test_stdout_that_takes_nothing(self):
        self.write("f.pkl", pickle.dumps(list(range(100000)), 2))
        with open("/dev/full", "wb") as full:
            done = self.run_into(full)
        self.assertEqual(done.returncode, 2)
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as closed:
            done = self.run_into(closed)
        self.assertNotEqual(done.returncode, 0)

    def run_into(self, stdout):
        return subprocess.run([os.path.abspath(TARE), "disasm", "f.pkl"], cwd=self.folder,
                              stdout=stdout, stderr=subprocess.DEVNULL, check=False, timeout=60)

    def test_help(self):
        self.assertIn("Examples:", self.tare("disasm", "--help", expect=0).stdout)


if __name__ == "__main__":
    unittest.main()
