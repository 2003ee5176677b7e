"""TorchScript, torch.package and torch.export: tensors beside code that nobody needs to run."""

import os

import torch

import studio
from kinds import kind


class Block(torch.nn.Module):
    """A module with everything that TorchScript saves as a tensor."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.register_buffer("table", torch.arange(4.0))
        self.register_buffer("cache", torch.ones(2), persistent=False)
        self.plain = torch.full((4,), 0.5)

    def forward(self, x):
        return self.norm(self.linear(x)) * self.table + self.plain + self.cache[0]


class Tied(torch.nn.Module):
    """Two names for one parameter."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 3)
        self.second = torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


def block():
    return Block().eval()


def saved(k, script, suffix=".pt", **options):
    """The state dict of a script module, as torch.jit.load has it."""
    path = k.path(suffix)
    torch.jit.save(script, path, **options)
    return torch.jit.load(path, map_location="cpu").state_dict()


@kind("script.scripted")
def scripted(k):
    k.expect(saved(k, torch.jit.script(block())))


@kind("script.traced")
def traced(k):
    k.expect(saved(k, torch.jit.trace(block(), torch.ones(2, 3))))


@kind("script.tied")
def tied(k):
    k.expect(saved(k, torch.jit.script(Tied())))


@kind("script.half")
def half(k):
    k.expect(saved(k, torch.jit.script(block().half())))


@kind("script.nested")
def nested(k):
    model = torch.nn.Sequential(block(), torch.nn.Sequential(torch.nn.Linear(4, 3), block()))
    k.expect(saved(k, torch.jit.script(model)))


@kind("script.convolutions")
def convolutions(k):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten())
    k.expect(saved(k, torch.jit.script(model)))


@kind("script.extra_files")
def extra_files(k):
    k.expect(saved(k, torch.jit.script(block()), _extra_files={"labels.txt": "cat\ndog"}))


@kind("script.frozen")
def frozen(k):
    """A frozen module has constants only: named as its code names them."""
    path = k.path()
    torch.jit.save(torch.jit.freeze(torch.jit.script(block())), path)
    loaded = torch.jit.load(path)
    constants = loaded.code_with_constants[1].const_mapping
    assert not loaded.state_dict() and len(constants) >= 3
    k.expect({f"CONSTANTS.{name}": tensor for name, tensor in constants.items()})


@kind("script.quantized")
def quantized(k):
    """Packed weights are objects of their own, (quantized weight, bias)."""
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = "fbgemm" if "fbgemm" in engines else "qnnpack"
    model = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.Linear(3, 4)), {torch.nn.Linear})
    torch.jit.save(torch.jit.script(model), k.path())
    k.refuse("quantized")


@kind("script.mobile")
def mobile(k):
    path = k.path(".ptl")
    torch.jit.script(block())._save_for_lite_interpreter(path)
    k.expect(torch.jit.load(path).state_dict())


@kind("script.mobile_flatbuffer")
def mobile_flatbuffer(k):
    torch.jit.script(block())._save_for_lite_interpreter(k.path(".ptl"), _use_flatbuffer=True)
    k.refuse("flatbuffer")


@kind("script.module_in_a_checkpoint")
def state_dict_of_script(k):
    k.expect(k.save(torch.jit.script(block()).state_dict()))


@kind("package.module")
def package_module(k):
    path = k.path()
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_pickle("model", "model.pkl", torch.nn.Sequential(torch.nn.Linear(3, 2)))
        exporter.save_text("model", "notes.txt", "trained in a test")
    importer = torch.package.PackageImporter(path)
    k.expect(importer.load_pickle("model", "model.pkl").state_dict())


@kind("package.tensors")
def package_tensors(k):
    path = k.path()
    weight = torch.randn(4, 3)
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_pickle("weights", "w.pkl", {"t": weight.t(), "part": weight[1], "n": 3})
    loaded = torch.package.PackageImporter(path).load_pickle("weights", "w.pkl")
    k.expect({"t": loaded["t"], "part": loaded["part"]}, dropped=[r"\bn\b"])


@kind("package.with_code")
def package_with_code(k):
    """The package brings the source of its class."""
    path = k.path()
    with torch.package.PackageExporter(path) as exporter:
        exporter.intern("studio")
        exporter.extern("torch.**")
        exporter.save_pickle("model", "model.pkl", studio.Detector())
    loaded = torch.package.PackageImporter(path).load_pickle("model", "model.pkl")
    k.expect(loaded.state_dict())


@kind("export.program", since=(2, 7))
def export_program(k):
    path = k.path(".pt2")
    torch.export.save(torch.export.export(block(), (torch.ones(2, 3),)), path)
    k.expect(dict(torch.export.load(path).state_dict))


@kind("export.tied", since=(2, 7))
def export_tied(k):
    path = k.path(".pt2")
    torch.export.save(torch.export.export(Tied(), (torch.ones(2, 3),)), path)
    k.expect(dict(torch.export.load(path).state_dict))


class Kept(torch.nn.Module):
    """Buffers that are parts of others, and element types of all sorts."""

    def __init__(self):
        super().__init__()
        whole = torch.arange(12.0)
        self.register_buffer("part", whole[2:8].view(2, 3).t())
        self.register_buffer("other", whole[6:])
        self.register_buffer("halves", torch.ones(2, 2).half())
        self.register_buffer("brain", torch.ones(3).bfloat16())
        self.register_buffer("phases", torch.tensor([1 + 2j, 3 - 4j]))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("count", torch.tensor(7))

    def forward(self, x):
        return x + self.part + self.count


@kind("export.views", since=(2, 7))
def export_views(k):
    path = k.path(".pt2")
    torch.export.save(torch.export.export(Kept(), (torch.ones(3, 2),)), path)
    k.expect(dict(torch.export.load(path).state_dict))


@kind("export.several", since=(2, 7))
def export_several(k):
    """Two programs in one archive; --key says which."""
    from torch.export.pt2_archive._package import load_pt2, package_pt2

    path = k.path(".pt2")
    programs = {name: torch.export.export(block(), (torch.ones(2, 3),)) for name in ("one", "two")}
    package_pt2(path, exported_programs=programs)
    for name, program in load_pt2(path).exported_programs.items():
        k.expect(dict(program.state_dict), "--key", name, variant=name)


@kind("export.compiled", since=(2, 9))
def export_compiled(k):
    """Compiled code beside its weights; only the weights are taken. The loader would map the code,
    so that the weights are held against what was saved."""
    from torch.export.pt2_archive._package import package_pt2
    from torch.export.pt2_archive._package_weights import TensorProperties, Weights

    code = k.path(".so")
    with open(code, "wb") as file:
        file.write(b"\x7fELF no code at all")
    whole = torch.arange(6.0)
    tensors = {"w": whole.view(2, 3), "part": whole[2:5]}
    path = k.path(".pt2")
    weights = Weights({name: (t, TensorProperties(t)) for name, t in tensors.items()})
    package_pt2(path, aoti_files=[code, weights])
    os.remove(code)
    k.expect(tensors)
