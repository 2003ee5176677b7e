#!/usr/bin/env python3
"""Makes model files with the real packages of this Python, and a manifest of what is in them.

    python3 make_files.py OUT_DIR [--only KIND]

OUT_DIR/manifest.json: `maker`, versions of the packages; `cases`, one for each conversion of a file
(kinds.py says what they hold); `skipped`, kinds that this Python cannot make, and why; `broken`,
kinds that should have been made and were not, with the traceback. --only: kinds whose name matches
this regular expression.
"""

import argparse
import importlib
import json
import os
import platform
import re
import sys
import warnings

import torch

import kinds

MODULES = [
    "kinds_zip", "kinds_layout", "kinds_dtypes", "kinds_special", "kinds_select", "kinds_training",
    "kinds_modules", "kinds_legacy", "kinds_script", "kinds_folders", "kinds_numpy", "kinds_joblib",
    "kinds_sklearn", "kinds_hostile",
]


def versions():
    found = {"python": platform.python_version()}
    for module in ("torch", "numpy", "safetensors", "joblib", "scipy", "sklearn", "lz4"):
        try:
            found[module] = importlib.import_module(module).__version__
        except (ImportError, AttributeError):
            pass
    return found


def make_all(folder, only):
    manifest = {"maker": versions(), "cases": [], "skipped": {}, "broken": {}}
    for name in kinds.REGISTRY:
        if not re.search(only, name):
            continue
        cases, skipped, broken = kinds.make_kind(name, folder)
        manifest["cases"] += cases
        if skipped:
            manifest["skipped"][name] = skipped
        if broken:
            manifest["broken"][name] = broken
    return manifest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="OUT_DIR")
    parser.add_argument("--only", metavar="KIND", default="", help="kinds that match this pattern")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of torch, about its own formats
    torch.set_num_threads(1)  # kinds_folders.py forks
    for module in MODULES:
        importlib.import_module(module)
    folder = os.path.abspath(arguments.folder)
    os.makedirs(folder, exist_ok=True)
    manifest = make_all(folder, arguments.only)
    with open(os.path.join(folder, "manifest.json"), "w", encoding="ascii") as file:
        json.dump(manifest, file, indent=1)
    print(f"{len(manifest['cases'])} cases, {len(manifest['skipped'])} skipped, "
          f"{len(manifest['broken'])} broken")
    for name, text in manifest["broken"].items():
        print(f"{name}: {text}", file=sys.stderr)
    sys.exit(1 if manifest["broken"] else 0)


if __name__ == "__main__":
    main()
