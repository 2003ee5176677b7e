"""Saves that fail or are killed: the old file or the new one, never a half one.

A shim (fault_shim.cpp, preloaded) makes the N-th system call of a save fail, for every N until a
save runs through untouched. Then 200 saves are killed at random moments.
"""

import errno
import os
import random
import signal
import statistics
import subprocess
import time
import unittest

from harness import (
    TARE,
    Storage,
    TareTest,
    Tensor,
    has_nameless_files,
    is_writing,
    pickle_checkpoint,
    write_checkpoint,
)

SHIM = os.environ.get(
    "TARE_FAULT_SHIM", os.path.join(os.path.dirname(TARE), "tests/cli/libtare_fault_shim.so")
)
OUT = "out.safetensors"
CAST = ("--dtype", "f16")
# What happens after the new file has its name.
AFTER = "fsync of the directory"


def preloaded(fault="", log=""):
    environment = dict(os.environ, LD_PRELOAD=os.path.abspath(SHIM), TARE_FAULT=fault, TARE_FAULT_LOG=log)
    # AddressSanitizer wants to be the first library; behind the shim it works as well.
    environment["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")
    return environment


@unittest.skipUnless(os.path.exists(SHIM), f"SKIPPED: the shim is not built: {SHIM}")
class SaveFaults(TareTest):
    def setUp(self):
        super().setUp()
        self.nameless = has_nameless_files(self.folder)

    def checkpoint(self, name, elements, seed):
        data = random.Random(seed).randbytes(4 * elements)
        value = {"w": Tensor(Storage("FloatStorage", "0", data, elements), 0, (elements,), (1,))}
        write_checkpoint(self.path(name), pickle_checkpoint(value), {"0": data})

    def convert(self, name, output, *flags, **options):
        return self.tare("convert", name, "-o", output, "--overwrite", *flags, **options)

    def content(self, name=OUT):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def temporaries(self):
        return [name for name in self.files() if name.startswith(".tare-")]

    def remove_temporaries(self):
        for name in self.temporaries():
            os.unlink(self.path(name))

    def expected_output(self, name, *flags):
        self.convert(name, "expected", *flags, expect=0)
        content = self.content("expected")
        os.unlink(self.path("expected"))
        return content

    def save_with(self, number, fault, old, flags):
        """One save with a fault at the N-th call. Returns the call it hit, "" if there are fewer."""
        if old is None:
            if os.path.exists(self.path(OUT)):
                os.unlink(self.path(OUT))
        else:
            self.write(OUT, old)
        log = self.path("log")
        done = self.convert("in.pt", OUT, *flags, env=preloaded(f"{number}:{fault}", log))
        if not os.path.exists(log):
            return done, ""
        with open(log, encoding="ascii") as file:
            call = file.read()
        os.unlink(log)
        return done, call

    def check_fault(self, done, call, fault, old, new):
        what = f"{call} with {fault}: exit {done.returncode}, {done.stderr}"
        content = self.content()
        if fault == "kill" and call:
            self.assertEqual(done.returncode, -signal.SIGKILL, what)
            self.assertTrue(content == (new if call == AFTER else old), what)
            if self.nameless and call not in ("close", "rename"):
                self.assertEqual(self.temporaries(), [], what)
            self.remove_temporaries()
            return
        self.assertEqual(self.temporaries(), [], what)
        # Half a write is no error; the rest follows. Nor is a call that some file systems lack.
        unknown = fault == errno.EINVAL and call in ("pwrite", "fallocate", "copy_file_range", AFTER)
        if fault == "short" or unknown or call in ("", "open"):
            self.assertEqual(done.returncode, 0, what)
            self.assertTrue(content == new, what)
            return
        self.assertEqual(done.returncode, 2, what)
        self.assert_one_line_error(done, OUT, os.strerror(fault))
        self.assertTrue(content == (new if call == AFTER else old), what)

    # A file has no name until it is whole, where the file system can do that.
    def calls_of(self, *ways):
        linked = ["linkat"] if self.nameless else []
        return ["open", "fchmod", *ways, "fsync", *linked, "close", "rename", AFTER]

    def every_call(self, faults, old, *flags):
        """Faults in turn, or each one, at every call; returns the calls."""
        new = self.expected_output("in.pt", *flags)
        self.assertNotEqual(old, new)
        calls = []
        for number in range(1, 200):
            for fault in faults(number):
                done, call = self.save_with(number, fault, old, flags)
                self.check_fault(done, call, fault, old, new)
            calls.append(call)
            if not call:
                return calls[:-1]
        self.fail("the save never runs through")
        return None

    # What is as it was goes from file to file, what is not (CAST) through this process.
    def test_small_files(self):
        self.checkpoint("in.pt", 600_000, 1)
        faults = (errno.ENOSPC, errno.EIO, "short", "kill")
        for old in (None, b"precious"):
            for flags, ways in (((), ["write", "copy_file_range"]), (CAST, ["write", "write", "write"])):
                calls = self.every_call(lambda _: faults, old, *flags)
                self.assertEqual(calls, self.calls_of(*ways))

    # Past the page cache, in blocks: the faults take turns, so that it is done in seconds.
    def test_large_files(self):
        self.checkpoint("in.pt", 36 << 20, 2)
        faults = (errno.ENOSPC, "kill", errno.EIO, "short", errno.EINVAL)
        calls = self.every_call(lambda n: [faults[n % len(faults)]], b"precious", "--no-verify", *CAST)
        self.assertEqual(calls, self.calls_of("fallocate", *calls[3 : calls.index("fsync")]))
        self.assertGreater(calls.count("pwrite"), 15)

    def test_large_files_from_file_to_file(self):
        self.checkpoint("in.pt", 18 << 20, 2)
        faults = (errno.ENOSPC, "kill", errno.EIO, "short", errno.EINVAL)
        calls = self.every_call(lambda n: [faults[n % len(faults)]], b"precious")
        self.assertEqual(calls, self.calls_of("write", *calls[3 : calls.index("fsync")]))
        self.assertGreater(calls.count("copy_file_range"), 15)

    # The file system reserves no space, does no direct writes, or copies no ranges.
    def test_large_files_without_help(self):
        self.checkpoint("in.pt", 36 << 20, 2)
        for number, call, flags in (
            (3, "fallocate", ("--no-verify", *CAST)),
            (4, "pwrite", ("--no-verify", *CAST)),
            (4, "copy_file_range", ()),
        ):
            new = self.expected_output("in.pt", *flags)
            done, hit = self.save_with(number, errno.EINVAL, b"precious", flags)
            self.assertEqual(hit, call)
            self.check_fault(done, hit, errno.EINVAL, b"precious", new)

    def test_killed_at_any_moment(self):
        self.checkpoint("a.pt", 500_000, 1)
        self.checkpoint("b.pt", 750_000, 2)
        whole = [self.expected_output("a.pt"), self.expected_output("b.pt")]
        times = []
        for _ in range(3):
            start = time.monotonic()
            self.convert("a.pt", OUT, expect=0)
            times.append(time.monotonic() - start)
        moments = random.Random(3)
        killed, unfinished, replaced = 0, 0, 0
        before = 0
        for turn in range(200):
            command = [os.path.abspath(TARE), "convert", ("b.pt", "a.pt")[turn % 2], "-o", OUT, "--overwrite"]
            process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
            time.sleep(moments.uniform(0, 1.5 * statistics.median(times)))
            writing = is_writing(process, self.folder)
            process.kill()
            was_killed = process.wait() == -signal.SIGKILL
            killed += was_killed
            unfinished += was_killed and writing
            content = self.content()
            self.assertTrue(content in whole, f"turn {turn}: neither the old file nor the new one")
            after = whole.index(content)
            replaced += after != before
            before = after
            self.remove_temporaries()
        print(f"200 saves: {killed} killed, {unfinished} of them while writing; {replaced} replaced the file")
        # The moments hit what they are meant for.
        self.assertGreater(killed, 20)
        self.assertGreater(unfinished, 0)


if __name__ == "__main__":
    unittest.main()
