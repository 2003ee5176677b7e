"""tare's reader of .npy headers against numpy.

Usage: npy.py DRIVER [--mutants N] [--seed N]

Files that numpy writes: the same type, shape, order, and the data where numpy puts it. Mutated headers: what tare
accepts numpy accepts, and both mean the same. What only numpy accepts is counted, by what tare says.
"""

import argparse
import collections
import io
import itertools
import random
import struct
import subprocess
import sys
import warnings

import numpy as np

TENSORS = {"b1": "BOOL", "i1": "I8", "i2": "I16", "i4": "I32", "i8": "I64", "u1": "U8", "u2": "U16", "u4": "U32",
           "u8": "U64", "f2": "F16", "f4": "F32", "f8": "F64", "c8": "C64"}
SCALARS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f16", "c8", "c16", "c32", "S1", "S7", "U1",
           "U5", "V1", "V2", "V16", "O", "M8", "M8[ns]", "M8[25s]", "m8[D]", "m8[as]", "M8[Y]"]
STRUCTURES = [
    [("a", "<f4")], [("a", ">f4"), ("b", "<i8")], [("a", "f4", (2,)), ("b", "i2", (2, 3)), ("c", "S5")],
    [(("title", "a"), "f4"), ("b", "U3")], [("a", [("b", "i1"), ("c", [("d", ">u2", (4,))])]), ("e", "?")],
    [("a", "O"), ("b", "f4")], [("\u00e9\u6a21", "f4")], [("with space'\"\\\n", "f4")], [("a", "V3"), ("b", "f8")],
    {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [3, 8], "itemsize": 20},
    {"names": ["a"], "formats": [("f4", (2, 2))], "offsets": [4], "itemsize": 32},
    np.dtype([("a", "i1"), ("b", "f8"), ("c", "i2")], align=True), [("a", "M8[us]"), ("b", "m8")],
    [("x" * 70, "f4"), ("y" * 70, "f4")], [(f"f{i}", "f4") for i in range(4000)],
]
SHAPES = [(), (0,), (1,), (7,), (2, 3), (3, 0, 2), (1, 2, 3, 4), (2,) * 8]


def driver_lines(driver, files):
    data = b"".join(struct.pack("<Q", len(f)) + f for f in files)
    done = subprocess.run([driver], input=data, capture_output=True, check=False)
    lines = done.stdout.decode().splitlines()
    if done.returncode != 0 or len(lines) != len(files):
        sys.exit(f"{driver} failed: {done.returncode} {done.stderr.decode()}")
    return lines


def hexed(text):
    return text.encode("utf-8", "surrogatepass").hex()


def described(dtype):
    """The type as the driver writes it."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"[{described(base)}({''.join(f'{n},' for n in shape)})]"
    if dtype.names:
        fields = ""
        for name in dtype.names:
            field, offset, *title = dtype.fields[name]
            fields += f"{hexed(name)}={hexed(title[0]) if title else '-'}@{offset}:{described(field)},"
        return f"{{{fields}}}{dtype.itemsize}"
    unit = ""
    if dtype.kind in "mM":
        unit = np.datetime_data(dtype)
        unit = "" if unit[0] == "generic" else (str(unit[1]) if unit[1] != 1 else "") + unit[0]
    order = {"=": "<"}.get(dtype.byteorder, dtype.byteorder)
    return f"{order}{dtype.kind}{dtype.itemsize}/{unit}"


def expected(shape, fortran, dtype, offset):
    count = 1
    for length in shape:
        count *= int(length)
    size = 0 if dtype.hasobject else count * dtype.itemsize
    tensor = TENSORS.get(f"{dtype.kind}{dtype.itemsize}", "-") if not dtype.names and dtype.subdtype is None else "-"
    shape = "(" + "".join(f"{int(n)}," for n in shape) + ")"
    return f"{offset} {size} {'F' if fortran else 'C'} {shape} {described(dtype)} {int(dtype.hasobject)} {tensor}"


# ---- what numpy writes


def array_of(dtype, shape, order):
    array = np.zeros(shape, dtype, order)
    if not dtype.hasobject and array.nbytes:
        raw = np.frombuffer(bytes(range(256)) * (array.nbytes // 256 + 1), "u1")[:array.nbytes]
        array = np.ndarray(shape, dtype, raw.tobytes(), order=order)
    return array


def written_by_numpy():
    """(file, what tare is to say, the data)."""
    types = [np.dtype(order + s) for s in SCALARS for order in "<>"] + [np.dtype(s) for s in STRUCTURES]
    for dtype, shape, order in itertools.product(types, SHAPES, "CF"):
        array = array_of(dtype, shape, order)
        for version in (None, (1, 0), (2, 0), (3, 0)):
            out = io.BytesIO()
            try:
                np.lib.format.write_array(out, array, version, allow_pickle=True)
            except (ValueError, UnicodeEncodeError):
                continue  # the header does not fit that version
            out.seek(0)
            major = np.lib.format.read_magic(out)[0]
            out.read(struct.unpack("<H" if major == 1 else "<I", out.read(2 if major == 1 else 4))[0])
            fortran = array.flags.f_contiguous and not array.flags.c_contiguous
            # Padding in the middle of a type is written as fields without a name.
            data = None if dtype.hasobject else array.tobytes("F" if fortran else "C")
            yield out.getvalue(), expected(shape, fortran, array.dtype, out.tell()), data, out.tell()


def compare_written(driver):
    cases = list(written_by_numpy())
    faults = 0
    for (file, theirs, data, offset), ours in zip(cases, driver_lines(driver, [c[0] for c in cases])):
        wrong = ours != theirs
        if data is not None and not wrong:
            start, size = map(int, ours.split(" ")[:2])
            wrong = file[start:start + size] != data or start != offset
        faults += wrong
        if wrong and faults <= 10:
            print(f"{file[:300]!r}\n  tare:  {ours[:500]}\n  numpy: {theirs[:500]}")
    print(f"{len(cases)} files of numpy {np.__version__}: {faults} differences")
    return faults


# ---- mutated headers

# No '/': numpy divides by what stands behind it, and dies of "M8[s/0]".
TOKENS = ["'descr'", "'fortran_order'", "'shape'", "'<f4'", "'|O'", "'>i8'", "'<M8[ns]'", "'U3'", "'V2'", "'?'", "'f'", "'int32'",
          "''", "u'a'", "r'<f4'", "b'a'", "'a' 'b'", "'''a'''", "'\\x61'", "'\\'", "('t', 'a')", "(None, 'a')", "('a', '<f4')",
          "('a', '<f4', (2,))", "('b', '<i2', 3)", "('', '|V4')", "['c', '>f8']", "[('x', '<f4'), ('y', '|O')]", "('<f4', (3,))", "(",
          ")", "[", "]", "{", "}", ",", ",,", ":", " ", "\n", "\t", "\\\n", "#", "# c\n", "0", "1", "3", "3L", "3l", "03", "00", "0x10",
          "0b1", "1_0", "-1", "+3", "- 0", "1.5", "1e3", "3j", "True", "False", "None", "true", "...", "()", "(3)", "(3,)", "(2, 3)",
          "(True,)", "[3]", "exec('1')", "set()", "-", "99999999999999999999", "18446744073709551616", "\x0c", "\r", "\0", "\xe9", "\\"]


def base_header(rng):
    descr = rng.choice(["'<f4'", "'|O'", "[('a', '<f4'), ('b', '>i2', (2,))]", "[(('t', 'a'), 'U3')]", "('<f4', (2,))",
                        "[('a', [('b', '|S2')]), ('', '|V6')]"])
    items = [("'descr'", descr), ("'fortran_order'", rng.choice(["True", "False"])),
             ("'shape'", rng.choice(["()", "(3,)", "(2, 3)", "(0,)", "(3L, 4L)"]))]
    if rng.random() < 0.2:
        rng.shuffle(items)
    return "{" + ", ".join(f"{k}: {v}" for k, v in items) + ", }" + rng.choice(["", "\n", "    \n", " \n\n"])


def pieces_of(text):
    """The text cut where tokens end, roughly."""
    out, word = [], ""
    for c in text:
        if c in "{}[]():, '\n":
            out += [word, c] if word else [c]
            word = ""
        else:
            word += c
    return out + [word] if word else out


def mutant(rng):
    pieces = pieces_of(base_header(rng))
    for _ in range(rng.randrange(1, 3)):
        at = rng.randrange(len(pieces))
        how = rng.random()
        if how < 0.4:
            pieces[at] = rng.choice(TOKENS)
        elif how < 0.7:
            pieces.insert(at, rng.choice(TOKENS))
        elif how < 0.85:
            del pieces[at]
        else:
            pieces[at] = "".join(rng.choice("<>|=fiucbSUVOMm?1248ns[]'\"\\ LxX0,") if rng.random() < 0.3 else c for c in pieces[at])
    text = "".join(pieces)
    version = rng.choice([1, 2, 3])
    data = text.encode("utf-8" if version == 3 else "latin1", "replace")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(data)) + data


def by_numpy(file):
    """What tare is to say, or None."""
    stream = io.BytesIO(file)
    version = np.lib.format.read_magic(stream)
    module = getattr(np.lib, "_format_impl", np.lib.format)
    try:
        shape, fortran, dtype = module._read_array_header(stream, version)  # pylint: disable=protected-access
        return expected(shape, fortran, dtype, stream.tell())
    except Exception:  # pylint: disable=broad-except
        return None  # literal_eval and dtype() raise many kinds


def compare_mutants(driver, rng, count):
    files = [mutant(rng) for _ in range(count)]
    faults, both, refused = 0, 0, collections.Counter()
    for file, ours in zip(files, driver_lines(driver, files)):
        theirs = by_numpy(file)
        if ours.startswith("no "):
            if theirs is not None:
                refused[ours[3:]] += 1
        elif ours == theirs:
            both += 1
        else:
            faults += 1
            if faults <= 10:
                print(f"{file!r}\n  tare:  {ours}\n  numpy: {theirs}")
    print(f"{count} mutants: {both} accepted by both, {faults} faults; only numpy accepts {sum(refused.values())}:")
    for text, number in refused.most_common(20):
        print(f"  {number:6} {text}")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--mutants", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    faults = compare_written(arguments.driver)
    faults += compare_mutants(arguments.driver, random.Random(arguments.seed), arguments.mutants)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
