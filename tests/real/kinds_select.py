"""Which tensors of a checkpoint are the model: keys that everybody uses, --key, prefixes."""

import torch

import studio
from kinds import flatten, kind


def small(fill=None):
    if fill is None:
        return torch.nn.Linear(3, 2).state_dict()
    return {"weight": torch.full((2, 3), fill), "bias": torch.full((2,), fill)}


WELL_KNOWN = [
    "state_dict", "model_state_dict", "model", "module", "net", "network", "ema",
    "ema_state_dict", "state_dict_ema", "model_ema", "params", "params_ema", "weights",
    "generator"]


def _well_known(key):
    @kind(f"select.{key}")
    def with_key(k):
        loaded = k.save({"epoch": 3, key: small(), "best": 0.5, "names": ["a", "b"]})
        k.expect(loaded[key], dropped=["epoch", "best"])


for _key in WELL_KNOWN:
    _well_known(_key)


@kind("select.well_known_and_more_tensors")
def well_known_and_more(k):
    """What stands beside the model stays behind, and the conversion says so."""
    loaded = k.save({"state_dict": small(), "mean": torch.zeros(3), "extra": {"m": torch.ones(1)}})
    k.expect(loaded["state_dict"], dropped=["mean", "extra"])


@kind("select.well_known_nested")
def well_known_nested(k):
    loaded = k.save({"model": {"encoder": small(), "decoder": [small(), torch.ones(1)]}, "step": 1})
    k.expect(flatten(loaded["model"]))


@kind("select.well_known_module")
def well_known_module(k):
    loaded = k.save({"model": torch.nn.Linear(3, 2), "epoch": 1})
    k.expect(loaded["model"].state_dict())


@kind("select.well_known_without_tensors")
def well_known_without_tensors(k):
    """A key that holds no tensors names no model, so everything is taken."""
    loaded = k.save({"model": "resnet18", "ema": None, "params": {"lr": 0.1}, "net2": small()})
    k.expect(flatten({"net2": loaded["net2"]}))


@kind("select.well_known_is_a_tensor")
def well_known_is_a_tensor(k):
    k.expect(k.save({"weights": torch.ones(3), "params": torch.zeros(2), "model": torch.ones(1)}))


@kind("select.ema_none")
def ema_none(k):
    loaded = k.save({"model": small(), "ema": None})
    k.expect(loaded["model"])


@kind("select.two_candidates")
def two_candidates(k):
    loaded = k.save({"model": small(1.0), "model_ema": small(2.0), "epoch": 3})
    k.refuse(r"\bmodel\b", r"\bmodel_ema\b", "--key")
    k.expect(loaded["model"], "--key", "model", variant="first")
    k.expect(loaded["model_ema"], "--key", "model_ema", variant="second")
    k.expect(flatten(loaded), "--key", ".", variant="root")


@kind("select.key")
def key(k):
    layer, optimizer = studio.trained()
    loaded = k.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict(),
                     "list": [small(1.0), small(2.0)], "a.b": small(3.0)})
    k.expect(loaded["model"])
    state = loaded["optimizer"]["state"]
    k.expect(flatten(state), "--key", "optimizer.state", variant="nested")
    k.expect(flatten(state[1]), "--key", "optimizer.state.1", variant="integer")
    k.expect(loaded["list"][1], "--key", "list.1", variant="index")
    k.expect({"tensor": loaded["model"]["bias"]}, "--key", "model.bias", variant="tensor")
    k.refuse("optimiser", arguments=["--key", "optimiser.state"], variant="missing")


@kind("select.no_well_known")
def no_well_known(k):
    loaded = k.save({"encoder": small(), "decoder": small(), "step": 5})
    k.expect(flatten(loaded), dropped=["step"])


def adam_state():
    return studio.trained()[1].state_dict()


@kind("select.optimizer_beside")
def optimizer_beside(k):
    loaded = k.save({"encoder": small(), "optim_g": adam_state(), "optim_d": adam_state()})
    k.expect(flatten({"encoder": loaded["encoder"]}), dropped=["optim_g", "optim_d"])


@kind("select.optimizer_alone")
def optimizer_alone(k):
    k.expect(flatten(k.save(adam_state())))


@kind("select.no_tensors")
def no_tensors(k):
    k.save({"epoch": 3, "names": ["a"]})
    k.refuse("no tensors")


@kind("select.nothing")
def nothing(k):
    """An empty state dict has all its tensors."""
    k.expect(k.save({}))


@kind("select.strip_module")
def strip_module(k):
    loaded = k.save(torch.nn.DataParallel(torch.nn.Linear(3, 2)).state_dict())
    k.expect(loaded)
    bare = {n.removeprefix("module."): t for n, t in loaded.items()}
    k.expect(bare, "--strip-prefix", "module.", variant="stripped")


@kind("select.strip_compiled", since=(2, 0))
def strip_compiled(k):
    compiled = torch.compile(torch.nn.Linear(3, 2))
    loaded = k.save({"state_dict": compiled.state_dict(), "epoch": 1})
    bare = {n.removeprefix("_orig_mod."): t for n, t in loaded["state_dict"].items()}
    k.expect(bare, "--strip-prefix", "_orig_mod.", variant="stripped")


@kind("select.strip_some")
def strip_some(k):
    loaded = k.save({"module.a": torch.ones(1), "b": torch.zeros(1), "x.module.c": torch.ones(2)})
    bare = {n.removeprefix("module."): t for n, t in loaded.items()}
    k.expect(bare, "--strip-prefix", "module.", variant="stripped")


@kind("select.strip_collision")
def strip_collision(k):
    k.save({"module.a": torch.ones(1), "a": torch.zeros(1)})
    k.refuse(r"\ba\b", arguments=["--strip-prefix", "module."])


@kind("select.strip_and_ties")
def strip_and_ties(k):
    """Names are ordered as they are written: the kept one is the first without its prefix."""
    weight = torch.randn(3)
    loaded = k.save({"module.z": weight, "y": weight})
    bare = {n.removeprefix("module."): t for n, t in loaded.items()}
    k.expect(bare, "--strip-prefix", "module.")
