"""What the tests of the command line share: running tare, and building checkpoints by hand.

TARE names the program under test. TARE_TORCH_PYTHONS (colon-separated) names further Pythons with
PyTorch, besides /usr/bin/python3, that the tests against real files use as well.
"""

import collections
import functools
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import types
import unittest
import zipfile

TARE = os.environ.get("TARE", "build/release/tare")
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")


def has_nameless_files(folder):
    """Whether the file system makes files without a name, which go with the process."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        return False
    return True


def is_writing(process, folder):
    """Whether the process has an unfinished output in the folder."""
    try:
        links = [os.readlink(entry) for entry in os.scandir(f"/proc/{process.pid}/fd")]
    except OSError:
        return False
    return any(os.path.dirname(link) == folder and os.path.basename(link).startswith(("#", ".tare-"))
               for link in links)


class TareTest(unittest.TestCase):
    """A test with a temporary directory as its working directory."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def tare(self, *arguments, expect=None, to_stdout=subprocess.PIPE, **options):
        """Runs tare in the temporary directory; checks the exit code if one is expected."""
        done = subprocess.run(
            [os.path.abspath(TARE), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=to_stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
            **options,
        )
        if expect is not None:
            self.assertEqual(done.returncode, expect, (done.stdout or "") + done.stderr)
        return done

    def tare_json(self, *arguments, expect=0):
        return json.loads(self.tare(*arguments, expect=expect).stdout)

    def assert_one_line_error(self, done, *texts):
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for text in texts:
            self.assertIn(text, lines[0])

    def assert_golden(self, name, text):
        """The text is that of golden/NAME.txt, which TARE_UPDATE_GOLDEN=1 writes anew."""
        path = os.path.join(GOLDEN, name + ".txt")
        if os.environ.get("TARE_UPDATE_GOLDEN"):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        with open(path, encoding="ascii") as file:
            self.assertEqual(text, file.read())

    def check(self, golden, done):
        """What a run printed, and its exit status, are a golden text."""
        # Times differ from run to run; nothing else may.
        text = re.sub(r"\d+\.\d+ ms", "N ms", done.stdout)
        text = re.sub(r"in \d+\.\d+ s \(\d+ MB/s\)", "in N s (N MB/s)", text)
        text += f"exit {done.returncode}\n" + "".join(f"stderr {x}\n" for x in done.stderr.splitlines())
        self.assert_golden(golden, text)

    def assert_printable(self, text):
        """Nothing but lines of printable ASCII: no name from a file reaches the terminal as it is."""
        self.assertRegex(text, r"\A[ -~\n]*\Z")

    def files(self):
        return sorted(os.listdir(self.folder))


@functools.cache
def torch_pythons():
    """Pythons that can import torch, with the version of it."""
    found = []
    candidates = ["/usr/bin/python3", *os.environ.get("TARE_TORCH_PYTHONS", "").split(":")]
    for python in filter(None, candidates):
        probe = subprocess.run(
            [python, "-c", "import torch; print(torch.__version__)"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.returncode == 0:
            found.append((python, probe.stdout.strip()))
    return found


def needs_torch(test):
    """Skips a test where no Python has PyTorch."""
    pythons = torch_pythons()
    return unittest.skipUnless(pythons, "SKIPPED: no Python here has torch (python3-torch)")(test)


@functools.cache
def python_with(modules):
    """The first Python with all the modules, also of TARE_FORMAT_PYTHONS (colon-separated); None if there is none."""
    names = os.environ.get("TARE_FORMAT_PYTHONS", "") + ":/usr/bin/python3:" + os.environ.get("TARE_TORCH_PYTHONS", "")
    for python in filter(None, names.split(":")):
        probe = subprocess.run([python, "-c", f"import {modules}"], capture_output=True, check=False)
        if probe.returncode == 0:
            return python
    return None


def needs(modules):
    return unittest.skipUnless(python_with(modules), f"SKIPPED: no Python here has {modules}")


def run_python(python, source, *arguments, cwd):
    done = subprocess.run(
        [python, "-B", "-c", source, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


# ---- checkpoints without torch: modules of the same names, pickled by reference


class Storage:
    """Stands for a torch storage; becomes a persistent id."""

    def __init__(self, kind, key, data, numel):
        self.kind, self.key, self.data, self.numel = kind, key, data, numel


class Tensor:
    """Stands for a dense torch tensor."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def _fake_torch():
    torch = types.ModuleType("torch")
    utils = types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        raise NotImplementedError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("FloatStorage", "LongStorage", "HalfStorage", "BoolStorage", "QUInt4x2Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    return {"torch": torch, "torch._utils": utils}


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            kind = getattr(sys.modules["torch"], obj.kind)
            return "storage", kind, obj.key, "cpu", obj.numel
        return None


def pickle_checkpoint(value, protocol=2):
    """The data.pkl of a checkpoint made of Tensor objects and plain Python values."""
    hidden = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update(_fake_torch())
    try:
        buffer = io.BytesIO()
        _Pickler(buffer, protocol).dump(value)
        return buffer.getvalue()
    finally:
        for name, module in hidden.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def write_checkpoint(path, data_pkl, storages, extra=None):
    """A zip with the records of torch.save; `storages` maps keys to bytes."""
    stem = os.path.splitext(os.path.basename(path))[0]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        def add(name, content):
            archive.writestr(zipfile.ZipInfo(f"{stem}/{name}"), content)

        add("data.pkl", data_pkl)
        for key, content in storages.items():
            add(f"data/{key}", content)
        add("version", b"3\n")
        for name, content in (extra or {}).items():
            add(name, content)


def small_state_dict():
    """A checkpoint with a weight and a bias, its storages, and what they hold."""
    weight = b"".join(i.to_bytes(4, "little") for i in range(12))
    bias = b"".join(i.to_bytes(8, "little") for i in range(3))
    value = {
        "fc.weight": Tensor(Storage("FloatStorage", "0", weight, 12), 0, (3, 4), (4, 1)),
        "fc.bias": Tensor(Storage("LongStorage", "1", bias, 3), 0, (3,), (1,)),
    }
    return value, {"0": weight, "1": bias}


def read_safetensors(path):
    """An independent reading: names to (dtype, shape, bytes), and the metadata."""
    with open(path, "rb") as file:
        data = file.read()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    covered = 0
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        covered += end - begin
        tensors[name] = (entry["dtype"], entry["shape"], data[8 + length + begin : 8 + length + end])
    assert covered == len(data) - 8 - length, "the tensors do not cover the file"
    return tensors, metadata


def safetensors_bytes(tensors, metadata=None):
    """A file of {name: (dtype, shape, bytes)}, in that order."""
    header = {} if metadata is None else {"__metadata__": metadata}
    position = 0
    for name, (dtype, shape, content) in tensors.items():
        end = position + len(content)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(content for _, _, content in tensors.values())
    return len(text).to_bytes(8, "little") + text + data
