#!/usr/bin/env python3
"""Writes src/pickle/unprintable.inc: what repr() of this Python escapes, as ranges of code points.

    /usr/bin/python3 tools/unprintable.py > src/pickle/unprintable.inc
"""

import sys
import unicodedata

RANGES_A_LINE = 5


def ranges():
    first = None
    for code_point in range(sys.maxunicode + 2):
        escaped = code_point <= sys.maxunicode and not chr(code_point).isprintable()
        if escaped and first is None:
            first = code_point
        elif not escaped and first is not None:
            yield first, code_point - 1
            first = None


def main():
    python = ".".join(map(str, sys.version_info[:2]))
    print(f"// Code points that are not printable: {{first, last}}. Unicode {unicodedata.unidata_version},")
    print(f"// as Python {python} has it. Written by tools/unprintable.py.")
    texts = [f"{{0x{first:x}, 0x{last:x}}}," for first, last in ranges()]
    for i in range(0, len(texts), RANGES_A_LINE):
        print(" ".join(texts[i : i + RANGES_A_LINE]))


main()
