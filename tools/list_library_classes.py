#!/usr/bin/env python3
"""Writes src/scan/library_classes.inc: the classes of well-known libraries that a pickle may build.

    python3 tools/list_library_classes.py SITE_PACKAGES... > src/scan/library_classes.inc
    python3 tools/list_library_classes.py --why torch.nn.modules.rnn.LSTM SITE_PACKAGES...

Nothing of the libraries is run or imported: their source is parsed. A class is listed if it derives
from one of the roots below, every class that it derives from is known, and none of them defines a
method that unpickling, hashing or freeing an object would run, but for those that someone has read
(REVIEWED). With several folders, a class that one of them has and does not list is left out: the
table holds for all of those versions.
"""

import argparse
import ast
import os
import sys

# Packages that are read, and folders in them that are not.
PACKAGES = ("torch", "torchvision", "timm", "transformers", "ultralytics", "accelerate", "sklearn",
            "scipy/_lib", "scipy/sparse", "lightning", "lightning_fabric", "lightning_utilities", "pytorch_lightning",
            "torchmetrics")
SKIPPED = ("test", "tests", "testing", "_dynamo", "_inductor", "_export", "_functorch", "fx", "jit",
           "torch/distributed", "onnx", "utils/data", "utils/tensorboard", "package", "hub", "cli",
           "commands", "hooks", "externals", "tracking", "solutions", "_higher_order_ops")

# What a class is, by what it derives from. The first that fits counts.
ROOTS = (
    ("enum.Enum", "kEnum"),
    ("torch.nn.modules.module.Module", "kModule"),
    ("torch.optim.optimizer.Optimizer", "kObject"),
    ("torch.optim.lr_scheduler.LRScheduler", "kObject"),
    ("torch.optim.lr_scheduler._LRScheduler", "kObject"),
    ("sklearn.base.BaseEstimator", "kObject"),
    ("sklearn.neural_network._stochastic_optimizers.BaseOptimizer", "kObject"),
    ("scipy.sparse._base._spbase", "kObject"),
    ("scipy.sparse._base.spmatrix", "kObject"),
    ("transformers.configuration_utils.PreTrainedConfig", "kObject"),
    ("transformers.configuration_utils.PretrainedConfig", "kObject"),
    ("transformers.generation.configuration_utils.GenerationConfig", "kObject"),
    ("transformers.training_args.TrainingArguments", "kObject"),
    ("transformers.trainer_pt_utils.AcceleratorConfig", "kObject"),
)

# Further plain objects, and functions that stand as values.
OBJECTS = (
    "accelerate.state.PartialState",
    "ultralytics.utils.IterableSimpleNamespace",
    "sklearn._loss.link.Interval", "sklearn._loss.link.LogitLink", "sklearn._loss.link.LogLink",
    "sklearn._loss.link.IdentityLink", "sklearn._loss.link.HalfLogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss", "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HalfMultinomialLoss", "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfGammaLoss", "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity", "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.PinballLoss", "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.ExponentialLoss",
)
FUNCTIONS = {
    "torch.nn.functional": "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_softmax "
                           "logsigmoid mish relu relu6 selu sigmoid silu softmax softplus softsign "
                           "tanh tanhshrink",
    "torch._C._nn": "gelu hardsigmoid hardswish log_sigmoid mish relu6 silu softplus",
}

# Methods that run when an object is made, given its state, hashed or freed, or when one of its
# attributes is asked for while it has none. (Two objects are only compared if they have hashes.)
METHODS = {"__new__", "__setstate__", "__reduce__", "__reduce_ex__", "__getattr__",
           "__getattribute__", "__del__", "__hash__", "_missing_"}
# "module.Class.method": what someone has read, and found to do no more than said.
REVIEWED = {
    # takes the attributes and fills in those of older versions
    "torch.nn.modules.module.Module.__setstate__",
    "torch.nn.modules.conv._ConvNd.__setstate__",
    "torch.nn.modules.activation.MultiheadAttention.__setstate__",
    "torch.nn.modules.transformer.TransformerEncoderLayer.__setstate__",
    "torch.nn.modules.transformer.TransformerDecoderLayer.__setstate__",
    "torch.nn.modules.activation.Softmax.__setstate__",
    "torch.nn.modules.activation.Softmin.__setstate__",
    "torch.nn.modules.activation.LogSoftmax.__setstate__",
    "torch.nn.modules.upsampling.Upsample.__setstate__",
    "torch.nn.modules.padding.ReflectionPad1d.__setstate__",
    "torch.nn.modules.pooling.AvgPool3d.__setstate__",
    "torch.nn.modules.pooling.FractionalMaxPool2d.__setstate__",
    # the same; reads its own attributes by the names that the state has
    "torch.nn.modules.rnn.RNNBase.__setstate__",
    "sklearn.base.BaseEstimator.__setstate__",
    # the same, and fills in what groups of parameters have in later versions
    "torch.optim.optimizer.Optimizer.__setstate__",
    *(f"torch.optim.{name}.__setstate__" for name in (
        "_adafactor.Adafactor", "adadelta.Adadelta", "adagrad.Adagrad", "adam.Adam", "adamax.Adamax",
        "adamw.AdamW", "asgd.ASGD", "nadam.NAdam", "radam.RAdam", "rmsprop.RMSprop", "rprop.Rprop",
        "sgd.SGD")),
    # says that there is no such member, or attribute
    "transformers.utils.generic.ExplicitEnum._missing_",
    "transformers.file_utils.ExplicitEnum._missing_",
    "ultralytics.utils.IterableSimpleNamespace.__getattr__",
    "accelerate.state.PartialState.__getattr__",
    # looks for "A", "T" and the like
    "scipy.sparse._base.spmatrix.__getattr__",
    # reads its attribute _heterogeneity_spec
    "transformers.integrations.heterogeneity.configuration_utils.HeterogeneousConfigMixin"
    ".__getattribute__",
    # writes its attributes as JSON
    "transformers.generation.configuration_utils.GenerationConfig.__hash__",
    # looks up one of its own attributes by the name of another
    "transformers.configuration_utils.PreTrainedConfig.__getattribute__",
    "transformers.configuration_utils.PretrainedConfig.__getattribute__",
    # looks into the dicts of a module
    "torch.nn.modules.module.Module.__getattr__",
}
# Metaclasses that change nothing of how an object is made.
METACLASSES = ("abc.ABCMeta", "enum.EnumMeta", "accelerate.utils.dataclasses.EnumWithContains")


def sources(site, package):
    root = os.path.join(site, package)
    for folder, folders, files in os.walk(root):
        inside = os.path.relpath(folder, site).replace(os.sep, "/")
        if any(f"/{inside}/".find(f"/{name}/") >= 0 for name in SKIPPED):
            folders.clear()
            continue
        for name in sorted(files):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                module = os.path.relpath(path, site)[:-3].replace(os.sep, ".")
                yield path, module.removesuffix(".__init__"), name == "__init__.py"


class Class:
    def __init__(self, name, node, names):
        self.name = name
        self.bases = [resolve(base, names) for base in node.bases]
        self.metaclass = [resolve(k.value, names) for k in node.keywords if k.arg == "metaclass"]
        self.methods = {item.name for item in node.body
                        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))}
        self.methods |= {target.id for item in node.body if isinstance(item, ast.Assign)
                         for target in item.targets if isinstance(target, ast.Name)}


def resolve(node, names):
    """The dotted name of an expression, through the imports of its module."""
    if isinstance(node, ast.Subscript):  # Generic[T]
        return resolve(node.value, names)
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return "?"
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def imports(tree, module, is_package):
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[:len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                names[alias.asname or alias.name] = f"{base}.{alias.name}"
    return names


class Library:
    """All classes of the packages in one folder."""

    def __init__(self, site):
        self.classes, self.aliases, self.memo = {}, {}, {}
        for package in PACKAGES:
            for path, module, is_package in sources(site, package):
                self.read(path, module, is_package)

    def read(self, path, module, is_package):
        try:
            with open(path, encoding="utf-8") as file:
                tree = ast.parse(file.read())
        except (SyntaxError, ValueError):
            return
        names = imports(tree, module, is_package)
        defined = [n for n in tree.body if isinstance(n, ast.ClassDef)]
        for node in tree.body:
            if isinstance(node, (ast.If, ast.Try)):
                defined += [n for n in ast.walk(node) if isinstance(n, ast.ClassDef)]
        for name, target in names.items():
            self.aliases[f"{module}.{name}"] = target
        names.update({n.name: f"{module}.{n.name}" for n in defined})
        for node in tree.body:  # Name = OtherName
            if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.aliases.setdefault(f"{module}.{target.id}", resolve(node.value, names))
        for node in defined:
            self.classes[f"{module}.{node.name}"] = Class(f"{module}.{node.name}", node, names)

    def real(self, name):
        """Where the class of that name is defined, through re-exports."""
        for _ in range(12):
            if name in self.classes:
                return name
            if name in self.aliases:
                name = self.aliases[name]
                continue
            head, _, tail = name.rpartition(".")
            if head in self.aliases and self.aliases[head] != head:
                name = f"{self.aliases[head]}.{tail}"
                continue
            found = {"torch.nn": self.star("torch.nn.modules", tail)}.get(head)
            if not found:
                return name
            name = found
        return name

    def star(self, package, tail):
        """torch.nn has its names by `from .modules import *`."""
        return self.aliases.get(f"{package}.{tail}")

    HARMLESS = {"object", "abc.ABC", "ABC", "typing.Generic", "typing.Protocol", "dict", "str", "int",
                "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "collections.OrderedDict",
                "types.SimpleNamespace", "torch._C._Unused"}

    def ancestors(self, name, path=()):
        """Every class that this one derives from, itself first; raises LookupError."""
        name = self.real(name)
        if name in self.memo:
            return self.memo[name]
        if name in self.HARMLESS:
            return [name]
        if name not in self.classes or name in path:
            raise LookupError(name)
        found = [name]
        for base in self.classes[name].bases:
            found += self.ancestors(base, (*path, name))
        self.memo[name] = found
        return found

    def judge(self, name):
        """(kind, why not): the kind of a class that may be listed, or what speaks against it."""
        try:
            line = self.ancestors(name)
        except LookupError as error:
            return None, f"derives from {error}, which is not known"
        kind = next((kind for root, kind in ROOTS
                     if root in line or (root == "enum.Enum" and any(
                         n in line for n in ("enum.IntEnum", "enum.StrEnum", "enum.Flag")))), None)
        if name in OBJECTS:
            kind = "kObject"
        if kind is None:
            return None, "derives from none of the roots"
        for ancestor in line:
            known = self.classes.get(ancestor)
            if known is None:
                continue
            if known.metaclass and known.metaclass[0] not in METACLASSES:
                return None, f"{ancestor} has the metaclass {known.metaclass[0]}"
            methods = known.methods & METHODS
            if kind == "kEnum":  # members are made when the module is imported
                methods -= {"__new__", "__eq__", "__hash__", "__reduce_ex__"}
            for method in sorted(methods):
                if f"{ancestor}.{method}" not in REVIEWED:
                    return None, f"{ancestor}.{method} has not been read"
        return kind, None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--why")
    parser.add_argument("--unread", action="store_true", help="the methods that keep classes out")
    parser.add_argument("folders", nargs="+")
    arguments = parser.parse_args()
    libraries = [Library(folder) for folder in arguments.folders]
    if arguments.why:
        for library in libraries:
            print(library.judge(arguments.why), library.memo.get(arguments.why))
        return
    listed, refused = {}, {}
    for library in libraries:
        for name in library.classes:
            kind, why = library.judge(name)
            if kind:
                listed[name] = kind
            elif why != "derives from none of the roots":
                refused[name] = why
    if arguments.unread:
        count = {}
        for why in refused.values():
            count[why] = count.get(why, 0) + 1
        for why, number in sorted(count.items(), key=lambda item: -item[1]):
            print(number, why)
        return
    rows = {}
    for name, kind in listed.items():
        if name in refused:
            continue
        module, _, short = name.rpartition(".")
        rows.setdefault((module, kind), []).append(short)
    for module, names in FUNCTIONS.items():
        rows[module, "kFunction"] = names.split()
    write(rows)


def write(rows):
    print("// Written by tools/list_library_classes.py, which says how; not to be edited.")
    for (module, kind), names in sorted(rows.items(), key=lambda row: (row[0][0].encode(), row[0][1])):
        print(f'TARE_CLASSES("{module}", {kind},')
        line = ""
        lines = []
        for name in sorted(names):
            if len(line) + len(name) > 80:
                lines.append(line)
                line = ""
            line += name + " "
        lines.append(line.rstrip())
        print("\n".join(f'             "{text}"' for text in lines) + ")")


if __name__ == "__main__":
    sys.exit(main())
