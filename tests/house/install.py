#!/usr/bin/env python3
"""What is installed can be used: the programs of docs/c-api.md are built against an installation, through
pkg-config and through CMake, and print what the page says; every installed header stands by itself.

Usage: install.py BUILD_DIR CMAKE C_COMPILER CXX_COMPILER [SANITIZERS]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "c-api.md"


def blocks(page):
    """{language: code} of the fenced blocks of a page."""
    return dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, re.S | re.M))


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\ngives {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Installation:
    def __init__(self, prefix, arguments):
        self.build, self.cmake, self.cc, self.cxx = arguments[:4]
        self.flags = [f"-fsanitize={arguments[4]}"] if len(arguments) > 4 and arguments[4] else []
        self.prefix = prefix
        run(self.cmake, "--install", self.build, "--prefix", prefix, "--component", "development")
        self.libraries = next(prefix.rglob("libtare.so.0")).parent
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(self.libraries),
                                PKG_CONFIG_PATH=str(self.libraries / "pkgconfig"))

    def files(self):
        return {str(path.relative_to(self.prefix)) for path in self.prefix.rglob("*") if not path.is_dir()}

    def pkg_config(self, *words):
        return run("pkg-config", *words, env=self.environment).split()

    def run(self, *command):
        return run(*command, env=self.environment)


def check_files(installation):
    files = installation.files()
    headers = {f"include/tare/{path.relative_to(ROOT / 'include' / 'tare')}"
               for path in (ROOT / "include" / "tare").rglob("*") if path.is_file()}
    missing = headers - files - {"include/tare/craft.hpp"}
    extra = {name for name in files if name.startswith("include/")} - headers | (files & {"include/tare/craft.hpp"})
    if missing or extra:
        sys.exit(f"headers: {sorted(missing)} are missing, {sorted(extra)} are too many")
    names = {Path(name).name for name in files}
    for name in ("libtare.so", "libtare.so.0", "libtare_cpp.a", "tare.pc", "tare-cpp.pc", "tareConfig.cmake"):
        if name not in names:
            sys.exit(f"{name} is not installed")
    print(f"install: {len(files)} files")


def check_headers(installation):
    """Each header alone, as a stranger includes it."""
    flags = [*installation.pkg_config("--cflags", "tare-cpp"), "-std=c++23", "-Wall", "-Wextra", "-Werror"]
    headers = sorted(name for name in installation.files() if name.endswith(".hpp"))
    for name in headers:
        code = f'#include <{name.removeprefix("include/")}>\n'
        done = subprocess.run([installation.cxx, "-x", "c++", *flags, "-fsyntax-only", "-"], input=code,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{name} does not stand by itself:\n{done.stderr}")
    print(f"install: {len(headers)} headers stand by themselves")


def check_output(what, got, expected):
    if got != expected:
        sys.exit(f"{what} prints\n{got}and not\n{expected}")
    print(f"install: {what} works")


def check_programs(installation, code, folder, how, c_program, cxx_program):
    """The example in C prints what the page says, and that in C++ reads what it wrote."""
    model = folder / f"{how}.safetensors"
    check_output(f"C by {how}", installation.run(c_program, model), code["text"])
    check_output(f"C++ by {how}", installation.run(cxx_program, model), "fc.weight: 24 bytes\n")


def by_pkg_config(installation, code, folder):
    version = installation.pkg_config("--modversion", "tare", "tare-cpp")
    if len(set(version)) != 1:
        sys.exit(f"versions differ: {version}")
    installation.run(installation.cc, "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *installation.flags,
                     folder / "example.c", *installation.pkg_config("--cflags", "--libs", "tare"), "-o", folder / "c")
    installation.run(installation.cxx, "-std=c++23", "-Wall", "-Wextra", "-Werror", *installation.flags,
                     folder / "example.cpp", *installation.pkg_config("--cflags", "--libs", "tare-cpp"), "-o",
                     folder / "cpp")
    check_programs(installation, code, folder, "pkg-config", folder / "c", folder / "cpp")


def by_cmake(installation, code, folder):
    build = folder / "build"
    flags = " ".join(installation.flags)
    installation.run(installation.cmake, "-S", folder, "-B", build, "-G", "Ninja", "--fresh",
                     f"-DCMAKE_PREFIX_PATH={installation.prefix}", f"-DCMAKE_C_COMPILER={installation.cc}",
                     f"-DCMAKE_CXX_COMPILER={installation.cxx}", f"-DCMAKE_C_FLAGS={flags}",
                     f"-DCMAKE_CXX_FLAGS={flags}")
    installation.run(installation.cmake, "--build", build)
    check_programs(installation, code, folder, "CMake", build / "example", build / "example_cpp")
    # Nothing of the C++ library is needed for that of C.
    only_c = folder / "only_c"
    only_c.mkdir()
    (only_c / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES C)\nfind_package(tare 0.1 REQUIRED COMPONENTS c)\n"
        "if(ZLIB_FOUND OR OpenSSL_FOUND)\n  message(FATAL_ERROR \"looks for more\")\nendif()\n", encoding="ascii")
    installation.run(installation.cmake, "-S", only_c, "-B", only_c / "build", "-G", "Ninja",
                     f"-DCMAKE_C_COMPILER={installation.cc}", f"-DCMAKE_PREFIX_PATH={installation.prefix}")
    print("install: find_package(tare COMPONENTS c) works")


def self_test(installation, folder):
    """Without the installation the program cannot be built."""
    done = subprocess.run([installation.cc, "-fsyntax-only", folder / "example.c"], capture_output=True, text=True,
                          check=False)
    if done.returncode == 0 or "tare/tare.h" not in done.stderr:
        sys.exit("self-test: the example compiles without the installed header: this would test another one")
    print("self-test: the example needs the installation")


def main():
    if shutil.which("pkg-config") is None:
        print("SKIPPED: there is no pkg-config here")
        sys.exit(77)
    code = blocks(PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for language, file in (("c", "example.c"), ("cpp", "example.cpp"), ("cmake", "CMakeLists.txt")):
            (folder / file).write_text(code[language], encoding="ascii")
        installation = Installation(folder / "prefix", sys.argv[1:])
        self_test(installation, folder)
        check_files(installation)
        check_headers(installation)
        by_pkg_config(installation, code, folder)
        by_cmake(installation, code, folder)


main()
