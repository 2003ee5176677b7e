"""Classes of the people who made the files: tare has no code of them, and needs none."""

import dataclasses
import enum

import torch


@dataclasses.dataclass
class Record:
    weight: object
    name: str
    inner: dict = dataclasses.field(default_factory=lambda: {"w": torch.full((2, 2), 3.0)})


class Slots:
    __slots__ = ("left", "unset")

    def __init__(self, left):
        self.left = left


class Text(str):
    """A class of a builtin type."""


class Schedule(enum.Enum):
    LINEAR = "linear"
    COSINE = "cosine"


class Flags(enum.Flag):
    A = 1
    B = 2


class Options(dict):
    """A dict whose items are attributes as well, as many libraries have one."""

    def __getattr__(self, name):
        return self[name]


class Tagged(torch.Tensor):
    """A tensor subclass without data of its own."""


class Pair(torch.Tensor):
    """A wrapper subclass: no storage, two tensors inside."""

    @staticmethod
    def __new__(cls, left, right):
        return torch.Tensor._make_wrapper_subclass(cls, left.shape, dtype=left.dtype)

    def __init__(self, left, right):
        self.left, self.right = left, right

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        if function is torch.ops.aten.detach.default:
            return cls(arguments[0].left, arguments[0].right)
        raise NotImplementedError(str(function))


class Head(torch.nn.Module):
    """A detection head."""

    def __init__(self):
        super().__init__()
        self.stride = torch.tensor([8.0, 16.0])  # neither parameter nor buffer
        self.register_buffer("anchors", torch.randn(2, 3))
        self.register_buffer("grid", torch.zeros(2), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("missing", None)
        self.convolutions = torch.nn.ModuleList([torch.nn.Conv2d(2, 3, 1), torch.nn.Linear(1, 2)])


class Detector(torch.nn.Module):
    """A detector: modules of other libraries and its own."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), Head())
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.names = {0: "cat", 1: "dog"}
        self.save = [1, 2]


class Learner:
    """Whatever trains a model."""

    def __init__(self, model):
        self.model, self.rate = model, 0.1


def trained():
    """A layer after one step of its optimizer, and that."""
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return layer, optimizer


class Tied(torch.nn.Module):
    """A language model with one matrix for its embedding and its head."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 3)
        self.head = torch.nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight


class Renamed(torch.nn.Module):
    """A module whose state dict has other names than its parameters."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3))

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "renamed"] = self.weight
