#!/usr/bin/env python3
"""The false-alarm rate: tare on files that are known to be harmless.

    python3 tests/real/benign.py FOLDER...

A folder is one of make_files.py (its manifest says which files are hostile: those are left out) or
of make_benign.py. Prints each file that is not safe with its findings, then a line for each kind of
file and the rate. Files of classes that only the test has (studio.py, kinds_*.py) are counted
apart: they are unknown, and are to be suspicious. TARE: the program, as in ../cli/harness.py.
"""

import collections
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cli"))

from harness import TARE  # noqa: E402

# Modules of the tests themselves.
OURS = ("studio.", "kinds_", "__torch__.kinds_")
# Layouts made by hand that no tool writes as it is, or that loaders read differently.
ODD = ("hostile.", "layout.", "refused.")


def files_of(folder):
    """(kind, path) of the harmless files below a folder."""
    manifest = os.path.join(folder, "manifest.json")
    if not os.path.exists(manifest):
        with open(os.path.join(folder, "made.txt"), encoding="utf-8") as file:
            return [(name, os.path.join(folder, name)) for name in file.read().split("\n") if name]
    with open(manifest, encoding="ascii") as file:
        cases = json.load(file)["cases"]
    found = {case["path"]: case["kind"] for case in cases
             if "hostile" not in case and not case["kind"].startswith(ODD)}
    files = []
    for path, kind in found.items():
        whole = os.path.join(folder, path)
        if os.path.isfile(whole):
            files.append((kind, whole))
        for inside, _, names in os.walk(whole):
            files += [(kind, os.path.join(inside, name)) for name in sorted(names)]
    return files


def scanned(paths):
    done = subprocess.run([TARE, "scan", "--format", "json", *paths], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=600, check=False)
    return {report["path"]: report for report in json.loads(done.stdout)["files"]}


def is_ours(report):
    """True if a class of the tests is among what is not known."""
    texts = [f["detail"] + f.get("evidence", "") for f in report["findings"]]
    return any(word in text for text in texts for word in OURS)


def main():
    files = [file for folder in sys.argv[1:] for file in files_of(folder)]
    reports = scanned([path for _, path in files])
    kinds = collections.defaultdict(collections.Counter)
    for kind, path in files:
        report = reports[path]
        if "verdict" not in report:
            continue  # no format of tare's: nothing is claimed
        verdict = report["verdict"]
        if verdict != "safe":
            verdict = "unknown class of the tests" if is_ours(report) else "false alarm"
            print(f"{verdict}: {path}: {report['verdict']}")
            for text in sorted({f"{f['rule']} {f['detail']}" for f in report["findings"]})[:8]:
                print(f"    {text}")
        kinds[kind.split(".")[0]][verdict] += 1
    total = collections.Counter()
    for kind, counts in sorted(kinds.items()):
        total.update(counts)
        print(f"{kind:24} " + ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())))
    judged = total["safe"] + total["false alarm"]
    print(f"{total['false alarm']} of {judged} harmless files are not safe "
          f"({100 * total['false alarm'] / max(judged, 1):.1f} %); "
          f"{total['unknown class of the tests']} more have classes that nobody can know")


if __name__ == "__main__":
    main()
