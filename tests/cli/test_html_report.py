"""The HTML report in a real browser: nothing of a file runs, nothing is requested, the filter works.

Debian's Chromium does it, without a window; where there is none, the tests say SKIPPED.
"""

import html.parser
import os
import pickle
import re
import tempfile
import unittest

from browser import Browser, chromium
from harness import TareTest, pickle_checkpoint, small_state_dict, write_checkpoint
from test_reports import HOSTILE, NAMES, Call

TAGS = {"html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "div", "form",
        "input", "label", "button", "span", "main", "article", "p", "code", "ol", "li", "strong",
        "details", "summary", "pre", "mark", "script"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "id", "role", "hidden", "type",
              "aria-label", "placeholder", "class", "value", "checked", "data-verdict", "tabindex"}


class Outline(html.parser.HTMLParser):
    """All tags and attributes, and how the tags close."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


class WithReport(TareTest):
    def setUp(self):
        super().setUp()
        value, storages = small_state_dict()
        write_checkpoint(self.path("benign.pt"), pickle_checkpoint(value), storages)
        hostile = pickle_checkpoint({**value, "hook": Call(os.system, "echo " + HOSTILE)})
        write_checkpoint(self.path("hostile.pt"), hostile, storages,
                         {"extra/" + HOSTILE.replace("\x00", ""): b"?" * 20})
        for name in NAMES:
            self.write(name, pickle.dumps([Call(os.system, HOSTILE), Call(eval, "1")], 4))
        self.write("odd.pkl", pickle.dumps([1], 2) + b"more")
        self.write("broken.pt", b"PK\x03\x04" + b"\x80\x02" * 30)
        self.all = ["benign.pt", "hostile.pt", *NAMES, "odd.pkl", "broken.pt", "missing.pt"]
        self.page = self.tare("scan", "--format", "html", *self.all, expect=2).stdout
        self.write("report.html", self.page.encode("ascii"))


class HtmlReport(WithReport):
    def test_nothing_but_our_own_tags_and_attributes(self):
        outline = Outline(self.page)
        self.assertEqual(set(outline.tags) - TAGS, set())
        self.assertEqual(outline.attributes - ATTRIBUTES, set())
        self.assertEqual(outline.open, [])
        for tag in ("script", "style", "html", "body", "header", "main"):
            self.assertEqual(outline.tags.count(tag), 1, tag)
        self.assertEqual(outline.tags.count("article"), len(self.all))

    def test_the_policy_comes_first_and_allows_nothing_more(self):
        policy = re.search('<meta http-equiv="Content-Security-Policy" content="([^"]*)">', self.page)
        self.assertLess(policy.end(), self.page.index("<style>"))
        self.assertRegex(policy.group(1), r"\Adefault-src 'none'; style-src 'sha256-[\w+/]{43}='; "
                         r"script-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'\Z")


@unittest.skipUnless(chromium(), "SKIPPED: chromium is not here (./bootstrap --dev)")
class HtmlReportInABrowser(WithReport):
    @classmethod
    def setUpClass(cls):
        profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cls.addClassCleanup(profile.cleanup)
        cls.browser = Browser(profile.name)
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        super().setUp()
        self.browser.open(self.path("report.html"))

    def shown(self):
        """The names of the files that are shown."""
        return self.browser.value(
            "Array.from(document.querySelectorAll('article')).filter(a => a.checkVisibility())"
            ".map(a => a.querySelector('.name').textContent)")

    def test_nothing_of_a_file_runs_and_nothing_is_requested(self):
        self.browser.value("document.getElementById('open').click()")
        self.browser.wait(0.5)
        self.assertEqual(self.browser.value("typeof pwned"), "undefined")
        self.assertEqual(self.browser.requests(), ["file://" + self.path("report.html")])
        self.assertNotIn("Runtime.exceptionThrown", self.browser.seen())
        self.assertNotIn("Page.javascriptDialogOpening", self.browser.seen())
        # No complaint of the policy: nothing even tried.
        self.assertNotIn("Log.entryAdded", self.browser.seen())
        self.assertEqual(self.browser.value("document.title"), "tare scan")
        self.assertEqual(
            self.browser.value("document.querySelectorAll('img,svg,a,iframe,object').length"), 0)
        self.assertIn("<script>pwned=1</script>", self.browser.value("document.body.innerText"))

    def test_the_same_text_would_act_in_a_page_that_does_not_escape(self):
        self.write("control.html", b"<!DOCTYPE html><body>" + HOSTILE.replace("\0", "").encode())
        self.browser.open(self.path("control.html"))
        self.assertEqual(self.browser.value("window.pwned"), 1)
        self.assertIn("http://127.0.0.1:9/x", self.browser.requests())

    def test_the_policy_stops_what_would_get_through(self):
        """Text that was not escaped would still do nothing."""
        hostile = (b"<script>window.pwned=1</script><svg onload=window.pwned=1></svg>"
                   b"<img src=http://127.0.0.1:9/x onerror=window.pwned=1>"
                   b"<style>body{background:url(http://127.0.0.1:9/y)}</style>"
                   b"<iframe src=http://127.0.0.1:9/z></iframe><base href=http://127.0.0.1:9/>")
        self.write("through.html", self.page.encode().replace(b"<main>", b"<main>" + hostile))
        self.browser.open(self.path("through.html"))
        self.assertEqual(self.browser.value("typeof window.pwned"), "undefined")
        self.assertIn("Log.entryAdded", self.browser.seen())
        blocked = {event["params"]["requestId"] for event in self.browser.events
                   if event.get("method") == "Network.loadingFailed"
                   and event["params"].get("blockedReason") == "csp"}
        sent = {event["params"]["requestId"] for event in self.browser.events
                if event.get("method") == "Network.requestWillBeSent"
                and event["params"]["request"]["url"].startswith("http:")}
        self.assertTrue(sent)
        self.assertEqual(sent - blocked, set())

    def test_filter_by_verdict(self):
        everything = len(self.all)
        self.assertEqual(len(self.shown()), everything)
        self.assertEqual(self.browser.value("document.getElementById('shown').textContent"),
                         f"{everything} of {everything} files")
        for verdict, count in (("safe", 1), ("suspicious", 1), ("unreadable", 1), ("unscanned", 1),
                               ("dangerous", len(NAMES) + 1)):
            box = f"document.querySelector('input[value={verdict}]')"
            self.browser.value(box + ".click()")
            self.assertEqual(len(self.shown()), everything - count, verdict)
            self.browser.value(box + ".click()")
        self.assertEqual(len(self.shown()), everything)

    def test_filter_by_text_with_the_keyboard(self):
        self.browser.press("/", "/")
        self.assertEqual(self.browser.value("document.activeElement.id"), "text")
        self.browser.type("BENIGN")
        self.assertEqual(self.shown(), ["benign.pt"])
        self.browser.press("Escape")
        self.assertEqual(len(self.shown()), len(self.all))
        # Of a file whose name does not match, only the findings that do.
        self.browser.type("builtins.eval")
        self.assertEqual(len(self.shown()), len(NAMES))
        self.assertEqual(self.browser.value(
            "Array.from(document.querySelectorAll('.finding')).filter(f => f.checkVisibility())"
            ".every(f => f.textContent.includes('builtins.eval'))"), True)

    def test_bytes_open_with_the_keyboard(self):
        self.assertEqual(self.browser.value("document.querySelectorAll('details[open]').length"), 0)
        self.browser.press("/", "/")
        for _ in range(40):
            self.browser.press("Tab")
            if self.browser.value("document.activeElement.tagName") == "SUMMARY":
                break
        self.browser.press("Enter", "\r")
        self.assertEqual(self.browser.value("document.querySelectorAll('details[open]').length"), 1)
        self.assertEqual(self.browser.value("document.activeElement.nextElementSibling.className"),
                         "hex")
        self.assertIn("REDUCE", self.browser.value(
            "document.querySelector('details[open] .opcodes').innerText"))
        self.browser.press("Tab")  # long lines can be scrolled
        self.assertEqual(self.browser.value("document.activeElement.className"), "hex")

    def test_light_and_dark(self):
        colours = []
        for scheme in ("light", "dark"):
            self.browser.call("Emulation.setEmulatedMedia",
                              features=[{"name": "prefers-color-scheme", "value": scheme}])
            colours.append(self.browser.value(CONTRASTS))
        for contrasts in colours:
            # WCAG AA for text.
            self.assertGreater(min(contrasts["ratios"]), 4.5, contrasts)
        self.assertNotEqual(colours[0]["back"], colours[1]["back"])

    def test_totals_stand_at_the_top(self):
        self.assertEqual(self.browser.value("document.querySelector('header #totals').textContent"),
                         "13 files: 1 safe, 1 suspicious, 1 unreadable, 9 dangerous, 1 not read")


# The contrast of every text against what is behind it.
CONTRASTS = """(() => {
  const light = (colour) => {
    const part = colour.match(/[0-9.]+/g).slice(0, 3).map((x) => x / 255)
      .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!colour.endsWith(", 0)")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const ratios = new Set();
  for (const element of document.querySelectorAll(".verdict, p, code, pre, mark, label, button")) {
    const a = light(getComputedStyle(element).color);
    const b = light(behind(element));
    ratios.add((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return { ratios: Array.from(ratios), back: getComputedStyle(document.body).backgroundColor };
})()"""


if __name__ == "__main__":
    unittest.main()
