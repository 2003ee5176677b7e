"""tare policy and tare scan --policy: what is printed can be read, mistakes are told by place, and
only the file that is named counts."""

import hashlib
import unittest

from harness import TareTest

try:
    import tomllib
except ImportError:  # Python before 3.11
    tomllib = None

UNKNOWN = b"\x80\x02cstudio\nNet\n)\x81."
HOSTILE = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."
NAME = '[[name]]\nmodule = "studio"\nname = "Net"\ncall = "new"\nreason = "ours"\n'


def text(content):
    return content.encode("utf-8")


class Policy(TareTest):
    def check(self, content):
        self.write("p.toml", text(content))
        return self.tare("policy", "check", "p.toml")

    def verdict(self, name, *options):
        done = self.tare("scan", *options, name)
        return done.stdout.split("\n", maxsplit=1)[0].split(": ")[1].split()[0]

    @unittest.skipIf(tomllib is None, "SKIPPED: no tomllib")
    def test_prints_what_it_reads(self):
        self.write("p.toml", text(NAME + '[[allow]]\nrule = "TARE-PKL-003"\nreason = "a \\"b\\" \\u0007"\n'))
        done = self.tare("policy", "--policy", "p.toml", expect=0)
        printed = tomllib.loads(done.stdout)
        names = {(n["module"], n["name"]): n for n in printed["name"]}
        self.assertEqual(names["studio", "Net"]["call"], "new")
        self.assertEqual(names["collections", "OrderedDict"]["items"], "keys")
        self.assertEqual(names["builtins", "getattr"]["named"], False)
        self.assertEqual(names["torch.nn.modules.linear", "Linear"]["state"], "attributes")
        self.assertNotIn(("os", "system"), names)
        self.assertEqual(printed["allow"][0]["reason"], 'a "b" \x07')

    def test_tells_mistakes_by_line_and_column(self):
        for content, place in (
                ("version = 2\n", "line 1, column 11"),
                ("versoin = 1\n", "line 1, column 1"),
                (NAME + "call = 1\n", "line 6"),
                ("\n[[name]]\nmodule = 1\n", "line 3, column 10"),
                ("[name]\nmodule = 'a'\n", "line 1"),
                ("[[name]]\nmodule = 'a'\nname = 'b'\n", "no reason"),
                (NAME.replace("studio", "os"), "known gadget"),
                (NAME.replace("studio", "st*"), "not by a pattern"),
                (NAME.replace('"new"', '"some"'), "'call'"),
                (NAME + "expires = 2020\n", "line 6, column 11: 'expires' must be a date"),
                ("[[allow]]\nrule = 'TARE-PKL-001'\nreason = 'x'\n", "line 1"),
                ("[[allow]]\nrule = 'TARE-XYZ-001'\nreason = 'x'\n", "no such rule"),
                ("[[allow]]\nrule = 'TARE-PKL-003'\nreason = 'x'\nsha256 = 'A'\n", "64"),
                ("x = [\n", "line 1"), ("\xFF\x00", "line 1")):
            done = self.check(content)
            self.assertEqual(done.returncode, 4, content)
            self.assert_one_line_error(done, "p.toml", place)

    def test_a_file_that_is_not_there(self):
        self.assertEqual(self.tare("policy", "check", "none.toml").returncode, 4)
        self.write("m.pkl", UNKNOWN)
        self.assertEqual(self.tare("scan", "--policy", "none.toml", "m.pkl").returncode, 4)

    def test_adds_names(self):
        self.write("m.pkl", UNKNOWN)
        self.write("p.toml", text(NAME))
        self.assertEqual(self.verdict("m.pkl"), "suspicious")
        self.assertEqual(self.verdict("m.pkl", "--policy", "p.toml"), "safe")

    def test_expired_entries_count_again_and_are_told(self):
        self.write("m.pkl", UNKNOWN)
        self.write("p.toml", text(NAME + "expires = 2020-01-31\n"))
        done = self.tare("scan", "--policy", "p.toml", "m.pkl", expect=1)
        self.assertIn("line 1: this entry expired on 2020-01-31", done.stderr)

    def test_allows_one_dangerous_file(self):
        self.write("m.pkl", HOSTILE)
        self.write("n.pkl", HOSTILE + b" ")
        digest = hashlib.sha256(HOSTILE).hexdigest()
        self.write("p.toml", text(
            f'[[allow]]\nrule = "TARE-PKL-001"\nsha256 = "{digest}"\nreason = "training"\n'))
        self.assertEqual(self.verdict("m.pkl", "--policy", "p.toml"), "safe")
        self.assertEqual(self.verdict("n.pkl", "--policy", "p.toml"), "dangerous")

    def test_obeys_no_file_that_lies_around(self):
        self.write("m.pkl", UNKNOWN)
        for name in ("policy.toml", "tare.toml", ".tare.toml", ".tare", "tare-policy.toml"):
            self.write(name, text(NAME))
        self.assertEqual(self.verdict("m.pkl"), "suspicious")


if __name__ == "__main__":
    unittest.main()
