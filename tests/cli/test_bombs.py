"""Archives that grow without bounds end in a finding, within bounds of memory and time."""

import gzip
import io
import json
import lzma
import resource
import struct
import tarfile
import unittest
import zipfile
import zlib

from harness import TARE, TareTest

# What tare may have of addresses: what it decompresses, which is 256 MiB for a small file, and libraries.
MEMORY = 1 << 30
SECONDS = 20


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, content in entries:
            out.writestr(name, content)
    return buffer.getvalue()


def nested_zips(levels, width, size):
    """42.zip: zips of the same zip, `width` of them at each level."""
    content = zipped([("0", bytes(size))])
    for _ in range(levels):
        content = zipped([(f"{i}.zip", content) for i in range(width)])
    return content


def overlapping_zip(entries, size):
    """Each entry of the directory is the same data."""
    data = zipped([("0", bytes(size))])
    end = data.rindex(b"PK\5\6")
    directory = struct.unpack_from("<I", data, end + 16)[0]
    central = data[directory:end]
    listed = b"".join(central.replace(b"0", bytes([65 + i % 26]), 1) if i else central for i in range(entries))
    record = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, entries, entries, len(listed), directory, 0)
    return data[:directory] + listed + record


def xz_of_huge_dictionary():
    data = bytearray(lzma.compress(b"x" * 1000, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]))
    length = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12) + 2  # the filter, the size of its properties, the property
    data[at] = 40  # 4 GiB
    struct.pack_into("<I", data, 12 + length - 4, zlib.crc32(data[12:12 + length - 4]))
    return bytes(data)


def lzma_of_huge_dictionary():
    data = bytearray(lzma.compress(b"x" * 1000, lzma.FORMAT_ALONE))
    struct.pack_into("<I", data, 1, 1 << 31)
    return bytes(data)


def zstd_of_huge_window():
    # A window of 2^41 bytes, and one block of a byte that is repeated.
    return b"\x28\xb5\x2f\xfd\x00\xf8" + struct.pack("<I", 1 | 1 << 1 | 1000 << 3)[:3] + b"x"


def gzips(levels):
    content = gzip.compress(bytes(1 << 26), mtime=0) * 30
    for _ in range(levels):
        content = gzip.compress(content, mtime=0)
    return content


def sparse_tar(form):
    """A file of an exabyte that is all hole."""
    buffer = io.BytesIO()
    exabyte = 1 << 60
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT if form == "pax" else tarfile.GNU_FORMAT) as out:
        info = tarfile.TarInfo("hole.bin")
        if form == "pax":
            info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole.bin",
                                "GNU.sparse.realsize": str(exabyte)}
            content = b"0\n".ljust(512, b"\0")
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
            return buffer.getvalue() + bytes(1024)
    header = bytearray(tarfile.TarInfo("hole.bin").tobuf(tarfile.GNU_FORMAT)[:512])
    header[156:157] = b"S"
    header[483:495] = b"\x80" + bytes(3) + exabyte.to_bytes(8, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def needs_addresses():
    with open(TARE, "rb") as program:
        return b"__asan_init" in program.read()


class Bombs(TareTest):
    def run_bounded(self, *arguments):
        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            # A sanitizer needs terabytes of addresses.
            if not needs_addresses():
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

        return self.tare(*arguments, preexec_fn=limit)

    def check(self, content, detail, verdict="unreadable"):
        """The verdict, a finding that says why, and a tree that ends as well. Returns the findings."""
        self.write("bomb", content)
        done = self.run_bounded("scan", "--format", "json", "bomb")
        report = json.loads(done.stdout)["files"][0]
        self.assertEqual(report["verdict"], verdict)
        found = [f for f in report["findings"] if detail in f["detail"]]
        self.assertTrue(found, report["findings"])
        tree = self.run_bounded("inspect", "--tree", "bomb")
        self.assertIn(tree.returncode, (0, 2), tree.stderr)
        self.assertIn("nesting", tree.stdout)
        return found

    def test_zips_in_zips(self):
        found = self.check(nested_zips(4, 16, 10_000_000), "inflates to more than tare is willing to hold")
        self.assertTrue(any(f["entry"].count(".zip") == 4 for f in found), found[0])

    def test_entries_that_overlap(self):
        self.check(overlapping_zip(5000, 10_000_000), "inflates to more than tare is willing to hold")

    def test_stored_entries_that_overlap(self):
        data = zipped([("0", zipped([("1", bytes(100_000))], zipfile.ZIP_STORED))], zipfile.ZIP_STORED)
        end = data.rindex(b"PK\5\6")
        directory = struct.unpack_from("<I", data, end + 16)[0]
        central = data[directory:end]
        record = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1000, 1000, 1000 * len(central), directory, 0)
        self.check(data[:directory] + central * 1000 + record, "share more bytes than tare is willing to look at")

    def test_files_too_deep_in_files(self):
        content = b"x"
        for i in range(12):
            content = zipped([(f"{i}.zip", content)])
        found = self.check(content, "more than 8 deep")
        self.assertIn("!".join(f"{i}.zip" for i in range(11, 2, -1)), [f["entry"] for f in found])

    def test_streams_in_streams(self):
        self.check(gzips(2), "beyond the limit")

    def test_dictionaries_and_windows(self):
        self.check(xz_of_huge_dictionary(), "larger than the limit")
        self.check(lzma_of_huge_dictionary(), "larger than the limit")
        self.check(zstd_of_huge_window(), "larger than the limit")

    def test_holes(self):
        for form in ("pax", "gnu"):
            self.check(sparse_tar(form), "sparse")


if __name__ == "__main__":
    unittest.main()
