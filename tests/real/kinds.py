"""Kinds of files: how one is registered, made, loaded by its real loader, and described.

A kind is a function under @kind that writes a file with a real tool and says through its argument,
a Kind, what `tare convert` must give for it. It may describe several conversions of one file.
"""

import importlib
import os
import traceback

import numpy
import torch

import expected

TORCH = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
WHOLE = {} if TORCH < (1, 13) else {"weights_only": False}

REGISTRY = {}


def kind(name, since=None, needs=()):
    """Registers a kind. `since`: the first version of torch that can make it; `needs`: modules."""

    def register(make):
        assert name not in REGISTRY, name
        REGISTRY[name] = (make, since, needs)
        return make

    return register


def load_torch(path, **options):
    """What torch.load gives, classes and all."""
    return torch.load(path, map_location="cpu", **WHOLE, **options)


class Kind:
    """What a kind says about its files; `cases` go into the manifest."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.file = None
        self.cases = []

    def path(self, suffix=".pt"):
        """Where to write the file, or the folder, of this kind."""
        self.file = self.name + suffix
        return os.path.join(self.folder, self.file)

    def inside(self, name):
        """The input for tare is this file of the folder of the kind."""
        self.file = os.path.join(self.file, name)

    def save(self, value, suffix=".pt", **options):
        """torch.save, and what torch.load makes of the file."""
        path = self.path(suffix)
        torch.save(value, path, **options)
        return load_torch(path)

    def _add(self, variant, arguments, **fields):
        name = f"{self.name}.{variant}" if variant else self.name
        self.cases.append(
            {"kind": name, "path": self.file, "arguments": list(arguments), **fields})

    def expect(self, tensors, *arguments, variant="", dtype=None, same_as=None, dropped=()):
        """`tare convert FILE ARGUMENTS` must write these {name: tensor or array}.

        dtype: cast by the conversion; same_as: what was saved, where the file was put together by
        hand; dropped: names that are no tensors and that the conversion must tell of.
        """
        result = expected.conversion(tensors, dtype)
        if same_as is not None:
            saved = expected.conversion(same_as, dtype)
            if saved["tensors"] != result["tensors"]:
                raise AssertionError("the real loader reads something else than what was saved")
        self._add(variant, arguments, dropped=list(dropped), **result)

    def refuse(self, *words, arguments=(), variant="", code=2):
        """The conversion must end with this exit code and a message that has a match of each of
        these regular expressions, whatever the case, and leave no output."""
        self._add(variant, arguments, refused={"code": code, "words": list(words)})

    def hostile(self, *words, acted, watch=None):
        """A scan must find these regular expressions and the conversion must refuse, and nothing
        of the file may run: what is at the path `watch` stays as it is, also if that is nothing.
        acted: whether the real loader of this version fell for the file."""
        self._add("", (), hostile={"words": list(words), "watch": watch, "acted": acted})


_states = {}  # of objects, by their ids; with the objects, so that ids stay theirs


def _state_of(value):
    """What an object gives as its state, asked for once: an object that is held twice has one, and
    so one array of what a random generator, say, makes anew at each call."""
    if id(value) not in _states:
        _states[id(value)] = value, value.__reduce_ex__(2)[2:3]
    return _states[id(value)][1]


def _children(value):
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, (list, tuple, numpy.ndarray)):
        return enumerate(value)
    state = _state_of(value) if type(value).__module__ != "builtins" else ()
    return state[0].items() if state and isinstance(state[0], dict) else ()


def flatten(value, prefix=""):
    """Tensors and arrays below dicts, lists, tuples and attributes, by names with dots."""
    if isinstance(value, torch.Tensor):
        return {prefix: value}
    if isinstance(value, numpy.ndarray) and value.dtype != object:
        return {prefix: value} if value.dtype.kind in "biufc" else {}
    found = {}
    for key, item in _children(value):
        found.update(flatten(item, f"{prefix}.{key}" if prefix else str(key)))
    return found


def _obstacle(since, needs):
    if since is not None and TORCH < since:
        return "needs torch %d.%d" % since
    for module in needs:
        try:
            importlib.import_module(module)
        except ImportError:
            return f"needs {module}"
    return None


def make_kind(name, folder):
    """The cases of a kind, or why there are none: (cases, skipped, broken)."""
    make, since, needs = REGISTRY[name]
    reason = _obstacle(since, needs)
    if reason:
        return [], reason, None
    made = Kind(name, folder)
    torch.manual_seed(1)
    try:
        make(made)
    except Exception:  # told in the manifest; the other kinds are made all the same
        return [], None, traceback.format_exc()
    return made.cases, None, None
