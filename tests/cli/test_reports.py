"""The formats of a scan's report, on files whose names and contents want to break them."""

import base64
import json
import os
import pickle
import re
import unittest
import urllib.parse
import xml.etree.ElementTree
import zipfile

from harness import TareTest, pickle_checkpoint, small_state_dict, write_checkpoint

try:
    import jsonschema
except ImportError:
    jsonschema = None

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")

# Text that means something to HTML, XML, Markdown, SARIF messages and terminals.
HOSTILE = ("<script>pwned=1</script><img src=http://127.0.0.1:9/x onerror=pwned=1>"
           "'\"><svg onload=pwned=1>]]>--></style></pre></title>&lt;&#0;"
           "``` ` [x](http://127.0.0.1:9/y) @everyone #1 | a \x1b[31m \u202e \x00 \x7f \r\n# h\n")
NAMES = [
    "plain.pkl",
    "two words.pkl",
    "a:b%41?#.pkl",
    "new\nline\x1b[31m.pkl",
    os.fsdecode(b"\xff\xfe latin-\xe9.pkl"),
    "umlaut-\u00fc \u202e.pkl",
    "<img src=x onerror=pwned=1>'\".pkl",
    "`` ` ``[a](b)|@c.pkl",
]


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def schema(*names):
    with open(os.path.join(ROOT, *names), encoding="utf-8") as file:
        return json.load(file)


def needs_schemas(test):
    return unittest.skipUnless(jsonschema, "SKIPPED: python3-jsonschema is not here")(test)


class Reports(TareTest):
    def setUp(self):
        super().setUp()
        value, storages = small_state_dict()
        write_checkpoint(self.path("benign.pt"), pickle_checkpoint(value), storages)
        hostile = pickle_checkpoint({**value, "hook": Call(os.system, "echo " + HOSTILE)})
        write_checkpoint(self.path("hostile.pt"), hostile, storages,
                         {"extra/" + HOSTILE.replace("\x00", ""): b"?" * 20})
        # An entry in a compressed archive inside of an archive.
        with zipfile.ZipFile(self.path("outer.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            with open(self.path("hostile.pt"), "rb") as file:
                archive.writestr(zipfile.ZipInfo("/in ner.pt"), file.read(), zipfile.ZIP_DEFLATED)
        for name in NAMES:
            self.write(name, pickle.dumps([Call(os.system, HOSTILE), Call(eval, "1")], 4))
        self.write("broken.pt", b"PK\x03\x04" + b"\x80\x02" * 30)
        self.write("text.txt", b"no model at all\n")
        self.all = ["benign.pt", "hostile.pt", "outer.zip", *NAMES, "broken.pt", "text.txt",
                    "missing.pt", self.path("plain.pkl")]

    def report(self, form, *paths):
        return self.tare("scan", "--format", form, *(paths or self.all), expect=2).stdout

    def small(self, form):
        """A report for a golden text."""
        write_checkpoint(self.path("hook.pt"), pickle_checkpoint({"hook": Call(os.system, "id")}), {})
        done = self.tare("scan", "--format", form, "hook.pt", "benign.pt", "text.txt", "missing.pt")
        text = done.stdout
        if form == "sarif":  # the table of rules has tests of its own
            document = json.loads(text)
            del document["runs"][0]["tool"]["driver"]["rules"][1:]
            text = json.dumps(document, indent=2) + "\n"
            text = re.sub(r'(semanticVersion|"name": "tare",\s+"version)": "[^"]*"', r'\1": "N"', text)
        if form == "html":  # so have style and script
            text = re.sub(r"(<style>|<script>).*?(</style>|</script>)", r"\1\2", text, flags=re.S)
            text = re.sub(r"sha256-[A-Za-z0-9+/=]*", "sha256-N", text)
        self.assert_golden("scan_" + form, text + f"exit {done.returncode}\n")

    # ---- what all formats have in common

    def test_no_file_is_left_out_of_any_report(self):
        for form in ("text", "json", "ndjson", "sarif", "junit", "html", "markdown"):
            text = self.report(form, "benign.pt", "missing.pt", "text.txt", "hostile.pt")
            self.assertIn("No such file or directory", text, form)
            self.assertIn("no format that tare knows", text, form)
            if form not in ("markdown",):
                self.assertIn("benign.pt", text, form)
            self.assertIn("TARE-PKL-001", text, form)

    def test_the_same_files_give_the_same_report(self):
        for form in ("json", "ndjson", "sarif", "junit", "html", "markdown"):
            self.assertEqual(self.report(form), self.report(form), form)

    def test_text_is_printable_whatever_is_in_the_files(self):
        for form in ("text", "junit", "html", "markdown"):
            self.assert_printable(self.report(form).replace("\n", ""))

    def test_unknown_formats_are_refused(self):
        self.tare("scan", "--format", "pdf", "benign.pt", expect=4)

    # ---- JSON

    @needs_schemas
    def test_json_follows_its_schema(self):
        validator = jsonschema.Draft202012Validator(schema("docs", "schema", "scan.schema.json"))
        validator.check_schema(validator.schema)
        document = json.loads(self.report("json"))
        validator.validate(document)
        self.assertEqual(len(document["files"]), len(self.all))
        for damage in (lambda d: d.pop("totals"), lambda d: d["files"][1].pop("verdict"),
                       lambda d: d["files"][1]["findings"][0].update(severity="safe"),
                       lambda d: d["files"][0].update(error="io", message="")):
            damaged = json.loads(json.dumps(document))
            damage(damaged)
            self.assertFalse(validator.is_valid(damaged))

    @needs_schemas
    def test_ndjson_follows_its_schema_and_says_the_same(self):
        validator = jsonschema.Draft202012Validator(schema("docs", "schema", "scan-line.schema.json"))
        lines = [json.loads(line) for line in self.report("ndjson").split("\n")[:-1]]
        for line in lines:
            validator.validate(line)
        self.assertFalse(validator.is_valid({**lines[0], "kind": "totals"}))
        document = json.loads(self.report("json"))
        plain = [{k: v for k, v in line.items() if k not in ("schema_version", "kind")}
                 for line in lines]
        self.assertEqual(plain, [*document["files"], document["totals"]])

    def test_json_of_no_findings(self):
        document = self.tare_json("scan", "--format", "json", "benign.pt")
        self.assertEqual(document["totals"], {
            "files": 1, "safe": 1, "suspicious": 0, "unreadable": 0, "dangerous": 0, "unknown": 0,
            "failed": 0,
            "skipped": 0, "excluded": 0, "out_of_time": 0, "folder_links": 0, "findings": 0, "suppressed": 0,
            "bytes": os.path.getsize(self.path("benign.pt"))})

    def test_fingerprints_follow_the_finding_and_not_the_file(self):
        def prints(name, *others):
            document = self.tare_json("scan", "--format", "json", name, *others, expect=1)
            return [f["fingerprint"] for f in document["files"][-1 - len(others)]["findings"]]

        first = prints("plain.pkl")
        self.assertEqual(len(set(first)), len(first))
        os.makedirs(self.path("deep/er"))
        os.link(self.path("plain.pkl"), self.path("deep/er/other.pkl"))
        self.assertEqual(prints("deep/er/other.pkl", "hostile.pt"), first)
        # Another finding in front moves them; the same payload with one byte more is another.
        self.write("changed.pkl", pickle.dumps([Call(os.system, HOSTILE + "!"), Call(eval, "1")], 4))
        self.assertFalse(set(prints("changed.pkl")) & set(first))

    # ---- SARIF

    def sarif_run(self, *paths):
        return json.loads(self.report("sarif", *paths))["runs"][0]

    @needs_schemas
    def test_sarif_follows_the_schema_of_oasis(self):
        validator = jsonschema.Draft4Validator(schema("tests", "schemas", "sarif-schema-2.1.0.json"))
        document = json.loads(self.report("sarif"))
        validator.validate(document)
        validator.validate(json.loads(self.tare("scan", "--format", "sarif", "benign.pt",
                                                expect=0).stdout))
        for damage in (lambda r: r["results"][0].pop("message"),
                       lambda r: r["artifacts"][0].update(parentIndex=-2),
                       lambda r: r["invocations"][0].pop("executionSuccessful")):
            damaged = json.loads(json.dumps(document))
            damage(damaged["runs"][0])
            self.assertFalse(validator.is_valid(damaged))

    def test_sarif_locations(self):
        """Every location leads to the bytes, by the name of the file alone."""
        run = self.sarif_run()
        names = {os.fsencode(name) for name in self.all}
        for result in run["results"]:
            rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
            self.assertEqual(rule["id"], result["ruleId"])
            place = result["locations"][0]["physicalLocation"]
            artifact = run["artifacts"][place["artifactLocation"]["index"]]
            self.assertEqual(artifact["location"]["uri"], place["artifactLocation"]["uri"])
            self.assertNotIn("parentIndex", artifact)
            name = urllib.parse.unquote_to_bytes(place["artifactLocation"]["uri"])
            name = name.removeprefix(b"file://")
            self.assertIn(name, names)
            if "byteOffset" not in place["region"]:
                continue
            with open(os.path.join(os.fsencode(self.folder), name), "rb") as file:
                content = file.read()
            context = place["contextRegion"]
            start, length = context["byteOffset"], context["byteLength"]
            self.assertEqual(base64.b64decode(context["snippet"]["binary"]),
                             content[start:start + length])
            offset, length = place["region"]["byteOffset"], place["region"]["byteLength"]
            self.assertLessEqual(offset + length, len(content))
            if result["properties"].get("opcode") == "REDUCE":
                self.assertEqual(content[offset:offset + length], b"R")

    def test_sarif_uris_are_ascii_references(self):
        run = self.sarif_run()
        for artifact in run["artifacts"]:
            uri = artifact["location"]["uri"]
            self.assertRegex(uri, r"\A(file:///)?(%[0-9A-F]{2}|[A-Za-z0-9._~/-])*\Z")
            self.assertFalse(uri.startswith("//"), uri)
        self.assertEqual(run["artifacts"][-1]["location"]["uri"],
                         "file://" + urllib.parse.quote(self.path("plain.pkl")))

    def test_sarif_nested_artifacts(self):
        run = self.sarif_run("outer.zip", "missing.pt")
        result = next(r for r in run["results"] if r["ruleId"] == "TARE-PKL-001")
        logical = result["locations"][0]["logicalLocations"][0]
        self.assertEqual(logical["fullyQualifiedName"], "outer.zip!//in ner.pt!/hostile/data.pkl")
        nested = result["relatedLocations"][0]["physicalLocation"]
        chain = []
        index = nested["artifactLocation"]["index"]
        while index is not None:
            chain.append(run["artifacts"][index]["location"]["uri"])
            index = run["artifacts"][index].get("parentIndex")
        self.assertEqual(chain, ["/hostile/data.pkl", "/%2Fin%20ner.pt", "outer.zip"])
        self.assertEqual(nested["region"]["byteOffset"], result["properties"]["offset"])
        # The archive is compressed: no byte of the file is the place.
        self.assertNotIn("byteOffset", result["locations"][0]["physicalLocation"]["region"])

    def test_sarif_logical_location_of_a_checkpoint(self):
        run = self.sarif_run("hostile.pt", "missing.pt")
        self.assertIn("hostile.pt!/hostile/data.pkl", [
            r["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] for r in run["results"]])

    def test_sarif_says_what_was_not_scanned(self):
        invocation = self.sarif_run()["invocations"][0]
        self.assertFalse(invocation["executionSuccessful"])
        levels = {n["message"]["text"].partition(":")[0]: n["level"]
                  for n in invocation["toolExecutionNotifications"]}
        self.assertEqual(levels, {"text.txt": "warning", "missing.pt": "error"})
        done = self.tare("scan", "--format", "sarif", "benign.pt", expect=0)
        invocation = json.loads(done.stdout)["runs"][0]["invocations"][0]
        self.assertTrue(invocation["executionSuccessful"])
        self.assertEqual(invocation["toolExecutionNotifications"], [])

    def test_sarif_messages_have_no_links(self):
        for result in self.sarif_run()["results"]:
            self.assertNotRegex(result["message"]["text"], r"(?<!\\)[\[\]]")
            self.assertTrue(result["partialFingerprints"]["tareFinding/v1"])

    def test_sarif_rules(self):
        driver = self.sarif_run()["tool"]["driver"]
        self.assertEqual([rule["id"] for rule in driver["rules"]],
                         [rule["id"] for rule in self.tare_json("rules", "--json")["rules"]])
        for rule in driver["rules"]:
            self.assertIn("security", rule["properties"]["tags"])
            self.assertTrue(0 < float(rule["properties"]["security-severity"]) <= 10)
            self.assertIn(rule["id"], rule["help"]["markdown"])
            self.assertIn(rule["id"], rule["help"]["text"])

    @needs_schemas
    def test_suppressed_findings_stay_in_valid_reports(self):
        self.write("known.pkl", pickle.dumps([Call(os.system, "id"), Call(eval, "<1>")], 4))
        self.tare("scan", "--format", "json=base.json", "known.pkl", "missing.pt", expect=2)
        with open(self.path("base.json"), encoding="utf-8") as file:
            before = json.load(file)["files"][0]["findings"]
        call = ("scan", "--baseline", "base.json", "--format")
        document = self.tare_json(*call, "json", "known.pkl")
        jsonschema.Draft202012Validator(schema("docs", "schema", "scan.schema.json")).validate(document)
        after = document["files"][0]["findings"]
        reasons = [finding.pop("suppressed", None) for finding in after]
        self.assertEqual(after, before)
        self.assertTrue(all(reasons))
        self.assertEqual(document["totals"]["suppressed"], len(after))
        document = self.tare_json(*call, "sarif", "known.pkl")
        jsonschema.Draft4Validator(
            schema("tests", "schemas", "sarif-schema-2.1.0.json")).validate(document)
        results = document["runs"][0]["results"]
        self.assertEqual([r["suppressions"][0]["justification"] for r in results], reasons)

    # ---- JUnit

    def test_junit(self):
        suite = xml.etree.ElementTree.fromstring(self.report("junit")).find("testsuite")
        cases = suite.findall("testcase")
        self.assertEqual(len(cases), len(self.all))
        self.assertEqual(suite.get("tests"), str(len(cases)))
        by_name = {case.get("name"): case for case in cases}
        self.assertEqual(list(by_name["benign.pt"]), [])
        self.assertIn("No such file", by_name["missing.pt"].find("error").get("message"))
        self.assertIsNotNone(by_name["broken.pt"].find("error"))
        self.assertIsNotNone(by_name["text.txt"].find("skipped"))
        failures = by_name["plain.pkl"].findall("failure")
        self.assertEqual([f.get("type") for f in failures], ["TARE-PKL-001"] * 2)
        self.assertIn("<script>pwned=1</script>", failures[0].text)
        failed = sum(case.find("failure") is not None and case.find("error") is None
                     for case in cases)
        self.assertEqual(suite.get("failures"), str(failed))
        self.assertEqual(suite.get("errors"), str(sum(c.find("error") is not None for c in cases)))
        self.assertEqual(suite.get("skipped"), "1")
        # The worst comes first.
        self.assertEqual(by_name["hostile.pt"].find("failure").get("type"), "TARE-PKL-001")

    # ---- Markdown

    @staticmethod
    def outside_of_code(text):
        """The text without its code spans, as CommonMark takes them: fences of equal length."""
        return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", text)

    def test_markdown_keeps_text_of_files_in_code_spans(self):
        text = self.report("markdown")
        self.assertIn("pwned", text)
        outside = self.outside_of_code(text)
        for word in ("pwned", "<", "everyone", "127.0.0.1", "[", "\x1b", "`", "|", "&"):
            self.assertNotIn(word, outside)
        for line in text.splitlines():
            self.assertRegex(line, r"\A(\Z|## tare scan|\d+ files: |### |` |  - |- )")

    def test_markdown_fits_into_a_comment(self):
        names = []
        for i in range(300):
            names.append(f"{i:0200}.pkl")
            self.write(names[-1], pickle.dumps([Call(os.system, "x" * 500 + str(j)) for j in range(20)], 4))
        text = self.report("markdown", "missing.pt", *names)
        self.assertLess(len(text), 61_000)
        self.assertIn("300 dangerous, 1 not read", text.splitlines()[2])
        shown = len(re.findall("(?m)^### ", text))
        self.assertIn(f"**{301 - shown} more files** are not shown here", text)
        self.assertTrue("- and 10 more findings" in text)

    # ---- golden texts

    def test_golden_texts(self):
        for form in ("ndjson", "sarif", "junit", "markdown", "html"):
            self.small(form)


if __name__ == "__main__":
    unittest.main()
