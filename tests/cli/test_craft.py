"""tare craft: the files are what they are said to be, run in real loaders, and are not safe.

Payloads that run here touch a file in the test's own folder, or are recorded in place of run."""

import collections
import hashlib
import io
import json
import os
import pickle
import sys
import unittest
import unittest.mock
import warnings
import zipfile

from harness import GOLDEN, TARE, TareTest, needs_torch, run_python, torch_pythons

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import recorder  # noqa: E402

MARKER = b"# crafted by tare craft: a test file\n"
FORMS = ["REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4"]
UNPICKLERS = {"C": pickle.load, "Python": pickle._load}

# Loads files that touch FILE.ran, and says for each and for each unpickler whether it ran and how
# it ended. A process of its own: what copyreg.add_extension registers stays.
LOAD_PICKLES = """
import json, os, pickle, sys
for path in sys.argv[1:]:
    for unpickler in (pickle._Unpickler, pickle.Unpickler):
        try:
            with open(path, "rb") as file:
                unpickler(file).load()
            end = "STOP"
        except (pickle.UnpicklingError, KeyError) as error:
            end = "BROKEN"
        print(json.dumps([path, unpickler.__module__, os.path.exists(path + ".ran"), end]))
        if os.path.exists(path + ".ran"):
            os.remove(path + ".ran")
"""

# The same with torch.load, and whether what is loaded is what MAKE_MODEL saves.
LOAD_MODELS = """
import collections, json, os, sys, torch
options = {} if torch.__version__.startswith("1.") else {"weights_only": False}
state = collections.OrderedDict(w=torch.arange(12.).reshape(3, 4), b=torch.ones(3, dtype=torch.int64))

def is_state(value):
    return (type(value) is type(state) and list(value) == list(state)
            and all(torch.equal(value[key], state[key]) for key in state))

def describe(value):
    if type(value) is tuple:
        return [describe(item) for item in value]
    return "state" if is_state(value) else repr(value)

for path in sys.argv[1:]:
    try:
        value = describe(torch.load(path, **options))
    except RuntimeError as error:
        value = "error"
    print(json.dumps([path, os.path.exists(path + ".ran"), value]))
"""
MAKE_MODELS = """
import collections, sys, torch
state = collections.OrderedDict(w=torch.arange(12.).reshape(3, 4), b=torch.ones(3, dtype=torch.int64))
for path in sys.argv[1:]:
    protocol, layout = path.removesuffix(".pt").split("-")
    torch.save(state, path, pickle_protocol=int(protocol),
               _use_new_zipfile_serialization=layout == "zip")
"""


def golden_recipes():
    with open(os.path.join(GOLDEN, "craft_recipes.tsv"), encoding="ascii") as file:
        for line in file:
            if not line.startswith("#"):
                name, size, content = line.rstrip("\n").split("\t")
                yield name, int(size), content


class CraftTest(TareTest):
    def craft(self, name, *arguments, expect=0):
        done = self.tare("craft", *arguments, "-o", name, "--overwrite", expect=expect)
        if expect == 0:
            self.assertIn(f"{name}: {os.path.getsize(self.path(name))} bytes, ", done.stdout)
        return done

    def touching(self, name, *arguments):
        """A file whose payload touches FILE.ran beside it."""
        path = self.path(name)
        self.craft(name, "--call", "os.system", "--args", f"touch {path}.ran", *arguments)
        return path

    def ran(self, name):
        """Whether such a payload has run since this was asked last."""
        seen = os.path.exists(self.path(name) + ".ran")
        if seen:
            os.remove(self.path(name) + ".ran")
        return seen

    def load(self, python, loader, paths):
        lines = run_python(python, loader, *paths, cwd=self.folder).splitlines()
        return [json.loads(line) for line in lines]

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def verdict(self, name):
        return self.tare_json("scan", "--format", "json", name, expect=1)["files"][0]["verdict"]


class Text(CraftTest):
    def test_help(self):
        text = self.tare("craft", "--help", expect=0).stdout
        self.assert_golden("craft_help", text.replace(os.path.abspath(TARE), "tare"))

    def test_list(self):
        self.assert_golden("craft_list", self.tare("craft", "--list", expect=0).stdout)


class Calls(CraftTest):
    def check_forms(self, end, *arguments):
        for form in FORMS:
            paths = []
            for protocol in map(str, range(6)):
                paths.append(self.touching(f"{form}-{protocol}.pkl", "--opcode", form,
                                           "--protocol", protocol, *arguments))
                self.assertEqual(self.verdict(paths[-1]), "dangerous", form)
            expected = [[path, module, True, end] for path in paths for module in ("pickle", "_pickle")]
            self.assertEqual(self.load(sys.executable, LOAD_PICKLES, paths), expected)

    def test_every_form_in_every_protocol_runs_in_both_unpicklers(self):
        self.check_forms("STOP")

    def test_broken_streams_run_and_then_fail(self):
        self.check_forms("BROKEN", "--break-after")

    def test_the_default_payload_only_prints(self):
        self.craft("a.pkl")
        loading = "import pickle; pickle.load(open('a.pkl', 'rb'))"
        self.assertEqual(run_python(sys.executable, loading, cwd=self.folder),
                         "tare-craft: this code ran\n")
        self.assertEqual(self.files(), ["a.pkl"])

    def test_code_runs_by_exec(self):
        self.craft("a.pkl", "--code", "print('x' * 3)")
        loading = "import pickle; pickle.load(open('a.pkl', 'rb'))"
        self.assertEqual(run_python(sys.executable, loading, cwd=self.folder), "xxx\n")

    def test_arguments_arrive_as_python_values(self):
        values = ["None", "True", "False", "-5", "1099511627776", "1.5", "-1e3", "'5'", "id", "a b",
                  "'it\\'s\\n\\u00e9'"]
        expected = (None, True, False, -5, 1099511627776, 1.5, -1000.0, "5", "id", "a b", "it's\n\u00e9")
        for protocol in range(6):
            self.craft("a.pkl", "--call", "builtins.max", "--protocol", str(protocol),
                       "--args", *values)
            with unittest.mock.patch("builtins.max", lambda *arguments: arguments):
                with open(self.path("a.pkl"), "rb") as file:
                    self.assertEqual(pickle.load(file), expected)

    def test_dotted_names_need_a_colon(self):
        self.craft("a.pkl", "--call", "pathlib:os.system", "--args", "true", "--bare")
        self.assertIn(b"\x8c\x07pathlib\x8c\x09os.system", self.read("a.pkl"))

    def test_files_say_what_they_are_unless_bare(self):
        for arguments in ([], ["--break-after"]):
            self.craft("a.pkl", *arguments)
            self.craft("b.pkl", "--bare", *arguments)
            self.assertEqual(self.read("a.pkl"), self.read("b.pkl") + MARKER)
        self.craft("a.pt")
        with zipfile.ZipFile(self.path("a.pt")) as archive:
            self.assertEqual(archive.read("a/.tare-crafted"), MARKER)
            self.assertNotIn(MARKER, archive.read("a/data.pkl"))
        self.craft("a.pt", "--bare")
        self.assertNotIn(MARKER, self.read("a.pt"))

    def test_container_follows_the_name_unless_given(self):
        for name in ("a.pt", "a.pth", "a.ckpt"):
            self.craft(name)
            self.assertTrue(zipfile.is_zipfile(self.path(name)), name)
        self.craft("a.pt", "--container", "pickle")
        self.assertFalse(zipfile.is_zipfile(self.path("a.pt")))
        self.craft("a.pkl", "--container", "torch")
        self.assertTrue(zipfile.is_zipfile(self.path("a.pkl")))

    @needs_torch
    def test_torch_loads_the_container(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                path = self.touching("a.pt")
                self.assertEqual(self.load(python, LOAD_MODELS, [path]), [[path, True, "0"]])
                self.assertTrue(self.ran("a.pt"))


class Recipes(CraftTest):
    def test_every_recipe_is_its_bytes(self):
        names = []
        for name, size, content in golden_recipes():
            self.craft("a", "--recipe", name, "--bare")
            data = self.read("a")
            self.assertEqual(len(data), size, name)
            kind, colon, digest = content.partition(":")
            if colon:
                self.assertEqual(hashlib.new(kind, data).hexdigest(), digest, name)
            else:
                self.assertEqual(data.hex(), content, name)
            names.append(name)
        listed = self.tare("craft", "--list", expect=0).stdout.split("Polyglots")[0]
        self.assertEqual(names, [line.split()[0] for line in listed.splitlines() if line[:2] == "  "])

    def test_no_recipe_is_safe(self):
        for name, _, _ in golden_recipes():
            for mark in ([], ["--bare"]):
                self.craft("a", "--recipe", name, *mark)
                self.assertNotEqual(self.tare("scan", "a").returncode, 0, name)

    def test_calls_and_imports_are_dangerous(self):
        # No call, no import that is known for harm, or an unpickler refuses before it.
        others = {"19_put_neg", "30_stacked_junk", "32_proto_255", "61_surrogate", "70_int_empty",
                  "86_string_unquoted"}
        for name, _, _ in golden_recipes():
            if name[0].isdigit() and name not in others:
                self.craft("a", "--recipe", name)
                self.assertEqual(self.verdict("a"), "dangerous", name)

    def test_unpicklers_make_the_calls(self):
        for name in ("01_global_p0", "02_stack_global", "03_inst", "04_obj", "08_memo_pop_none",
                     "10_memo_put_alias_p0", "20_ext1_selfreg", "21_ext2", "26_bad_opcode_after",
                     "49_unicode_escape", "55_setitems_memo_none"):
            self.craft("a", "--recipe", name)
            for unpickler in (recorder.C, recorder.PYTHON):
                with self.subTest(recipe=name, unpickler=unpickler.__module__):
                    events = recorder.record(unpickler, self.read("a")).events
                    self.assertEqual(events[-2:], [("import", "os", "system"), ("call",)])

    @unittest.skipUnless(sys.version_info < (3, 13, 15), "this Python reads frames as memory does")
    def test_frame_straddle_runs_from_files_only(self):
        self.craft("a", "--recipe", "45_frame_straddle")
        seen = []

        class Unpickler(recorder.C):
            def find_class(self, module, name):
                seen.append(f"{module}.{name}")
                return lambda *_: None

        with open(self.path("a"), "rb") as file:
            Unpickler(file).load()
        self.assertEqual(seen, ["os.system"])
        Unpickler(io.BytesIO(self.read("a"))).load()
        self.assertEqual(seen, ["os.system"] * 2)
        self.assertIsInstance(pickle.loads(self.read("a")), tuple)


class Polyglots(CraftTest):
    HARMLESS = {"tare-craft": "nothing ran"}

    def polyglot(self, name, extension):
        path = self.touching(f"{name}.{extension}", "--polyglot", name)
        self.assertNotEqual(self.tare("scan", path).returncode, 0)
        return path

    def zip_reads(self, path):
        with zipfile.ZipFile(path) as archive:
            return pickle.loads(archive.read("archive/data.pkl"))

    def test_zipfile(self):
        for name, extension, harmless in (
            ("duplicate", "pt", False), ("zip-zip", "pt", False), ("hidden-entry", "pt", True),
            ("letter-case", "pt", True), ("pickle-zip", "pkl", True),
        ):
            with self.subTest(polyglot=name):
                path = self.polyglot(name, extension)
                self.assertEqual(self.zip_reads(path) == self.HARMLESS, harmless)
                self.assertEqual(self.ran(path), not harmless)
        with self.assertRaises(zipfile.BadZipFile):
            self.zip_reads(self.polyglot("local-name", "pt"))

    def test_pickle(self):
        for name, extension in (("pickle-zip", "pkl"), ("safetensors-pickle", "safetensors")):
            with self.subTest(polyglot=name):
                path = self.polyglot(name, extension)
                with open(path, "rb") as file:
                    pickle.load(file)
                self.assertTrue(self.ran(path))

    @unittest.skipUnless(sys.version_info < (3, 13, 15), "this Python reads frames as memory does")
    def test_frame(self):
        path = self.polyglot("frame", "pkl")
        data = self.read(path)
        self.assertEqual(pickle.loads(data), self.HARMLESS)
        self.assertFalse(self.ran(path))
        pickle.load(io.BytesIO(data))
        self.assertTrue(self.ran(path))
        self.assertRaises(pickle.UnpicklingError, pickle._loads, data)

    def test_safetensors_holds_the_payload_as_a_tensor(self):
        path = self.polyglot("safetensors-pickle", "safetensors")
        done = self.tare("inspect", "--json", path, expect=0)
        self.assertIn('"tensor"', done.stdout)

    @needs_torch
    def test_torch(self):
        harmless = repr(self.HARMLESS)
        expected = {
            "letter-case": (True, "0"), "local-name": (True, "0"), "pickle-zip": (True, "error"),
            "duplicate": (False, harmless), "hidden-entry": (False, harmless),
            "zip-zip": (False, "error"),
        }
        for python, version in torch_pythons():
            paths = [self.polyglot(name, "pt") for name in expected]
            for name, (_, ran, value) in zip(expected, self.load(python, LOAD_MODELS, paths)):
                with self.subTest(torch=version, polyglot=name):
                    self.assertEqual((ran, value), expected[name])
                self.ran(name + ".pt")


class Inject(CraftTest):
    MODELS = ["2-zip.pt", "4-zip.pt", "2-legacy.pt", "4-legacy.pt"]

    def inject_everything(self):
        """Paths of injected models, and what is expected of each."""
        expected = {}
        for model in self.MODELS:
            before = self.read(model)
            for position, both in (("--first", ["0", "state"]), ("--last", ["state", "0"])):
                for keep, value in (([], "state"), (["--keep-result"], both)):
                    path = self.touching(f"{position}{len(keep)}-{model}", "--inject", model, position, *keep)
                    expected[path] = value
            self.assertEqual(self.read(model), before)
        for form in FORMS[:-2]:  # one of the extensions: a process registers os.system once
            path = self.touching(form + ".pt", "--inject", self.MODELS[0], "--opcode", form)
            expected[path] = "state"
        return expected

    @needs_torch
    def test_models_load_as_before_and_the_payload_runs(self):
        for python, version in torch_pythons():
            run_python(python, MAKE_MODELS, *self.MODELS, cwd=self.folder)
            expected = self.inject_everything()
            for path, ran, value in self.load(python, LOAD_MODELS, expected):
                with self.subTest(torch=version, file=os.path.basename(path)):
                    self.assertEqual(value, expected[path])
                    self.assertTrue(ran)
                    self.assertTrue(self.ran(path))
                    self.assertEqual(self.verdict(path), "dangerous")

    @needs_torch
    def test_every_other_record_is_unchanged(self):
        for python, version in torch_pythons():
            run_python(python, MAKE_MODELS, "2-zip.pt", cwd=self.folder)
            self.craft("out.pt", "--inject", "2-zip.pt")
            with self.subTest(torch=version), zipfile.ZipFile(self.path("2-zip.pt")) as old:
                with zipfile.ZipFile(self.path("out.pt")) as new:
                    self.assertEqual(new.namelist(), [*old.namelist(), "2-zip/.tare-crafted"])
                    for name in old.namelist():
                        same = old.read(name) == new.read(name)
                        self.assertEqual(same, name != "2-zip/data.pkl", name)

    def test_pickles_of_every_protocol(self):
        value = {"a": list(range(100)), "t": "x" * 200_000, "d": collections.OrderedDict(k=(1, 2.5))}
        for protocol in range(6):
            self.write("a.pkl", pickle.dumps(value, protocol))
            for position in ("--first", "--last"):
                for keep in ([], ["--keep-result"]):
                    self.touching("b.pkl", "--inject", "a.pkl", position, *keep)
                    for name, load in UNPICKLERS.items():
                        with self.subTest(protocol=protocol, position=position, keep=keep, unpickler=name):
                            with open(self.path("b.pkl"), "rb") as file:
                                made = load(file)
                            expected = (0, value) if position == "--first" else (value, 0)
                            self.assertEqual(made, expected if keep else value)
                            self.assertTrue(self.ran("b.pkl"))

    def test_never_in_place(self):
        self.write("a.pkl", pickle.dumps([1]))
        os.link(self.path("a.pkl"), self.path("b.pkl"))
        for name in ("a.pkl", "./a.pkl", "b.pkl"):
            done = self.craft(name, "--inject", "a.pkl", expect=4)
            self.assert_one_line_error(done, "--inject does not write to its input")
        self.assertEqual(self.read("a.pkl"), pickle.dumps([1]))

    def test_what_cannot_be_injected_is_said_and_leaves_nothing(self):
        self.write("broken.pkl", b"\x80\x04N")
        self.write("text.txt", b"hello\n")
        self.write("empty", b"")
        with zipfile.ZipFile(self.path("two.pt"), "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(2):
                archive.writestr(zipfile.ZipInfo("m/data.pkl"), b"N.")
        with zipfile.ZipFile(self.path("script.pt"), "w") as archive:
            for name in ("m/data.pkl", "m/constants.pkl"):
                archive.writestr(zipfile.ZipInfo(name), b"N.")
        with zipfile.ZipFile(self.path("other.zip"), "w") as archive:
            archive.writestr("a.txt", b"a")
        for name, text in (
            ("broken.pkl", "the stream ends"), ("text.txt", ""), ("empty", "empty"),
            ("missing", "cannot open"), ("two.pt", "read differently"),
            ("script.pt", "TorchScript"), ("other.zip", "without a data.pkl"),
        ):
            done = self.craft("out.pt", "--inject", name, expect=2)
            self.assert_one_line_error(done, f"tare: {name}: ", text)
        self.assertNotIn("out.pt", self.files())


class Outputs(CraftTest):
    def test_existing_files_stay_unless_asked(self):
        self.write("a.pkl", b"mine")
        self.assert_one_line_error(self.tare("craft", "-o", "a.pkl", expect=2), "exists")
        self.assertEqual(self.read("a.pkl"), b"mine")
        self.tare("craft", "-o", "a.pkl", "--force", expect=0)
        self.assertNotEqual(self.read("a.pkl"), b"mine")
        self.assertEqual(self.files(), ["a.pkl"])

    def test_stdout_gets_the_same_bytes(self):
        self.craft("a.pkl", "--protocol", "0")
        done = self.tare("craft", "--protocol", "0", "-o", "-", expect=0)
        self.assertEqual(done.stdout.encode(), self.read("a.pkl"))

    def test_stdout_must_not_be_a_terminal(self):
        main, terminal = os.openpty()
        try:
            done = self.tare("craft", "-o", "-", to_stdout=terminal, expect=4)
            self.assert_one_line_error(done, "stdout is a terminal")
        finally:
            os.close(main)
            os.close(terminal)

    def test_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            self.tare("craft", "-o", "-", to_stdout=full, expect=2)

    def test_same_arguments_same_bytes(self):
        for arguments in ([], ["--recipe", "zip_plain.pt"], ["--polyglot", "zip-zip"]):
            self.craft("a", *arguments)
            self.craft("b", *arguments)
            self.assertEqual(self.read("a"), self.read("b"))


class Usage(CraftTest):
    def test_what_makes_no_sense_is_refused(self):
        self.write("m.pkl", b"N.")
        for arguments in (
            [], ["-o", "x", "--args", "a"], ["-o", "x", "--call", "a.b", "--code", "c"],
            ["-o", "x", "--recipe", "no_such"], ["-o", "x", "--polyglot", "no-such"],
            ["-o", "x", "--opcode", "GLOBAL"], ["-o", "x", "--protocol", "6"],
            ["-o", "x", "--protocol", "-1"], ["-o", "x", "--first"], ["-o", "x", "--keep-result"],
            ["-o", "x", "--inject", "m.pkl", "--first", "--last"],
            ["-o", "x", "--inject", "m.pkl", "--break-after"],
            ["-o", "x", "--inject", "m.pkl", "--recipe", "03_inst"],
            ["-o", "x", "--recipe", "03_inst", "--call", "a.b"],
            ["-o", "x", "--polyglot", "frame", "--container", "torch"],
            ["-o", "x", "--container", "rar"], ["-o", "x", "--list"], ["--call", "a.b"],
        ):
            with self.subTest(arguments=arguments):
                self.tare("craft", *arguments, expect=4)
        self.assertEqual(self.files(), ["m.pkl"])

    def test_impossible_calls_are_refused(self):
        for arguments, text in (
            (["--call", "a.b", "--opcode", "NEWOBJ"], "at least one argument"),
            (["--call", "a.b", "--opcode", "BUILD"], "exactly one argument"),
            (["--call", "a.b", "--args", "9" * 30], "more than 64 bits"),
            (["--call", "a.b", "--args", "'\\q'"], "unknown escape"),
            (["--call", "a."], "MODULE.NAME"),
            (["--call", "a.b\nc"], "newline"),
        ):
            with self.subTest(arguments=arguments):
                self.assert_one_line_error(self.craft("x", *arguments, expect=2), text)


if __name__ == "__main__":
    unittest.main()
