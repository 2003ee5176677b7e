#!/usr/bin/env python3
"""Every advisory of advisories.txt is named by the tests of the scanner."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "unit" / "scan_advisories_test.cpp"
ID = re.compile(r"CVE-\d{4}-\d{4,6}|GHSA(?:-[0-9a-z]{4}){3}")


def difference(listed, tested):
    """What is listed and not tested, and what is tested and not listed."""
    names = [line for line in listed.splitlines() if line and not line.startswith("#")]
    wrong = [name for name in names if not ID.fullmatch(name)]
    found = set(ID.findall(tested))
    return wrong + sorted(set(names) - found), sorted(found - set(names)), len(names)


def main():
    listed = (HERE / "advisories.txt").read_text(encoding="ascii")
    tested = TESTS.read_text(encoding="ascii")
    # It can fail: without a test, and without a line of the list.
    first = ID.search(listed).group()
    assert difference(listed, tested.replace(first, ""))[0] == [first]
    assert difference(listed.replace(first + "\n", ""), tested)[1] == [first]
    missing, unlisted, count = difference(listed, tested)
    for name in missing:
        print(f"{name}: no test in {TESTS.name} names it")
    for name in unlisted:
        print(f"{name}: {TESTS.name} names it, advisories.txt does not")
    print(f"{count} advisories, {len(missing)} without a test")
    sys.exit(1 if missing or unlisted or count < 100 else 0)


if __name__ == "__main__":
    main()
