"""Models of several files, and files in archives: shards, distributed checkpoints, tar, zip."""

import io
import json
import os
import signal
import tarfile
import traceback
import zipfile

import torch

import studio
from kinds import flatten, kind, load_torch


def weights():
    return {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3), "b": torch.arange(5),
            "c.weight": torch.randn(2, 2).half()}


def saved(value, **options):
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


# ---- shards with an index


def shards(k, parts, **options):
    """Writes the parts and their index; gives what torch.load reads from the parts."""
    folder = k.path("")
    os.makedirs(folder, exist_ok=True)
    loaded, places = {}, {}
    for number, part in enumerate(parts, 1):
        name = f"pytorch_model-{number:05}-of-{len(parts):05}.bin"
        torch.save(part, os.path.join(folder, name), **options)
        loaded.update(load_torch(os.path.join(folder, name)))
        places.update(dict.fromkeys(part, name))
    total = sum(t.numel() * t.element_size() for t in loaded.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=2)
    return loaded


@kind("folder.shards")
def sharded(k):
    first, second = weights(), {"z.weight": torch.randn(4, 3).t(), "z.bias": torch.ones(1)}
    loaded = shards(k, [first, second])
    k.expect(loaded, variant="directory")
    k.inside("pytorch_model.bin.index.json")
    k.expect(loaded)


@kind("folder.shards_with_ties")
def shards_with_ties(k):
    tied = torch.randn(3, 3)
    loaded = shards(k, [{"head": tied, "embed": tied}, {"other": torch.ones(2)}])
    k.inside("pytorch_model.bin.index.json")
    k.expect(loaded)


@kind("folder.legacy_shards")
def legacy_shards(k):
    loaded = shards(
        k, [weights(), {"z": torch.ones(2)}], _use_new_zipfile_serialization=False)
    k.inside("pytorch_model.bin.index.json")
    k.expect(loaded)


# ---- distributed checkpoints


def distributed(k, write):
    """`write` makes a distributed checkpoint in a folder; the real loader joins it."""
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    folder = k.path("")
    write(folder)
    joined = folder + ".joined.pt"
    dcp_to_torch_save(folder, joined)
    loaded = load_torch(joined)
    os.remove(joined)
    return loaded


@kind("distributed.one_rank", since=(2, 2))
def one_rank(k):
    import torch.distributed.checkpoint as dcp

    value = {**weights(), "scalar": torch.tensor(3.5), "empty": torch.zeros(0, 2),
             "strided": torch.arange(6.0).view(2, 3).t()}
    loaded = distributed(k, lambda folder: dcp.save(value, checkpoint_id=folder))
    k.expect(loaded)


@kind("distributed.several_files", since=(2, 2))
def several_files(k):
    import torch.distributed.checkpoint as dcp

    def write(folder):
        writer = dcp.FileSystemWriter(folder, single_file_per_rank=False, thread_count=2)
        dcp.save(weights(), storage_writer=writer)

    k.expect(distributed(k, write))


@kind("distributed.training", since=(2, 2))
def distributed_training(k):
    """The model and its optimizer, which flat names of the checkpoint keep apart."""
    import torch.distributed.checkpoint as dcp

    layer, optimizer = studio.trained()
    value = {"model": layer.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    loaded = distributed(k, lambda folder: dcp.save(value, checkpoint_id=folder))
    k.expect(loaded["model"])
    k.expect(flatten(loaded["optimizer"]["state"]), "--key", "optimizer.state", variant="key")


def _rank(rank, world, folder):
    """One process of a group: its part of tensors that are divided in several ways."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    store = torch.distributed.FileStore(folder + ".store", world)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    rows = distribute_tensor(torch.arange(35.0).view(7, 5), mesh, [Shard(0)])
    columns = distribute_tensor(torch.arange(12).view(3, 4), mesh, [Shard(1)])
    uneven = distribute_tensor(torch.arange(1.0).bfloat16(), mesh, [Shard(0)])
    value = {"rows": rows, "columns": columns, "uneven": uneven, "whole": torch.ones(3)}
    dcp.save(value, checkpoint_id=folder)
    torch.distributed.destroy_process_group()


def _ranks(world, folder):
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                _rank(rank, world, folder)
                os._exit(0)
            except Exception:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert statuses == [0] * world, statuses


@kind("distributed.two_ranks", since=(2, 5))
def two_ranks(k):
    loaded = distributed(k, lambda folder: _ranks(2, folder))
    k.expect(loaded, same_as={
        "rows": torch.arange(35.0).view(7, 5), "columns": torch.arange(12).view(3, 4),
        "uneven": torch.arange(1.0).bfloat16(), "whole": torch.ones(3)})


# ---- archives


def tar(k, suffix, mode, members):
    with tarfile.open(k.path(suffix), mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def nemo_members(state, prefix):
    return {f"{prefix}model_config.yaml": b"target: nemo.Model\n",
            f"{prefix}model_weights.ckpt": saved(state),
            f"{prefix}tokenizer.model": b"\x0a\x0e\x0a\x05<unk>"}


def expect_member(k, read, saved_state):
    """The real loaders of such archives unpack a member and hand it to torch.load."""
    k.expect(load_torch(io.BytesIO(read())), same_as=saved_state)


def _nemo(k, mode, prefix):
    state = weights()
    tar(k, ".nemo", mode, nemo_members(state, prefix))
    with tarfile.open(k.path(".nemo")) as archive:
        expect_member(k, archive.extractfile(f"{prefix}model_weights.ckpt").read, state)


@kind("archive.nemo")
def nemo(k):
    _nemo(k, "w", "./")


@kind("archive.nemo_gzip")
def nemo_gzip(k):
    _nemo(k, "w:gz", "")


@kind("archive.zip_with_a_checkpoint")
def zip_with_a_checkpoint(k):
    state = weights()
    with zipfile.ZipFile(k.path(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "a model")
        archive.writestr("weights/model.pt", saved(state))
    with zipfile.ZipFile(k.path(".zip")) as archive:
        expect_member(k, lambda: archive.read("weights/model.pt"), state)


@kind("archive.policy")
def policy(k):
    """As stable-baselines3 has it: the policy, its optimizer, and settings as JSON."""
    layer, optimizer = studio.trained()
    with zipfile.ZipFile(k.path(".zip"), "w") as archive:
        archive.writestr("data", json.dumps({"gamma": 0.99, "policy_class": {":type:": "abc"}}))
        archive.writestr("pytorch_variables.pth", saved(None))
        archive.writestr("policy.pth", saved(layer.state_dict()))
        archive.writestr("policy.optimizer.pth", saved(optimizer.state_dict()))
        archive.writestr("_stable_baselines3_version", "2.0.0")
        archive.writestr("system_info.txt", "- OS: Linux")
    with zipfile.ZipFile(k.path(".zip")) as archive:
        expect_member(k, lambda: archive.read("policy.pth"), layer.state_dict())
