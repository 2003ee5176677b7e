"""tare rules, tare explain, and docs/rules/, which is made of the same table.

TARE_UPDATE_GOLDEN=1 writes the pages of docs/rules/ anew.
"""

import os
import re
import unittest

from harness import TareTest

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "rules")
UPDATE = os.environ.get("TARE_UPDATE_GOLDEN")


def read(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def known_ids():
    """The ids of ids.txt: those in use, and those that are retired."""
    used, retired = [], []
    for line in read("ids.txt").splitlines():
        if line.startswith("#"):
            continue
        name, _, state = line.partition(" ")
        (retired if state == "retired" else used).append(name)
    return used, retired


class Rules(TareTest):
    def rules(self):
        return self.tare_json("rules", "--json")["rules"]

    def test_every_rule_says_everything(self):
        rules = self.rules()
        self.assertGreater(len(rules), 20)
        for rule in rules:
            for field in ("title", "why", "what_to_do", "example", "fix"):
                self.assertTrue(rule[field], (rule["id"], field))
            self.assertRegex(rule["security_severity"], r"\A(10\.0|[0-9]\.[0-9])\Z")
            self.assertTrue(rule["references"], rule["id"])
            for reference in rule["references"]:
                self.assertRegex(
                    reference["id"],
                    r"\A(CWE-\d+|CVE-\d{4}-\d{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3})\Z")
                self.assertIn(reference["id"].removeprefix("CWE-"), reference["url"])

    def test_scores_follow_the_severity(self):
        """What GitHub calls critical or high is what tare calls dangerous or unreadable."""
        for rule in self.rules():
            low, high = {"dangerous": (8.5, 10), "unreadable": (7, 8.9), "suspicious": (4, 8.4)}[
                rule["severity"]]
            self.assertTrue(low <= float(rule["security_severity"]) <= high, rule["id"])

    def test_ids_are_never_used_again(self):
        used, retired = known_ids()
        ids = [rule["id"] for rule in self.rules()]
        self.assertEqual(len(ids), len(set(ids)), "an id stands for two rules")
        self.assertEqual(len(used + retired), len(set(used + retired)), "ids.txt names one twice")
        self.assertEqual(set(ids) & set(retired), set(), "a retired id is in use again")
        self.assertEqual(sorted(ids), sorted(used),
                         "ids.txt: append new ids, mark those that are gone as retired")

    def test_pages_are_made_of_the_table(self):
        pages = {"README.md": self.tare("rules", "--markdown", expect=0).stdout}
        for rule in self.rules():
            pages[rule["id"] + ".md"] = self.tare(
                "explain", rule["id"], "--markdown", expect=0).stdout
        if UPDATE:
            for name, text in pages.items():
                with open(os.path.join(DOCS, name), "w", encoding="ascii") as file:
                    file.write(text)
        self.assertEqual(sorted(pages), sorted(x for x in os.listdir(DOCS) if x.endswith(".md")))
        for name, text in pages.items():
            self.assertEqual(text, read(name), name)

    def test_rules_as_text(self):
        lines = self.tare("rules", expect=0).stdout.splitlines()
        self.assertEqual([line.split()[:2] for line in lines],
                         [[rule["id"], rule["severity"]] for rule in self.rules()])

    def test_explain(self):
        text = self.tare("explain", "TARE-PKL-001", expect=0).stdout
        self.assert_golden("explain", text)
        self.assertEqual(text, self.tare("explain", "tare-pkl-001", expect=0).stdout)

    def test_explain_json(self):
        for rule in self.rules()[:3]:
            told = self.tare_json("explain", rule["id"], "--json")
            self.assertEqual(told, {"schema_version": 1, **rule})

    def test_unknown_ids(self):
        self.assert_one_line_error(
            self.tare("explain", "TARE-PKL-01", expect=4), "did you mean TARE-PKL-001 or")
        self.assert_one_line_error(self.tare("explain", "TARE-JTI-001", expect=4), "TARE-JIT-001")
        self.assert_one_line_error(self.tare("explain", "nothing", expect=4), "tare rules lists")
        done = self.tare("explain", "\x1b[31m" + "x" * 5000, expect=4)
        self.assert_one_line_error(done, r"\x1b[31m")
        self.assert_printable(done.stderr)

    def test_no_page_mentions_what_does_not_exist(self):
        for name in ("README.md", "../scan.md", "../threat-model.md", "../formats/torch.md"):
            for found in re.findall(r"TARE-[A-Z]{3}-\d{3}", read(name)):
                self.assertIn(found, known_ids()[0], name)


if __name__ == "__main__":
    unittest.main()
