"""Compares the pickle machine with CPython's two unpicklers, stream by stream.

Usage: differential.py EVENTS_PROGRAM TARE [--streams N] [--seed S]

The machine must be at least as lenient as both: what an unpickler imported and called before it ended
must be how the machine's events begin, and where an unpickler reached STOP the machine must reach the
same STOP with the same events. Where the machine goes on and an unpickler does not, that is leniency;
it is counted by what the unpickler said.
"""

import argparse
import collections
import gc
import random
import re
import resource
import struct
import subprocess
import sys

import recorder
import streams


def decode_name(text):
    """None for a name that the stream computes. Python 2 strings are decoded as the recorder does."""
    if text == "?":
        return None
    data = bytes.fromhex(text[1:])
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin1")


def run_machine(program, batch):
    data = b"".join(struct.pack("<I", len(s)) + s for s in batch)
    done = subprocess.run([program], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} failed: {done.stderr.decode()}")
    results = []
    events = []
    for line in done.stdout.decode().splitlines():
        word, *rest = line.split(" ")
        if word == "end":
            results.append((events, rest[0], int(rest[1])))
            events = []
        elif word == "import":
            events.append(("import", *map(decode_name, rest)))
        elif word in ("call", "build", "persistent"):
            events.append((word,))
    assert len(results) == 2 * len(batch)
    return list(zip(results[::2], results[1::2]))


def same(theirs, ours):
    """Names that the stream computes are unknown to the machine."""
    return theirs == ours or (theirs[0] == ours[0] == "import" and None in ours)


def begins_with(ours, theirs):
    return len(theirs) <= len(ours) and all(same(t, o) for t, o in zip(theirs, ours))


def compare(machine, reference, stream):
    """None if they agree, a class of leniency, or a text that starts with FAULT."""
    ours, end, offset = machine
    if not begins_with(ours, reference.events):
        return f"FAULT: other events: {reference.events} but {ours}"
    if reference.end == "STOP":
        # A frame is read from the file in one go: the position says nothing then.
        framed = b"\x95" in stream
        if end != "STOP" or (offset != reference.file.tell() and not framed):
            return f"FAULT: STOP at {reference.file.tell()}, the machine {end} at {offset}"
        if len(ours) != len(reference.events):
            return f"FAULT: events that did not happen: {ours[len(reference.events):]}"
        return None
    if end == "BROKEN" and len(ours) == len(reference.events):
        return None
    # It goes on where the unpickler did not. By what the unpickler said, without the particulars.
    return re.sub(r"'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|\d+|<[^>]*>|b'.*|[^\x20-\x7e].*", "_", reference.error)[:70]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("tare")
    parser.add_argument("--streams", type=int, default=30000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)

    recipes = list(streams.crafted(arguments.tare))
    variants = list(streams.variants())
    if len(recipes) < 160 or set(recipes) & set(variants):
        sys.exit("streams of `tare craft` are missing, or there are two sources for one")
    of_objects = list(streams.of_objects(rng, arguments.streams // 6))
    generated = list(streams.generated(rng, arguments.streams // 3))
    pool = recipes + variants + of_objects[:2000] + generated[:2000]
    mutated = list(streams.mutated(rng, pool, arguments.streams // 2))
    batch = recipes + variants + of_objects + generated + mutated
    machine = run_machine(arguments.program, batch)
    # A memo of gigabytes (LONG_BINPUT) is to end in MemoryError. From here on only: tare inherits the
    # limit, and a sanitizer needs terabytes of addresses.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    classes = {"C": collections.Counter(), "Python": collections.Counter()}
    stops = collections.Counter()
    faults = 0
    for number, (stream, result) in enumerate(zip(batch, machine)):
        if number % 500 == 0:
            gc.collect()  # every class that the recorder makes is a cycle
        # The C unpickler reads from a file object here; pickle.py fails where that matters.
        for name, unpickler, reading in (("C", recorder.C, 1), ("Python", recorder.PYTHON, 0)):
            reference = recorder.record(unpickler, stream)
            stops[name] += reference.end == "STOP"
            difference = compare(result[reading], reference, stream)
            if difference and difference.startswith("FAULT"):
                faults += 1
                if faults <= 20:
                    print(f"{name}: {stream!r}\n  {difference[:500]}\n  {getattr(reference, 'error', '')}")
            elif difference:
                classes[name][difference] += 1
    print(f"{len(batch)} streams: {len(recipes)} crafted, {len(variants)} variants, "
          f"{len(of_objects)} of objects, {len(generated)} generated, {len(mutated)} mutated")
    for name, counter in classes.items():
        print(f"{name}: STOP reached by {stops[name]}; the machine goes on where it fails: "
              f"{sum(counter.values())}")
        for text, count in counter.most_common(40):
            print(f"  {count:6} {text}")
    print(f"faults: {faults}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
