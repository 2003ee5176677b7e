"""Zip files of torch.save: what stands in the archive around the pickle.

What torch cannot be told to write is made by writing the records of a real file anew; the real
torch.load reads the result, which must be what was saved.
"""

import io
import zipfile

import torch

from kinds import kind, load_torch


def value():
    base = torch.arange(24, dtype=torch.float32)
    return {
        "w": base.view(4, 6).t(), "tied": base.view(4, 6).t(), "i": torch.arange(300),
        "h": torch.randn(3).half(), "b": torch.tensor([True, False]), "u": torch.arange(7).byte(),
        "c": torch.tensor([1 + 2j, 3 - 4j]), "empty": torch.zeros(0), "n": torch.tensor(2.5)}


def records(content):
    """What torch.save writes for a value: names without the folder, and bytes, in order."""
    stream = io.BytesIO()
    torch.save(content, stream)
    with zipfile.ZipFile(stream) as archive:
        return {i.filename.split("/", 1)[1]: archive.read(i) for i in archive.infolist()}


def write(path, content, folder="archive", method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(f"{folder}/{name}" if folder is not None else name, data)


def rewritten(k, change=lambda found: found, **options):
    """The records of value(), changed and written anew by Python's zipfile."""
    saved = value()
    write(k.path(), change(records(saved)), **options)
    k.expect(load_torch(k.path()), same_as=saved)


@kind("layout.deflated")
def deflated(k):
    rewritten(k, method=zipfile.ZIP_DEFLATED)


@kind("layout.other_folder")
def other_folder(k):
    rewritten(k, folder="some.other name")


@kind("layout.empty_folder")
def empty_folder(k):
    rewritten(k, folder="")


@kind("layout.first_records")
def first_records(k):
    """As torch 1.6 wrote it: neither byte order nor an id."""
    wanted = ("data", "version")
    rewritten(k, lambda found: {n: d for n, d in found.items() if n.startswith(wanted)})


@kind("layout.other_order")
def other_order(k):
    rewritten(k, lambda found: dict(reversed(found.items())))


@kind("layout.more_records")
def more_records(k):
    rewritten(k, lambda found: {**found, ".data/extra": b"more", "readme": b"text"})


def _swapped(found):
    """The storages of value() in the other byte order, by the classes that their pickle names."""
    sizes = {"w": 4, "i": 8, "h": 2, "b": 1, "u": 1, "c": 4, "empty": 4, "n": 4}
    keys = sorted((int(n.split("/")[1]) for n in found if n.startswith("data/")))
    for key, size in zip(keys, sizes.values(), strict=True):  # in order of first appearance
        data = found[f"data/{key}"]
        found[f"data/{key}"] = b"".join(
            data[i : i + size][::-1] for i in range(0, len(data), size))
    return {**found, "byteorder": b"big"}


@kind("layout.big_endian", since=(2, 1))
def big_endian(k):
    rewritten(k, _swapped)


@kind("layout.big_endian_and_cast", since=(2, 1))
def big_endian_and_cast(k):
    saved = value()
    write(k.path(), _swapped(records(saved)))
    k.expect(load_torch(k.path()), "--dtype", "bf16", dtype=torch.bfloat16, same_as=saved)


class _Large(zipfile.ZipInfo):
    """Writes every size and offset as one of zip64, as a file above 4 GiB has them."""

    def FileHeader(self, zip64=None):
        return super().FileHeader(zip64=True)


@kind("layout.zip64_local")
def zip64_local(k):
    saved = value()
    with zipfile.ZipFile(k.path(), "w") as archive:
        for name, data in records(saved).items():
            archive.writestr(_Large(f"archive/{name}"), data)
    k.expect(load_torch(k.path()), same_as=saved)


@kind("layout.zip64_directory", since=(2, 0))
def zip64_directory(k):
    """Torch 1.13 says that such an archive is corrupted."""
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 0
    try:
        rewritten(k)
    finally:
        zipfile.ZIP64_LIMIT = limit


def _with_config(k, change):
    """torch.save under other settings of torch.utils.serialization."""
    from torch.utils.serialization import config

    with config.patch(change):
        saved = value()
        k.expect(k.save(saved), same_as=saved)


@kind("layout.alignment_4096", since=(2, 7))
def alignment(k):
    _with_config(k, {"save.storage_alignment": 4096})


@kind("layout.no_crc", since=(2, 6))
def no_crc(k):
    torch.serialization.set_crc32_options(False)
    try:
        saved = value()
        k.expect(k.save(saved), same_as=saved)
    finally:
        torch.serialization.set_crc32_options(True)


@kind("layout.mmap", since=(2, 1))
def mapped(k):
    saved = value()
    k.save(saved)
    k.expect(load_torch(k.path(), mmap=True), same_as=saved)


@kind("layout.skipped_data", since=(2, 5))
def skipped_data(k):
    """skip_data leaves the place for the storages; what stands there is what the file has."""
    path = k.path()
    with torch.serialization.skip_data():
        torch.save({"w": torch.ones(5)}, path)
    k.expect(load_torch(path), same_as={"w": torch.zeros(5)})
