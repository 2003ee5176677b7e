"""Checkpoints as training programs write them: the model among everything else."""

import argparse
import collections
import datetime
import pathlib
import random

import numpy
import torch

import studio
from kinds import flatten, kind


class Run:
    """A model after one step of an optimizer, and a scheduler."""

    def __init__(self, optimizer=torch.optim.Adam, **options):
        self.model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        self.optimizer = optimizer(self.model.parameters(), lr=0.1, **options)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 10)
        self.model(torch.randn(5, 3)).sum().backward()
        self.optimizer.step()
        self.scheduler.step()


@kind("training.usual")
def usual(k):
    run = Run()
    loaded = k.save({
        "epoch": 7, "model_state_dict": run.model.state_dict(), "loss": 0.25,
        "optimizer_state_dict": run.optimizer.state_dict(),
        "scheduler_state_dict": run.scheduler.state_dict(),
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}})
    k.expect(loaded["model_state_dict"], dropped=["epoch", "optimizer_state_dict"])


@kind("training.whole_objects")
def whole_objects(k):
    """The optimizer and the scheduler themselves, not their states."""
    run = Run()
    loaded = k.save({"model": run.model, "optimizer": run.optimizer})
    k.expect(loaded["model"].state_dict())


@kind("training.adam")
def adam(k):
    k.expect(flatten(k.save(Run(amsgrad=True).optimizer.state_dict())))


@kind("training.momentum")
def momentum(k):
    k.expect(flatten(k.save(Run(torch.optim.SGD, momentum=0.9).optimizer.state_dict())))


@kind("training.scheduler")
def scheduler(k):
    k.save(Run().scheduler.state_dict())
    k.refuse("no tensors")


@kind("training.rng_state")
def rng_state(k):
    """The rng_state.pth of the Hugging Face trainer."""
    state = {"python": random.getstate(), "numpy": numpy.random.get_state(),
             "cpu": torch.random.get_rng_state()}
    k.expect(flatten(k.save(state)))


@kind("training.lightning")
def lightning(k):
    run = Run()
    loaded = k.save({
        "epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.1.0",
        "state_dict": run.model.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val'}": {
            "best_model_score": torch.tensor(0.5), "dirpath": pathlib.PurePosixPath("/tmp/x"),
            "best_k_models": {"a.ckpt": torch.tensor(0.5)}, "kth_value": torch.tensor(0.5)}},
        "optimizer_states": [run.optimizer.state_dict()],
        "lr_schedulers": [run.scheduler.state_dict()], "hparams_name": "hparams",
        "hyper_parameters": studio.Options(lr=0.1, args=argparse.Namespace(layers=2))})
    k.expect(loaded["state_dict"], dropped=["callbacks", "optimizer_states"])


@kind("training.arguments")
def arguments(k):
    """The training_args.bin of the Hugging Face trainer: an object, no tensors."""
    k.save(argparse.Namespace(
        output_dir="/tmp/run", schedule=studio.Schedule.COSINE, device=torch.device("cuda", 0),
        flags=studio.Flags.A | studio.Flags.B, betas=(0.9, 0.999)))
    k.refuse("no tensors")


@kind("training.sequences")
def sequences(k):
    """As fairseq has it: arguments, numpy scalars, enums, dates and histories around the model."""
    run = Run()
    loaded = k.save({
        "args": argparse.Namespace(arch="transformer", data=pathlib.PurePosixPath("/data")),
        "cfg": {"optimizer": {"lr": [0.1]}, "schedule": studio.Schedule.LINEAR},
        "model": run.model.state_dict(),
        "criterion": None, "task_state": {}, "last_optimizer_state": run.optimizer.state_dict(),
        "optimizer_history": [{"num_updates": 5, "criterion_name": "CrossEntropy"}],
        "extra_state": {
            "best": numpy.float64(3.25), "n": numpy.int64(4), "at": datetime.datetime(2024, 1, 2),
            "took": datetime.timedelta(seconds=5), "metrics": collections.OrderedDict(x=1)}})
    k.expect(loaded["model"])


@kind("training.histories")
def histories(k):
    """As the OpenMMLab tools have it: arrays in the histories."""
    run = Run()
    loaded = k.save({
        "meta": {"epoch": 1, "CLASSES": ("cat", "dog"), "PALETTE": None},
        "state_dict": run.model.state_dict(), "optimizer": run.optimizer.state_dict(),
        "message_hub": {"log_scalars": {"loss": studio.Record(numpy.arange(4.0), "loss")}}})
    k.expect(loaded["state_dict"])


@kind("training.detector")
def detector(k):
    """As the YOLO trainers have it: the module itself, in half precision."""
    model = studio.Detector().half()
    loaded = k.save({
        "epoch": 5, "best_fitness": numpy.float64(0.5), "model": model, "ema": None,
        "updates": None, "optimizer": None, "date": "2024-01-02T03:04:05", "version": "8.0.0",
        "train_args": {"task": "detect", "imgsz": 640, "save_dir": pathlib.PurePosixPath("runs")},
        "train_metrics": {"fitness": 0.5}, "license": "AGPL-3.0"})
    k.expect(loaded["model"].state_dict())


@kind("training.detector_ema")
def detector_ema(k):
    model, ema = studio.Detector().half(), studio.Detector().half()
    loaded = k.save({"epoch": 5, "model": model, "ema": ema, "updates": 3})
    k.refuse(r"\bmodel\b", r"\bema\b", "--key")
    k.expect(loaded["ema"].state_dict(), "--key", "ema", variant="ema")


@kind("training.parallel_ranks")
def parallel_ranks(k):
    """As Megatron has it: nested dicts, a namespace, random states."""
    run = Run()
    loaded = k.save({
        "args": argparse.Namespace(num_layers=2, params_dtype=torch.float16),
        "checkpoint_version": 3.0, "iteration": 10,
        "model": {"language_model": {"embedding": {"word": {"weight": torch.randn(5, 2)}},
                                     "encoder": run.model.state_dict()}},
        "optimizer": {"optimizer": run.optimizer.state_dict(), "grad_scaler": {}},
        "rng_state": [{"random_rng_state": random.getstate(),
                       "np_rng_state": numpy.random.get_state(),
                       "torch_rng_state": torch.get_rng_state()}]})
    k.expect(flatten(loaded["model"]))


@kind("training.partitioned")
def partitioned(k):
    """As DeepSpeed has it: the shapes of the parameters beside the module."""
    run = Run()
    state = run.model.state_dict()
    loaded = k.save({
        "module": state, "buffer_names": ["1.running_mean"], "optimizer": None,
        "param_shapes": [collections.OrderedDict((n, t.shape) for n, t in state.items())],
        "shared_params": {}, "ds_version": "0.10.0", "ds_config": {"zero_optimization": {}},
        "sparse_tensor_module_names": set(), "skipped_steps": 0, "dp_world_size": 1})
    k.expect(loaded["module"])


@kind("training.lora")
def lora(k):
    """An adapter: a flat dict with long names in half precision."""
    prefix = "base_model.model.model.layers"
    value = {f"{prefix}.{i}.self_attn.q_proj.lora_{half}.weight": torch.randn(4, 2).bfloat16()
             for i in range(12) for half in "AB"}
    k.expect(k.save(value))
