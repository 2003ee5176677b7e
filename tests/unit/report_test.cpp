// The writers of a scan's report on findings that no file gives without further options.
#include <gmock/gmock.h>

#include <algorithm>

#include "report/base64.hpp"
#include "report/context_view.hpp"
#include "report/fingerprint.hpp"
#include "report/markup.hpp"
#include "report/rule_text.hpp"
#include "report/scan_writer.hpp"
#include "scan/rules.hpp"

namespace tare::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Finding call_finding() {
  Finding finding;
  finding.rule = &scan_rules::kPickleGadget;
  finding.entry = "archive/data.pkl";
  finding.offset = 100;
  finding.file_offset = 164;
  finding.opcode = "REDUCE";
  finding.evidence = "os.system('id')";
  finding.detail = "os.system starts programs";
  constexpr std::string_view kStream("cos\nsystem\nX\2\0\0\0id\x85Rq\1X\5\0\0\0hello.", 33);
  const auto bytes = as_bytes(kStream);
  finding.context.assign(bytes.begin(), bytes.end());
  finding.context_before = 19;
  return finding;
}

ScannedFile file_of(Finding finding) {
  ScanReport report;
  report.verdict = finding.suppressed.empty() ? finding.severity() : Verdict::kSafe;
  report.formats = {"torch-zip"};
  report.findings.push_back(std::move(finding));
  return {"model.pt", std::move(report)};
}

std::string written(ScanFormat format, const std::vector<ScannedFile>& files) {
  const auto writer = make_scan_writer(format, Colour::kNo);
  ScanTotals totals;
  std::string out;
  for (const ScannedFile& file : files) {
    totals.add(file);
    out += writer->add(file);
  }
  return out + writer->finish(totals);
}

std::string suppressed(ScanFormat format) {
  Finding finding = call_finding();
  finding.suppressed = "known since March";
  return written(format, {file_of(std::move(finding))});
}

TEST(ScanWriter, TellsSuppressedFindingsShortlyAndWhy) {
  EXPECT_THAT(
      suppressed(ScanFormat::kText),
      testing::StartsWith("model.pt: safe  (torch-zip, 0 B)\n"
                          "  TARE-PKL-001 dangerous  archive/data.pkl  offset 100  REDUCE  "
                          "suppressed: known since March\n1 file: 1 safe; 1 finding suppressed"));
  EXPECT_THAT(suppressed(ScanFormat::kJson),
              AllOf(HasSubstr("\"suppressed\": \"known since March\""),
                    HasSubstr("\"findings\": 0,\n    \"suppressed\": 1,")));
  EXPECT_THAT(suppressed(ScanFormat::kNdjson), HasSubstr("\"suppressed\":\"known since March\"}"));
  EXPECT_THAT(suppressed(ScanFormat::kSarif),
              AllOf(HasSubstr("\"suppressions\": ["), HasSubstr("\"kind\": \"external\""),
                    HasSubstr("\"justification\": \"known since March\"")));
  EXPECT_THAT(suppressed(ScanFormat::kJunit),
              AllOf(Not(HasSubstr("<failure")), HasSubstr("failures=\"0\""),
                    HasSubstr("<system-out>suppressed: known since March\nTARE-PKL-001")));
  EXPECT_THAT(suppressed(ScanFormat::kMarkdown),
              HasSubstr("- TARE-PKL-001 suppressed: ` known since March `"));
  EXPECT_THAT(suppressed(ScanFormat::kHtml), HasSubstr("<li class=\"finding suppressed\">"));
}

TEST(ScanWriter, WritesValidFramesAroundNothing) {
  EXPECT_THAT(
      written(ScanFormat::kJson, {}),
      testing::StartsWith("{\n  \"schema_version\": 1,\n  \"files\": [],\n  \"totals\": {"));
  EXPECT_THAT(written(ScanFormat::kSarif, {}), HasSubstr("\"results\": [],\n"));
  EXPECT_THAT(written(ScanFormat::kJunit, {}), HasSubstr("tests=\"0\""));
  EXPECT_THAT(written(ScanFormat::kHtml, {}), HasSubstr("<p id=\"totals\">0 files</p>"));
}

// A hostile zip has thousands of entries with names of its choice, "!" among them.
TEST(ScanWriter, GivesEachEntryOneArtifact) {
  ScanReport report;
  for (const char* entry : {"a!b", "a", "a!b", "a!c", "", "!", "//x"}) {
    report.findings.push_back(call_finding());
    report.findings.back().entry = entry;
  }
  const std::string text = written(ScanFormat::kSarif, {{"model.pt", std::move(report)}});
  const auto count = [&text](std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++found;
    }
    return found;
  };
  // a, a!b, a!c, the two of "!", //x
  EXPECT_EQ(count("\"parentIndex\""), 6U);
  EXPECT_THAT(text, HasSubstr("\"uri\": \"/%2F%2Fx\""));
}

TEST(ScanWriter, TakesNoMoreArtifactsFromANameThanFilesCanNest) {
  Finding finding = call_finding();
  finding.entry = std::string(60'000, '!');
  const std::string text = written(ScanFormat::kSarif, {file_of(finding)});
  EXPECT_THAT(text, HasSubstr("\"parentIndex\": 9"));
  EXPECT_THAT(text, Not(HasSubstr("\"parentIndex\": 10")));
}

TEST(Fingerprint, DependsOnAllThatMakesAFinding) {
  const std::string first = fingerprint(call_finding());
  EXPECT_EQ(first.size(), 64U);
  Finding same = call_finding();
  same.file_offset = 7;
  same.suppressed = "why";
  EXPECT_EQ(fingerprint(same), first);
  std::vector<std::string> all = {first};
  const auto add = [&all](auto change) {
    Finding finding = call_finding();
    change(finding);
    all.push_back(fingerprint(finding));
  };
  add([](Finding& f) { f.rule = &scan_rules::kPickleState; });
  add([](Finding& f) { f.entry += "x"; });
  add([](Finding& f) { f.offset += 1; });
  add([](Finding& f) { f.opcode = "OBJ"; });
  add([](Finding& f) { f.evidence += "x"; });
  add([](Finding& f) { f.detail += "x"; });
  add([](Finding& f) { f.context.pop_back(); });
  // Text that moves from one field to the next.
  add([](Finding& f) {
    f.detail += f.evidence;
    f.evidence.clear();
  });
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
}

TEST(ContextView, ShowsOpcodesFromTheFindingOnWithOffsetsOfTheEntry) {
  EXPECT_EQ(opcode_view(call_finding()),
            "  100: R    REDUCE\n  101: q    BINPUT     1\n  103: X    BINUNICODE 'hello'\n"
            "  113: .    STOP\n");
  EXPECT_EQ(finding_length(call_finding()), 1U);
}

TEST(ContextView, LeavesOutAnOpcodeThatTheContextCutsOff) {
  Finding finding = call_finding();
  finding.context.resize(30);
  EXPECT_EQ(opcode_view(finding), "  100: R    REDUCE\n  101: q    BINPUT     1\n");
  finding.context_before = 11;  // BINUNICODE 'id'
  finding.context.resize(15);
  EXPECT_EQ(opcode_view(finding), "");
  EXPECT_EQ(finding_length(finding), 4U);
}

TEST(ContextView, DoesNotMissTheMarksThatAreInFrontOfTheContext) {
  Finding finding = call_finding();
  finding.context[20] = std::byte{'u'};
  finding.context[21] = std::byte{'.'};
  finding.context.resize(22);
  EXPECT_EQ(opcode_view(finding), "  100: R    REDUCE\n  101: u    SETITEMS\n  102: .    STOP\n");
}

TEST(ContextView, ShowsNoOpcodesOfWhatIsNoPickle) {
  Finding finding = call_finding();
  finding.opcode.clear();
  EXPECT_EQ(opcode_view(finding), "");
  EXPECT_EQ(finding_length(finding), 1U);
  finding.context.clear();
  finding.context_before = 0;
  EXPECT_EQ(finding_length(finding), 0U);
  EXPECT_THAT(hex_rows(finding), IsEmpty());
}

TEST(ContextView, HexRowsBeginBeforeTheFinding) {
  const auto rows = hex_rows(call_finding());
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].offset, 81U);
  EXPECT_EQ(rows[0].hex, "63 6f 73 0a 73 79 73 74 65 6d 0a 58 02 00 00 00");
  EXPECT_EQ(rows[0].text, "cos.system.X....");
  EXPECT_EQ(rows[2].text, ".");
}

TEST(Base64, FollowsRfc4648) {
  EXPECT_EQ(base64(as_bytes("")), "");
  EXPECT_EQ(base64(as_bytes("f")), "Zg==");
  EXPECT_EQ(base64(as_bytes("fo")), "Zm8=");
  EXPECT_EQ(base64(as_bytes("foo")), "Zm9v");
  EXPECT_EQ(base64(as_bytes("foobar")), "Zm9vYmFy");
  EXPECT_EQ(base64(as_bytes("\xfb\xff")), "+/8=");
}

TEST(Markup, EscapesForElementsAndAttributes) {
  EXPECT_EQ(escaped("<a b=\"'&\n"), "&lt;a b=&quot;&#39;&amp;\\x0a");
  EXPECT_EQ(escaped_lines("<\n>"), "&lt;\n&gt;");
}

TEST(Markup, CodeSpansAreLongerThanAnyFenceInside) {
  EXPECT_EQ(code_span("a"), "` a `");
  EXPECT_EQ(code_span("a`b"), "`` a`b ``");
  EXPECT_EQ(code_span("```"), "```` ``` ````");
  EXPECT_EQ(code_span("a\nb"), "` a\\x0ab `");
  EXPECT_EQ(code_span("abcdef", 3), "` abc... `");
  EXPECT_EQ(code_span("ab``cd", 3), "`` ab`... ``");
}

TEST(RuleText, FindsRulesAndWhatIsSpelledLikeThem) {
  EXPECT_EQ(find_rule("tare-pkl-001"), &scan_rules::kPickleGadget);
  EXPECT_EQ(find_rule("TARE-PKL-000"), nullptr);
  EXPECT_EQ(find_rule(""), nullptr);
  EXPECT_EQ(similar_rules("TARE-JIT-00").front(), "TARE-JIT-001");
  EXPECT_THAT(similar_rules("x"), IsEmpty());
}

TEST(RuleText, KnowsThePagesOfAdvisories) {
  EXPECT_EQ(reference_url("CVE-2025-32434"), "https://www.cve.org/CVERecord?id=CVE-2025-32434");
  EXPECT_EQ(reference_url("CWE-502"), "https://cwe.mitre.org/data/definitions/502.html");
  EXPECT_EQ(reference_url("GHSA-2222-3333-4444"),
            "https://github.com/advisories/GHSA-2222-3333-4444");
  EXPECT_EQ(reference_url("other"), "");
  EXPECT_THAT(references_of(scan_rules::kScriptCode), ElementsAre("CWE-502", "CVE-2025-32434"));
}

}  // namespace
}  // namespace tare::report
