// What the policy allows: each idiom in its exact shape, and the nearest streams that are not it;
// and what users add.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scan/policy.hpp"
#include "support/pickle_values.hpp"
#include "tare/craft.hpp"
#include "tare/policy.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using pickle::EventKind;
using scan_policy::NamePolicy;

Verdict verdict_of(const std::string& value, unsigned protocol = 2,
                   const Policy* policy = nullptr) {
  const auto report = scan(as_bytes(stream(value, protocol)), {policy, "m.pkl"});
  EXPECT_TRUE(report.has_value()) << value;
  return report ? report->verdict : Verdict::kUnreadable;
}

void expect_safe(const std::vector<std::string>& values) {
  for (const std::string& value : values) EXPECT_EQ(verdict_of(value), Verdict::kSafe) << value;
}
void expect_not_safe(const std::vector<std::string>& values) {
  for (const std::string& value : values) {
    EXPECT_GE(verdict_of(value), Verdict::kSuspicious) << value;
  }
}
void expect_dangerous(const std::vector<std::string>& values) {
  for (const std::string& value : values) {
    EXPECT_EQ(verdict_of(value), Verdict::kDangerous) << value;
  }
}

// ---- idioms of Python

TEST(PolicyPython, MembersOfAnEnumByName) {  // Python 3.11.0 to 3.11.3
  const std::string known = global("transformers.trainer_utils", "IntervalStrategy");
  expect_safe({called("builtins", "getattr", {known, str("STEPS")}),
               called("transformers.trainer_utils", "IntervalStrategy", {str("steps")})});
  expect_not_safe({
      called("builtins", "getattr", {known, str("__class__")}),
      called("builtins", "getattr", {known, str("a.b")}),
      called("builtins", "getattr", {known, str("STEPS"), kNone}),
      called("builtins", "getattr", {global("torch.nn.modules.linear", "Linear"), str("forward")}),
      called("builtins", "getattr", {global("studio", "Unknown"), str("MEMBER")}),
      called("transformers.trainer_utils", "IntervalStrategy", {list({})}),
  });
  expect_dangerous({
      called("builtins", "getattr", {global("os", "path"), str("join")}),
      called("builtins", "getattr", {called("builtins", "getattr", {known, str("A")}), str("B")}),
      global("builtins", "getattr"),
  });
}

TEST(PolicyPython, ACallableThatIsHeldIsAValueAsWell) {
  const std::string get = global("builtins", "getattr") + binput(1);
  const std::string known = global("transformers.trainer_utils", "IntervalStrategy");
  expect_dangerous({list({get + tuple({known, str("STEPS")}) + "R", binget(1)})});
  const std::string made_once =
      global("ultralytics.nn.tasks", "DetectionModel") + binput(1) + ")\x81";
  expect_safe({list({made_once + build(dict({{str("training"), boolean(false)}}))})});
  expect_not_safe({list({made_once, binget(1)}), list({made_once, tuple({binget(1)})}),
                   list({made_once, dict({{str("hook"), binget(1)}})}),
                   global("ultralytics.nn.tasks", "DetectionModel")});
}

TEST(PolicyPython, BytesOfOldProtocols) {
  expect_safe({called("_codecs", "encode", {str("abc"), str("latin1")}),
               called("__builtin__", "bytes"), called("__builtin__", "bytearray", {bytes("a")})});
  expect_not_safe({called("_codecs", "encode", {str("abc"), str("rot13")}),
                   called("_codecs", "encode", {str("abc")}),
                   called("_codecs", "encode", {bytes("abc"), str("latin1")}),
                   called("_codecs", "decode", {bytes("abc"), str("latin1")}),
                   called("__builtin__", "bytearray", {integer(1'000'000'000)})});
}

TEST(PolicyPython, DictsWithAFactory) {
  expect_safe({called("collections", "defaultdict", {global("__builtin__", "list")}) +
                   items({{str("a"), integer(1)}}),
               called("collections", "defaultdict", {kNone}),
               called("collections", "Counter", {dict({{str("a"), integer(1)}})}),
               called("collections", "deque", {list({integer(1)}), integer(5)})});
  expect_not_safe(
      {called("collections", "defaultdict", {global("torch.nn.modules.linear", "Linear")}),
       called("collections", "defaultdict", {global("studio", "make")}),
       called("collections", "defaultdict", {called("__builtin__", "list")}),
       called("collections", "deque", {global("__builtin__", "list")})});
  expect_dangerous({called("collections", "defaultdict", {global("os", "getcwd")}),
                    called("collections", "defaultdict", {global("__builtin__", "input")})});
}

TEST(PolicyPython, PairsOfAnOrderedDict) {
  expect_safe({called("collections", "OrderedDict", {list({list({str("a"), integer(1)})})}),
               called("collections", "OrderedDict", {list({tuple({str("a"), integer(1)})})})});
  expect_not_safe({called("collections", "OrderedDict", {list({tuple({list({}), integer(1)})})}),
                   called("collections", "OrderedDict", {called("studio", "pairs")}),
                   called("collections", "OrderedDict", {list({str("ab")})})});
}

TEST(PolicyPython, PartialOfLayersOnly) {
  const auto partial = [](const std::string& held, const std::string& state_of) {
    return held + binput(1) + "0" + called("functools", "partial", {binget(1)}) +
           build(tuple({state_of, tuple({}), dict({{str("eps"), real(1e-6)}}), kNone}));
  };
  expect_safe({partial(global("torch.nn.modules.normalization", "LayerNorm"), binget(1))});
  expect_not_safe({
      partial(global("torch.nn.modules.normalization", "LayerNorm"), global("studio", "f")),
      partial(global("studio", "f"), binget(1)),
      partial(global("ultralytics.nn.tasks", "DetectionModel"), binget(1)),
      partial(global("torch.storage", "_load_from_bytes"), binget(1)),
  });
  expect_dangerous({partial(global("os", "system"), binget(1))});
}

// ---- objects of libraries

TEST(PolicyObjects, ModulesWithPlainAttributes) {
  const std::string linear = made("torch.nn.modules.linear", "Linear");
  expect_safe({linear + build(dict({{str("training"), boolean(true)}}))});
  expect_not_safe({
      linear + build(dict({{str("__setstate__"), kNone}})),
      linear + build(dict({{str("attribute_map"), kNone}})),
      linear + build(tuple({kNone, dict({{str("x"), kNone}})})),
      linear + build(dict({{str("forward"), global("studio", "run")}})),
      called("torch.nn.modules.linear", "Linear", {integer(1), integer(1)}),
      made("torch.nn.modules.linear", "Linear", {integer(1)}),
      made("torch.nn.modules.linear", "linear"),
      made("torch.nn.modules", "Linear"),
      made("studio", "Linear"),
  });
  expect_dangerous({linear + build(dict({{str("forward"), global("os", "system")}}))});
}

TEST(PolicyObjects, UnknownClassesAreNamed) {
  const auto report = scan(as_bytes(stream(made("studio.nets", "Net") + build(dict({})))));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->verdict, Verdict::kSuspicious);
  EXPECT_TRUE(std::ranges::any_of(
      report->findings, [](const Finding& finding) { return finding.name == "studio.nets.Net"; }));
}

TEST(PolicyObjects, ClassesWhoseConstructorActsAreOnlyMadeNew) {
  EXPECT_FALSE(NamePolicy().allows_name("ultralytics.nn.tasks", "DetectionModel"));
  expect_not_safe({called("ultralytics.nn.tasks", "DetectionModel", {str("x.yaml")}),
                   called("ultralytics.nn.tasks", "DetectionModel"),
                   called("transformers.training_args", "TrainingArguments")});
}

// ---- numpy

std::string dtype(const std::string& name, const std::string& state) {
  return called("numpy", "dtype", {str(name), boolean(false), boolean(true)}) + build(state);
}
std::string scalar_state(std::int64_t item_size, std::int64_t alignment, std::int64_t flags) {
  return tuple({integer(3), str("<"), kNone, kNone, kNone, integer(item_size), integer(alignment),
                integer(flags)});
}
const std::string kF8 = dtype("f8", scalar_state(-1, -1, 0));
const std::string kObject = dtype("O8", scalar_state(-1, -1, 63));

std::string array_of(const std::string& type, const std::string& shape, const std::string& data) {
  return called("numpy.core.multiarray", "_reconstruct",
                {global("numpy", "ndarray"), tuple({integer(0)}), bytes("b")}) +
         build(tuple({integer(1), shape, type, boolean(false), data}));
}

TEST(PolicyNumpy, ArraysAndScalars) {
  expect_safe({array_of(kF8, sizes({1}), bytes("12345678")),
               array_of(kObject, sizes({2}), list({kNone, str("a")})),
               array_of(dtype("U2", scalar_state(8, 4, 8)), sizes({1}), bytes("12345678")),
               called("numpy.core.multiarray", "scalar", {kF8, bytes("12345678")}),
               called("numpy._core.numeric", "_frombuffer",
                      {bytes("12345678"), kF8, sizes({1}), str("C")})});
}

// Flags that are not those of the type make numpy follow bytes as pointers.
TEST(PolicyNumpy, TypesWithOtherStatesThanNumpyWrites) {
  for (const std::string& type :
       {dtype("O8", scalar_state(-1, -1, 0)), dtype("f8", scalar_state(-1, -1, 63)),
        dtype("f8", scalar_state(-1, -1, 1)), dtype("V8", scalar_state(1000, 1, 0)),
        dtype("U2", scalar_state(80, 4, 8)), kF8 + build(scalar_state(-1, -1, 63)),
        called("numpy", "dtype", {str("f8"), boolean(false), boolean(false)}) +
            build(scalar_state(-1, -1, 0)),
        called("numpy", "dtype", {str("f8,O8"), boolean(false), boolean(true)}) +
            build(scalar_state(-1, -1, 0))}) {
    expect_not_safe({type, array_of(type, sizes({1}), bytes("12345678"))});
  }
}

TEST(PolicyNumpy, StructuresWithoutObjects) {
  const auto structure = [](const std::string& field, std::int64_t offset, std::int64_t flags) {
    return dtype("V16", tuple({integer(3), str("|"), kNone, tuple({str("a")}),
                               dict({{str("a"), tuple({field, integer(offset)})}}), integer(16),
                               integer(1), integer(flags)}));
  };
  expect_safe({structure(kF8, 8, 16)});
  expect_not_safe({structure(kF8, 9, 16), structure(kObject, 0, 16), structure(kF8, 0, 27),
                   structure(kF8, -1, 16), structure(structure(kF8, 0, 16), 0, 16)});
}

// numpy takes as many objects from the list as the shape says, and looks at no length.
TEST(PolicyNumpy, ArraysOfObjectsHaveAsManyAsTheyClaim) {
  expect_not_safe({array_of(kObject, sizes({3}), list({kNone})),
                   array_of(kObject, sizes({1}), bytes("12345678")),
                   array_of(kObject, sizes({1}), global("studio", "items"))});
  // As many at the end, too few when the array takes them.
  const std::string late = list({}) + binput(5) + "0" + array_of(kObject, sizes({1}), binget(5)) +
                           "0" + binget(5) + kNone + "a";
  expect_not_safe({late});
}

TEST(PolicyNumpy, OtherClassesThanArrays) {
  const auto made_of = [](const std::string& type) {
    return called("numpy.core.multiarray", "_reconstruct", {type, tuple({integer(0)}), bytes("b")});
  };
  expect_safe({made_of(global("numpy", "ndarray"))});
  expect_not_safe({made_of(global("studio", "Array")), made_of(global("torch", "Tensor")),
                   global("numpy.core.multiarray", "_reconstruct")});
  expect_dangerous({made_of(global("numpy", "memmap"))});
}

TEST(PolicyNumpy, GeneratorsOfRandomNumbers) {
  const std::string maker = global("numpy.random._pickle", "__bit_generator_ctor");
  const auto state = [](std::int64_t pos) {
    return dict({{str("bit_generator"), str("MT19937")},
                 {str("state"), dict({{str("key"), array_of(kF8, sizes({1}), bytes("12345678"))},
                                      {str("pos"), integer(pos)}})}});
  };
  const std::string random =
      called("numpy.random._pickle", "__randomstate_ctor", {str("MT19937"), maker});
  expect_safe({random + build(state(624)), called("numpy.random._pickle", "__bit_generator_ctor",
                                                  {global("numpy.random._mt19937", "MT19937")})});
  expect_not_safe({
      random + build(state(625)),
      random + build(state(-1)),
      called("numpy.random._pickle", "__bit_generator_ctor", {global("studio", "Class")}),
      called("numpy.random._pickle", "__randomstate_ctor",
             {str("MT19937"), global("studio", "function")}),
      called("numpy.random._pickle", "__randomstate_ctor", {str("MT19938"), maker}),
  });
}

TEST(PolicyNumpy, ArraysOfPaddle) {
  const std::string array = array_of(kF8, sizes({1}), bytes("12345678"));
  const auto eval = [](const std::string& text, const std::string& names) {
    return called("__builtin__", "eval", {str(text), names});
  };
  expect_safe({eval("data", dict({{str("data"), array}}))});
  expect_dangerous({eval("data()", dict({{str("data"), array}})),
                    eval("data", dict({{str("data"), integer(1)}})),
                    eval("date", dict({{str("data"), array}})),
                    eval("data", dict({{str("data"), array}, {str("x"), kNone}})),
                    called("__builtin__", "eval", {str("data")}), global("__builtin__", "eval")});
}

// ---- torch

TEST(PolicyTorch, AttributesOfAParameter) {
  const auto parameter = [](const std::string& state) {
    return called("torch._utils", "_rebuild_parameter_with_state",
                  {called("torch._utils", "_rebuild_meta_tensor_no_storage",
                          {global("torch", "float32"), sizes({1}), sizes({1}), boolean(false)}),
                   boolean(true), ordered_dict(), state});
  };
  expect_safe({parameter(dict({{str("decay"), real(0.1)}}))});
  expect_not_safe({parameter(dict({{str("data"), kNone}})),
                   parameter(dict({{str("__class__"), global("studio", "Class")}})),
                   parameter(dict({{str("_backward_hooks"), kNone}})), parameter(list({}))});
}

// ---- the list of gadgets

// What a stream may do by the policy alone.
bool is_allowed(const NamePolicy& policy, std::string_view bytes) {
  const auto run = pickle::run(as_bytes(bytes));
  if (run.end != pickle::End::kStop || run.end_offset != bytes.size()) return false;
  if (!run.oddities.empty() || run.other_reading) return false;
  return std::ranges::all_of(run.events, [&](const pickle::Event& event) {
    switch (event.kind) {
      case EventKind::kImport:
        return policy.find(run.graph.module_text(event.subject), run.graph.name_text(event.subject))
            .has_value();
      case EventKind::kCall:
        return policy.allows_call(run.graph, event.subject);
      case EventKind::kBuild:
        return policy.allows_state(run.graph, event);
      case EventKind::kPersistentLoad:
        return scan_policy::is_allowed_persistent(run.graph, event.subject);
      case EventKind::kAppend:
      case EventKind::kSetItems:
      case EventKind::kAddItems:
        return policy.allows_items(run.graph, event);
      default:
        return false;
    }
  });
}

TEST(PolicyGadgets, NothingIsSafeForWantOfThem) {
  const NamePolicy without(nullptr, NamePolicy::Gadgets::kUnknown);
  EXPECT_TRUE(is_allowed(without, stream(called("collections", "OrderedDict"))));
  for (const auto& gadget : scan_policy::listed_gadgets()) {
    const std::string name = gadget.name == "*" ? "anything" : std::string(gadget.name);
    for (const std::string& value :
         {called(gadget.module, name), called(gadget.module, name, {str("id")}),
          made(gadget.module, name), made(gadget.module, name, {str("id")}),
          "("s + str("id") + "i" + std::string(gadget.module) + "\n" + name + "\n"}) {
      EXPECT_FALSE(is_allowed(without, stream(value, 4))) << gadget.module << '.' << name;
    }
    EXPECT_FALSE(without.allows_name(gadget.module, name)) << gadget.module << '.' << name;
  }
  for (const craft::Recipe& recipe : craft::recipes()) {
    if (!recipe.is_pickle) continue;
    const auto bytes = recipe.make(craft::Marker::kNo);
    EXPECT_FALSE(is_allowed(without, as_text(bytes))) << recipe.id;
  }
}

TEST(PolicyGadgets, EachIsDangerousAndSaysWhy) {
  for (const auto& gadget : scan_policy::listed_gadgets()) {
    const std::string name = gadget.name == "*" ? "anything" : std::string(gadget.name);
    EXPECT_EQ(verdict_of(called(gadget.module, name, {str("id")}), 4), Verdict::kDangerous)
        << gadget.module << '.' << name;
    EXPECT_STRNE(scan_policy::category_text(gadget.category), "");
    EXPECT_STRNE(scan_policy::category_word(gadget.category), "");
  }
}

TEST(PolicyGadgets, AreFoundByTheLongestMatch) {
  using scan_policy::Category;
  using scan_policy::find_gadget;
  EXPECT_EQ(find_gadget("os.path", "join"), Category::kProcess);
  EXPECT_EQ(find_gadget("logging", "FileHandler.emit"), Category::kFile);
  EXPECT_EQ(find_gadget("osmium", "x"), std::nullopt);
  EXPECT_EQ(find_gadget("studio", "a.b"), Category::kAttribute);
  EXPECT_EQ(find_gadget("__builtin__", "eval"), Category::kCodeExecution);
  EXPECT_EQ(find_gadget("", ""), std::nullopt);
  EXPECT_EQ(find_gadget(std::string(1 << 20, '.'), "x"), std::nullopt);
  EXPECT_EQ(find_gadget("x", std::string(1 << 20, '.')), Category::kAttribute);
}

TEST(PolicyNames, AreSortedAndNamedOnce) {
  std::size_t count = 0;
  scan_policy::for_each_name([&](const scan_policy::ListedName& entry) {
    ++count;
    const auto use = NamePolicy().find(entry.module, entry.name);
    ASSERT_TRUE(use.has_value()) << entry.module << '.' << entry.name;
    EXPECT_EQ(use->arguments, entry.use.arguments) << entry.module << '.' << entry.name;
    EXPECT_EQ(scan_policy::argument_shape(scan_policy::word_of(use->arguments)), use->arguments);
  });
  EXPECT_GT(count, 2000U);
}

// ---- what users add

Policy empty_policy() {
  return Policy(Day{2026, 6, 15});
}

PolicyName our_net() {
  return {.module = "ours.nets",
          .name = "Net",
          .named = false,
          .arguments = "new",
          .state = "attributes",
          .reason = "read by us"};
}

TEST(UserPolicy, AddsNamesWithTheirShapes) {
  Policy policy = empty_policy();
  ASSERT_TRUE(policy.add(our_net()).has_value());
  const std::string net = made("ours.nets", "Net") + build(dict({{str("w"), integer(1)}}));
  EXPECT_EQ(verdict_of(net, 2), Verdict::kSuspicious);
  EXPECT_EQ(verdict_of(net, 2, &policy), Verdict::kSafe);
  EXPECT_EQ(verdict_of(called("ours.nets", "Net"), 2, &policy), Verdict::kSuspicious);
  EXPECT_EQ(verdict_of(global("ours.nets", "Net"), 2, &policy), Verdict::kSuspicious);
  EXPECT_EQ(verdict_of(made("ours.nets", "Net2"), 2, &policy), Verdict::kSuspicious);
}

TEST(UserPolicy, NamesExpire) {
  Policy policy = empty_policy();
  PolicyName net = our_net();
  net.expires = Day{2026, 6, 14};
  ASSERT_TRUE(policy.add(net).has_value());
  EXPECT_EQ(verdict_of(made("ours.nets", "Net"), 2, &policy), Verdict::kSuspicious);
  net.expires = Day{2026, 6, 15};
  ASSERT_TRUE(policy.add(net).has_value());
  EXPECT_EQ(verdict_of(made("ours.nets", "Net"), 2, &policy), Verdict::kSafe);
}

TEST(UserPolicy, AllowsNoGadgetAndNoPattern) {
  Policy policy = empty_policy();
  for (const auto& [module, name] :
       std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                        {"builtins", "eval"},
                                                        {"*", "Net"},
                                                        {"ours", "*"},
                                                        {"ours", "a.b"},
                                                        {"", "Net"},
                                                        {"ours", ""}}) {
    PolicyName added = our_net();
    added.module = module;
    added.name = name;
    EXPECT_FALSE(policy.add(added).has_value()) << module << '.' << name;
  }
  PolicyName silent = our_net();
  silent.reason = "";
  EXPECT_FALSE(policy.add(silent).has_value());
  for (const char* const word : {"always", "", "Never"}) {
    PolicyName odd = our_net();
    odd.arguments = word;
    EXPECT_FALSE(policy.add(odd).has_value()) << word;
  }
}

Allowance allowance(std::string rule) {
  Allowance entry;
  entry.rule = std::move(rule);
  entry.reason = "known";
  return entry;
}

TEST(UserPolicy, SuppressesFindingsForAReason) {
  Policy policy = empty_policy();
  Allowance entry = allowance("TARE-PKL-003");
  entry.path = "*.pkl";
  entry.name = "studio.Net";
  ASSERT_TRUE(policy.add(entry).has_value());
  const std::string net = stream(global("studio", "Net"));
  const auto report = scan(as_bytes(net), {&policy, "models/m.pkl"});
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->verdict, Verdict::kSafe);
  ASSERT_EQ(report->findings.size(), 1U);
  EXPECT_EQ(report->findings[0].suppressed, "known");
  EXPECT_EQ(scan(as_bytes(net), {&policy, "models/m.pt"})->verdict, Verdict::kSuspicious);
  EXPECT_EQ(scan(as_bytes(stream(global("studio", "Nets"))), {&policy, "m.pkl"})->verdict,
            Verdict::kSuspicious);
}

TEST(UserPolicy, ADangerousFindingIsAllowedInOneFile) {
  Policy policy = empty_policy();
  Allowance entry = allowance("TARE-PKL-001");
  EXPECT_FALSE(policy.add(entry).has_value());
  entry.name = "os.system";
  EXPECT_FALSE(policy.add(entry).has_value());
  entry.path = "*";
  EXPECT_FALSE(policy.add(entry).has_value());
  entry.path = "m.pkl";
  ASSERT_TRUE(policy.add(entry).has_value());
  const std::string bytes = stream(payload());
  EXPECT_EQ(scan(as_bytes(bytes), {&policy, "m.pkl"})->verdict, Verdict::kSafe);
  EXPECT_EQ(scan(as_bytes(bytes), {&policy, "n.pkl"})->verdict, Verdict::kDangerous);
}

TEST(UserPolicy, AFileIsKnownByItsDigest) {
  Policy policy = empty_policy();
  Allowance entry = allowance("TARE-PKL-001");
  entry.sha256 = "abc";
  EXPECT_FALSE(policy.add(entry).has_value());
  EXPECT_FALSE(policy.needs_sha256());
  // sha256sum of b"\x80\x02cos\nsystem\nS'id'\n\x85R."
  entry.sha256 = "c281def3c323f51a8365111473a1c22970d096d6fe7ca92ee7117d0326474a9f";
  ASSERT_TRUE(policy.add(entry).has_value());
  EXPECT_TRUE(policy.needs_sha256());
  EXPECT_EQ(verdict_of(payload(), 2, &policy), Verdict::kSafe);
  EXPECT_EQ(verdict_of(payload() + "0N", 2, &policy), Verdict::kDangerous);
}

TEST(UserPolicy, AllowancesExpireAndHaveRules) {
  Policy policy = empty_policy();
  EXPECT_FALSE(policy.add(allowance("TARE-PKL-999")).has_value());
  EXPECT_FALSE(policy.add(allowance("TARE-GEN-003")).has_value());
  Allowance entry = allowance("TARE-PKL-003");
  entry.expires = Day{2026, 1, 1};
  ASSERT_TRUE(policy.add(entry).has_value());
  EXPECT_EQ(verdict_of(global("studio", "Net"), 2, &policy), Verdict::kSuspicious);
}

}  // namespace
}  // namespace tare
