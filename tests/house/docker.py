#!/usr/bin/env python3
"""The Dockerfile, read as text: what docker build . -t tare && docker run --rm tare demo rests on.

With --image: building it. That takes a Docker engine, the network and minutes, so it is a thing
for people to do; this says what stands in its way here and exits 77.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALLERS = {"apt", "apt-get", "aptitude", "dpkg", "pip", "pip3", "conda", "curl", "wget"}


def instructions(text):
    """[(INSTRUCTION, arguments)], comments gone and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    result = []
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            result.append((word.upper(), rest.strip()))
    return result


def commands(text):
    """The simple commands of RUN instructions, each a list of words."""
    for word, rest in instructions(text):
        if word == "RUN":
            for command in re.split(r"&&|\|\||[;|&]", rest):
                if command.split():
                    yield command.split()


def faults_of(text, packages):
    faults = []
    steps = instructions(text)
    names = [word for word, _ in steps]
    stages = [i for i, name in enumerate(names) if name == "FROM"]
    if len(stages) < 2:
        faults.append("one stage only: the compiler would be part of the image")
        return faults
    last = steps[stages[-1]:]

    for command in commands(text):
        if command[0] in INSTALLERS:
            faults.append(f"installs by itself: {' '.join(command)}")
        # The first word is a program: `make` may be called, but only ./bootstrap installs it.
        named = packages & set(command[1:])
        if named:
            faults.append(f"names the packages {sorted(named)}: only ./bootstrap does")
    for i, stage in enumerate(stages):
        end = (stages + [len(steps)])[i + 1]
        body = "\n".join(f"{word} {rest}" for word, rest in steps[stage:end])
        if not any(command[0].endswith("/bootstrap") for command in commands(body)):
            faults.append(f"stage {i + 1} does not run ./bootstrap")

    def only(name):
        values = [rest for word, rest in last if word == name]
        return values[-1] if values else None

    for name, wanted in (("ENTRYPOINT", ["tare"]), ("CMD", ["--help"])):
        try:
            value = json.loads(only(name) or "null")
        except ValueError:
            value = None  # the form without brackets, which starts a shell
        if value != wanted:
            faults.append(f"{name} is {only(name)}, not {json.dumps(wanted)}")
    user = only("USER")
    if user is None or re.split("[: ]", user)[0] in ("root", "0"):
        faults.append(f"the image runs as {user or 'root'}")
    if not (only("WORKDIR") or "").startswith("/home/"):
        faults.append("WORKDIR is not the home of the user, who could not write there")
    copied = " ".join(rest for word, rest in last if word == "COPY" and "--from=build" in rest)
    for program in ("tare", "tare-fetch", "tare-demo"):
        if f"/{program} " not in copied or not copied.endswith(" /usr/local/bin/"):
            faults.append(f"{program} is not copied to /usr/local/bin/")
    return faults


# What the test must notice: a text of the Dockerfile, and what takes its place.
MUTATIONS = [
    ("RUN ./bootstrap build", "RUN apt-get update && apt-get install -y build-essential"),
    ("RUN ./bootstrap build", "RUN ./bootstrap build && ./get libfmt-dev"),
    ("RUN ./bootstrap build", "RUN true"),
    ("USER tare\n", ""),
    ("USER tare\n", "USER root\n"),
    ('ENTRYPOINT ["tare"]', "ENTRYPOINT tare"),
    ('CMD ["--help"]', ""),
    ("FROM debian:bookworm-slim\n", ""),
    ("/src/build/release/tare-demo ", ""),
    ("/src/build/release/tare-fetch ", ""),
    ("WORKDIR /home/tare", "WORKDIR /"),
]


def check_text():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    listing = subprocess.run(
        [ROOT / "bootstrap", "--list", "build", "test", "demo", "run", "dev"],
        check=True, capture_output=True, text=True)
    packages = set(listing.stdout.split())
    for old, new in MUTATIONS:
        if old not in text:
            sys.exit(f"self-test: the Dockerfile has no {old!r} any more: adapt MUTATIONS")
        if not faults_of(text.replace(old, new), packages):
            sys.exit(f"self-test: {old!r} replaced by {new!r} is not noticed")
    print(f"self-test: all {len(MUTATIONS)} changes for the worse are noticed")

    faults = faults_of(text, packages)
    for fault in faults:
        print(f"Dockerfile: {fault}")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for name in (".git", "build"):
        if name not in ignored:
            faults.append(name)
            print(f".dockerignore: {name} goes into the image")
    print(f"docker: {len(instructions(text))} instructions, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def check_image():
    if shutil.which("docker") is None:
        reason = "there is no docker here"
    elif subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        reason = "docker has no engine here"
    else:
        reason = "do it by hand: docker build . -t tare && docker run --rm tare demo"
    print(f"SKIPPED: building the image: {reason}")
    sys.exit(77)


if sys.argv[1:] == ["--image"]:
    check_image()
else:
    check_text()
