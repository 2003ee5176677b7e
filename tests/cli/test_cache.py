"""tare scan --cache and tare cache: the same report, faster, and never a wrong one."""

import glob
import json
import os
import pickle
import re
import subprocess
import time
import unittest

from harness import TARE, TareTest, pickle_checkpoint, small_state_dict, write_checkpoint

EVIL = b"cos\nsystem\n(S'id'\ntR."


class CacheTest(TareTest):
    def setUp(self):
        super().setUp()
        self.cache = self.path("xdg")
        os.mkdir(self.cache)
        self.environment = {**os.environ, "XDG_CACHE_HOME": self.cache}
        os.mkdir(self.path("t"))

    def scan(self, *arguments, expect=0, kind="json"):
        return self.tare("scan", "--format", kind, *arguments, expect=expect, env=self.environment)

    def untimed(self, text):
        """A report without how long the scan took."""
        return re.sub(r"\b[0-9.]+ (ms|s)\b|time=\"[0-9.]+\"", "TIME", text)

    def stats(self):
        done = self.tare("cache", "stats", "--json", expect=0, env=self.environment)
        return json.loads(done.stdout)

    def fill(self, count=20):
        for i in range(count):
            self.write(f"t/{i}.pkl", pickle.dumps([i], 4))
        self.write("t/evil.pkl", EVIL)
        value, storages = small_state_dict()
        write_checkpoint(self.path("t/model.pt"), pickle_checkpoint(value), storages)
        self.write("t/notes.txt", b"no model at all")

    def settle(self):
        """Waits until the files are old enough to be known by their times."""
        time.sleep(2.1)

    def database(self):
        (path,) = glob.glob(os.path.join(self.cache, "tare", "*.db"))
        return path

    def damage(self, content):
        for log in ("-wal", "-shm"):
            if os.path.exists(self.database() + log):
                os.unlink(self.database() + log)
        with open(self.database(), "wb") as file:
            file.write(content)


class SameReport(CacheTest):
    def test_every_report_is_the_same_with_and_without_the_cache(self):
        self.fill()
        self.settle()
        for kind in ("text", "json", "ndjson", "sarif", "junit", "markdown", "html"):
            plain = self.scan("t", kind=kind, expect=1)
            for _ in range(2):
                cached = self.scan("--cache", "t", kind=kind, expect=1)
                self.assertEqual(self.untimed(cached.stdout), self.untimed(plain.stdout))
                self.assertEqual(cached.stderr, plain.stderr)
        self.assertEqual(self.stats()["results"], 23)
        self.assertEqual(self.stats()["files"], 23)

    def test_a_named_file_with_nothing_to_scan_says_so_again(self):
        self.write("page.html", b"<!doctype html><html></html>")
        plain = self.scan("page.html", expect=3)
        self.settle()
        for _ in range(2):
            self.assertEqual(self.scan("--cache", "page.html", expect=3).stderr, plain.stderr)

    def test_an_unchanged_file_is_not_opened(self):
        self.fill(1)
        self.settle()
        self.scan("--cache", "t", expect=1)
        trace = self.path("trace")
        tracer = ["strace", "-f", "-e", "trace=openat,open", "-o", trace]
        try:
            subprocess.run([*tracer, os.path.abspath(TARE), "scan", "--cache", "t"], cwd=self.folder, check=False,
                           env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(trace, encoding="utf-8") as file:
                opened = file.read()
        except OSError:
            self.skipTest("SKIPPED: strace is not here")
        if "scan-1.db" not in opened:
            self.skipTest("SKIPPED: nothing can be traced here")
        self.assertNotIn("evil.pkl", opened)


class Changes(CacheTest):
    def test_a_changed_file_is_scanned_again_even_if_its_size_and_time_are_as_before(self):
        path = self.write("t/a.pkl", pickle.dumps("x" * len(EVIL), 4)[: len(EVIL) - 1] + b".")
        safe = pickle.dumps(b"x" * 8, 4)
        path = self.write("t/a.pkl", safe + b"")
        self.settle()
        status = os.stat(path)
        self.scan("--cache", "t")
        evil = EVIL.ljust(len(safe), b"#")
        self.assertEqual(len(evil), len(safe))
        self.write("t/a.pkl", evil)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertEqual(os.stat(path).st_mtime_ns, status.st_mtime_ns)
        self.scan("--cache", "t", expect=1)

    def test_a_file_that_is_replaced_by_a_renamed_one_is_scanned_again(self):
        self.write("t/a.pkl", pickle.dumps(1))
        self.write("b.pkl", EVIL)
        self.settle()
        self.scan("--cache", "t")
        os.rename(self.path("b.pkl"), self.path("t/a.pkl"))
        self.scan("--cache", "t", expect=1)

    def test_a_file_that_was_just_written_is_not_known_by_its_times(self):
        self.write("t/a.pkl", pickle.dumps(1))
        self.scan("--cache", "t")
        self.assertEqual(self.stats()["files"], 0)
        self.assertEqual(self.stats()["results"], 1)

    def test_a_file_that_may_no_longer_be_read_is_an_error(self):
        if os.geteuid() == 0:
            self.skipTest("SKIPPED: root may read everything")
        self.write("t/a.pkl", pickle.dumps(1))
        self.settle()
        self.scan("--cache", "t")
        os.chmod(self.path("t/a.pkl"), 0)
        self.scan("--cache", "t", expect=2)

    def test_a_copy_is_known_by_its_content(self):
        self.write("t/a.pkl", EVIL)
        self.scan("--cache", "t", expect=1)
        self.write("t/b.pkl", EVIL)
        self.scan("--cache", "t", expect=1)
        self.assertEqual(self.stats()["results"], 1)

    def test_with_content_a_file_is_always_read(self):
        self.write("t/a.pkl", pickle.dumps(1))
        self.settle()
        plain = self.scan("t")
        for _ in range(2):
            self.assertEqual(self.scan("--cache=content", "t").stdout, plain.stdout)

    def test_a_policy_has_results_of_its_own(self):
        self.write("t/a.pkl", b"cmy_lib\nThing\n.")
        self.write("p.toml", b'[[name]]\nmodule = "my_lib"\nname = "Thing"\nreason = "ours"\n')
        self.settle()
        for _ in range(2):
            self.scan("--cache", "t", expect=1)
            self.scan("--cache", "--policy", "p.toml", "t", expect=0)

    def test_a_result_that_took_too_long_is_not_kept(self):
        self.write("t/a.pkl", b"\x80\x04" + b"N0" * 20_000_000 + b"N.")
        self.scan("--cache", "--timeout", "0.001", "t", expect=2)
        self.assertEqual(self.stats()["results"], 0)
        self.scan("--cache", "t")

    def test_too_large_files_stay_too_large(self):
        self.write("t/a.pkl", pickle.dumps(list(range(1000))))
        self.settle()
        self.scan("--cache", "t")
        self.scan("--cache", "--max-size", "100", "t", expect=2)


class Damage(CacheTest):
    def test_a_damaged_cache_is_set_aside_and_said(self):
        self.fill()
        plain = self.scan("t", expect=1)
        self.settle()
        self.scan("--cache", "t", expect=1)
        self.damage(os.urandom(100_000))
        done = self.scan("--cache", "t", expect=1)
        self.assertEqual(done.stdout, plain.stdout)
        self.assert_one_line_error(done, "--cache", "scan-1.db", "damaged", "scan-1.damaged")
        done = self.scan("--cache", "t", expect=1)
        self.assertEqual((done.stdout, done.stderr), (plain.stdout, ""))
        self.assertEqual(self.stats()["damaged_files"], 1)

    def test_a_cache_with_bytes_changed_anywhere_changes_no_report(self):
        self.fill(3)
        self.settle()
        plain = self.scan("t", expect=1)
        self.scan("--cache", "t", expect=1)
        with open(self.database(), "rb") as file:
            whole = file.read()
        # The text of every kept verdict and of every kept digest, and places in between.
        for at in range(0, len(whole), max(1, len(whole) // 60)):
            damaged = bytearray(whole)
            for i in range(at, min(at + 64, len(whole))):
                damaged[i] ^= 0x5A
            for old in glob.glob(os.path.join(self.cache, "tare", "*")):
                os.unlink(old)
            with open(os.path.join(self.cache, "tare", "scan-1.db"), "wb") as file:
                file.write(damaged)
            self.assertEqual(self.scan("--cache", "t", expect=1).stdout, plain.stdout, at)

    def test_a_database_of_somebody_else_is_set_aside(self):
        import sqlite3

        self.fill(1)
        folder = os.path.join(self.cache, "tare")
        os.mkdir(folder, 0o700)
        with sqlite3.connect(os.path.join(folder, "scan-1.db")) as database:
            database.execute("CREATE VIEW results AS SELECT 1 AS content")
            database.execute("CREATE TABLE files (x)")
        done = self.scan("--cache", "t", expect=1)
        self.assert_one_line_error(done, "damaged")

    def test_a_cache_that_cannot_be_had_is_said_and_done_without(self):
        self.fill(1)
        plain = self.scan("t", expect=1)
        for environment, text in (({"XDG_CACHE_HOME": "", "HOME": ""}, "neither XDG_CACHE_HOME nor HOME"),
                                  ({"XDG_CACHE_HOME": self.path("t/evil.pkl")}, "cannot make the folder")):
            self.environment.update(environment)
            done = self.scan("--cache", "t", expect=1)
            self.assertEqual(done.stdout, plain.stdout)
            self.assert_one_line_error(done, "--cache", text, "scanning without")

    def test_a_folder_that_others_may_write_into_is_not_used(self):
        self.fill(1)
        os.mkdir(os.path.join(self.cache, "tare"))
        os.chmod(os.path.join(self.cache, "tare"), 0o777)
        done = self.scan("--cache", "t", expect=1)
        self.assert_one_line_error(done, "others may write into the folder", "scanning without")
        self.assertEqual(os.listdir(os.path.join(self.cache, "tare")), [])


class Processes(CacheTest):
    def test_many_processes_share_a_cache(self):
        self.fill(300)
        plain = self.scan("t", expect=1).stdout
        self.settle()
        command = [os.path.abspath(TARE), "scan", "--format", "json", "--cache", "t"]
        for _ in range(2):
            running = [subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
            for process in running:
                out, error = process.communicate(timeout=120)
                self.assertEqual((process.returncode, error, out), (1, "", plain))
        self.assertEqual(self.stats()["results"], 303)

    def test_a_process_that_is_killed_leaves_a_cache_that_works(self):
        self.fill(200)
        plain = self.scan("t", expect=1).stdout
        for delay in (0.001, 0.003, 0.005, 0.01, 0.02):
            process = subprocess.Popen([os.path.abspath(TARE), "scan", "--format", "json", "--cache", "t"], cwd=self.folder,
                                       env=self.environment, stdout=subprocess.DEVNULL)
            time.sleep(delay)
            process.kill()
            process.wait()
            done = self.scan("--cache", "t", expect=1)
            self.assertEqual((done.stdout, done.stderr), (plain, ""))


class Verb(CacheTest):
    def test_stats_and_clear(self):
        self.fill(3)
        self.assertEqual(self.stats()["results"], 0)
        self.settle()
        self.scan("--cache", "t", expect=1)
        text = self.tare("cache", "stats", expect=0, env=self.environment).stdout
        self.assertIn("results:  6\nfiles:    6\n", text)
        self.assertRegex(text, r"oldest:   used on \d{4}-\d\d-\d\d")
        cleared = self.tare("cache", "clear", expect=0, env=self.environment).stdout
        self.assertRegex(cleared, r"\Aremoved 6 results \(.* KiB\)\n\Z")
        self.assertEqual(self.stats()["results"], 0)
        self.scan("--cache", "t", expect=1)
        self.assertEqual(self.stats()["results"], 6)

    def test_clear_removes_a_damaged_cache(self):
        self.fill(1)
        self.scan("--cache", "t", expect=1)
        self.damage(b"x" * 10_000)
        self.tare("cache", "stats", expect=2, env=self.environment)
        self.tare("cache", "clear", expect=0, env=self.environment)
        self.assertEqual(self.stats()["damaged_files"], 0)
        self.assertEqual(self.scan("--cache", "t", expect=1).stderr, "")

    def test_the_folder_is_for_its_owner_alone(self):
        self.tare("cache", "stats", expect=0, env=self.environment)
        self.assertEqual(os.stat(os.path.join(self.cache, "tare")).st_mode & 0o777, 0o700)


if __name__ == "__main__":
    unittest.main()
