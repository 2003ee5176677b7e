#include "tare/craft.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "archive/zip_reader.hpp"
#include "support/pickle_bytes.hpp"
#include "support/torch_builder.hpp"
#include "tare/scan.hpp"

namespace tare::craft {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

Call touch() {
  return {"os", "system", {std::string("true")}};
}

std::string text_of(const Bytes& bytes) {
  return std::string(as_text(bytes));
}

std::string stream_of(const Call& call, Form form, unsigned protocol, bool broken = false) {
  const auto made = pickle_of(call, {form, protocol, broken, Marker::kNo});
  EXPECT_TRUE(made);
  return made ? text_of(*made) : "";
}

// ---- literals

TEST(CraftLiteral, ReadsWhatPythonWouldAndTakesTheRestAsText) {
  const auto read = [](std::string_view text) { return *parse_literal(text); };
  EXPECT_EQ(read("None"), Literal(None{}));
  EXPECT_EQ(read("True"), Literal(true));
  EXPECT_EQ(read("-17"), Literal(std::int64_t{-17}));
  EXPECT_EQ(read("+17"), Literal(std::int64_t{17}));
  EXPECT_EQ(read("9223372036854775807"), Literal(std::int64_t{INT64_MAX}));
  EXPECT_EQ(read("1.5"), Literal(1.5));
  EXPECT_EQ(read("-1e3"), Literal(-1000.0));
  for (const char* text : {"id", "", "none", "nan", "inf", "-", "1.2.3", "0x10", "1_0", "'", "e"}) {
    EXPECT_EQ(read(text), Literal(std::string(text))) << text;
  }
}

TEST(CraftLiteral, ReadsQuotedTextWithEscapes) {
  const auto read = [](std::string_view text) { return *parse_literal(text); };
  EXPECT_EQ(read("'5'"), Literal(std::string("5")));
  EXPECT_EQ(read("\"it's\""), Literal(std::string("it's")));
  EXPECT_EQ(read(R"('a\n\t\r\\\'\"\x41\u00e9')"), Literal(std::string("a\n\t\r\\'\"A\xc3\xa9")));
  for (const char* text : {R"('\q')", R"('\x4')", R"('\xzz')", R"('\')"}) {
    EXPECT_EQ(parse_literal(text).error().code, ErrorCode::kMalformed) << text;
  }
}

TEST(CraftLiteral, RefusesWhatAPickleCannotHold) {
  EXPECT_EQ(parse_literal("9223372036854775808").error().code, ErrorCode::kOverflow);
  EXPECT_EQ(parse_literal("\xff").error().code, ErrorCode::kInvalidArgument);
}

TEST(CraftCallable, SplitsAtTheLastDotOrAtAColon) {
  const auto parts = [](std::string_view text) {
    const auto call = parse_callable(text);
    return call ? call->module + "|" + call->name : "error";
  };
  EXPECT_EQ(parts("os.system"), "os|system");
  EXPECT_EQ(parts("a.b.c"), "a.b|c");
  EXPECT_EQ(parts("pathlib:os.system"), "pathlib|os.system");
  EXPECT_EQ(parts("print"), "builtins|print");
  for (const char* text : {"", ".", "a.", ".a", ":a", "a:", "a.b\nc", "\xff.a"}) {
    EXPECT_EQ(parts(text), "error") << text;
  }
}

// ---- calls

// Whatever the form and the protocol, the machine sees the call and its argument.
TEST(CraftPickle, EveryFormInEveryProtocolCallsTheFunction) {
  for (const auto& [name, form] : kForms) {
    for (unsigned protocol = 0; protocol <= 5; ++protocol) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(protocol));
      const std::string stream = stream_of(touch(), form, protocol);
      EXPECT_EQ(pickle::run(as_bytes(stream)).end, pickle::End::kStop);
      const auto report = scan(as_bytes(stream));
      ASSERT_TRUE(report);
      EXPECT_EQ(report->verdict, Verdict::kDangerous);
    }
  }
}

TEST(CraftPickle, WritesTheOpcodesThatTheFormsAreNamedAfter) {
  EXPECT_EQ(stream_of(touch(), Form::kReduce, 0), "cos\nsystem\n(Vtrue\ntR.");
  EXPECT_EQ(stream_of(touch(), Form::kReduce, 2),
            proto(2) + "cos\nsystem\nX" + u32(4) + "true\x85R.");
  EXPECT_EQ(stream_of(touch(), Form::kReduce, 4),
            proto(4) + stack_global("os", "system") + text("true") + "\x85R.");
  EXPECT_EQ(stream_of(touch(), Form::kInst, 0), "(Vtrue\nios\nsystem\n.");
  EXPECT_EQ(stream_of(touch(), Form::kObj, 0), "(cos\nsystem\nVtrue\no.");
}

TEST(CraftPickle, WritesArgumentsAsTheProtocolHasThem) {
  Call call{"m",
            "f",
            {None{}, true, std::int64_t{5}, std::int64_t{1} << 40, 1.5,
             std::string("\xc3\xa9\\\n\xf0\x9f\x98\x80")}};
  const std::string expected = "m.f(None, True, 5, 1099511627776, 1.5, '\\xe9\\\\\\n\\U0001f600')";
  for (unsigned protocol = 0; protocol <= 5; ++protocol) {
    const std::string stream = stream_of(call, Form::kReduce, protocol);
    EXPECT_EQ(statements(stream).back(), expected) << protocol;
  }
  EXPECT_EQ(stream_of(call, Form::kReduce, 0),
            "cm\nf\n(NI01\nI5\nL1099511627776L\nF1.5\n"
            "V\\u00e9\\u005c\\u000a\\U0001f600\ntR.");
}

TEST(CraftPickle, BreaksBehindThePayload) {
  const std::string stream = stream_of(touch(), Form::kReduce, 0, true);
  const auto run = pickle::run(as_bytes(stream));
  EXPECT_EQ(run.end, pickle::End::kBroken);
  EXPECT_EQ(run.end_offset, stream.size() - 1);
  EXPECT_EQ(run.events.size(), 2U);
}

TEST(CraftPickle, RefusesCallsThatAFormCannotMake) {
  const auto code_of = [](std::vector<Literal> arguments, Form form, unsigned protocol = 4) {
    const auto made = pickle_of({"m", "f", std::move(arguments)}, {form, protocol});
    return made ? ErrorCode::kIo : made.error().code;
  };
  EXPECT_EQ(code_of({}, Form::kNewObj), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({}, Form::kNewObjEx), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({}, Form::kBuild), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({true, true}, Form::kBuild), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({}, Form::kReduce, 6), ErrorCode::kInvalidArgument);
}

TEST(CraftPickle, SaysWhatItIsBehindTheStream) {
  const auto bare = pickle_of(touch(), {.marker = Marker::kNo});
  const auto marked = pickle_of(touch(), {});
  EXPECT_EQ(text_of(*marked), text_of(*bare) + std::string(kMarker));
}

// ---- recipes

TEST(CraftRecipes, HaveIdsOfTheirOwnAndAreFound) {
  std::set<std::string_view> ids;
  for (const Recipe& recipe : recipes()) {
    EXPECT_TRUE(ids.insert(recipe.id).second) << recipe.id;
    EXPECT_EQ(find_recipe(recipe.id), &recipe);
    EXPECT_FALSE(recipe.description.empty());
  }
  EXPECT_EQ(find_recipe("no such recipe"), nullptr);
}

TEST(CraftRecipes, NoneIsSafe) {
  for (const Recipe& recipe : recipes()) {
    for (const Marker marker : {Marker::kNo, Marker::kYes}) {
      const Bytes file = recipe.make(marker);
      const auto report = scan(file);
      if (report) {
        EXPECT_NE(report->verdict, Verdict::kSafe) << recipe.id;
      }
    }
  }
}

TEST(CraftRecipes, SayWhatTheyAre) {
  for (const Recipe& recipe : recipes()) {
    const std::string bare = text_of(recipe.make(Marker::kNo));
    const std::string marked = text_of(recipe.make(Marker::kYes));
    EXPECT_EQ(bare.find(kMarker), std::string::npos) << recipe.id;
    EXPECT_NE(marked.find(kMarker), std::string::npos) << recipe.id;
    if (recipe.is_pickle) {
      EXPECT_EQ(marked, bare + std::string(kMarker)) << recipe.id;
    }
  }
}

// The recipe as CPython's bug report has it: what memory and a file read differs.
TEST(CraftRecipes, FrameStraddleHasTwoReadings) {
  const Bytes file = find_recipe("45_frame_straddle")->make(Marker::kNo);
  EXPECT_EQ(file.size(), 131341U);
  const auto run = pickle::run(file);
  EXPECT_THAT(run.events, IsEmpty());
  ASSERT_TRUE(run.other_reading);
  EXPECT_EQ(run.other_reading->events.size(), 2U);
}

// ---- truncated streams

// Where a stream breaks. At its end, a line without its newline still counts to pickle.py, which
// then imports a shorter name (OddityKind::kPickleCut); what follows from that is no part of the
// whole stream.
std::uint64_t broken_at(const pickle::Run& run) {
  std::uint64_t at = run.end == pickle::End::kStop ? run.end_offset : run.error.offset;
  for (const auto& oddity : run.oddities) {
    if (oddity.kind == pickle::OddityKind::kPickleCut) at = std::min(at, oddity.offset);
  }
  return at;
}

std::vector<std::string> happened(const pickle::Run& run) {
  std::vector<std::string> lines;
  for (const auto& event : run.events) {
    if (event.offset >= broken_at(run)) break;
    lines.push_back(std::to_string(event.offset) + ' ' + std::string(pickle::op_name(event.op)) +
                    ' ' + pickle::statement(run.graph, event));
  }
  return lines;
}

bool begins(const std::vector<std::string>& whole, const std::vector<std::string>& part) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// Every cut of a short stream. In a long one, what lies between the ends is one long argument.
std::vector<std::size_t> cuts_of(std::size_t size) {
  constexpr std::size_t kEnds = 512;
  constexpr std::size_t kStep = 4096;
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 0; cut < size; ++cut) {
    if (cut < kEnds || size - cut <= kEnds || cut % kStep <= 1) cuts.push_back(cut);
  }
  return cuts;
}

void check_cuts(ByteSpan stream) {
  const auto whole = pickle::run(stream);
  const auto all = happened(whole);
  const auto all_other = whole.other_reading ? happened(*whole.other_reading) : all;
  for (const std::size_t cut : cuts_of(stream.size())) {
    SCOPED_TRACE("cut at " + std::to_string(cut));
    const ByteSpan prefix = stream.first(cut);
    const auto run = pickle::run(prefix);
    const auto seen = happened(run);
    EXPECT_TRUE(begins(all, seen));
    if (run.other_reading) {
      EXPECT_TRUE(begins(all_other, happened(*run.other_reading)));
    }
    EXPECT_LE(run.end_offset, cut);
    if (whole.end == pickle::End::kStop && cut >= whole.end_offset) {
      EXPECT_EQ(run.end_offset, whole.end_offset);
      continue;
    }
    ASSERT_EQ(run.end, pickle::End::kBroken);
    EXPECT_STRNE(run.error.what, "");
    ASSERT_TRUE(run.error.has_offset());
    EXPECT_LE(run.error.offset, cut);
    // All that came before the opcode that is cut has happened.
    for (std::size_t i = seen.size(); i < all.size(); ++i) {
      EXPECT_GE(std::stoull(all[i]), broken_at(run)) << all[i];
    }
    const auto report = scan(prefix);
    if (report) {
      EXPECT_NE(report->verdict, Verdict::kSafe);
    }
  }
}

TEST(CraftTruncated, RecipesKeepWhatHappenedBeforeTheCut) {
  for (const Recipe& recipe : recipes()) {
    if (!recipe.is_pickle) continue;
    SCOPED_TRACE(recipe.id);
    check_cuts(recipe.make(Marker::kNo));
  }
}

TEST(CraftTruncated, CallsKeepWhatHappenedBeforeTheCut) {
  for (const auto& [name, form] : kForms) {
    for (unsigned protocol = 0; protocol <= 5; ++protocol) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(protocol));
      check_cuts(as_bytes(stream_of(touch(), form, protocol)));
    }
  }
}

// ---- containers

TEST(CraftTorch, PutsThePickleIntoTheLayoutOfTorchSave) {
  const auto stream = pickle_of(touch(), {.marker = Marker::kNo});
  const auto file = torch_of(*stream, "m", Marker::kYes);
  ASSERT_TRUE(file);
  const auto archive = zip::Reader::open(*file);
  ASSERT_TRUE(archive);
  EXPECT_THAT(archive->anomalies(), IsEmpty());
  std::vector<std::string> names;
  for (const auto& entry : archive->entries()) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("m/data.pkl", "m/version", "m/.tare-crafted"));
  EXPECT_EQ(as_text(*archive->stored_bytes(archive->entries()[0])), text_of(*stream));
}

TEST(CraftPolyglots, NoneIsSafe) {
  const auto stream = pickle_of(touch(), {.marker = Marker::kNo});
  for (const Polyglot& polyglot : polyglots()) {
    EXPECT_EQ(find_polyglot(polyglot.id), &polyglot);
    const Bytes marked = polyglot.make(*stream, Marker::kYes);
    EXPECT_NE(text_of(marked).find(kMarker), std::string::npos) << polyglot.id;
    for (const Bytes& file : {marked, polyglot.make(*stream, Marker::kNo)}) {
      const auto report = scan(file);
      ASSERT_TRUE(report) << polyglot.id;
      EXPECT_GE(report->verdict, Verdict::kSuspicious) << polyglot.id;
    }
  }
}

// The lengths of a polyglot depend on that of its payload.
TEST(CraftPolyglots, HidePayloadsOfAnySize) {
  for (const std::size_t size : {0U, 1U, 100U, 250U, 251U, 252U, 260U, 5000U, 70000U}) {
    const Call call{"os", "system", {std::string(size, 'x')}};
    const auto stream = pickle_of(call, {.marker = Marker::kNo});
    const auto run = pickle::run(find_polyglot("frame")->make(*stream, Marker::kNo));
    EXPECT_EQ(run.end, pickle::End::kStop);
    EXPECT_THAT(run.events, IsEmpty());
    ASSERT_TRUE(run.other_reading) << size;
    EXPECT_EQ(run.other_reading->events.size(), 2U) << size;
    const Bytes tensors = find_polyglot("safetensors-pickle")->make(*stream, Marker::kNo);
    EXPECT_EQ(pickle::run(tensors).events.size(), 2U) << size;
    const auto report = scan(tensors);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->formats, ElementsAre("safetensors", "pickle"));
  }
}

// ---- injection

struct Injected {
  std::string bytes;
  ErrorCode code = ErrorCode::kIo;  // if there are no bytes
};

Injected inject_into(std::string_view file, InjectOptions options = {}) {
  options.marker = Marker::kNo;
  std::string out;
  const auto done =
      inject(as_bytes(file), touch(), options, [&out](ByteSpan bytes) -> Result<void> {
        out += as_text(bytes);
        return {};
      });
  return done ? Injected{out} : Injected{"", done.error().code};
}

TEST(CraftInject, RunsBeforeOrAfterTheObjectIsMade) {
  const std::string object = proto(2) + global("m", "f") + ")R.";
  const std::string first = inject_into(object).bytes;
  EXPECT_THAT(statements(first), ElementsAre("from os import system", "os.system('true')",
                                             "from m import f", "m.f()"));
  EXPECT_EQ(result_of(first), "m.f()");
  const std::string last = inject_into(object, {.position = Position::kLast}).bytes;
  EXPECT_THAT(statements(last), ElementsAre("from m import f", "m.f()", "from os import system",
                                            "os.system('true')"));
  EXPECT_EQ(result_of(last), "m.f()");
}

TEST(CraftInject, KeepsTheResultBesideTheObject) {
  const std::string object = proto(2) + small(7) + ".";
  EXPECT_EQ(result_of(inject_into(object, {.keep_result = true}).bytes), "(os.system('true'), 7)");
  EXPECT_EQ(
      result_of(inject_into(object, {.position = Position::kLast, .keep_result = true}).bytes),
      "(7, os.system('true'))");
}

// A frame must not end inside of what was put into it.
TEST(CraftInject, GrowsTheFrameThatHoldsStop) {
  const std::string body = text("abc") + ".";
  const std::string object = proto(4) + frame(body.size()) + body;
  for (const Position position : {Position::kFirst, Position::kLast}) {
    for (const bool keep : {false, true}) {
      const std::string file =
          inject_into(object, {.position = position, .keep_result = keep}).bytes;
      EXPECT_THAT(oddities(file), IsEmpty());
      EXPECT_EQ(statements(file).size(), 2U);
      EXPECT_EQ(pickle::run(as_bytes(file)).end_offset, file.size());
    }
  }
}

TEST(CraftInject, LeavesTheMemoAlone) {
  const std::string object =
      proto(4) + text("abc") + "\x94" + text("def") + "\x94h" + u8(1) + "\x87.";
  EXPECT_EQ(result_of(inject_into(object).bytes), result_of(object));
}

TEST(CraftInject, KeepsWhatFollowsThePickle) {
  EXPECT_TRUE(inject_into("N.tail").bytes.ends_with(".tail"));
}

TEST(CraftInject, GoesIntoTheFourthOfTorchsStackedPickles) {
  const std::string before = text_of(find_recipe("legacy_plain.pt")->make(Marker::kNo));
  const std::string magic = before.substr(0, 15);
  const std::string after = inject_into(before).bytes;
  EXPECT_TRUE(after.starts_with(before.substr(0, 44)));
  EXPECT_TRUE(after.ends_with(before.substr(before.size() - 6)));
  EXPECT_EQ(after.size(), before.size() + std::string("0").size() +
                              (stack_global("os", "system") + text("true") + "\x85R").size());
  EXPECT_EQ(inject_into(magic).code, ErrorCode::kTruncated);
}

TEST(CraftInject, RewritesArchivesAndKeepsEveryOtherRecord) {
  const std::string before = clean_torch_zip().build();
  const std::string after = inject_into(before).bytes;
  const auto from = zip::Reader::open(as_bytes(before));
  const auto to = zip::Reader::open(as_bytes(after));
  ASSERT_TRUE(from && to);
  ASSERT_EQ(from->entries().size(), to->entries().size());
  EXPECT_THAT(to->anomalies(), IsEmpty());
  for (std::size_t i = 0; i < from->entries().size(); ++i) {
    EXPECT_EQ(from->entries()[i].name, to->entries()[i].name);
    const auto old_bytes = as_text(*from->stored_bytes(from->entries()[i]));
    const auto new_bytes = as_text(*to->stored_bytes(to->entries()[i]));
    if (from->entries()[i].name == "m/data.pkl") {
      EXPECT_EQ(result_of(new_bytes), result_of(old_bytes));
      EXPECT_EQ(statements(new_bytes)[1], "os.system('true')");
    } else {
      EXPECT_EQ(new_bytes, old_bytes);
    }
  }
}

TEST(CraftInject, InflatesCompressedRecords) {
  ZipEntry data;
  data.name = "m/data.pkl";
  data.content = "(lp0\n.";
  data.method = 8;
  const std::string file = inject_into(ZipBuilder().add(data).build()).bytes;
  const auto archive = zip::Reader::open(as_bytes(file));
  ASSERT_TRUE(archive);
  EXPECT_EQ(statements(as_text(*archive->stored_bytes(archive->entries()[0]))).size(), 2U);
}

TEST(CraftInject, RefusesWhatItCannotDo) {
  EXPECT_EQ(inject_into("").code, ErrorCode::kTruncated);
  EXPECT_EQ(inject_into("\xff").code, ErrorCode::kMalformed);
  EXPECT_EQ(inject_into(two_readings("N.")).code, ErrorCode::kRefused);
  EXPECT_EQ(inject_into("PK\x03\x04").code, ErrorCode::kTruncated);
  EXPECT_EQ(inject_into(ZipBuilder().add("m/x", "y").build()).code, ErrorCode::kWrongFormat);
  EXPECT_EQ(inject_into(ZipBuilder().add("data.pkl", "N.").build()).code, ErrorCode::kWrongFormat);
  EXPECT_EQ(inject_into(ZipBuilder().add("m/data.pkl", "N").build()).code, ErrorCode::kTruncated);
  EXPECT_EQ(inject_into(ZipBuilder().add("m/data.pkl", "N.").add("m/data.pkl", "N.").build()).code,
            ErrorCode::kRefused);
  EXPECT_EQ(
      inject_into(ZipBuilder().add("m/data.pkl", "N.").add("m/constants.pkl", "N.").build()).code,
      ErrorCode::kUnsupported);
}

TEST(CraftInject, TellsWhatItsOutputSays) {
  const auto done = inject(as_bytes("N."), touch(), {}, [](ByteSpan) -> Result<void> {
    return fail(ErrorCode::kNoSpace, "full");
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kNoSpace);
}

}  // namespace
}  // namespace tare::craft
