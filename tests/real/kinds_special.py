"""Tensors that are more than a view of a storage: conjugated, sparse, quantized, nested, meta."""

import collections

import torch

import studio
from kinds import kind


@kind("special.conjugated")
def conjugated(k):
    """Torch before 2.0 forgot the conjugation when it saved; what counts is what it loads."""
    numbers = torch.tensor([[1 + 2j, 3 - 4j], [5j, -6 + 0j]])
    k.expect(k.save({"conj": numbers.conj(), "adjoint": numbers.conj().t(), "plain": numbers}))


@kind("special.negated", since=(2, 0))
def negated(k):
    numbers = torch.tensor([1 + 2j, 3 - 4j, 0j])
    k.expect(k.save({"negative": numbers.conj().imag, "plain": numbers.imag}))


def sparse_matrix():
    matrix = torch.zeros(4, 6)
    matrix[0, 1], matrix[0, 5], matrix[2, 0], matrix[3, 3] = 1.5, -2.0, 3.0, -0.0
    matrix[3, 4] = 7.0
    return matrix


def _sparse(k, tensor):
    """Refused as it is, dense on demand."""
    loaded = k.save({"sparse": tensor, "dense": torch.ones(2)})
    k.refuse("sparse", "--densify")
    dense = {"sparse": loaded["sparse"].to_dense(), "dense": loaded["dense"]}
    k.expect(dense, "--densify", variant="densify")


@kind("special.sparse_coo")
def sparse_coo(k):
    _sparse(k, sparse_matrix().to_sparse())


@kind("special.sparse_coo_uncoalesced")
def sparse_coo_uncoalesced(k):
    """An index that occurs twice: its values are added. Small integers, so in any order."""
    indices = torch.tensor([[0, 0, 1, 0], [2, 1, 0, 2]])
    _sparse(k, torch.sparse_coo_tensor(indices, torch.tensor([1.0, 2.0, 3.0, 4.0]), (2, 3)))


@kind("special.sparse_coo_hybrid")
def sparse_coo_hybrid(k):
    """One sparse axis, one dense: an embedding's gradient."""
    rows = torch.tensor([[4, 1]])
    _sparse(k, torch.sparse_coo_tensor(rows, torch.randn(2, 3), (5, 3)))


@kind("special.sparse_coo_integers")
def sparse_coo_integers(k):
    _sparse(k, sparse_matrix().to(torch.int64).to_sparse())


@kind("special.sparse_csr")
def sparse_csr(k):
    _sparse(k, sparse_matrix().to_sparse_csr())


@kind("special.sparse_csc", since=(2, 0))
def sparse_csc(k):
    _sparse(k, sparse_matrix().to_sparse_csc())


@kind("special.sparse_bsr", since=(2, 0))
def sparse_bsr(k):
    _sparse(k, sparse_matrix().to_sparse_bsr((2, 3)))


@kind("special.sparse_bsc", since=(2, 0))
def sparse_bsc(k):
    _sparse(k, sparse_matrix().to_sparse_bsc((2, 3)))


@kind("special.sparse_csr_batched", since=(2, 0))
def sparse_csr_batched(k):
    matrix = sparse_matrix()
    _sparse(k, torch.stack([matrix, matrix * 2]).to_sparse_csr())


def _quantized(k, tensor):
    """Refused as it is, floats on demand. Scales are powers of two: the kernels of torch round
    other scales differently among themselves."""
    loaded = k.save({"quantized": tensor, "dense": torch.ones(2)})
    k.refuse("quantized", "--dequantize")
    dense = {"quantized": loaded["quantized"].dequantize(), "dense": loaded["dense"]}
    k.expect(dense, "--dequantize", variant="dequantize")


def floats():
    return torch.linspace(-3, 5, 24).view(4, 6)


@kind("special.quantized_int8")
def quantized_int8(k):
    _quantized(k, torch.quantize_per_tensor(floats(), 0.125, 3, torch.qint8))


@kind("special.quantized_uint8_view")
def quantized_uint8_view(k):
    _quantized(k, torch.quantize_per_tensor(floats(), 0.25, 100, torch.quint8).t()[1:])


@kind("special.quantized_int32")
def quantized_int32(k):
    _quantized(k, torch.quantize_per_tensor(floats(), 2.0**-20, -5, torch.qint32))


@kind("special.quantized_per_channel")
def quantized_per_channel(k):
    scales, zeros = torch.tensor([0.5, 0.25, 0.125, 1.0]), torch.tensor([0, 3, -2, 7])
    _quantized(k, torch.quantize_per_channel(floats(), scales, zeros, 0, torch.qint8))


@kind("special.quantized_per_channel_axis_1")
def quantized_per_channel_axis_1(k):
    scales = torch.tensor([0.5, 0.25, 0.125, 1.0, 2.0, 4.0])
    zeros = torch.arange(6)
    _quantized(k, torch.quantize_per_channel(floats(), scales, zeros, 1, torch.quint8))


@kind("special.quantized_per_channel_float")
def quantized_per_channel_float(k):
    """Zero points that are floats."""
    scales, zeros = torch.tensor([0.5, 0.25, 0.125, 1.0]), torch.tensor([0.0, 1.0, 2.0, 4.0])
    _quantized(k, torch.quantize_per_channel(floats(), scales, zeros, 0, torch.quint8))


@kind("special.nested", since=(2, 0))
def nested(k):
    tensor = torch.nested.nested_tensor([torch.ones(2), torch.zeros(3)])
    k.save({"ragged": tensor, "dense": torch.ones(2)})
    k.refuse("ragged", "nested")


@kind("special.nested_jagged", since=(2, 2))
def nested_jagged(k):
    tensor = torch.nested.nested_tensor([torch.ones(2), torch.zeros(3)], layout=torch.jagged)
    k.save({"ragged": tensor, "dense": torch.ones(2)})
    k.refuse("ragged", "nested")


@kind("special.meta")
def meta(k):
    k.save({"nowhere": torch.ones(2, device="meta"), "dense": torch.ones(2)})
    k.refuse("nowhere", "meta")


@kind("special.subclass")
def subclass(k):
    tagged = torch.randn(3, 2).as_subclass(studio.Tagged)
    tagged.note = "text"
    loaded = k.save(collections.OrderedDict(tagged=tagged, plain=torch.ones(1)))
    assert type(loaded["tagged"]) is studio.Tagged
    k.expect(loaded)


@kind("special.wrapper_subclass", since=(2, 0))
def wrapper_subclass(k):
    """No storage of its own: the tensors inside are its attributes."""
    loaded = k.save({"w": studio.Pair(torch.ones(2), torch.zeros(2)), "plain": torch.ones(1)})
    k.expect({"w.left": loaded["w"].left, "w.right": loaded["w"].right, "plain": loaded["plain"]})
