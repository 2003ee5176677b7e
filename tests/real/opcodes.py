"""Pickles by hand, as old programs wrote them: each function gives the opcodes of one value."""

import struct

PROTO_2 = b"\x80\x02"


def none():
    return b"N"


def truth(value):
    return b"\x88" if value else b"\x89"


def integer(value):
    return b"J" + struct.pack("<i", value)


def long(value):
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def old_text(value):
    """A str of Python 2: bytes without an encoding."""
    return b"U" + bytes([len(value)]) + value.encode("latin1")


def line_text(value):
    """The same in protocol 0."""
    return b"S'" + value.encode("ascii") + b"'\n"


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def list_of(*items):
    return b"](" + b"".join(items) + b"e"


def integers(*values):
    return tuple_of(*map(integer, values))


def dict_of(*pairs):
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def call(function, *arguments):
    return function + tuple_of(*arguments) + b"R"


def new(cls, *arguments):
    return cls + tuple_of(*arguments) + b"\x81"


def with_state(value, state):
    return value + state + b"b"


def ordered_dict(*pairs):
    made = call(name("collections", "OrderedDict"))
    return made + b"(" + b"".join(key + value for key, value in pairs) + b"u" if pairs else made


def persistent(identity):
    return identity + b"Q"


def stream(value, protocol=PROTO_2):
    return protocol + value + b"."
