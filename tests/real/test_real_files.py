#!/usr/bin/env python3
"""tare on files that the real packages made: each is converted, listed and hashed, and must give
what the real loader gave. make_files.py makes the files, once for each Python that has torch.

    python3 test_real_files.py [unittest options]
    python3 test_real_files.py --report [--only KIND] [--files DIR]

--report prints one line for each kind in place of running unittest. --only: kinds whose name
matches this regular expression; --files: keep the files there, and use those that are there.
TARE and TARE_TORCH_PYTHONS are those of ../cli/harness.py.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cli"))

from harness import TARE, read_safetensors, torch_pythons  # noqa: E402

PROGRAM = os.path.abspath(TARE)
# These make every kind that they are said to make. Others may have lost one of them meanwhile.
KNOWN_TORCH = ("1.13", "2.13")


# ---- the files


class Made:
    """The files of one Python: their folder, and what the manifest says of them."""

    def __init__(self, version, folder):
        self.maker, self.folder = f"torch {version}", folder
        with open(os.path.join(folder, "manifest.json"), encoding="ascii") as file:
            manifest = json.load(file)
        self.cases, self.skipped = manifest["cases"], manifest["skipped"]
        self.broken = manifest["broken"]
        self.is_known = version.rsplit(".", 1)[0] in KNOWN_TORCH


def is_fresh(manifest):
    """Made by the scripts as they are now."""
    scripts = [os.path.join(HERE, name) for name in os.listdir(HERE) if name.endswith(".py")]
    return os.path.exists(manifest) and os.path.getmtime(manifest) > max(
        map(os.path.getmtime, scripts))


def make(python, version, parent, only):
    folder = os.path.join(parent, f"torch-{version}")
    manifest = os.path.join(folder, "manifest.json")
    if not is_fresh(manifest):
        shutil.rmtree(folder, ignore_errors=True)
        done = subprocess.run(
            [python, "-B", os.path.join(HERE, "make_files.py"), folder, "--only", only],
            capture_output=True, text=True, timeout=240, check=False)
        if not os.path.exists(manifest):
            raise AssertionError(f"{python} makes no files:\n{done.stderr}")
    return Made(version, folder)


def make_all(parent, only=""):
    """The files of every Python that has torch, made side by side."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [pool.submit(make, *found, parent, only) for found in torch_pythons()]
        return [job.result() for job in jobs]


# ---- what tare makes of one


def run(made, *arguments):
    return subprocess.run(
        [PROGRAM, *arguments], cwd=made.folder, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False)


def told(done):
    """What a command said first, in one line."""
    lines = (done.stderr or done.stdout).strip().splitlines() or ["nothing said"]
    return f"exit {done.returncode}: {lines[0].removeprefix('tare: ')}"


def differences(expected, found):
    """Between two maps of names to (dtype, shape, sha256)."""
    missing = [name for name in expected if name not in found]
    if missing:
        yield f"{len(missing)} tensors missing, first {missing[0]!r} (has {list(found)[:3]})"
    more = [name for name in found if name not in expected]
    if more:
        yield f"{len(more)} tensors not expected, first {more[0]!r}"
    for name in expected.keys() & found.keys():
        for what, wanted, got in zip(("dtype", "shape", "bytes"), expected[name], found[name]):
            if wanted is not None and got is not None and wanted != got:
                yield f"{name!r}: {what} {got}, not {wanted}"


def wanted_tensors(case):
    return {t["name"]: (t["dtype"], t["shape"], t["sha256"]) for t in case["tensors"]}


def output_problems(case, output):
    """What is wrong with a written file."""
    tensors, metadata = read_safetensors(output)
    found = {n: (d, s, hashlib.sha256(b).hexdigest()) for n, (d, s, b) in tensors.items()}
    yield from differences(wanted_tensors(case), found)
    wanted = {"format": "pt", **case["removed"]}
    if metadata != wanted:
        yield f"metadata {metadata}, not {wanted}"
    with open(output, "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != case["file_sha256"]:
            yield f"the file is not byte for byte that of {case['writer']}"


def words_missing(case, words, text):
    """Which of the regular expressions tare does not say; the name of the file does not count."""
    said = text.replace(case["path"], "FILE")
    return [word for word in words if not re.search(word, said, re.IGNORECASE)]


def converted(made, case, output):
    done = run(made, "convert", case["path"], "-o", output, *case["arguments"])
    if done.returncode != 0:
        yield f"convert: {told(done)}"
        return
    yield from output_problems(case, output)
    for word in words_missing(case, case["dropped"], done.stdout + done.stderr):
        yield f"convert does not tell that {word} is dropped"


def case_key(case):
    """The key that a conversion is told to take."""
    arguments = case["arguments"]
    return arguments[arguments.index("--key") + 1] if "--key" in arguments else None


def listed(made, case, verb):
    """What `tare inspect` or `tare hash` lists: the output, and perhaps the names tied to it."""
    done = run(made, verb, "--json", case["path"])
    try:
        tensors = json.loads(done.stdout)["tensors"]
    except (ValueError, KeyError):
        yield f"{verb}: {told(done)}"
        return
    found = {t["name"]: (t["dtype"], t["shape"], t.get("sha256")) for t in tensors}
    wanted = wanted_tensors(case)
    if verb == "inspect":
        # It lists everything by its whole path; the model is under a key of it.
        key = case_key(case) or json.loads(done.stdout)["key"]
        prefix = f"{key}." if key and key != "." else ""
        found = {n.removeprefix(prefix): t for n, t in found.items() if n.startswith(prefix)}
        found = {n: t for n, t in found.items() if n in wanted or n in case["removed"]}
    for removed, kept in case["removed"].items():
        if removed in found:
            wanted[removed] = wanted[kept]
    for problem in differences(wanted, found):
        yield f"{verb}: {problem}"


def refused(made, case, output):
    """A conversion that must not be."""
    wanted = case["refused"]
    done = run(made, "convert", case["path"], "-o", output, *case["arguments"])
    if done.returncode != wanted["code"]:
        yield f"convert: {told(done)}; expected exit {wanted['code']}"
    for word in words_missing(case, wanted["words"], done.stderr):
        yield f"convert: no {word!r} in its message: {told(done)}"
    if os.path.exists(output):
        yield "convert left an output"


def state_of(path):
    """What a payload could change of a file."""
    if path is None or not os.path.exists(path):
        return None
    stat = os.stat(path)
    return stat.st_mode, stat.st_size, stat.st_mtime_ns


def hostile(made, case, output):
    wanted = case["hostile"]
    before = state_of(wanted["watch"])
    done = run(made, "scan", case["path"])
    if done.returncode != 1:
        yield f"scan: {told(done)}; expected exit 1"
    for word in words_missing(case, wanted["words"], done.stdout):
        yield f"scan: does not say {word!r}: {done.stdout.strip().splitlines()[:2]}"
    done = run(made, "convert", case["path"], "-o", output)
    if done.returncode != 1:
        yield f"convert: {told(done)}; expected exit 1"
    if os.path.exists(output):
        yield "convert left an output"
    for verb in ("inspect", "hash", "check"):
        run(made, verb, case["path"])
    if state_of(wanted["watch"]) != before:
        yield f"THE FILE ACTED: {wanted['watch']} changed"


def wrong(made, case, output):
    """All that is wrong with tare on one file."""
    if "hostile" in case:
        yield from hostile(made, case, output)
    elif "refused" in case:
        yield from refused(made, case, output)
    else:
        yield from converted(made, case, output)
        if not case["arguments"]:
            yield from listed(made, case, "inspect")
            yield from listed(made, case, "hash")


def problems(made, case, output):
    try:
        return list(wrong(made, case, output))
    except Exception as error:  # such as an output that is no safetensors file
        return [f"{type(error).__name__}: {error}"]


def check_all(every):
    """(made, case, problems) of every case of every Python, in order."""
    if not os.access(PROGRAM, os.X_OK):
        raise AssertionError(f"{PROGRAM}: no program to test (TARE)")
    jobs = [(made, case) for made in every for case in made.cases]
    with tempfile.TemporaryDirectory() as outputs, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = [os.path.join(outputs, f"{i}.safetensors") for i in range(len(jobs))]
        results = pool.map(lambda job, path: problems(*job, path), jobs, paths)
        return [(*job, found) for job, found in zip(jobs, results)]


class RealFiles(unittest.TestCase):
    """Each kind of file is a subtest."""

    def test_every_kind(self):
        if not torch_pythons():
            self.skipTest("SKIPPED: no Python here has torch (python3-torch)")
        with tempfile.TemporaryDirectory() as parent:
            every = make_all(parent)
            for made in every:
                self.check_manifest(made)
            for made, case, found in check_all(every):
                with self.subTest(kind=case["kind"], maker=made.maker):
                    if found:
                        self.fail("\n".join(found))

    def check_manifest(self, made):
        """Enough was made, and nothing failed to be made."""
        for name, reason in made.skipped.items():
            print(f"SKIPPED: {name} by {made.maker}: {reason}")
        for name, text in made.broken.items():
            if made.is_known:
                with self.subTest(kind=name, maker=made.maker):
                    self.fail(f"the kind could not be made:\n{text}")
            else:
                print(f"SKIPPED: {name} by {made.maker}: {text.strip().splitlines()[-1]}")
        for case in made.cases:
            if "hostile" in case:
                verdict = "acted" if case["hostile"]["acted"] else "did not act"
                print(f"{case['kind']}: the loader of {made.maker} {verdict}")
        self.assertGreaterEqual(len(made.cases), 200)


# ---- the table


def report(only, folder):
    with tempfile.TemporaryDirectory() as temporary:
        every = make_all(folder or temporary, "" if folder else only)
        for made in every:
            made.cases = [case for case in made.cases if re.search(only, case["kind"])]
        results = check_all(every)
    for made in every:
        for name, reason in made.skipped.items():
            if re.search(only, name):
                print(f"{name:44} {made.maker:18} SKIPPED: {reason}")
        for name, text in made.broken.items():
            print(f"{name:44} {made.maker:18} NOT MADE: {text.strip().splitlines()[-1]}")
    for made, case, found in results:
        print(f"{case['kind']:44} {made.maker:18} {found[0] if found else 'ok'}")
    bad = sum(bool(found) for _, _, found in results)
    print(f"{len(results) - bad} of {len(results)} ok")
    return 1 if bad or any(made.broken for made in every) else 0


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--files")
    arguments, others = parser.parse_known_args()
    if arguments.report:
        sys.exit(report(arguments.only, arguments.files))
    unittest.main(argv=[sys.argv[0], *others])


if __name__ == "__main__":
    main()
