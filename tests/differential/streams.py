"""Pickle streams for the comparison: real objects, hostile recipes, and generated ones."""

import collections
import pickle
import random
import struct
import subprocess


class Reduced:
    """An object with all that __reduce_ex__ may return."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return Reduced, (self.value,), {"state": self.value}, iter([1, 2]), iter([("k", "v")])

    def append(self, _):
        pass

    def __setitem__(self, _key, _value):
        pass


class Slotted:
    __slots__ = ("a", "b")

    def __reduce_ex__(self, protocol):
        # Protocols 0 and 1 cannot pickle slots; the others give (None, {slots}) as the state.
        return super().__reduce_ex__(max(protocol, 2))


def objects(rng):
    """An endless supply of plain and less plain objects."""

    def value(depth):
        kind = rng.randrange(14 if depth < 4 else 8)
        if kind == 0:
            return rng.choice([None, True, False])
        if kind == 1:
            return rng.randrange(-300, 300)
        if kind == 2:
            return rng.randrange(-(2**70), 2**70)
        if kind == 3:
            return rng.choice([0.0, -0.0, 1.5, 1e300, float("inf"), float("nan")])
        if kind == 4:
            return "".join(chr(rng.choice([65, 97, 10, 39, 92, 233, 0x4E2D, 0x1F600]))
                           for _ in range(rng.randrange(6)))
        if kind == 5:
            return bytes(rng.randrange(256) for _ in range(rng.randrange(6)))
        if kind == 6:
            return bytearray(b"ab")
        if kind == 7:
            return rng.choice([collections.OrderedDict, len, Reduced, complex(1, 2), range(3)])
        if kind == 8:
            return [value(depth + 1) for _ in range(rng.randrange(5))]
        if kind == 9:
            return tuple(value(depth + 1) for _ in range(rng.randrange(5)))
        if kind == 10:
            return {rng.randrange(99): value(depth + 1) for _ in range(rng.randrange(4))}
        if kind == 11:
            shared = value(depth + 1)
            return [shared, shared]
        if kind == 12:
            return Reduced(value(depth + 1))
        made = Slotted()
        made.a = value(depth + 1)
        return {frozenset([1, 2]), "x"} if rng.random() < 0.5 else made

    while True:
        yield value(0)


def of_objects(rng, count):
    for made, _ in zip(objects(rng), range(count)):
        yield pickle.dumps(made, rng.randrange(6))


def u8(text):
    data = text.encode() if isinstance(text, str) else text
    return b"\x8c" + bytes([len(data)]) + data


def crafted(tare):
    """What `tare craft` writes: every recipe that is a pickle, and a call in every form."""

    def craft(*arguments):
        command = [tare, "craft", *arguments, "-o", "-"]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    listed = subprocess.run([tare, "craft", "--list"], capture_output=True, text=True, check=True).stdout
    pickles = listed.split("\n\n")[0].splitlines()[1:]
    for line in pickles:
        yield craft("--recipe", line.split()[0], "--bare")
    for form in ("REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4"):
        for protocol in range(6):
            for more in ([], ["--bare", "--break-after"]):
                yield craft("--opcode", form, "--protocol", str(protocol), *more)
    for polyglot in ("frame", "pickle-zip", "safetensors-pickle"):
        yield craft("--polyglot", polyglot)


def variants():
    """Hostile and odd streams by technique, around those of `tare craft --list`; the payload is a call
    of os.system on "true"."""
    payload = b"cos\nsystem\nS'true'\n\x85R."
    call = b"cos\nsystem\nVtrue\n\x85R"
    yield b"(cos\nsystem\nS'true'\no0N."
    yield b"\x80\x04csubprocess\nPopen\n(Vtrue\nt}\x92."
    # Operands of STACK_GLOBAL behind memo tricks.
    yield b"\x80\x04" + u8("os") + b"N0\x940" + u8("system") + b"N0\x940h\0h\1\x93" + u8("x") + b"\x85R."
    yield b"Vos\np0\n0Vsystem\np1\n0Vcollections\np0\n0Vos\np0\n0g0\ng1\n\x93Vtrue\n\x85R."
    # Numbers that one grammar takes and another does not.
    for text in (b"I0b1\n", b"I\0zz\n", b"I010\n", b"I\n", b"I1\0zz\n", b"I00\n",
                 b"L0x10L\n", b"L1\0zz\n", b"L1_0L\n", b"L-5\n", b"F1.5\0zz\n", b"Fnan\n",
                 b"F inf\n", b"F-inf\n", b"F1e400\n", b"I99999999999999999999\n", b"I+5\n", b"I--5\n"):
        yield text + b"0" + payload
    for text in (b"Vx\np0\0\n0g0\0\n0", b"Vx\np 0\n0g 0\n0", b"Vx\np-1\n", b"Vx\np+1\n0g1\n0",
                 b"Vx\np0x1\n", b"g5\n", b"Vx\np99999999\n0"):
        yield text + payload
    for text in (b"S'\xc3\xa9'\n", b"S\"a'b\"\n", b"Sabc\n", b"S'\\x41\\101\\n'\n", b"S'\\xZ'\n", b"S'a\n",
                 b"U\x02\xc3\xa9", b"T\x02\0\0\0\xc3\xa9", b"T\xff\xff\xff\xff", b"V\\uZZZZ\n", b"V\\\\u0041\n"):
        yield text + b"0" + payload
    # Extensions, also those that the stream registers.
    register = b"ccopyreg\nadd_extension\nVos\nVsystem\nK%s\x87R0"
    yield b"\x80\x02" + register.replace(b"%s", b"\xf0") + b"\x82\xf0Vtrue\n\x85R."
    yield b"\x80\x02ccopy_reg\nadd_extension\nVos\nVsystem\nM4\x12\x87R0\x83\x34\x12Vtrue\n\x85R."
    yield b"\x80\x02\x82\xf0."
    yield b"\x80\x02\x82\0."
    # Names.
    for text in (b"c__builtin__\neval\n", b"ccommands\ngetoutput\n", b"curllib2\nurlopen\n",
                 b"ccPickle\nloads\n", b"\x80\x03ccommands\ngetoutput\n", b"cpathlib\nos.system\n",
                 b"\x80\x04cpathlib\nos.system\n", b"c\xc3\xa9\nx\n", b"c\xff\nx\n", b"c\nx\n", b"cx\n\n",
                 b"ccStringIO\nFileIO\n", b"ctest.test_support\nx\n"):
        yield text + b"."
    # Breaks behind the payload, and bytes behind STOP.
    for tail in (b"", b"\xff\xff", b"0X\x01\0\0\0\xff.", b"X.", b"0\x80\xff.", b"00."):
        yield call + tail
    yield b"cos\nsystemX"
    yield b"(Vtrue\nios\nsystemX"
    yield b"N." + payload
    # Protocols, frames, buffers, persistent ids.
    yield call + b"0\x80\x04."
    yield b"\x80\x04\x95" + struct.pack("<Q", 5) + payload
    yield b"\x80\x04\x95" + struct.pack("<Q", 500) + payload
    yield b"\x80\x04\x95" + struct.pack("<Q", len(payload)) + payload
    yield b"\x80\x04\x95" + struct.pack("<Q", 1 << 63) + payload
    yield b"\x80\x05\x97\x98" + payload
    yield b"K\x01\x980" + payload
    yield b"P\xc3\xa9\n0" + payload
    yield b"(K\x01tQ0" + payload
    # Things done to values that cannot have them done.
    for text in (b"]K\x01K\x02a", b"K\x01K\x02a", b"}(K\x01u", b"](K\x01e", b")(K\x01e", b"]}b", b"]Nb",
                 b"K\x01}b", b"}]K\x01s", b"\x8f(]\x90", b"\x8f(K\x01\x90", b"](K\x01\x90", b"](\x90",
                 b"(K\x01d", b"(K\x01l", b"K\x01R", b"K\x01)R", b"cos\nx\nK\x01R", b"cos\nx\n]R",
                 b"(1", b"1", b"(0", b"0", b"2", b"(2", b"t", b"(t", b"\x85", b"(\x85", b"\x94", b"(\x94",
                 b"a", b"e", b"(e", b"s", b"u", b"(u", b"b", b"o", b"(o", b"R", b"\x81", b"\x92", b"\x93",
                 b"K\x01K\x02\x93", b"Q", b"cos\nx\n(K\x01K\x02u", b"cos\nx\n(K\x01e", b"cos\nx\n(K\x01\x90",
                 b"cos\nx\n}b", b"cos\nx\n)\x81}b", b"cos\nx\n)\x81K\x01a", b"cos\nx\nK\x01\x81"):
        yield text + b"0" + payload
    yield b"\x80\x02]r\xff\xff\x00\x000" + payload
    yield b"\x80\x02]q\0h\0a."
    yield b"\x80\x02" + b"]" * 3000 + b"0" * 2999 + b"."
    yield b"((((K\x01ttt" + b"0" + payload


ARGUMENTS = {
    b"I": [b"5\n", b"01\n", b"-7\n", b"0x1\n"], b"J": [b"\1\2\3\4"], b"K": [b"\1", b"\0", b"\xff"],
    b"M": [b"\1\1"], b"L": [b"5L\n"], b"\x8a": [b"\1\7", b"\0", b"\x09" + b"\1" * 9], b"\x8b": [b"\1\0\0\0\7"],
    b"S": [b"'os'\n", b"\"a\"\n"], b"T": [b"\2\0\0\0os"], b"U": [b"\2os"], b"B": [b"\2\0\0\0os"],
    b"C": [b"\2os"], b"\x8e": [b"\2" + b"\0" * 7 + b"os"], b"\x96": [b"\2" + b"\0" * 7 + b"os"],
    b"V": [b"os\n", b"system\n", b"\\u006f\n"], b"\x8c": [b"\2os", b"\6system", b"\0"],
    b"X": [b"\2\0\0\0os"], b"\x8d": [b"\2" + b"\0" * 7 + b"os"], b"F": [b"1.5\n"], b"G": [b"\1" * 8],
    b"g": [b"0\n", b"1\n"], b"h": [b"\0", b"\1", b"\2"], b"j": [b"\0\0\0\0"], b"p": [b"0\n", b"1\n"],
    b"q": [b"\0", b"\1", b"\2"], b"r": [b"\0\0\0\0", b"\5\0\0\0"], b"\x82": [b"\1"], b"\x83": [b"\1\0"],
    b"\x84": [b"\1\0\0\0"], b"c": [b"os\nsystem\n", b"__builtin__\neval\n"], b"i": [b"os\nsystem\n"],
    b"\x80": [b"\2", b"\4", b"\5"], b"\x95": [b"\7" + b"\0" * 7, b"\xff" + b"\0" * 7], b"P": [b"id\n"],
}
PLAIN = [bytes([b]) for b in b"\x97\x98N\x88\x89]ael)t\x85\x86\x87}dsu\x8f\x90\x9102(1\x94\x93Rbo\x81\x92.Q"]
PUSHES = [b"K", b"\x8c", b"N", b"]", b"}", b")", b"(", b"c", b"\x8f", b"X", b"V"]


def opcode(rng, byte):
    return byte + rng.choice(ARGUMENTS[byte]) if byte in ARGUMENTS else byte


def generated(rng, count):
    """Random programs: mostly pushes at first, so that what follows finds something to work on."""
    every = list(ARGUMENTS) + PLAIN
    for _ in range(count):
        length = rng.randrange(3, 30)
        parts = []
        for i in range(length):
            few = rng.random() < (0.7 if i < length / 2 else 0.3)
            parts.append(opcode(rng, rng.choice(PUSHES if few else every)))
        yield b"".join(parts) + b"."


def mutated(rng, streams, count):
    """Streams with bytes flipped, opcodes inserted, deleted or doubled, and ends cut off."""
    every = list(ARGUMENTS) + PLAIN
    for _ in range(count):
        data = bytearray(rng.choice(streams))
        for _ in range(rng.randrange(1, 4)):
            if not data:
                break
            at = rng.randrange(len(data))
            how = rng.randrange(6)
            if how == 0:
                data[at] = rng.randrange(256)
            elif how == 1:
                data[at:at] = opcode(rng, rng.choice(every))
            elif how == 2:
                del data[at]
            elif how == 3:
                del data[at:]
            elif how == 4:
                data[at:at] = data[at : at + rng.randrange(8)]
            else:
                data[at] ^= 1 << rng.randrange(8)
        yield bytes(data)
