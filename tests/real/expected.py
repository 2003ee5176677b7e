"""What `tare convert` must write for tensors that the real loaders gave: names, types, bytes, ties.

The bytes of the whole file come from the safetensors package where this Python has it, and from
the writer below elsewhere; where both are, they are compared first.
"""

import ctypes
import hashlib
import json
from dataclasses import dataclass

import numpy
import torch

try:
    import safetensors
    import safetensors.torch as reference
except ImportError:
    reference = None

# In the order of a file: descending (docs/formats/safetensors.md).
DTYPES = (
    "U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E5M2FNUZ F8_E4M3FNUZ F8_E8M0 F8_E4M3 F8_E5M2 "
    "I8 U8 F6_E3M2 F6_E2M3 F4 BOOL"
).split()

TORCH_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32",
    "uint64": "U64", "bool": "BOOL", "complex64": "C64", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fn": "F8_E4M3", "float8_e8m0fnu": "F8_E8M0", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float4_e2m1fn_x2": "F4",
}


@dataclass
class Content:
    """One tensor as it stands in the output, and where it lay in the memory of its loader."""

    dtype: str
    shape: list
    data: bytes
    packed: torch.Tensor  # for the reference, if there is one
    place: object  # equal for two names of one tensor; None: shares with nobody

    def entry(self, name):
        digest = hashlib.sha256(self.data).hexdigest()
        return {"name": name, "dtype": self.dtype, "shape": self.shape, "sha256": digest}


def _storage(tensor):
    if hasattr(tensor, "untyped_storage"):
        return tensor.untyped_storage()
    return tensor.storage()


def _place(tensor):
    """Where a tensor lies that covers its storage: such tensors in one place are tied."""
    storage = _storage(tensor)
    size = tensor.numel() * tensor.element_size()
    if size == 0 or tensor.storage_offset() != 0 or size != storage.nbytes():
        return None
    bits = [getattr(tensor, bit)() for bit in ("is_conj", "is_neg") if hasattr(tensor, bit)]
    return (storage.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), *bits)


def _bytes(tensor):
    if tensor.numel() == 0:
        return b""
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def _of_torch(tensor):
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        with torch._C.DisableTorchFunction():
            tensor = tensor.as_subclass(torch.Tensor)
    place = _place(tensor)
    packed = tensor.detach()
    if hasattr(packed, "resolve_conj"):
        packed = packed.resolve_conj().resolve_neg()
    packed = packed.contiguous()
    packed = packed.clone(memory_format=torch.contiguous_format)
    dtype = TORCH_NAMES[str(packed.dtype).removeprefix("torch.")]
    shape = list(packed.shape)
    if dtype == "F4":  # two elements in a byte: torch counts bytes, safetensors elements
        shape[-1] *= 2
    return Content(dtype, shape, _bytes(packed), packed, place)


def _of_numpy(array):
    plain = numpy.asarray(array)
    native = plain.astype(plain.dtype.newbyteorder("="), order="C", copy=True)
    packed = torch.from_numpy(native) if reference is not None else None
    place = id(array) if array.size else None
    return Content(
        TORCH_NAMES[native.dtype.name], list(native.shape), native.tobytes(), packed, place)


def content_of(value):
    return _of_torch(value) if isinstance(value, torch.Tensor) else _of_numpy(value)


def _cast(value, dtype):
    tensor = value if isinstance(value, torch.Tensor) else torch.from_numpy(value)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def without_ties(contents):
    """The tensors that stay, and {removed: kept}: of tied names the first in order stays."""
    kept, removed, first = {}, {}, {}
    for name in sorted(contents):
        place = contents[name].place
        if place in first:
            removed[name] = first[place]
            continue
        kept[name] = contents[name]
        if place is not None:
            first[place] = name
    return kept, removed


def _file(header, data):
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def own_bytes(contents, metadata):
    """The file by docs/formats/safetensors.md."""
    header = {"__metadata__": dict(sorted(metadata.items()))}
    data = b""
    for name in sorted(contents, key=lambda n: (DTYPES.index(contents[n].dtype), n.encode())):
        content = contents[name]
        end = len(data) + len(content.data)
        header[name] = {
            "dtype": content.dtype, "shape": content.shape, "data_offsets": [len(data), end]}
        data += content.data
    return _file(header, data)


def with_sorted_metadata(data):
    """The reference writes metadata in random order; tare sorts it."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    return _file(header, data[start:])


def file_bytes(contents, metadata):
    """The whole output, and who wrote it."""
    own = own_bytes(contents, metadata)
    if reference is None:
        return own, "own writer"
    theirs = reference.save({n: c.packed for n, c in contents.items()}, metadata)
    if with_sorted_metadata(theirs) != own:
        raise AssertionError("the reference writes other bytes than the writer of this test")
    return own, f"safetensors {safetensors.__version__}"


def conversion(tensors, dtype=None):
    """All that a conversion of these {name: tensor or array} must give, for the manifest."""
    contents = {name: content_of(value) for name, value in tensors.items()}
    if dtype is not None:
        for name, value in tensors.items():
            place = contents[name].place
            contents[name] = content_of(_cast(value, dtype))
            contents[name].place = place
    kept, removed = without_ties(contents)
    data, writer = file_bytes(kept, {"format": "pt", **removed})
    return {
        "tensors": [kept[name].entry(name) for name in sorted(kept)],
        "removed": removed,
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "writer": writer,
    }
