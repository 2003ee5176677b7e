"""tare's tar reader against Python's tarfile, and against archives that GNU tar writes.

Usage: tar.py DRIVER [--archives N] [--mutants N] [--seed N]

Well-formed archives: the same members with the same names, kinds, sizes, places and contents, and no anomaly
that is not really there. Damaged ones: whatever tarfile lists before it stops, tare lists as well.
"""

import argparse
import collections
import io
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile

KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hardlink", b"2": "symlink", b"3": "device", b"4": "device",
         b"5": "directory", b"6": "fifo", b"S": "sparse"}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
PARTS = ["a", "model", "weights.ckpt", "data", "0", "x" * 40, "y" * 90, "z" * 110, "\u00e9t\u00e9", "\u6a21\u578b",
         "with space", "back\\slash", "q'q"]
# What is said of a special member is true; anything else of a well-formed archive is not.
HONEST = ("the member is a link", "the member is a device", "the member is a sparse file", "two members have the same name")

BROKEN_RECORD = "a record of an extended header is broken"


class Timeout(Exception):
    pass


def on_alarm(*_):
    raise Timeout


def run(driver, archives):
    """For each archive None, or (members, anomalies)."""
    data = b"".join(struct.pack("<Q", len(a)) + a for a in archives)
    done = subprocess.run([driver], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{driver} failed: {done.returncode} {done.stderr.decode()}")
    results, members, anomalies = [], [], []
    for line in done.stdout.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "member":
            kind, name, size, offset, readable, link = rest.split(" ")
            members.append((kind, bytes.fromhex(name[1:]), int(size), int(offset), readable == "1", bytes.fromhex(link[1:])))
        elif word == "anomaly":
            anomalies.append(rest)
        else:
            results.append((members, anomalies) if word == "end" else None)
            members, anomalies = [], []
    assert len(results) == len(archives)
    return results


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def kind_of(info):
    if info.sparse is not None and info.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
        return "sparse"
    return KINDS.get(info.type, "unknown")


def reference(archive):
    """(members, how it ended, contents); None if tarfile does not open it."""
    members, contents = [], []
    signal.alarm(5)  # some versions go round in circles
    try:
        tar = tarfile.open(fileobj=io.BytesIO(archive), mode="r:", encoding="utf-8", errors="surrogateescape")
        info = tar.next()
        while info is not None:
            members.append((kind_of(info), raw(info.name), info.size, info.offset_data, raw(info.linkname)))
            contents.append(None)
            if kind_of(info) in ("file", "unknown"):
                contents[-1] = (info.offset_data, info.size)
            info = tar.next()
        return members, "", contents
    except Exception as error:  # pylint: disable=broad-except
        return (members, f"{type(error).__name__}: {error}", contents) if members else (None, str(error), [])
    finally:
        signal.alarm(0)


def difference(theirs, ours):
    """What differs in one member, or None. The size of a sparse file is another thing here and there."""
    kind, name, size, offset, link = theirs
    size = min(max(size, 0), 2**64 - 1)
    if kind == "directory":
        name = name.rstrip(b"/")  # tarfile leaves some
    if (kind, name, link) != (ours[0], ours[1], ours[5]):
        return "name, kind or link"
    if kind in ("file", "unknown") and (size, offset) != (ours[2], ours[3]):
        return "size or place"
    return None


# ---- archives


def random_name(rng, longest):
    while True:
        name = "/".join(rng.choice(PARTS) for _ in range(rng.randrange(1, 5)))
        if len(name.encode()) <= longest:
            return name


def random_member(rng, format_name):
    longest = 90 if format_name == "ustar" else 400
    info = tarfile.TarInfo(random_name(rng, longest))
    info.mtime = rng.choice([0, 1_700_000_000, 1_700_000_000.25 if format_name == "pax" else 5])
    info.uid = rng.choice([0, 1000, 3_000_000 if format_name != "ustar" else 7])
    info.type = rng.choice([b"0"] * 8 + [b"5", b"2", b"1", b"7"])
    if len(info.name) < 90 and rng.random() < 0.1:
        info.type = b"\0"  # cut off at a slash, a long name would make it a directory
    if info.type in b"12":
        info.linkname = random_name(rng, longest)
    data = rng.randbytes(rng.choice([0, 1, 511, 512, 513, 2000])) if info.type in b"07\0" else b""
    info.size = len(data)
    if format_name == "pax" and rng.random() < 0.2:
        info.pax_headers = {"comment": rng.choice(["a", "b=c\n", "\u00e9"]), "SCHILY.xattr.user.x": "1"}
    return info, data


def random_archive(rng):
    """Distinct names, so that no anomaly is due to them."""
    format_name = rng.choice(list(FORMATS))
    out = io.BytesIO()
    options = {"pax_headers": {"comment": "all"}} if format_name == "pax" and rng.random() < 0.3 else {}
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[format_name], encoding="utf-8", **options) as tar:
        for number in range(rng.randrange(1, 8)):
            info, data = random_member(rng, format_name)
            info.name = f"{number}/{info.name}"
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gnu_archives():
    """A folder with everything in it, as GNU tar writes it in each of its formats."""
    program = shutil.which("tar")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("plain", "\u00e9", "n" * 99, "d" * 90 + "/" + "e" * 90):
            path = os.path.join(folder, "top", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(os.urandom(700))
        os.link(os.path.join(folder, "top", "plain"), os.path.join(folder, "top", "z-hard"))
        os.symlink("plain", os.path.join(folder, "top", "soft"))
        with open(os.path.join(folder, "top", "holes"), "wb") as file:
            for part in range(40):
                file.seek(part << 20)
                file.write(b"x" * 4096)
        for style in ("v7", "oldgnu", "gnu", "ustar", "posix"):
            for more in ([], ["--sparse"], ["--sparse", "--sparse-version=0.1"]):
                done = subprocess.run([program, f"--format={style}", *more, "-cf", "-", "top"], cwd=folder,
                                      capture_output=True, check=False)
                # v7 leaves out what it cannot name, and says so in its exit status.
                if len(done.stdout) > 10_240:
                    yield done.stdout


def with_checksum(block):
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


# Fields of a header, and what they might hold.
FIELDS = [(0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (329, 8), (337, 8),
          (345, 155), (482, 1), (483, 12)]
NUMBERS = [b"", b" ", b"7", b"0000001\0", b"+7", b"-7", b"0o17", b"0_7", b"8", b"1 1", b"\t7", b"\x1c7", b"\x80" + bytes(10) + b"\x05",
           b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\x81" + bytes(11), b"77777777777", b"777777777777", b"1\0 7", b"_7", b"0O7", b"0x7"]


def mutant(rng, archive):
    """Some header blocks changed, most with a right checksum."""
    blocks = [archive[at:at + 512] for at in range(0, len(archive), 512)]
    for _ in range(rng.randrange(1, 4)):
        index = rng.randrange(len(blocks))
        block = blocks[index]
        offset, length = rng.choice(FIELDS)
        how = rng.random()
        if how < 0.4:
            value = rng.choice(NUMBERS)[:length].ljust(length, rng.choice([b"\0", b" "]))
        elif how < 0.6:
            value = rng.choice([b"/etc/x", b"../x", b"", b"a/", b"a//", b"a\nb", b"dir/"])[:length].ljust(length, b"\0")
        elif how < 0.8:
            offset, length = 156, 1
            value = rng.choice(b"0125LKxXgSVDN67\0").to_bytes(1, "big")
        else:
            value = rng.randbytes(length)
        block = (block[:offset] + value + block[offset + length:]).ljust(512, b"\0")[:512]
        blocks[index] = with_checksum(block) if rng.random() < 0.9 else block
    if rng.random() < 0.3:
        rng.shuffle(blocks)
    archive = b"".join(blocks)
    if rng.random() < 0.2:
        at = archive.find(b"path=")
        if at > 0:
            archive = archive[:at - 2] + rng.choice([b"9", b"99", b"0", b" "]) + archive[at - 1:]
    return archive[:rng.randrange(len(archive))] if rng.random() < 0.2 else archive


def compare_well_formed(driver, archives, what):
    faults, count = 0, 0
    for archive, ours in zip(archives, run(driver, archives)):
        theirs, end, contents = reference(archive)
        members, anomalies = ours or ([], ["no tar"])
        problems = [a for a in anomalies if not a.startswith(HONEST)]
        if theirs is None or end or len(theirs) != len(members):
            problems.append(f"{len(theirs or [])} members and {len(members)}; {end}")
        for mine, other in zip(members, theirs or []):
            if difference(other, mine):
                problems.append(f"{other} and {mine}")
        tar = tarfile.open(fileobj=io.BytesIO(archive), mode="r:", encoding="utf-8")
        for info, place in zip(tar, contents):
            if place and tar.extractfile(info).read() != archive[place[0]:place[0] + place[1]]:
                problems.append(f"another content: {info.name}")
        count += len(members)
        faults += bool(problems)
        for problem in problems[:3]:
            print(f"{what}: {problem}"[:600])
    print(f"{len(archives)} {what}: {count} members, {faults} differences")
    return faults


def compare_mutants(driver, archives):
    faults, more = 0, collections.Counter()
    for archive, ours in zip(archives, run(driver, archives)):
        theirs, end, _ = reference(archive)
        members, anomalies = ours or ([], [])
        wrong = None
        if not theirs:  # zeros are an archive of nothing for tarfile
            if ours is not None:
                more["only tare takes it for a tar: " + end] += 1
            continue
        if ours is None:
            wrong = "tare does not take it for a tar"
        elif len(theirs) > len(members):
            wrong = f"tarfile lists more: {theirs[len(members):]}"
        for mine, other in zip(members, theirs):
            wrong = wrong or (difference(other, mine) and f"{other} and {mine}")
        if wrong and BROKEN_RECORD in anomalies:
            more["another reading of a broken pax record"] += 1  # as lenient as each version of tarfile is
            continue
        if len(members) > len(theirs):
            more["tare lists more: " + end] += 1
            if not anomalies:
                wrong = wrong or "tare lists more and finds nothing odd"
        if wrong:
            faults += 1
            if faults <= 10:
                print(f"mutant: {wrong}\n  {anomalies} {end}"[:1500])
    print(f"{len(archives)} mutants: {faults} faults")
    for text, count in more.most_common(20):
        print(f"  {count:6} {text[:150]}")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--archives", type=int, default=500)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    rng = random.Random(arguments.seed)
    archives = [random_archive(rng) for _ in range(arguments.archives)]
    faults = compare_well_formed(arguments.driver, archives, "archives of tarfile")
    written_by_gnu = list(gnu_archives()) if shutil.which("tar") else []
    if not written_by_gnu:
        print("SKIPPED: archives of GNU tar: there is no tar here")
    faults += compare_well_formed(arguments.driver, written_by_gnu, "archives of GNU tar")
    pool = archives + [a for a in written_by_gnu if len(a) < 100_000]
    faults += compare_mutants(arguments.driver, [mutant(rng, rng.choice(pool)) for _ in range(arguments.mutants)])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
