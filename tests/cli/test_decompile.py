"""tare decompile: benign pickles give source that Python runs to an equal object; hostile ones show
every import and call, in order, and are never run here."""

import copyreg
import io
import pickle
import random
import re
import sys
import types
import unittest
import zipfile

import pickle_objects
from harness import TareTest
from pickle_objects import Different, check_same

BATCH = 400
# With which pickle refuses values under some protocols; RecursionError: a dict subclass in itself.
UNPICKLABLE = (TypeError, AttributeError, pickle.PicklingError, ValueError, RecursionError)
LOG = []  # what snapshot() saw


class Thing:
    """Changes by everything that an opcode can do to an object, and is hashed by code."""

    def __init__(self, number):
        self.number, self.items, self.pairs, self.state = number, [], {}, None

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def add(self, item):
        self.items.append(("added", item))

    def __setitem__(self, key, value):
        self.pairs[key] = value

    def __setstate__(self, state):
        self.state = state
        LOG.append(("state", self.number))

    def __hash__(self):
        LOG.append(("hash", self.number, self.state is None, len(self.items)))
        return self.number % 3

    def __eq__(self, other):
        return self is other


def snapshot(*values):
    """Notes what the values hold at this moment."""
    thing = Thing(len(LOG))
    LOG.append(("call", thing.number, describe(values)))
    return thing


def describe(value):
    """A text for the values below `value`; objects are numbered in the order they are met."""
    numbers, out, work = {}, [], [value]
    while work:
        value = work.pop()
        if isinstance(value, (list, dict, set, frozenset, tuple, Thing)) and value != ():
            if id(value) in numbers:
                out.append(f"#{numbers[id(value)]}")
                continue
            numbers[id(value)] = len(numbers)
        out.append(type(value).__name__)
        if isinstance(value, (list, tuple)):
            parts = list(value)
        elif isinstance(value, dict):
            parts = [x for pair in value.items() for x in pair]
        elif isinstance(value, (set, frozenset)):
            out.append(str(sorted(describe_key(x) for x in value)))
            parts = []
        elif isinstance(value, Thing):
            parts = [value.number, value.items, value.pairs, value.state]
        else:
            out.append(repr(value))
            parts = []
        out.append(str(len(parts)))
        work.extend(reversed(parts))
    return " ".join(out)


def describe_key(value):
    if isinstance(value, (tuple, frozenset)):
        return f"{type(value).__name__}{sorted(describe_key(item) for item in value)}"
    return f"thing {value.number}" if isinstance(value, Thing) else repr(value)


def dumps(value, protocol):
    """The pickle, or None if the value cannot be pickled so."""
    try:
        return pickle.dumps(value, protocol)
    except UNPICKLABLE:
        return None


class DecompileTest(TareTest):
    def source_of(self, stream, *options, expect=0):
        self.write("stream.pkl", stream)
        done = self.tare("decompile", *options, "stream.pkl", expect=expect)
        self.assert_printable(done.stdout)
        return done.stdout

    def statements(self, stream, *options, expect=0):
        """Without helper functions and the comments of whole lines."""
        text = re.sub(r"(?m)^(def|if|encoding|buffers|import copyreg)\b.*\n(    .*\n)*\n?", "",
                      self.source_of(stream, *options, expect=expect))
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    def run_source(self, stream, **names):
        """Runs the source of a trusted stream."""
        compiled = compile(self.source_of(stream), "decompiled", "exec")
        exec(compiled, names)
        return names

    def check_batch(self, streams):
        names = self.run_source(b"".join(streams))
        for number, stream in enumerate(streams):
            expected = pickle.loads(stream)
            result = names["result" if len(streams) == 1 else f"result{number}"]
            try:
                check_same(expected, result)
            except Different as why:
                self.fail(f"{why}\n{expected!r:.300}\n{result!r:.300}\n{self.source_of(stream)[:4000]}")


class RoundTrip(DecompileTest):
    def check_objects(self, values):
        streams = [dumps(value, protocol) for value in values for protocol in range(6)]
        streams = [stream for stream in streams if stream is not None]
        for start in range(0, len(streams), BATCH):
            self.check_batch(streams[start : start + BATCH])
        return len(streams)

    def test_one_of_each_kind(self):
        values = pickle_objects.special_objects()
        self.assertGreater(self.check_objects(values), 1000)

    def test_random_objects(self):
        rng = random.Random(1)
        values = [pickle_objects.random_object(rng) for _ in range(600)]
        self.assertGreater(self.check_objects(values), 3000)

    def test_the_python_pickler(self):
        values = pickle_objects.special_objects()[::3]
        streams = []
        for value in values:
            for protocol in range(6):
                file = io.BytesIO()
                try:
                    pickle._Pickler(file, protocol).dump(value)
                except UNPICKLABLE:
                    continue
                streams.append(file.getvalue())
        self.check_batch(streams)

    def test_deep_values(self):
        depth = 100_000
        lists = b"\x80\x04" + b"]" * depth + b"a" * (depth - 1) + b"."
        tuples = b"\x80\x04)" + b"\x85" * depth + b"."
        dicts = b"\x80\x04" + b"}K\x00" * depth + b"N" + b"s" * depth + b"."
        for stream, name in ((lists, "list"), (tuples, "tuple"), (dicts, "dict")):
            with self.subTest(name):
                value, found = self.run_source(stream)["result"], 0
                while value:
                    value, found = value[0], found + 1
                self.assertIn(found, (depth, depth - 1))

    def test_loaders_bring_their_own(self):
        class Pickler(pickle.Pickler):
            def persistent_id(self, obj):
                return ("id", obj.number) if isinstance(obj, Thing) else None

        shared = Thing(7)
        for protocol in (1, 4):
            file = io.BytesIO()
            Pickler(file, protocol).dump([shared, {"again": shared}])
            loaded = []
            names = self.run_source(file.getvalue(), persistent_load=lambda pid: loaded.append(pid))
            self.assertEqual(loaded, [("id", 7)] * 2)
            self.assertEqual(names["result"], [None, {"again": None}])
        with self.assertRaises(NotImplementedError):
            self.run_source(b"Pid\n.")

    def test_buffers(self):
        writable, fixed = bytearray(b"abc"), b"def"
        buffers = []
        value = [pickle.PickleBuffer(writable), pickle.PickleBuffer(fixed)]
        stream = pickle.dumps(value, 5, buffer_callback=buffers.append)
        result = self.run_source(stream, buffers=[writable, bytearray(b"def")])["result"]
        self.assertIs(result[0], writable)
        self.assertEqual((type(result[1]), result[1].readonly, bytes(result[1])),
                         (memoryview, True, b"def"))
        with self.assertRaises(StopIteration):
            self.run_source(stream)

    def test_extension_codes(self):
        copyreg.add_extension("collections", "OrderedDict", 0x1234)
        self.addCleanup(copyreg.remove_extension, "collections", "OrderedDict", 0x1234)
        import collections
        stream = pickle.dumps(collections.OrderedDict(a=1), 2)
        self.assertIn("_inverted_registry[4660]", self.source_of(stream))
        self.assertEqual(self.run_source(stream)["result"], collections.OrderedDict(a=1))

    def test_python2_strings(self):
        stream = b"(U\x02\xc3\xa9U\x01atU\x02\xc3\xa9\x86."
        for encoding in ("latin1", "utf-8", "bytes"):
            result = self.run_source(stream, encoding=encoding)["result"]
            expected = pickle.loads(stream, encoding=encoding)
            # ASCII text is a str whatever the encoding, except that "bytes" keeps it as bytes.
            self.assertEqual(result[1], expected[1])
        with self.assertRaises(UnicodeDecodeError):
            self.run_source(stream)

    def test_old_instances(self):
        cases = [b"(i{0}\nOldStyle\n.", b"(I1\nI2\ni{0}\nOldStyle\n.", b"(c{0}\nOldStyle\no.",
                 b"(c{0}\nOldStyle\nI1\no.", b"(i{0}\nOldStyle\n}}S'a'\nI1\nsb."]
        module = pickle_objects.__name__.encode()
        self.check_batch([case.replace(b"{0}", module).replace(b"}}", b"}") for case in cases])

    def test_names_that_clash(self):
        # Names of the source itself, keywords, the same name of several modules, names used again.
        names = ["set", "float", "_build", "_var0", "result", "class", "__builtins__", "len",
                 "caf\u00e9", "two words"]
        module = sys.modules["clashing"] = types.ModuleType("clashing")
        self.addCleanup(sys.modules.pop, "clashing")
        module.__dict__.update({name: ["mine", name] for name in names})
        stream = b"\x80\x04("
        for name in names:
            for owner in ("clashing", "builtins") if name in ("set", "len") else ("clashing",):
                for text in (owner, name):
                    stream += b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()
                stream += b"\x93"
        stream += b"\x8f(K\x01\x90G\x7f\xf0\x00\x00\x00\x00\x00\x00\x8f"
        stream += b"cpickle_objects\nPlain\n)\x81}X\x01\x00\x00\x00aK\x01sbt."
        self.check_batch([stream])

    def test_dotted_names(self):
        streams = [b"\x80\x04\x8c\x0epickle_objects\x8c\x11Plain.Inner.value\x93.",
                   b"\x80\x04\x8c\x07os.path\x8c\x0djoin.__name__\x93."]
        setattr(pickle_objects, "a.b", "one name")
        self.addCleanup(delattr, pickle_objects, "a.b")
        streams.append(b"\x80\x03cpickle_objects\na.b\n.")
        # The operand is the result of a call.
        streams.append(b"\x80\x04cbuiltins\nstr\n\x8c\x0epickle_objects\x85R"
                       b"\x8c\x0bPlain.Inner\x93.")
        self.check_batch(streams)


class Order(DecompileTest):
    """Calls see what they would see when the pickle is loaded."""

    def check_programs(self, programs):
        del LOG[:]
        expected = [pickle.loads(program) for program in programs]
        expected_log = LOG[:]
        del LOG[:]
        names = self.run_source(b"".join(programs))
        for line, (one, other) in enumerate(zip(expected_log, LOG)):
            self.assertEqual(one, other, f"event {line}")
        self.assertEqual(len(LOG), len(expected_log))
        for number, value in enumerate(expected):
            self.assertEqual(describe(value), describe(names[f"result{number}"]))
        return len(LOG)

    def test_a_list_that_grows_between_calls(self):
        call = f"c{__name__}\nsnapshot\n".encode()
        stream = (b"\x80\x04" + call + b"\x94]\x94(K\x01e0h\x00h\x01\x85R0h\x01K\x02a0"
                  b"h\x00h\x01\x85R0h\x01.")
        self.check_programs([stream] * 2)
        self.assertEqual(
            self.statements(stream),
            [f"from {__name__} import snapshot", "_var0 = [1]", "_var1 = snapshot(_var0)",
             "_var0.append(2)", "_var2 = snapshot(_var0)", "result = _var0"])

    def test_random_programs(self):
        rng = random.Random(3)
        events = 0
        for _ in range(10):
            events += self.check_programs([random_program(rng) for _ in range(200)])
        self.assertGreater(events, 5000)


def random_program(rng):
    """A pickle of plain containers and things that change each other at random moments."""
    out = [b"\x80\x04", f"c{__name__}\nsnapshot\n".encode(), b"\x940"]
    memo = []  # kinds of memo entries, from 1 on

    def push():
        """Pushes a value; returns its kind."""
        if memo and rng.random() < 0.5:
            index = rng.randrange(len(memo))
            out.append(b"h" + bytes([index + 1]))
            return memo[index]
        kind = rng.choice(["int", "list", "dict", "set", "thing", "tuple", "text", "frozenset"])
        if kind == "int":
            out.append(b"K" + bytes([rng.randrange(5)]))
            return kind
        if kind == "text":
            out.append(b"\x8c\x01" + rng.choice([b"a", b"b"]))
            return kind
        if kind == "thing":
            out.append(b"h\x00(")
            for _ in range(rng.randrange(3)):
                push()
            out.append(b"tR")
        elif kind == "tuple":
            for _ in range(2):
                push()
            out.append(b"\x86")
        elif kind == "frozenset":
            out.append(b"(")
            for _ in range(rng.randrange(3)):
                push_key()
            out.append(b"\x91")
        else:
            out.append({"list": b"]", "dict": b"}", "set": b"\x8f"}[kind])
        if len(memo) < 200:
            out.append(b"\x94")
            memo.append(kind)
        return kind

    def push_key():
        keys = [i for i, kind in enumerate(memo) if kind in ("thing", "frozenset")]
        if keys and rng.random() < 0.5:
            out.append(b"h" + bytes([rng.choice(keys) + 1]))
            if rng.random() < 0.3:
                out.append(b"K\x01\x86")
        else:
            out.append(b"K" + bytes([rng.randrange(9)]))

    for _ in range(rng.randrange(3, 25)):
        kind = push()
        if kind == "list":
            out.append(b"(")
            for _ in range(rng.randrange(4)):
                push()
            out.append(b"e")
        elif kind == "dict":
            for _ in range(rng.randrange(1, 3)):
                push_key()
                push()
                out.append(b"s")
        elif kind == "set":
            out.append(b"(")
            for _ in range(rng.randrange(3)):
                push_key()
            out.append(b"\x90")
        elif kind == "thing":
            action = rng.randrange(4)
            if action == 0:
                push()
                out.append(b"b")
            elif action == 1:
                push_key()
                push()
                out.append(b"s")
            elif action == 2:
                out.append(b"(")
                push()
                push()
                out.append(b"e")
            else:
                out.append(b"(K\x07\x90")
        out.append(b"0")
    out.append(b"(")
    out.extend(b"h" + bytes([i + 1]) for i in range(len(memo)))
    out.append(b"l.")
    return b"".join(out)


def text(value):
    return b"\x8c" + bytes([len(value)]) + value


class Hostile(DecompileTest):
    """Nothing in here is run."""

    def test_each_import_and_call_in_order(self):
        name = text(b"os") + text(b"system") + b"\x93"
        cases = [
            # GHSA-mxhj-88fx-4pcv: the result of OBJ is dropped.
            (b"\x80\x04(" + text(b"smtplib") + text(b"SMTP") + b"\x93" + text(b"127.0.0.1") + b"o0N.",
             ["from smtplib import SMTP", "_var0 = SMTP('127.0.0.1')", "result = None"]),
            (b"cos\nsystem\n(S'id'\ntR.",
             ["from os import system", "_var0 = system('id')", "result = _var0"]),
            (b"(S'id'\nios\nsystem\n0N.",
             ["from os import system", "_var0 = system('id')", "result = None"]),
            (b"(ifoo\nbar\n0(cfoo\nbaz\no0N.",
             ["from foo import bar", "_var0 = _instantiate(bar)", "from foo import baz",
              "_var1 = _instantiate(baz)", "result = None"]),
            (b"\x80\x04" + name + text(b"id") + b"\x85\x810N.",
             ["from os import system", "_var0 = system.__new__(system, 'id')", "result = None"]),
            (b"\x80\x04" + name + b")}" + text(b"a") + b"K\x01s\x920N.",
             ["from os import system", "_var0 = system.__new__(system, **{'a': 1})", "result = None"]),
            (b"\x80\x04" + name + text(b"a") + b"\x85R" + text(b"b") + b"\x85R}bN1N.",
             ["from os import system", "_var0 = system('a')", "_var1 = _var0('b')",
              "_build(_var1, {})"]),
            # Names of Python 2.
            (b"c__builtin__\neval\n(S'1'\ntR.",
             ["from builtins import eval", "_var0 = eval('1')", "result = _var0"]),
            # GHSA-5j3x: dots in the name.
            (b"\x80\x04" + text(b"pathlib") + text(b"os.system") + b"\x93" + text(b"id") + b"\x85R.",
             ["import pathlib", "_var0 = pathlib.os.system", "_var1 = _var0('id')",
              "result = _var1"]),
            (b"cnumpy\nprod.a\n.", ["_var0 = _find_class('numpy', 'prod.a', dotted=False)",
                                    "result = _var0"]),
            # Names that are computed.
            (b"\x80\x04cbuiltins\ngetattr\n)R" + text(b"x") + b"\x93.",
             ["from builtins import getattr", "_var0 = getattr()", "_var1 = _find_class(_var0, 'x')",
              "result = _var1"]),
            # A code that the stream registers itself.
            (b"\x80\x04ccopyreg\nadd_extension\n(" + text(b"os") + text(b"system") + b"K\xf0tR0"
             b"\x82\xf0" + text(b"id") + b"\x85R.",
             ["from copyreg import add_extension", "_var0 = add_extension('os', 'system', 240)",
              "from os import system", "_var1 = system('id')", "result = _var1"]),
            (b"\x82\x07.", ["_var0 = _find_class(*copyreg._inverted_registry[7])", "result = _var0"]),
            (b"Pevil\n0(K\x01Q\x970N.",
             ["_var0 = persistent_load('evil')", "_var1 = persistent_load(1)",
              "_var2 = next(buffers)", "result = None"]),
            # State that becomes a method, and its call.
            (b"\x80\x04cfoo\nA\n)\x81}" + text(b"__setstate__") + name + b"sb" + text(b"id") + b"b.",
             ["from foo import A", "_var0 = A.__new__(A)", "from os import system",
              "_build(_var0, {'__setstate__': system})", "_build(_var0, 'id')", "result = _var0"]),
            (b"\x80\x04cfoo\nA\n)R(K\x01K\x02eK\x03aK\x04K\x05s(K\x06K\x07K\x08K\x09u(K\x0a\x90.",
             ["from foo import A", "_var0 = A()", "_var0.extend([1, 2])", "_var0.append(3)",
              "_var0[4] = 5", "_var0[6] = 7", "_var0[8] = 9", "_var0.add(10)", "result = _var0"]),
            # Hashing runs code, even in a dict that is dropped.
            (b"}cfoo\nA\n)RNs0N.",
             ["from foo import A", "_var0 = A()", "_var1 = {_var0: None}", "result = None"]),
            (b"](K\x01K\x02eK\x00K\x07s\x96\x01\0\0\0\0\0\0\0xK\x01a\x86.",
             ["_var0 = [1, 2]", "_var0[0] = 7", "_var1 = bytearray(b'x')", "_var1.append(1)",
              "result = (_var0, _var1)"]),
            # The memo of one pickle is not that of the next.
            (b"\x80\x04" + name + b"\x940N." + b"\x80\x04" + text(b"a") + b"\x94h\x00.",
             ["from os import system", "result0 = None", "result1 = 'a'"]),
            (b"cos\nsystem\nNR.", None),
            (b"cos\nsystem\n]K\x01aR.", ["from os import system", "_var0 = system(*[1])",
                                         "result = _var0"]),
        ]
        for stream, expected in cases:
            with self.subTest(stream=stream):
                if expected is None:
                    self.source_of(stream, expect=2)
                    continue
                has_mark = expected[-1].startswith("_")  # what stands there is enough
                lines = self.statements(stream, expect=2 if has_mark else 0)
                self.assertEqual(lines, expected)

    def test_offsets(self):
        lines = self.statements(b"cos\nsystem\n(S'id'\ntR." + b"cos\nsystem\n.", "--offsets")
        self.assertEqual(lines, ["from os import system  # 0", "_var0 = system('id')  # 19",
                                 "result0 = _var0", "from os import system  # 21",
                                 "result1 = system"])

    def test_broken_streams_show_what_runs_before(self):
        stream = b"cos\nsystem\n(S'id'\ntR0("
        done = self.source_of(stream, expect=2)
        self.assertEqual(done.splitlines()[1:], [
            "from os import system", "_var0 = system('id')",
            "# the stream breaks here: the stream ends without STOP (at byte 22)"])
        self.assertIn("breaks here: a byte that is no opcode (at byte 0)",
                      self.source_of(b"\xff\xff", expect=2))

    def test_bytes_behind_the_pickle_are_told(self):
        self.assertIn("# 3 bytes that are no pickle follow (at byte 2)", self.source_of(b"N.\xff\xff\xff"))
        # What claims to be a pickle is one.
        self.assertIn("the stream breaks here", self.source_of(b"N.\x80\x04](", expect=2))

    def test_an_argument_that_crosses_a_frame_shows_both_readings(self):
        hidden = b"cos\nsystem\n" + text(b"id") + b"\x85R."
        stream = b"\x80\x04\x95" + (3).to_bytes(8, "little") + b"NB" + len(hidden).to_bytes(4, "little")
        self.write("stream.pkl", stream + hidden + b".")
        shown = self.tare("decompile", "stream.pkl").stdout
        self.assertIn("crosses a frame", shown)
        compile(shown, "decompiled", "exec")

    def test_nothing_of_the_file_leaves_its_string_or_comment(self):
        rough = "x'\"\\\n\r\x1b[31m\x85\u2028\u202e\ufeff#"
        streams = [
            pickle.dumps([rough, rough.encode(), bytearray(rough.encode()), {rough: 1}], 5),
            b"\x80\x04" + b"".join(b"X" + len(x).to_bytes(4, "little") + x
                                   for x in (rough.encode(), rough.encode())) + b"\x93.",
            b"P" + b"a'\\\r\x1b\"" + b"\n.",
            b"c" + b"os\r\x1b" + b"\n" + b"x y\n.",
            b"cos\n" + "caf\u00e9".encode() + b"\n.",
            b"S'\\x1b\\n'\n.",
            b"c__future__\nbraces\n.",
            b"cos\nNone\n.", b"c\n\n.", b"c.os\nx\n.", b"cos\n*\n.", b"c1a\nb\n.",
        ]
        for stream in streams:
            with self.subTest(stream=stream):
                compile(self.source_of(stream), "decompiled", "exec")

    def test_the_source_of_any_stream_compiles(self):
        rng = random.Random(5)
        seeds = [dumps(v, p) for v in pickle_objects.special_objects()[::4] for p in (0, 2, 4)]
        seeds = [seed for seed in seeds if seed and len(seed) < 2000]
        for number in range(300):
            stream = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(1, 6)):
                place = rng.randrange(len(stream))
                stream[place : place + rng.randrange(2)] = bytes([rng.choice(b"()].0RbasueQtld\x81\x85\x90\x91\x93\x94\x97\x98N2")])
            self.write("stream.pkl", bytes(stream))
            done = self.tare("decompile", "stream.pkl")
            self.assertIn(done.returncode, (0, 2), stream)
            self.assert_printable(done.stdout)
            try:
                compile(done.stdout, "decompiled", "exec")
            except (SyntaxError, ValueError) as error:
                self.fail(f"{error}: {bytes(stream)!r}\n{done.stdout[:2000]}")

    def test_small_files_have_small_sources(self):
        long_name = b"X" + (10000).to_bytes(4, "little") + b"x" * 10000
        cases = {
            "shared tuples": b"\x80\x04)" + b"2\x86" * 5000 + b".",
            "shared lists": b"\x80\x04]" + b"\x94](h\x00h\x00e\x94".replace(b"h\x00", b"N") * 5000 + b".",
            "one long text": b"\x80\x04(" + long_name + b"\x94" + b"h\x00" * 5000 + b"l.",
            "one long integer": b"(\x8b" + (10000).to_bytes(4, "little") + b"\x77" * 10000
                                + b"\x94" + b"h\x00" * 5000 + b"l.",
            "one long name": b"\x80\x04" + long_name + b"\x940(" + b"h\x00h\x00\x93" * 5000 + b"l.",
            "one name": b"cos\nsystem\n0" * 5000 + b"N.",
            "names in use": b"(" + b"cos\nsystem\n" * 5000 + b"l.",
            "chained calls": b"cos\nsystem\n" + b")R" * 20000 + b".",
            "many pickles": b"N." * 20000,
            "sparse memo": b"Nr\xff\xff\x00\x000" * 2000 + b"N.",
            "list in itself": b"]\x94" + b"h\x00a" * 20000 + b".",
        }
        for name, stream in cases.items():
            with self.subTest(name):
                source = self.source_of(stream)
                self.assertLess(len(source), 40 * len(stream) + 1000)

    def test_an_entry_of_an_archive(self):
        with zipfile.ZipFile(self.path("model.pt"), "w") as archive:
            archive.writestr("model/data.pkl", b"N.")
            archive.writestr("model/other.pkl", b"K\x07.")
        self.assertIn("result = None", self.tare("decompile", "model.pt", expect=0).stdout)
        self.assertIn("result = 7", self.tare("decompile", "model.pt!other.pkl", expect=0).stdout)
        self.assert_one_line_error(self.tare("decompile", "model.pt!none.pkl", expect=2), "no such entry")
        self.assert_one_line_error(self.tare("decompile", "missing", expect=2), "missing")

    def test_colour(self):
        stream = b"(S'a # b'\nF1.5\nI2\ncos\nsystem\nt."
        plain = self.source_of(stream)
        self.assertEqual(self.tare("decompile", "--color", "never", "stream.pkl").stdout, plain)
        coloured = self.tare("decompile", "--color", "always", "stream.pkl", expect=0).stdout
        self.assertIn("\x1b[32m'a # b'\x1b[0m", coloured)
        self.assertIn("\x1b[36m1.5\x1b[0m", coloured)
        self.assertIn("\x1b[35mimport\x1b[0m", coloured)
        self.assertEqual(re.sub(r"\x1b\[\d+m", "", coloured), plain)

    def test_help(self):
        self.assertIn("Examples:", self.tare("decompile", "--help", expect=0).stdout)


if __name__ == "__main__":
    unittest.main()
