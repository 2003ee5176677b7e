"""Whole modules, as torch.save(model) writes them: the names of state_dict() without any class."""

import collections

import torch
import torch.nn.utils.prune
from torch import nn

import studio
from kinds import kind, load_torch


def module(name, **options):
    """A kind of a whole module that a function makes; converted to its state dict."""

    def register(make):
        @kind(f"module.{name}", **options)
        def made(k):
            k.expect(k.save(make()).state_dict())

        return make

    return register


@module("linear")
def linear():
    return nn.Linear(3, 4)


@module("no_bias")
def no_bias():
    return nn.Linear(3, 4, bias=False)


@module("convolutions")
def convolutions():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2),
        nn.GroupNorm(1, 2), nn.LayerNorm(5), nn.InstanceNorm2d(2, affine=True), nn.PReLU())


@module("batch_norm_without_statistics")
def batch_norm_without_statistics():
    return nn.BatchNorm1d(3, track_running_stats=False)


@module("lstm")
def lstm():
    return nn.LSTM(3, 4, num_layers=2, bidirectional=True)


@module("gru")
def gru():
    return nn.Sequential(collections.OrderedDict(gru=nn.GRU(2, 3), cell=nn.LSTMCell(3, 2)))


@module("embedding")
def embedding():
    return nn.ModuleList([nn.Embedding(5, 3, padding_idx=0), nn.EmbeddingBag(4, 2)])


@module("attention")
def attention():
    return nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)


@module("transformer")
def transformer():
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)


@module("decoder")
def decoder():
    return nn.TransformerDecoderLayer(4, 2, 8)


@module("shared_submodule")
def shared_submodule():
    shared = nn.Linear(2, 2)
    return nn.ModuleDict({"second": shared, "first": shared, "other": nn.Linear(2, 2)})


@module("tied_weights")
def tied_weights():
    return studio.Tied()


@module("parameter_list")
def parameter_list():
    return nn.ParameterList([nn.Parameter(torch.randn(2)), nn.Parameter(torch.randn(1, 3))])


@module("parameter_dict")
def parameter_dict():
    return nn.ParameterDict({"b": nn.Parameter(torch.randn(2)), "a": nn.Parameter(torch.ones(1))})


@module("own_class")
def own_class():
    """Buffers that are not persistent, parameters that are None, tensors that are neither."""
    return studio.Detector()


@module("data_parallel")
def data_parallel():
    return nn.DataParallel(nn.Linear(3, 2))


@module("weight_norm")
def weight_norm():
    return nn.utils.weight_norm(nn.Linear(3, 2))


@module("spectral_norm")
def spectral_norm():
    return nn.utils.spectral_norm(nn.Linear(3, 2))


@module("pruned")
def pruned():
    layer = nn.Linear(3, 2)
    torch.nn.utils.prune.l1_unstructured(layer, "weight", 2)
    return layer


@module("half")
def half():
    return nn.Sequential(nn.Linear(3, 2).half(), nn.Linear(2, 3).double(), nn.Linear(2, 2))


@module("frozen")
def frozen():
    return nn.Linear(3, 2).requires_grad_(False)


@module("with_gradients")
def with_gradients():
    layer = nn.Linear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    return layer


@module("empty_parts")
def empty_parts():
    return nn.Sequential(nn.Identity(), nn.Sequential(), nn.Linear(1, 1), nn.Dropout())


@kind("module.list")
def module_list(k):
    loaded = k.save([nn.Linear(2, 1), {"x": nn.Linear(1, 2)}])
    k.expect({**{f"0.{n}": t for n, t in loaded[0].state_dict().items()},
              **{f"1.x.{n}": t for n, t in loaded[1]["x"].state_dict().items()}})


@kind("module.inside_an_object")
def inside_an_object(k):
    """As fastai and skorch have it: an object that holds the module."""
    loaded = k.save(studio.Learner(nn.Linear(2, 1)))
    k.expect({f"model.{n}": t for n, t in loaded.model.state_dict().items()})


@kind("module.protocol_4")
def protocol_4(k):
    k.expect(k.save(studio.Detector(), pickle_protocol=4).state_dict())


@kind("module.legacy")
def legacy(k):
    """Stacked pickles; the source text of each class stands in the file."""
    path = k.path()
    torch.save(studio.Detector(), path, _use_new_zipfile_serialization=False)
    with open(path, "rb") as file:
        assert b"A detection head" in file.read()
    k.expect(load_torch(path).state_dict())


@kind("module.parametrized")
def parametrized(k):
    """Torch saves only the state dict of such a module."""
    layer = nn.Linear(3, 3)
    nn.utils.parametrizations.orthogonal(layer)
    k.expect(k.save(layer.state_dict()))


@kind("module.own_state_dict")
def own_state_dict(k):
    """A module that changes its own state dict by code: without that code the names are those of
    its parameters, and the real loader's cannot be had."""
    loaded = k.save(studio.Renamed())
    assert list(loaded.state_dict()) == ["renamed"]
    k.expect({"weight": loaded.weight})


def quantized():
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = "fbgemm" if "fbgemm" in engines else "qnnpack"
    layer = nn.Linear(3, 4)
    with torch.no_grad():  # so that the scale is a power of two (kinds_special.py says why)
        layer.weight[0, 0], layer.weight[1, 1] = 127.5 / 128, -127.5 / 128
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {nn.Linear})


@kind("module.quantized_dynamic")
def quantized_dynamic(k):
    """Its state_dict() is not what stands in the file: packed parameters make it by code."""
    torch.save(quantized(), k.path())
    k.refuse("quantized")


@kind("module.quantized_state_dict")
def quantized_state_dict(k):
    """A tuple (quantized weight, bias) among tensors."""
    loaded = k.save(quantized().state_dict())
    k.refuse("quantized", "--dequantize")
    name = "0._packed_params._packed_params"
    weight, bias = loaded[name]
    assert weight.q_scale() == 2.0**-7
    k.expect({"0.scale": loaded["0.scale"], "0.zero_point": loaded["0.zero_point"],
              f"{name}.0": weight.dequantize(), f"{name}.1": bias},
             "--dequantize", variant="dequantize")
