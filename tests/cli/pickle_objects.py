"""Objects to pickle, and a comparison that sees types, sharing and cycles.

The classes are imported by the pickles and by the source that tare makes of them, so they live in a
module of their own.
"""

import array
import collections
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import math
import operator
import pathlib
import random
import re
import string
import struct
import types
import uuid

try:
    import numpy
except ImportError:
    numpy = None


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Point = collections.namedtuple("Point", "x y")


class Plain:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    class Inner:
        value = 1

        def method(self):
            return self.value


class Slots:
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left = left
        self.right = right


class SlotsAndDict(Slots):
    def __init__(self, left, right, more):
        super().__init__(left, right)
        self.more = more


class Stateful:
    def __init__(self, value):
        self.value = value

    def __getstate__(self):
        return ("state", self.value)

    def __setstate__(self, state):
        assert state[0] == "state"
        self.value = state[1]


class FalsyState(Stateful):
    def __getstate__(self):
        return 0

    def __setstate__(self, state):
        self.value = state


class Keywords:
    def __new__(cls, first, *, second):
        self = super().__new__(cls)
        self.both = (first, second)
        return self

    def __getnewargs_ex__(self):
        return (self.both[0],), {"second": self.both[1]}


class NewArguments(int):
    def __new__(cls, value, label):
        self = super().__new__(cls, value)
        self.label = label
        return self

    def __getnewargs__(self):
        return int(self), self.label


class OldStyle:
    """Pickled by hand with INST and OBJ: without arguments, __init__ does not run."""

    def __init__(self, *arguments):
        self.arguments = arguments


class ListLike(list):
    pass


class DictLike(dict):
    pass


class SetLike(set):
    pass


class TextLike(str):
    pass


class Everything:
    """A reduce value with all parts."""

    def __init__(self):
        self.items, self.pairs = [], {}

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def __setitem__(self, key, value):
        self.pairs[key] = value

    def __reduce_ex__(self, protocol):
        state = {k: v for k, v in self.__dict__.items() if k not in ("items", "pairs")}
        return Everything, (), state, iter(self.items), iter(self.pairs.items())


class Six:
    """With a state setter, the sixth part of a reduce value."""

    def __reduce__(self):
        return Six, (), self.__dict__, None, None, set_six


def set_six(six, state):
    six.__dict__.update(state)
    six.was_set = True


class Node:
    """Hashed by its name: what is in a set or a dict before its state is set would be lost there."""

    def __init__(self, name):
        self.name = name
        self.links = set()

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return self.name == other.name

    def __repr__(self):
        return f"Node({self.name!r})"

    def __reduce__(self):
        return Node, (self.name,), {"links": self.links}


@dataclasses.dataclass
class Record:
    name: str
    values: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str
    size: int


class Problem(Exception):
    def __init__(self, message, code):
        super().__init__(message, code)
        self.code = code


def function(value=0):
    return value


def special_objects():
    """One of each kind."""
    shared_list, shared_text = [1, 2], "a text that is longer than what is repeated " * 2
    cyclic_list, cyclic_dict, cyclic_object = [1], {}, Plain(name="me")
    cyclic_list.append(cyclic_list)
    cyclic_dict["self"] = cyclic_dict
    cyclic_object.itself = cyclic_object
    cyclic_tuple = ([], {})
    cyclic_tuple[0].append(cyclic_tuple)
    cyclic_tuple[1]["tuple"] = cyclic_tuple
    two, other = [], []
    two.append((other,))
    other.append({"two": two})
    parent, child = Node("parent"), Node("child")
    parent.links.add(child)
    child.links.add(parent)
    in_frozenset = Node("inside")
    in_frozenset.links = frozenset([in_frozenset, 1])
    everything = Everything()
    everything.attribute = shared_list
    everything.extend([1, shared_list, everything])
    everything["key"] = everything
    one_item = Everything()
    one_item.append(7)
    six = Six()
    six.value = [1]
    list_like, dict_like, set_like = ListLike([1, 2]), DictLike(a=1), SetLike({1, 2})
    list_like.label = dict_like.label = set_like.label = shared_list
    list_like.append(list_like)
    dict_like["self"] = dict_like
    default = collections.defaultdict(list, {"a": [1]})
    loop = collections.deque([1], maxlen=3)
    loop.append(loop)
    found = [
        None, True, False, Ellipsis, NotImplemented, (), [], {}, set(), frozenset(), "", b"",
        0, 1, -1, 255, 256, 65535, 65536, 2**29, -(2**29), 2**31 - 1, -(2**31), 2**31, 2**62,
        2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, -(10**30), 2**2000 + 1, -(2**2040),
        -(2**71), 2**71 - 1, 0.0, -0.0, 1.5, -1e-300, 5e-324, 1.7976931348623157e308, 0.1,
        float("nan"), float("inf"), float("-inf"), 1j, complex(-0.0, float("nan")),
        "plain", "quote ' and \"", "back\\slash", "\x00\x01\x1b[31m\x7f\x9f", "\n\r\t\v",
        "\u00e9\u4e2d\U0001f600", "\ud800", "\udfff\ud800", "# no comment", "line\nresult = 1\n",
        b"bytes \x00\xff'\"\\", bytes(range(256)), bytearray(b"array"), bytearray(),
        "long " * 2000, "\u4e2d" * 3000, b"\x00\xff" * 4000, bytearray(b"x" * 9000),
        [shared_list, shared_list], (shared_list, shared_list), {"a": shared_list, "b": shared_list},
        [shared_text, shared_text], [b"y" * 50] * 2, [bytearray(b"z")] * 2, [(1, 2)] * 2,
        [[]] * 3, [{}] * 3, [set()] * 2, [frozenset([1])] * 2, [10**40] * 2,
        cyclic_list, cyclic_dict, cyclic_object, cyclic_tuple, two, parent, in_frozenset,
        [parent, child, {child: parent}], {(parent, 1): 2, (child, 1): 3},
        {Colour.RED: 1, Level.HIGH: 2, Frozen("f", 3): 4}, {Frozen("f", 3), Frozen("g", 4)},
        frozenset([Frozen("f", 3), (Frozen("f", 4), 1)]), {Point(1, 2): Point},
        Colour.RED, Colour.GREEN, Level.LOW, Access.READ | Access.WRITE, list(Colour) * 2,
        Point(1, [2]), Plain(a=1, b=[2]), Plain(), Plain.Inner(), Plain.Inner, Slots(1, [2]),
        SlotsAndDict(1, 2, 3), Stateful(None), Stateful([1]), FalsyState(0), Keywords(1, second=[2]),
        NewArguments(7, "label"), list_like, dict_like, set_like, TextLike("text"), everything,
        one_item, six, Record("r", [1]), Frozen("f", 1), Problem("what", 7), KeyError("k"),
        OSError(2, "no such file", "name"), UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
        ExceptionGroup("several", [ValueError(1)]) if hasattr(types, "NoneType") else None,
        collections.OrderedDict([("b", 1), ("a", 2)]), default, collections.Counter("abracadabra"),
        collections.deque([1, 2, 3]), loop, collections.ChainMap({"a": 1}, {"b": 2}),
        collections.defaultdict(None), types.SimpleNamespace(a=1, b=[2]),
        datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1, 2, 3),
        datetime.time(1, 2), datetime.timezone(datetime.timedelta(hours=5), "five"),
        decimal.Decimal("1.50"), decimal.Decimal("NaN"), fractions.Fraction(1, 3),
        pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c:\\x"), uuid.UUID(int=5),
        ipaddress.ip_address("::1"), re.compile("a+b", re.I), range(3), range(1, 100, 7),
        slice(1, None, 2), array.array("d", [1.5, 2.5]), array.array("i"),
        functools.partial(function, 1, value=[2]), operator.itemgetter(1, 2),
        operator.attrgetter("a.b"), operator.methodcaller("upper"),
        len, print, int, type, type(None), function, dict.fromkeys, [].append, "x".upper,
        collections.OrderedDict, string.capwords, math.pi, Plain.Inner.method,
        datetime.datetime.now, list.append, int.from_bytes, random.Random(5),
        {1: "a", True: "b"}, {1.0: 1, 2: 2}, {None: None, (): (), "": "", b"": b""},
        {(1, (2, "x")): [3]}, {frozenset([1, 2]): 3}, {1, "a", None, (1, 2), b"c", 2.5},
        frozenset([frozenset([1]), frozenset()]), [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": [1]}}}}}}}, (((((((1,), 2), 3), 4), 5), 6), 7),
        list(range(1000)), {i: str(i) for i in range(1000)}, set(range(1000)),
        tuple(range(1000)), [list(range(50)) for _ in range(50)], frozenset(range(500)),
        [{"id": i, "tags": ["a", "b"]} for i in range(200)],
        Plain(rows=[{"id": i} for i in range(200)], again=Plain(x=shared_list), last=shared_list),
    ]
    if numpy is not None:
        found += numpy_objects()
    return found


def numpy_objects():
    return [
        numpy.arange(12).reshape(3, 4), numpy.zeros((0, 3)), numpy.array(2.5), numpy.float32(1.5),
        numpy.array(["a", "bc"]), numpy.array([1, "x", None], dtype=object), numpy.dtype("<f4"),
        numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), numpy.asfortranarray(numpy.eye(3)),
        numpy.array([True, False]), numpy.array([1 + 2j]), numpy.int64(-5), numpy.bool_(True),
        numpy.array(["2024-01-01"], dtype="datetime64[D]"), numpy.random.RandomState(3),
        {"weights": numpy.ones((2, 2)), "again": [numpy.ones(3)] * 2},
    ]


def random_object(rng, depth=0, pool=None):
    """A tree of containers and objects; what is in the pool may come again."""
    pool = [] if pool is None else pool
    if pool and rng.random() < 0.15:
        return rng.choice(pool)
    if depth > 6 or rng.random() < 0.35:
        return random_leaf(rng)
    def more():
        return random_object(rng, depth + 1, pool)
    size = rng.choice([0, 1, 2, 3, 5])
    kind = rng.randrange(14)
    if kind < 3:
        made = []
        pool.append(made)
        made.extend(more() for _ in range(size))
    elif kind < 6:
        made = {}
        pool.append(made)
        for _ in range(size):
            made[random_key(rng)] = more()
    elif kind < 8:
        made = tuple(more() for _ in range(size))
    elif kind == 8:
        made = {random_key(rng) for _ in range(size)}
    elif kind == 9:
        made = frozenset(random_key(rng) for _ in range(size))
    elif kind == 10:
        made = Plain(name=random_leaf(rng))
        pool.append(made)
        made.child = more()
    elif kind == 11:
        made = rng.choice([Stateful, ListLike, collections.deque])([more() for _ in range(size)])
    elif kind == 12:
        made = collections.OrderedDict((random_key(rng), more()) for _ in range(size))
    else:
        made = rng.choice([Slots(more(), more()), Point(more(), more()), Record("r", [more()])])
    pool.append(made)
    return made


def random_leaf(rng):
    kind = rng.randrange(10)
    if kind == 0:
        return rng.randrange(-300, 300)
    if kind == 1:
        return rng.randrange(-(2**70), 2**70)
    if kind == 2:
        return rng.choice([0.0, -0.0, float("inf"), rng.random(), rng.uniform(-1e200, 1e200)])
    if kind == 3:
        return "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0xD800)])) for _ in range(5))
    if kind == 4:
        return rng.randbytes(rng.randrange(8))
    if kind == 5:
        return bytearray(rng.randbytes(3))
    if kind == 6:
        return rng.choice([Colour.RED, Level.HIGH, function, Plain, len, 1j])
    if kind == 7:
        return datetime.timedelta(rng.randrange(100))
    return rng.choice([None, True, False, "name", "weight", ()])


def random_key(rng):
    return rng.choice([rng.randrange(50), f"key{rng.randrange(50)}", (rng.randrange(9), "k"),
                       b"k%d" % rng.randrange(9), Colour.GREEN, Frozen("f", rng.randrange(3))])


# ---- comparison


class Different(Exception):
    pass


ATOMS = (type(None), bool, int, str, bytes, type(Ellipsis), type(NotImplemented))
BY_REFERENCE = (type, types.FunctionType, types.ModuleType)


def check_same(first, second):
    """Raises Different unless both have the same types, values, sharing and cycles."""
    seen, seen_back, kept = {}, {}, []
    work = [(first, second, "result")]
    while work:
        a, b, path = work.pop()
        if type(a) is not type(b):
            raise Different(f"{path}: {type(a)} and {type(b)}")
        if isinstance(a, enum.Enum) or isinstance(a, BY_REFERENCE):
            if a is not b:
                raise Different(f"{path}: {a!r} is not {b!r}")
            continue
        if type(a) in ATOMS:
            if a != b:
                raise Different(f"{path}: {a!r} != {b!r}")
            continue
        if type(a) is float:
            if struct.pack("d", a) != struct.pack("d", b) and not (a != a and b != b):
                raise Different(f"{path}: {a!r} != {b!r}")
            continue
        if is_constant(a) and is_constant(b):
            work.extend(zip_parts(a, b, path))
            continue
        if id(a) in seen or id(b) in seen_back:
            if seen.get(id(a)) is not b or seen_back.get(id(b)) is not a:
                raise Different(f"{path}: shared in one, not in the other")
            continue
        seen[id(a)], seen_back[id(b)] = b, a
        parts = zip_parts(a, b, path)
        kept.append((a, b, parts))
        work.extend(parts)


def is_constant(value):
    """Python makes one object of equal constants in source, so that whether these are shared says
    nothing: tuples of atoms, and the empty frozenset."""
    if type(value) is tuple:
        return all(type(item) in (*ATOMS, float) or is_constant(item) for item in value)
    return type(value) is frozenset and not value


def zip_parts(a, b, path):
    if type(a) in (list, tuple):
        lists = list(a), list(b)
    elif type(a) is dict:
        lists = [x for pair in a.items() for x in pair], [x for pair in b.items() for x in pair]
    elif type(a) in (set, frozenset):
        lists = sorted(a, key=repr), sorted(b, key=repr)
    elif type(a) is bytearray:
        lists = [bytes(a)], [bytes(b)]
    elif type(a) is complex:
        lists = [a.real, a.imag], [b.real, b.imag]
    else:
        lists = reduced(a), reduced(b)
    if len(lists[0]) != len(lists[1]):
        raise Different(f"{path}: {len(lists[0])} and {len(lists[1])} parts: {a!r:.200} {b!r:.200}")
    return [(x, y, f"{path}.{i}") for i, (x, y) in enumerate(zip(*lists))]


def reduced(value):
    if isinstance(value, (types.BuiltinFunctionType, types.MethodType)):
        return [value.__self__, value.__name__]
    if isinstance(value, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return [value.__objclass__, value.__name__]
    reduce = copyreg.dispatch_table.get(type(value))
    parts = reduce(value) if reduce else value.__reduce_ex__(4)
    if isinstance(parts, str):
        return [parts]
    found = []
    for index, part in enumerate(parts):
        if index in (3, 4) and part is not None:
            # Sets come as lists, dicts as pairs.
            part = list(part)
        if index == 1 and isinstance(value, (set, frozenset)):
            part = [sorted(part[0], key=repr)]
        if isinstance(part, (list, tuple)) and index in (1, 3, 4):
            found.extend(part)
        else:
            found.append(part)
    return found
