"""tare scan over folders and many files: what is found, in which order, what is counted, how it ends."""

import json
import os
import pickle
import pty
import resource
import shutil
import socket
import subprocess
import threading
import time
import unittest

from harness import TARE, TareTest

EVIL = b"cos\nsystem\n(S'id'\ntR."
ODD = b"cmy_lib\nThing\n."


def pickled(value=1):
    return pickle.dumps([value], 4)


class WalkTest(TareTest):
    def fill(self, files):
        """Writes {path: content} below the folder of the test."""
        for path, content in files.items():
            os.makedirs(os.path.dirname(self.path(path)) or ".", exist_ok=True)
            self.write(path, content)

    def scan(self, *arguments, expect=None, **options):
        return self.tare("scan", *arguments, expect=expect, **options)

    def report(self, *arguments, expect=0):
        return json.loads(self.scan("--format", "json", *arguments, expect=expect).stdout)

    def paths(self, *arguments, expect=0):
        return [file["path"] for file in self.report(*arguments, expect=expect)["files"]]

    def verdicts(self, *arguments, expect=0):
        return {file["path"]: file.get("verdict", file.get("error"))
                for file in self.report(*arguments, expect=expect)["files"]}


class Paths(WalkTest):
    def test_folders_are_walked_in_the_order_of_names(self):
        self.fill({"t/b/1.pkl": pickled(), "t/a.pkl": pickled(), "t/b/0/x.pkl": pickled(),
                   "t/b.pkl": pickled(), "t/.hidden/h.pkl": pickled()})
        self.assertEqual(self.paths("t"), ["t/.hidden/h.pkl", "t/a.pkl", "t/b/0/x.pkl", "t/b/1.pkl",
                                           "t/b.pkl"])
        self.assertEqual(self.paths("t///"), self.paths("t"))
        self.assertEqual(self.paths("./t")[0], "./t/.hidden/h.pkl")
        self.assertEqual(len(self.paths(self.folder)), 5)

    def test_patterns_are_expanded_if_no_file_is_called_so(self):
        self.fill({"t/a.pkl": pickled(), "t/b.pkl": pickled(), "t/[x].pkl": pickled(), "t/x.pkl": EVIL})
        self.assertEqual(self.paths("t/[ab].pkl"), ["t/a.pkl", "t/b.pkl"])
        self.assertEqual(self.paths("t/[x].pkl"), ["t/[x].pkl"])
        done = self.scan("t/*.pt", expect=2)
        self.assert_one_line_error(done, "t/*.pt", "no file has such a name")

    def test_lists_by_lines_and_by_nul(self):
        self.fill({"t/a.pkl": pickled(), "t/b\nc.pkl": pickled(), "t/d/e.pkl": pickled()})
        self.write("lines", b"t/a.pkl\n\nt/d")
        self.assertEqual(self.paths("--files-from", "lines"), ["t/a.pkl", "t/d/e.pkl"])
        self.write("nul", b"t/b\nc.pkl\0t/a.pkl\0")
        self.assertEqual(self.paths("-0", "--files-from", "nul"), ["t/b\nc.pkl", "t/a.pkl"])
        self.assertEqual(self.paths("t/d", "--files-from", "lines"), ["t/d/e.pkl", "t/a.pkl", "t/d/e.pkl"])
        self.scan("--files-from", "missing", expect=2)
        self.write("empty", b"")
        self.scan("--files-from", "empty", expect=3)

    def test_a_list_may_come_from_stdin_and_hold_what_is_missing_or_endless(self):
        self.fill({"t/a.pkl": pickled()})
        listed = b"t/a.pkl\nt/missing.pkl\n" + b"x" * 1_000_000 + b"\nt/a.pkl\n"
        done = subprocess.run([os.path.abspath(TARE), "scan", "--files-from", "-"], cwd=self.folder,
                              input=listed, capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout.count(b"safe  ("), 2)
        errors = done.stderr.decode().splitlines()
        self.assertEqual(len(errors), 2, errors)
        self.assertIn("t/missing.pkl: cannot open: No such file", errors[0])
        self.assertIn("64 KiB", errors[1])

    def test_stdin_is_a_file(self):
        for content, code, text in ((pickled(), 0, "-: safe"), (EVIL, 1, "-: dangerous"),
                                    (b"", 2, ""), (b"hello there, no model", 3, "")):
            done = subprocess.run([os.path.abspath(TARE), "scan", "-"], input=content,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, code, done)
            self.assertIn(text, done.stdout.decode())

    def test_large_stdin_goes_to_a_file_without_a_name(self):
        size = 300 << 20
        script = f"ulimit -v {250 << 10}; head -c {size} /dev/zero | (printf 'cos\\nsystem\\n'; cat) | {os.path.abspath(TARE)} scan --max-size {size // 8} -"
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("larger than --max-size", done.stderr)
        read, write = os.pipe()
        with subprocess.Popen([os.path.abspath(TARE), "scan", "-"], stdin=read, stdout=subprocess.PIPE) as process:
            os.close(read)
            with os.fdopen(write, "wb") as pipe:
                pipe.write(b"\x80\x04B" + (100 << 20).to_bytes(4, "little"))
                for _ in range(100):
                    pipe.write(bytes(1 << 20))
                pipe.write(b".")
            self.assertIn(b"-: safe  (pickle, 100.0 MiB)", process.stdout.read())
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        # 32 MiB of it in memory, then pages of the file, which the system can have back.
        self.assertLess(usage.ru_maxrss, 180 << 10)

    def test_include_and_exclude(self):
        self.fill({"t/a.pkl": pickled(), "t/b.bin": pickled(), "t/.git/c.pkl": pickled(),
                   "t/runs/1/tmp/d.pkl": pickled(), "t/runs/1/e.pkl": pickled()})
        self.assertEqual(self.paths("t", "--include", "*.bin"), ["t/b.bin"])
        self.assertEqual(self.paths("t", "--exclude", ".git", "--exclude", "*.bin", "--exclude", "runs/*/tmp"),
                         ["t/a.pkl", "t/runs/1/e.pkl"])
        self.assertEqual(self.paths("t", "--include", "runs/*"), ["t/runs/1/e.pkl", "t/runs/1/tmp/d.pkl"])
        # What is named is wanted.
        self.assertEqual(self.paths("t/a.pkl", "--exclude", "*.pkl"), ["t/a.pkl"])
        self.assertIn("1 safe, 4 left out", self.scan("t", "--include", "*.bin").stdout)
        self.assertIn("0 files: 4 left out", self.scan("t", "--exclude", "*", expect=3).stdout)

    def test_checkpoint_folders_are_judged_by_their_parts(self):
        # A pickle and, behind it, bytes that no metadata speaks of: metadata that cannot be read
        # changes nothing.
        self.fill({"t/.metadata": b"nothing", "t/__0_0.distcp": pickled()})
        self.assertEqual(self.paths("t"), ["t/__0_0.distcp"])

    def test_usage_errors(self):
        self.fill({"a.pkl": pickled()})
        for arguments in ([], ["a.pkl", "--shard", "0/3"], ["a.pkl", "--shard", "4/3"], ["a.pkl", "--shard", "x"],
                          ["a.pkl", "-j", "0"], ["a.pkl", "--max-size", "big"], ["a.pkl", "--timeout", "0"],
                          ["a.pkl", "--format", "no"], ["a.pkl", "--format", "json="],
                          ["a.pkl", "--format", "json", "--format", "text"],
                          ["a.pkl", "--format", "json=o", "--format", "text=o"],
                          ["-", "--files-from", "-"], ["-", "-"], ["a.pkl", "--fail-on", "safe"]):
            done = self.scan(*arguments, expect=4)
            self.assertEqual(done.stdout, "", arguments)
            self.assertNotEqual(done.stderr, "", arguments)
        self.assertEqual(self.files(), ["a.pkl"])


class Outcome(WalkTest):
    def test_exit_codes(self):
        self.fill({"safe/a": pickled(), "odd/a": ODD, "evil/a": EVIL, "text/a": b"hello world, hello"})
        os.mkdir(self.path("empty"))
        for arguments, code in ((["safe"], 0), (["odd"], 1), (["evil"], 1), (["text"], 3), (["empty"], 3),
                                (["safe", "text"], 0), (["evil", "missing"], 2), (["evil", "safe"], 1),
                                (["odd", "--fail-on", "dangerous"], 0), (["evil", "--fail-on", "dangerous"], 1),
                                (["evil", "--exit-zero"], 0), (["evil", "missing", "--exit-zero"], 2),
                                (["text", "--exit-zero"], 3)):
            with self.subTest(arguments):
                self.scan(*arguments, expect=code)

    def test_an_error_outranks_a_finding_and_both_are_counted(self):
        self.fill({"t/a": EVIL, "t/b": pickled()})
        done = self.scan("t", "missing", expect=2)
        self.assertIn("3 files: 1 safe, 1 dangerous, 1 not read", done.stdout)

    def test_files_that_are_no_models_are_counted_in_folders_and_told_when_named(self):
        self.fill({"t/README": b"hello world, hello", "t/empty": b"", "t/a.pkl": pickled()})
        done = self.scan("t", expect=0)
        self.assertEqual(done.stderr, "")
        self.assertIn("3 files: 1 safe, 2 nothing to scan", done.stdout)
        self.assertEqual(self.paths("t"), ["t/a.pkl"])
        self.assert_one_line_error(self.scan("t/README", expect=3), "t/README", "nothing to scan")
        self.assert_one_line_error(self.scan("t/empty", expect=2), "t/empty", "empty")

    def test_files_that_are_too_large_are_never_safe(self):
        self.fill({"t/a.pkl": pickled(), "t/large.pkl": pickled("x" * 1000)})
        done = self.scan("t", "--max-size", "1KB", expect=2)
        self.assert_one_line_error(done, "t/large.pkl", "larger than --max-size")
        self.assertIn("2 files: 1 safe, 1 too large", done.stdout)
        self.assertEqual(self.verdicts("t", "--max-size", "1KB", expect=2),
                         {"t/a.pkl": "safe", "t/large.pkl": "limit"})
        self.scan("t", "--max-size", "1KB", "--exit-zero", expect=2)
        self.scan("t", "--max-size", "2KB", expect=0)

    def test_a_file_that_takes_too_long_is_unreadable_with_what_was_found(self):
        # Thirty million small lists take a second or more.
        slow = b"\x80\x04cos\nsystem\n\x8c\x02id\x85R0(" + b"]0" * 30_000_000 + b"t."
        self.fill({"t/slow.pkl": slow, "t/z.pkl": pickled(), "stacked.pkl": b"\x80\x04N." * 5_000_000})
        start = time.monotonic()
        report = self.report("t", "--timeout", "0.02", expect=2)
        self.assertLess(time.monotonic() - start, 20)
        slow, fast = report["files"]
        self.assertEqual(slow["verdict"], "dangerous")
        self.assertIn("TARE-GEN-004", [finding["rule"] for finding in slow["findings"]])
        self.assertEqual(fast["verdict"], "safe")
        self.assertEqual(self.verdicts("stacked.pkl", "--timeout", "0.02", expect=2), {"stacked.pkl": "unreadable"})

    def test_reports_go_to_files_and_one_to_stdout(self):
        self.fill({"t/a": EVIL, "t/b": pickled()})
        text = self.scan("t", expect=1).stdout
        done = self.scan("t", "--format", "text", "--format", "json=out.json", "--format", "text=out.txt", expect=1)
        strip = lambda s: s.rsplit("  (", 1)[0]
        self.assertEqual(strip(done.stdout), strip(text))
        with open(self.path("out.txt"), encoding="utf-8") as file:
            self.assertEqual(strip(file.read()), strip(text))
        with open(self.path("out.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), self.report("t", expect=1))
        self.assertEqual(self.scan("t", "--format", "json=out.json", expect=1).stdout, "")

    def test_reports_that_cannot_be_written_are_errors_before_anything_is_scanned(self):
        self.fill({"t/b": pickled()})
        done = self.scan("t", "--format", "text", "--format", "json=no/such/out.json", expect=2)
        self.assertEqual(done.stdout, "")
        self.assert_one_line_error(done, "no/such/out.json", "No such file")
        with open("/dev/full", "w", encoding="ascii") as full:
            self.assert_one_line_error(self.scan("t", to_stdout=full, expect=2), "stdout")

    def test_reports_in_the_tree_are_not_scanned_while_they_are_written(self):
        self.fill({"t/b": pickled()})
        done = self.scan("t", "--format", "text", "--format", "json=t/a.json", expect=0)
        self.assertIn("1 file: 1 safe", done.stdout)
        self.assertEqual(sorted(os.listdir(self.path("t"))), ["a.json", "b"])

    def test_an_old_report_stays_when_the_new_one_fails(self):
        self.fill({"t/b": pickled(), "out.json": b"old"})

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))

        self.scan("t", "--format", "json=out.json", expect=2, preexec_fn=limit)
        with open(self.path("out.json"), "rb") as file:
            self.assertEqual(file.read(), b"old")
        self.assertEqual(self.files(), ["out.json", "t"])

    def test_a_configuration_in_the_tree_is_never_obeyed(self):
        self.fill({"t/a": EVIL})
        before = json.loads(self.scan("t", "--format", "json", expect=1).stdout)
        text = b"allow = ['*']\nexclude = ['*']\nexit-zero = true\nfail-on = 'never'\n*\n"
        for name in ("tare.toml", ".tare.toml", ".tare", "tare.ini", ".tareignore", ".gitignore", ".ignore", "policy.toml"):
            self.write(os.path.join("t", name), text)
            self.write(name, text)
        after = json.loads(self.scan("t", "--format", "json", expect=1).stdout)
        self.assertEqual(after["files"], before["files"])
        # The new files are of no model format, and nothing else became of them.
        self.assertEqual(after["totals"]["dangerous"], before["totals"]["dangerous"])
        self.assertEqual(after["totals"]["suppressed"], 0)


class Baselines(WalkTest):
    def baseline(self, *arguments, expect):
        self.write("base.json", self.scan("--format", "json", *arguments, expect=expect).stdout.encode())

    def test_only_new_findings_count(self):
        self.fill({"t/a": EVIL, "t/b": ODD, "t/c": pickled()})
        self.baseline("t", expect=1)
        self.scan("t", "--baseline", "base.json", expect=0)
        self.write("t/new", EVIL)
        done = self.report("t", "--baseline", "base.json", expect=1)
        self.assertEqual([f["path"] for f in done["files"] if f["verdict"] == "dangerous"], ["t/new"])

    def test_a_finding_is_known_once(self):
        self.fill({"t/a": EVIL})
        self.baseline("t", expect=1)
        self.write("t/a", EVIL[:-1] + b"0" + EVIL)
        self.scan("t", "--baseline", "base.json", expect=1)

    def test_another_payload_is_new_even_where_the_evidence_is_cut(self):
        self.fill({"t/a": EVIL})
        self.baseline("t", expect=1)
        self.write("t/a", EVIL.replace(b"'id'", b"'df'"))
        self.scan("t", "--baseline", "base.json", expect=1)
        long = b"cos\nsystem\n(S'" + b"x" * 5000 + b"%s'\ntR."
        self.write("t/a", long % b"1")
        self.baseline("t", expect=1)
        self.write("t/a", long % b"2")
        self.scan("t", "--baseline", "base.json", expect=1)

    def test_what_cannot_be_read_is_never_known(self):
        self.fill({"t/a": pickled()})
        self.baseline("t", "missing", expect=2)
        self.scan("t", "missing", "--baseline", "base.json", expect=2)

    def test_what_is_no_report_is_an_error(self):
        self.fill({"t/a": pickled()})
        for content in (b"", b"{", b"[]", b"{}", b'{"files": 1}', b"[" * 100_000):
            self.write("base.json", content)
            self.assert_one_line_error(self.scan("t", "--baseline", "base.json", expect=2), "base.json")
        self.write("base.json", b'{"files": [1, {}, {"findings": 1}, {"findings": [1]}]}')
        self.scan("t", "--baseline", "base.json", expect=0)
        self.scan("t", "--baseline", "missing.json", expect=2)


class ManyFiles(WalkTest):
    def tree(self, count):
        for i in range(count):
            folder = self.path(f"t/{i % 7}/{i % 13}")
            os.makedirs(folder, exist_ok=True)
            content = EVIL if i % 10 == 0 else ODD * 50 if i % 10 == 1 else pickled(i)
            with open(os.path.join(folder, f"{i}.pkl"), "wb") as file:
                file.write(content)

    def test_the_report_is_the_same_for_any_number_of_threads(self):
        self.tree(1000)
        reports = {self.scan("t", "-j", threads, "--format", "json", expect=1).stdout
                   for threads in ("1", "2", "8", "64") for _ in range(2)}
        self.assertEqual(len(reports), 1)

    def test_shards_cover_all_files_each_once_wherever_the_folder_is(self):
        self.tree(1000)
        everything = self.paths("t", expect=1)
        for count in (1, 2, 7):
            shares = [self.paths("t", "--shard", f"{i}/{count}", expect=1) for i in range(1, count + 1)]
            self.assertEqual(sorted(sum(shares, [])), sorted(everything))
            self.assertGreater(min(map(len, shares)), 1000 / count / 2)
        elsewhere = self.paths(os.path.join(self.folder, "t"), "--shard", "1/7", expect=1)
        self.assertEqual([os.path.relpath(path, self.folder) for path in elsewhere], shares[0])

    def test_a_hundred_thousand_files(self):
        for i in range(100):
            os.makedirs(self.path(f"t/{i}"))
            source = self.write(f"t/{i}/0.pkl", pickled(i))
            for j in range(1, 1000):
                os.link(source, self.path(f"t/{i}/{j}.pkl"))
        start = time.monotonic()
        read, write = os.pipe()
        process = subprocess.Popen([os.path.abspath(TARE), "scan", "t"], cwd=self.folder, stdout=write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            lines = pipe.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        self.assertTrue(lines[-1].startswith(b"100000 files: 100000 safe"), lines[-1])
        self.assertEqual(lines[0].split(b":")[0], b"t/0/0.pkl")
        self.assertLess(usage.ru_maxrss, 64 << 10)
        print(f"100,000 files in {time.monotonic() - start:.1f} s, {usage.ru_maxrss >> 10} MiB")


class BadInput(WalkTest):
    def test_what_is_no_file_is_named_and_never_opened(self):
        self.fill({"t/a.pkl": pickled()})
        os.mkfifo(self.path("t/fifo.pkl"))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(self.path("t/socket.pkl"))
            os.symlink("/dev/zero", self.path("t/zero.pkl"))
            done = self.scan("t", expect=2)
        self.assertEqual([line.split(":")[1].strip() for line in done.stderr.splitlines()],
                         ["t/fifo.pkl", "t/socket.pkl", "t/zero.pkl"])
        self.assertEqual(done.stderr.count("is not a regular file"), 3)
        self.assertIn("4 files: 1 safe, 3 not read", done.stdout)
        for name in ("/dev/zero", "/dev/null", "t/fifo.pkl", "t/socket.pkl"):
            self.scan(name, expect=2)

    def test_devices_in_a_folder(self):
        try:
            os.makedirs(self.path("t"))
            os.mknod(self.path("t/null"), 0o20600, os.makedev(1, 3))
        except OSError:
            self.skipTest("SKIPPED: device files cannot be made here")
        self.assert_one_line_error(self.scan("t", expect=2), "t/null", "not a regular file")

    def test_links_to_files_are_followed_links_to_folders_are_not(self):
        self.fill({"t/d/a.pkl": pickled(), "outside/evil.pkl": EVIL, "outside/deep/evil.pkl": EVIL})
        os.symlink("../outside/evil.pkl", self.path("t/link.pkl"))
        os.symlink("../outside/deep", self.path("t/folder"))
        os.symlink("..", self.path("t/d/up"))
        os.symlink("a.pkl", self.path("t/d/same.pkl"))
        done = self.scan("t", expect=1)
        self.assertIn("3 files: 2 safe, 1 dangerous, 2 links to folders not followed", done.stdout)
        self.assertEqual(self.paths("t", expect=1), ["t/d/a.pkl", "t/d/same.pkl", "t/link.pkl"])
        # One that is named is.
        self.assertEqual(self.paths("t/folder", expect=1), ["t/folder/evil.pkl"])

    def test_links_that_lead_nowhere_are_named(self):
        os.mkdir(self.path("t"))
        os.symlink("b", self.path("t/a"))
        os.symlink("a", self.path("t/b"))
        os.symlink("missing", self.path("t/c"))
        done = self.scan("t", expect=2)
        errors = done.stderr.splitlines()
        self.assertEqual(len(errors), 3, errors)
        self.assertIn("Too many levels of symbolic links", errors[0])
        self.assertIn("No such file", errors[2])
        self.scan("t/a", expect=2)

    def test_names_cannot_reach_the_terminal(self):
        names = [b"new\nline.pkl", b"\x1b]0;owned\x07.pkl", b"\xff\xfe.pkl", "e\u202ee.pkl".encode(), b"-j", b"--help"]
        os.mkdir(self.path("t"))
        for name in names:
            with open(os.path.join(os.fsencode(self.folder), b"t", name), "wb") as file:
                file.write(EVIL)
        os.mkfifo(os.path.join(os.fsencode(self.folder), b"t", b"\x1b[31mfifo"))
        done = self.scan("t", expect=2)
        self.assert_printable(done.stdout + done.stderr)
        self.assertIn("6 dangerous, 1 not read", done.stdout)
        self.assertEqual(len(self.report("t", expect=2)["files"]), 7)
        # What is not UTF-8 is not told apart in JSON, and so never known.
        self.write("base.json", self.scan("--format", "json", "t", expect=2).stdout.encode())
        files = self.report("t", "--baseline", "base.json", expect=2)["files"]
        self.assertEqual([f["path"] for f in files if f.get("verdict") == "dangerous"], ["t/\ufffd\ufffd.pkl"])

    def test_a_folder_without_permission_is_named(self):
        self.fill({"t/closed/a.pkl": EVIL, "t/b.pkl": pickled(), "t/closed.pkl": pickled()})
        self.addCleanup(os.chmod, self.path("t/closed"), 0o700)
        os.chmod(self.path("t/closed"), 0)
        os.chmod(self.path("t/closed.pkl"), 0)
        os.chmod(self.folder, 0o755)
        command = [os.path.abspath(TARE), "scan", "t"]
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                self.skipTest("SKIPPED: running as root, and there is no setpriv to become someone else")
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1, 2):
            self.skipTest("SKIPPED: another user cannot start the program from here")
        self.assertEqual(done.returncode, 2, done)
        self.assertEqual(done.stderr.splitlines(), ["tare: t/closed: cannot open the folder: Permission denied",
                                                    "tare: t/closed.pkl: cannot open: Permission denied"])
        self.assertIn("3 files: 1 safe, 2 not read", done.stdout)

    def test_ten_thousand_folders_deep(self):
        depth = 10_000
        start = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, start)
        # rmtree of this Python recurses.
        self.addCleanup(subprocess.run, ["rm", "-rf", self.path("t")], check=True)
        os.mkdir(self.path("t"))
        current = os.open(self.path("t"), os.O_RDONLY)
        for i in range(depth):
            os.mkdir("folder", dir_fd=current)
            inner = os.open("folder", os.O_RDONLY, dir_fd=current)
            os.close(current)
            current = inner
            if i % 1000 == 999:
                for name, content in (("a.pkl", EVIL), ("z.pkl", pickled())):
                    fd = os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=current)
                    os.write(fd, content)
                    os.close(fd)
        os.close(current)

        def few_files():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))

        done = self.scan("t", expect=1, preexec_fn=few_files)
        self.assertIn("20 files: 10 safe, 10 dangerous", done.stdout)
        self.assertEqual(max(map(len, self.paths("t", expect=1))), len("t/a.pkl") + depth * len("/folder"))

    def test_files_that_vanish_or_change_while_they_are_found(self):
        self.fill({f"t/{i}/{j}.pkl": pickled(j) for i in range(20) for j in range(50)})
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                for i in range(20):
                    shutil.rmtree(self.path(f"t/{i}"), ignore_errors=True)
                    os.makedirs(self.path(f"t/{i}"), exist_ok=True)
                    for j in range(50):
                        self.write(f"t/{i}/{j}.pkl", pickled(j))

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(20):
                done = self.scan("t")
                self.assertIn(done.returncode, (0, 1, 2, 3))
                self.assertNotIn("dangerous", done.stdout)
                if done.stderr:
                    self.assertEqual(done.returncode, 2)
        finally:
            stop.set()
            thread.join()

    def test_a_file_that_grows_or_shrinks_while_it_is_read_is_an_error(self):
        # Large enough to be mapped, and to take some time.
        content = b"\x80\x04(" + b"K\x01" * 8_000_000 + b"t."
        for change in (lambda file: file.truncate(len(content) // 2), lambda file: file.write(b"more"),
                       lambda file: file.truncate(0)):
            seen = set()
            for attempt in range(40):
                self.write("a.pkl", content)
                process = subprocess.Popen([os.path.abspath(TARE), "scan", "a.pkl"], cwd=self.folder,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                time.sleep(0.002 + 0.002 * (attempt % 20))
                with open(self.path("a.pkl"), "ab") as file:
                    change(file)
                out, error = process.communicate()
                self.assertIn(process.returncode, (0, 1, 2), (out, error))
                if process.returncode == 2 and error:
                    seen.add(error)
                if any("while it was read" in text for text in seen):
                    break
            self.assertTrue(any("while it was read" in text for text in seen), seen)

    def test_a_tree_without_end_is_an_error(self):
        # Only a file system of its own can loop without links; a bind mount is one.
        if shutil.which("unshare") is None:
            self.skipTest("SKIPPED: no unshare")
        self.fill({"t/a/b/x.pkl": pickled(), "t/a/b/loop/y": b""})
        script = f"mount --bind t/a t/a/b/loop && exec {os.path.abspath(TARE)} scan t"
        done = subprocess.run(["unshare", "-rm", "/bin/sh", "-c", script], cwd=self.folder, capture_output=True,
                              text=True, check=False)
        if "mount:" in done.stderr or "unshare" in done.stderr:
            self.skipTest("SKIPPED: nothing can be mounted here: " + done.stderr.strip())
        self.assertEqual(done.returncode, 2, done)
        self.assert_one_line_error(done, "t/a/b/loop", "the folder contains itself")


class Terminal(WalkTest):
    def on_terminal(self, *arguments, **environment):
        """What a terminal gets to see of a run that takes more than a second: stdin comes late."""
        self.fill({f"t/{i}.pkl": pickled(i) for i in range(50)})
        parent, child = pty.openpty()
        variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CLICOLOR", "TERM")}
        process = subprocess.Popen([os.path.abspath(TARE), "scan", "-", "t", *arguments], cwd=self.folder,
                                   stdin=subprocess.PIPE, stdout=child, stderr=child,
                                   env={**variables, "TERM": "xterm", **environment})
        time.sleep(1.2)
        process.stdin.write(pickled())
        process.stdin.close()
        os.close(child)
        seen = b""
        while True:
            try:
                block = os.read(parent, 65536)
            except OSError:
                break
            if not block:
                break
            seen += block
        os.close(parent)
        self.assertEqual(process.wait(), 0)
        return seen

    def test_colour_and_progress_on_a_terminal_and_what_turns_them_off(self):
        plain = self.on_terminal("-j", "1")
        self.assertIn(b"\x1b[K", plain)
        self.assertRegex(plain, rb"scanning \d+ files?, [0-9.]+ [KMG]?i?B, \d+ MB/s")
        self.assertRegex(plain, rb"\x1b\[[0-9;]*m")
        dumb = self.on_terminal("-j", "1", TERM="dumb")
        self.assertNotIn(b"\x1b", dumb)
        for variables in ({"NO_COLOR": "1"}, {"CLICOLOR": "0"}):
            seen = self.on_terminal("-j", "1", **variables)
            self.assertNotRegex(seen, rb"\x1b\[[0-9;]*m")
            self.assertIn(b"scanning", seen)


if __name__ == "__main__":
    unittest.main()
