"""Runs the real torch.load inside the sandbox of tare-demo and writes down what happened.

Usage: loader.py RESULT.json MODE [ARGUMENT ...]. What the loaded file itself prints goes to stdout;
what this script saw goes to RESULT.json, so that the two cannot be mixed up.
"""

import json
import resource
import sys
import time
import warnings


def first_line(error):
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def probe(torch, _arguments):
    return {"version": torch.__version__}


def load(torch, arguments):
    path, weights_only = arguments
    try:
        value = torch.load(path, weights_only=weights_only == "True")
    except Exception as error:  # whatever the file makes the loader raise is the observation
        return {"loaded": False, "error": first_line(error)}
    return {"loaded": True, "type": type(value).__name__}


def linear(torch, arguments):
    """The same layer as the demo's, with an independent reading of the safetensors file."""
    model, image = arguments
    with open(model, "rb") as file:
        data = file.read()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = bytearray(data[8 + length + begin : 8 + length + end])
        weights[name] = torch.frombuffer(raw, dtype=torch.float32).reshape(entry["shape"])
    with open(image, "rb") as file:
        pixels = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(1, -1)
    output = torch.nn.functional.linear(pixels, weights["fc.weight"], weights["fc.bias"])
    return {"shape": list(output.shape), "output": output.flatten().tolist()}


def measure(torch, arguments):
    """Times opening a state dict, then reading every byte of it."""
    start = time.perf_counter()
    state = torch.load(arguments[0])
    opened = time.perf_counter()
    checksum = sum(int(tensor.view(torch.int32).sum()) for tensor in state.values())
    touched = time.perf_counter()
    return {
        "open": opened - start,
        "touch": touched - start,
        "checksum": checksum % 2**32,
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def main():
    result_path, mode, *arguments = sys.argv[1:]
    warnings.simplefilter("ignore")
    try:
        import torch
    except ImportError as error:
        result = {"missing": str(error)}
    else:
        result = {"probe": probe, "load": load, "linear": linear, "measure": measure}[mode](
            torch, arguments
        )
    with open(result_path, "w", encoding="utf-8") as file:
        json.dump(result, file)


main()
