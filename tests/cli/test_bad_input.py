"""Bad input: one line on stderr that says what the file is or what failed, exit 2, no output left."""

import os
import resource
import shutil
import subprocess
import unittest
import zipfile

from harness import TARE, TareTest, pickle_checkpoint, small_state_dict, write_checkpoint


class BadInput(TareTest):
    def checkpoint(self, name="model.pt"):
        value, storages = small_state_dict()
        write_checkpoint(self.path(name), pickle_checkpoint(value), storages)
        return name

    def refuse(self, verb, name, *texts, code=2):
        done = self.tare(verb, name, expect=code)
        self.assert_one_line_error(done, name, *texts)

    def refuse_everywhere(self, name, *texts, scan_code=2):
        before = self.files()
        self.refuse("inspect", name, *texts)
        self.refuse("convert", name, *texts)
        done = self.tare("scan", name, expect=scan_code)
        for text in texts:
            self.assertIn(text, done.stdout + done.stderr)
        self.assertEqual(self.files(), before)

    def test_missing_file(self):
        self.refuse_everywhere("missing.pt", "No such file")

    def test_directory(self):
        os.mkdir(self.path("folder.pt"))
        for verb in ("inspect", "convert"):
            self.refuse(verb, "folder.pt", "is a folder without a model")
        self.assertEqual(self.tare("scan", "folder.pt", expect=3).stderr, "")
        self.assertEqual(self.files(), ["folder.pt"])

    def test_empty_file(self):
        self.write("empty.pt", b"")
        self.refuse_everywhere("empty.pt", "empty")

    def test_fifo_does_not_hang(self):
        os.mkfifo(self.path("pipe.pt"))
        self.refuse_everywhere("pipe.pt", "not a regular file")

    def test_truncated_zip(self):
        self.checkpoint()
        with open(self.path("model.pt"), "rb") as file:
            whole = file.read()
        for length in (30, len(whole) // 2, len(whole) - 10):
            self.write("cut.pt", whole[:length])
            self.refuse_everywhere("cut.pt", "incomplete download")

    def test_zip_without_data_pkl(self):
        with zipfile.ZipFile(self.path("other.pt"), "w") as archive:
            archive.writestr("readme.txt", "hello")
        self.refuse("inspect", "other.pt", "holds no model file")
        self.refuse("convert", "other.pt", "holds no model file")
        # Not a checkpoint, but there is something in it that nobody here understands.
        self.assertIn("suspicious", self.tare("scan", "other.pt", expect=1).stdout)

    def test_html_page(self):
        self.write("page.pt", b"<!DOCTYPE html><html><body>404</body></html>")
        self.refuse_everywhere("page.pt", "HTML page", scan_code=3)

    def test_git_lfs_pointer(self):
        self.write("lfs.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        self.refuse_everywhere("lfs.pt", "git-lfs pointer", scan_code=3)

    def test_truncated_safetensors(self):
        self.checkpoint()
        self.tare("convert", "model.pt", expect=0)
        with open(self.path("model.safetensors"), "rb") as file:
            whole = file.read()
        self.write("cut.safetensors", whole[:-1])
        self.refuse("inspect", "cut.safetensors", "incomplete download")
        self.assertIn("unreadable", self.tare("scan", "cut.safetensors", expect=2).stdout)

    def test_no_permission(self):
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            self.skipTest("SKIPPED: running as root, and there is no setpriv to become someone else")
        self.checkpoint()
        os.chmod(self.path("model.pt"), 0)
        os.chmod(self.folder, 0o755)
        command = [os.path.abspath(TARE), "inspect", self.path("model.pt")]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        probe = subprocess.run([*command[:-2], "--version"], capture_output=True, check=False)
        if probe.returncode != 0:
            self.skipTest("SKIPPED: another user cannot start the program from here")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assert_one_line_error(done, "Permission denied")

    def test_output_exists(self):
        self.checkpoint()
        self.write("out.safetensors", b"precious")
        done = self.tare("convert", "model.pt", "-o", "out.safetensors", expect=2)
        self.assert_one_line_error(done, "out.safetensors", "exists")
        with open(self.path("out.safetensors"), "rb") as file:
            self.assertEqual(file.read(), b"precious")
        self.tare("convert", "model.pt", "-o", "out.safetensors", "--overwrite", expect=0)
        self.assertGreater(os.path.getsize(self.path("out.safetensors")), 8)

    def test_output_directory_is_missing(self):
        self.checkpoint()
        done = self.tare("convert", "model.pt", "-o", "no/such/folder/out.safetensors", expect=2)
        self.assert_one_line_error(done, "No such file or directory")

    def test_file_size_limit_leaves_nothing(self):
        self.checkpoint()
        before = self.files()

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

        done = self.tare("convert", "model.pt", expect=2, preexec_fn=limit)
        self.assert_one_line_error(done, "cannot write the output")
        self.assertEqual(self.files(), before)

    def test_disk_full_leaves_nothing(self):
        if shutil.which("bwrap") is None:
            self.skipTest("SKIPPED: no bubblewrap to make a small disk with")
        data = bytes(1 << 20)
        from harness import Storage, Tensor

        value = {"w": Tensor(Storage("FloatStorage", "0", data, 1 << 18), 0, (1 << 18,), (1,))}
        write_checkpoint(self.path("big.pt"), pickle_checkpoint(value), {"0": data})
        script = (
            f"{os.path.abspath(TARE)} convert {self.path('big.pt')} -o /mnt/out.safetensors; "
            "code=$?; ls -A /mnt >&2; exit $code"
        )
        done = subprocess.run(
            ["bwrap", "--dev-bind", "/", "/", "--size", "65536", "--tmpfs", "/mnt",
             "/bin/sh", "-c", script],
            capture_output=True,
            text=True,
            check=False,
        )
        if "bwrap" in done.stderr:
            self.skipTest("SKIPPED: bubblewrap does not work here: " + done.stderr.strip())
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assert_one_line_error(done, "No space left on device")

    def test_usage_errors_have_their_own_code(self):
        self.tare(expect=4)
        self.tare("scan", expect=4)
        self.tare("no-such-verb", expect=4)
        self.tare("scan", "--no-such-flag", "x", expect=4)

    def test_names_from_the_file_cannot_reach_the_terminal(self):
        value, storages = small_state_dict()
        value = {"\x1b]0;owned\x07": value["fc.weight"], "e\u202ee": value["fc.bias"]}
        write_checkpoint(self.path("model.pt"), pickle_checkpoint(value), storages)
        for verb in ("inspect", "scan"):
            done = self.tare(verb, "model.pt", expect=0)
            self.assert_printable(done.stdout)

    def test_closed_stdout_is_an_error(self):
        self.checkpoint()
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(
                [os.path.abspath(TARE), "inspect", self.path("model.pt")], stdout=full, check=False
            )
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
