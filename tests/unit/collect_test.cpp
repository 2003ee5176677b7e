// Which tensors are found among the objects of a pickle, by which names; and how the objects are
// walked.
#include "object/collect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "object/object_forest.hpp"
#include "support/effort.hpp"
#include "support/pickle_values.hpp"

namespace tare::object {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

const std::map<std::string, std::string> kStorages = {{"0", memory_of<float>({1, 2, 3, 4})}};

std::string tensor() {
  return vector_of("FloatStorage", "0", 4);
}

Collected collected(const std::string& stream, const CollectOptions& options = {}) {
  TestDocument document(stream, kStorages);
  Collected found = collect(*document, document.root(), options);
  // The views outlive their document only as names.
  return found;
}

std::vector<std::string> names(const std::string& value) {
  std::vector<std::string> out;
  for (const NamedTensor& found : collected(stream(value)).tensors) out.push_back(found.name);
  return out;
}

// "path: text", of what is no tensor.
std::vector<std::string> leaves(const std::string& value, bool collapse = true) {
  std::vector<std::string> out;
  for (const Leaf& leaf : collected(stream(value), {.collapse = collapse}).leaves) {
    out.push_back(leaf.path + ": " + leaf.text);
  }
  return out;
}

// "path = value", of what is kept as a scalar.
std::vector<std::string> scalars(const std::string& value) {
  std::vector<std::string> out;
  for (const Leaf& leaf : collected(stream(value), {.collapse = false}).leaves) {
    if (leaf.is_scalar) out.push_back(leaf.path + " = " + leaf.value);
  }
  return out;
}

std::vector<std::string> troubles(const std::string& value) {
  std::vector<std::string> out;
  for (const Trouble& trouble : collected(stream(value)).troubles) {
    out.push_back(trouble.path + ": " + trouble.error.what);
  }
  return out;
}

// ---- names

TEST(Names, ArePathsOfKeysPositionsAndAttributes) {
  EXPECT_THAT(names(tensor()), ElementsAre("tensor"));
  EXPECT_THAT(names(dict({{str("a"), tensor()}, {str("b.c"), tensor()}})), ElementsAre("a", "b.c"));
  EXPECT_THAT(names(dict({{str("a"), dict({{str("b"), list({tensor(), tensor()})}})}})),
              ElementsAre("a.b.0", "a.b.1"));
  EXPECT_THAT(names(list({kNone, tuple({tensor(), dict({{str("k"), tensor()}})})})),
              ElementsAre("1.0", "1.1.k"));
  EXPECT_THAT(names(made("mod", "Thing") + build(dict({{str("weight"), tensor()}}))),
              ElementsAre("weight"));
  EXPECT_THAT(names(made("mod", "Point", {integer(1), tensor()})), ElementsAre("1"));
  EXPECT_THAT(names(dict({{integer(3), tensor()}, {boolean(true), tensor()}, {kNone, tensor()}})),
              ElementsAre("3", "True", "None"));
  EXPECT_THAT(names(dict({{tuple({str("a"), integer(1)}), tensor()}})), ElementsAre("('a', 1)"));
  EXPECT_THAT(names(made("mod", "Thing") + build(tuple({tensor(), kNone, kNone}))),
              ElementsAre("state.0"));
  EXPECT_THAT(names(made("mod", "Thing") + build(tensor()) + build(tensor())),
              ElementsAre("state", "state.1"));
}

TEST(Names, MayBeEmptyOrHaveEmptyParts) {
  const std::string empty = str("");
  EXPECT_THAT(names(dict({{empty, tensor()}, {str("a"), tensor()}})), ElementsAre("", "a"));
  EXPECT_THAT(names(dict({{empty, dict({{empty, tensor()}, {str("w"), tensor()}})}})),
              ElementsAre(".", ".w"));
  EXPECT_THAT(names(dict({{str("a"), dict({{empty, tensor()}})}})), ElementsAre("a."));
}

TEST(Names, HaveThePrefixThatIsAskedFor) {
  const auto found = collected(stream(dict({{str("w"), tensor()}})), {.prefix = "model"});
  ASSERT_EQ(found.tensors.size(), 1U);
  EXPECT_EQ(found.tensors[0].name, "model.w");
  const auto alone = collected(stream(tensor()), {.prefix = "model"});
  ASSERT_EQ(alone.tensors.size(), 1U);
  EXPECT_EQ(alone.tensors[0].name, "model");
}

// What an object is made of is its own affair, if it holds anything else.
TEST(Names, AreNotMadeOfArgumentsBesideAState) {
  EXPECT_THAT(names(made("mod", "Thing", {tensor()}) + build(dict({{str("w"), tensor()}}))),
              ElementsAre("w"));
}

TEST(Names, AreThoseOfTheItemsOfAnArrayOfObjects) {
  const std::string object_dtype =
      called("numpy", "dtype", {str("O8"), boolean(false), boolean(true)}) +
      build(tuple(
          {integer(3), str("|"), kNone, kNone, kNone, integer(-1), integer(-1), integer(63)}));
  const auto array = [&](const std::string& shape, const std::string& items) {
    return called("numpy.core.multiarray", "_reconstruct",
                  {global("numpy", "ndarray"), sizes({0}), bytes("b")}) +
           build(tuple({integer(1), shape, object_dtype, boolean(false), items}));
  };
  EXPECT_THAT(names(array(sizes({2}), list({tensor(), dict({{str("k"), tensor()}})}))),
              ElementsAre("0", "1.k"));
  EXPECT_THAT(names(array(sizes({2, 2}), list({kNone, tensor(), tensor(), kNone}))),
              ElementsAre("0.1", "1.0"));
  // One that has no axes is its item.
  EXPECT_THAT(names(array(tuple({}), list({dict({{str("k"), tensor()}})}))), ElementsAre("k"));
  EXPECT_THAT(names(dict({{str("a"), array(tuple({}), list({tensor()}))}})), ElementsAre("a"));
}

// What is shared has a name wherever it stands.
TEST(Names, RepeatWhatIsShared) {
  EXPECT_THAT(names("}(" + str("a") + dict({{str("w"), tensor()}}) + binput(1) + str("b") +
                    binget(1) + "u"),
              ElementsAre("a.w", "b.w"));
}

TEST(Names, OfSubclassesHaveThatOfThePart) {
  const std::string layout = called("torch.serialization", "_get_layout", {str("torch.strided")});
  const std::string subclass =
      called("torch._tensor", "_rebuild_from_type_v2",
             {global("torch._utils", "_rebuild_wrapper_subclass"), global("mod", "Packed"),
              tuple({global("mod", "Packed"), global("torch", "float32"), sizes({8}), sizes({1}),
                     integer(0), layout, str("cpu"), boolean(false)}),
              dict({{str("data"), tensor()}, {str("scale"), tensor()}})});
  EXPECT_THAT(names(dict({{str("w"), subclass}})), ElementsAre("w.data", "w.scale"));
  EXPECT_THAT(names(subclass), ElementsAre("data", "scale"));
}

TEST(Names, OfSpecialTensorsAreLikewisePaths) {
  const std::string meta = called("torch._utils", "_rebuild_meta_tensor_no_storage",
                                  {global("torch", "float32"), sizes({2}), sizes({1}), kNone});
  const auto found = collected(stream(dict({{str("a"), list({meta})}})));
  ASSERT_EQ(found.specials.size(), 1U);
  EXPECT_EQ(found.specials[0].name, "a.0");
}

// ---- modules

struct Module {
  std::vector<std::pair<std::string, std::string>> parameters;
  std::vector<std::pair<std::string, std::string>> buffers;
  std::vector<std::pair<std::string, std::string>> modules;
  std::vector<std::pair<std::string, std::string>> others;

  std::string state(bool ordered = false) const {
    const auto map = [&](const auto& pairs) {
      return ordered ? ordered_dict() + items(pairs) : dict(pairs);
    };
    std::vector<std::pair<std::string, std::string>> state = {{str("training"), boolean(true)},
                                                              {str("_parameters"), map(parameters)},
                                                              {str("_buffers"), map(buffers)},
                                                              {str("_modules"), map(modules)}};
    state.insert(state.end(), others.begin(), others.end());
    return dict(state);
  }
  std::string build(bool ordered = false) const {
    return made("torch.nn.modules.linear", "Linear") + test::build(state(ordered));
  }
};

Module linear() {
  return {{{str("weight"), tensor()}, {str("bias"), kNone}}, {{str("seen"), tensor()}}, {}, {}};
}

TEST(Modules, HaveTheNamesOfTheirStateDict) {
  for (const bool ordered : {false, true}) {
    EXPECT_THAT(names(linear().build(ordered)), ElementsAre("weight", "seen"));
    Module outer = linear();
    outer.modules = {{str("0"), linear().build(ordered)}, {str("none"), kNone}};
    EXPECT_THAT(names(outer.build(ordered)), ElementsAre("weight", "seen", "0.weight", "0.seen"));
    EXPECT_THAT(names(dict({{str("model"), outer.build(ordered)}})),
                ElementsAre("model.weight", "model.seen", "model.0.weight", "model.0.seen"));
  }
}

TEST(Modules, LeaveOutBuffersThatAreNotPersistent) {
  Module module = linear();
  module.buffers = {{str("a"), tensor()}, {str("b"), tensor()}};
  module.others = {
      {str("_non_persistent_buffers_set"), called("__builtin__", "set", {list({str("a")})})}};
  EXPECT_THAT(names(module.build()), ElementsAre("weight", "b"));
  // In protocol 4.
  module.others = {{str("_non_persistent_buffers_set"), "\x8F(" + str("b") + "\x90"}};
  std::vector<std::string> found;
  for (const auto& named : collected(stream(module.build(), 4)).tensors)
    found.push_back(named.name);
  EXPECT_THAT(found, ElementsAre("weight", "a"));
}

TEST(Modules, TellWhichTensorsAreLeftOut) {
  Module module = linear();
  module.others = {{str("anchors"), tensor()}, {str("stride"), integer(3)}};
  EXPECT_THAT(names(dict({{str("m"), module.build()}})), ElementsAre("m.weight", "m.seen"));
  EXPECT_THAT(leaves(dict({{str("m"), module.build()}})),
              Contains("m.anchors: a tensor that state_dict() leaves out"));
}

TEST(Modules, OfGraphsAreMadeOfTheirState) {
  const std::string graph = called("torch.fx.graph_module", "reduce_graph_module",
                                   {linear().state(), str("import torch")});
  EXPECT_THAT(names(graph), ElementsAre("weight", "seen"));
  EXPECT_THAT(names(called("torch.fx.graph_module", "reduce_graph_module")), IsEmpty());
}

TEST(Modules, SayThatPackedParametersAreNotRead) {
  Module module;
  module.others = {{str("_packed_params"), called("mod", "Packed")}};
  EXPECT_THAT(troubles(dict({{str("m"), module.build()}})),
              ElementsAre(StartsWith("m._packed_params: are packed parameters")));
}

TEST(Modules, MayShareAndHoldEachOther) {
  Module outer;
  outer.modules = {{str("a"), linear().build() + binput(1)}, {str("b"), binget(1)}};
  EXPECT_THAT(names(outer.build()), ElementsAre("a.weight", "a.seen", "b.weight", "b.seen"));
  // One that holds itself is walked once.
  Module self = linear();
  self.modules = {{str("self"), binget(1)}};
  EXPECT_THAT(names(made("torch.nn", "Linear") + binput(1) + build(self.state())),
              ElementsAre("weight", "seen"));
}

TEST(Modules, AreToldByTheirAttributes) {
  TestDocument module(stream(linear().build()), kStorages);
  EXPECT_TRUE(is_module(module.graph(), module.root()));
  TestDocument other(stream(made("mod", "T") + build(dict({{str("_parameters"), "}"}}))));
  EXPECT_FALSE(is_module(other.graph(), other.root()));
  TestDocument plain(stream(linear().state()), kStorages);
  EXPECT_FALSE(is_module(plain.graph(), plain.root())) << "a dict is no module";
}

// ---- what is no tensor

TEST(Leaves, AreOneForEachObjectWithoutTensors) {
  EXPECT_THAT(
      leaves(dict({{str("w"), tensor()},
                   {str("epoch"), integer(3)},
                   {str("lr"), real(0.5)},
                   {str("name"), str("x")},
                   {str("none"), kNone},
                   {str("list"), list({integer(1), integer(2)})},
                   {str("deep"), dict({{str("a"), dict({{str("b"), list({list({})})}})}})},
                   {str("class"), global("mod", "Name")},
                   {str("object"), made("mod", "T") + build(dict({{str("a"), "N"}}))},
                   {str("raw"), bytes("xy")}})),
      ElementsAre("epoch: int 3", "lr: float 0.5", "name: str 'x'", "none: None", "list: list of 2",
                  "deep: dict of 1", "class: mod.Name", "object: mod.T", "raw: bytes"));
}

TEST(Leaves, AreTheThingsInAnObjectWithoutCollapse) {
  EXPECT_THAT(leaves(dict({{str("w"), tensor()},
                           {str("d"), dict({{str("a"), integer(1)}, {str("b"), list({kNone})}})}}),
                     false),
              ElementsAre("d.a: int 1", "d.b: list of 1"));
}

TEST(Leaves, KeepScalarsAsText) {
  EXPECT_THAT(scalars(dict({{str("i"), integer(3)},
                            {str("f"), real(0.5)},
                            {str("t"), str("text")},
                            {str("n"), kNone},
                            {str("y"), boolean(true)},
                            {str("l"), list({integer(1), str("a")})},
                            {str("ll"), list({list({integer(1)})})},
                            {str("b"), bytes("x")},
                            {str("e"), "}"},
                            {str("s"), called("numpy.core.multiarray", "scalar",
                                              {called("numpy", "dtype", {str("f8")}),
                                               bytes(memory_of<double>({2}))})}})),
              ElementsAre("i = 3", "f = 0.5", "t = text", "n = None", "y = True", "l = [1, 'a']",
                          "ll.0 = [1]", "s = 2.0"));
}

TEST(Leaves, SayThatAnObjectHoldsItself) {
  EXPECT_THAT(leaves("}" + binput(1) + str("w") + tensor() + "s" + str("self") + binget(1) + "s"),
              ElementsAre("self: a reference to what holds it"));
  EXPECT_THAT(leaves("]" + binput(1) + binget(1) + "a"), ElementsAre(": list of 1"));
}

TEST(Troubles, NameTheTensorThatCannotBeRead) {
  EXPECT_THAT(troubles(dict({{str("a"), tensor()}, {str("b"), vector_of("FloatStorage", "7", 4)}})),
              ElementsAre("b: no such storage"));
}

// ---- bounds

// 1,000,000 levels: deeper than any stack.
TEST(Walks, AreLimitedInDepth) {
  constexpr std::size_t kLevels = 1'000'000;
  const std::string tuples = stream(tensor() + std::string(kLevels, '\x85'));
  const auto found = collected(tuples);
  EXPECT_THAT(found.tensors, IsEmpty());
  ASSERT_EQ(found.troubles.size(), 1U);
  EXPECT_EQ(found.troubles[0].error.code, ErrorCode::kLimit);
  const std::string lists =
      stream(std::string(kLevels, ']') + tensor() + std::string(kLevels, 'a'));
  EXPECT_EQ(collected(lists).troubles.size(), 1U);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += made("m", "T");
  EXPECT_EQ(collected(stream(objects + tensor() + std::string(100'000, 'b'))).troubles.size(), 1U);
}

TEST(Walks, ReachTheDepthOfPython) {
  std::string value = tensor();
  for (int i = 0; i < 900; ++i) value += "\x85";
  const auto found = names(value);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].size(), 2U * 900 - 1);
}

// Every level twice in the one above: 2^60 objects in a few bytes.
TEST(Walks, AreLimitedInSteps) {
  const CpuTime time;
  for (const std::string& bottom : {tensor(), kNone, dict({{str("k"), kNone}})}) {
    std::string value = bottom;
    for (int i = 0; i < 60; ++i) value += "2\x86";  // DUP TUPLE2
    const auto found = collected(stream(value));
    ASSERT_FALSE(found.troubles.empty());
    EXPECT_EQ(found.troubles.back().error.code, ErrorCode::kLimit);
    EXPECT_LT(found.tensors.size() + found.leaves.size(), 2'000'000U);
  }
  EXPECT_LT(time.seconds(), kMostSeconds);
}

TEST(Walks, ReadLargeObjectsThatShareNothing) {
  std::string value = "}(" + str("w") + tensor();
  for (int i = 0; i < 100'000; ++i) value += str("key" + std::to_string(i)) + small(1);
  value += "u";
  const auto found = collected(stream(value), {.collapse = false});
  EXPECT_THAT(found.troubles, IsEmpty());
  EXPECT_EQ(found.leaves.size(), 100'000U);
  // And such that share much, as far as programs do: one config in each layer.
  std::string config = "}(";
  for (int i = 0; i < 100; ++i) config += str("k" + std::to_string(i)) + small(1);
  std::string layers = config + "u" + binput(1) + "0](";
  for (int i = 0; i < 200; ++i) layers += dict({{str("config"), binget(1)}, {str("w"), tensor()}});
  EXPECT_THAT(collected(stream(layers + "e")).troubles, IsEmpty());
  EXPECT_EQ(collected(stream(layers + "e")).tensors.size(), 200U);
}

// A large object that is shared is not looked at in full each time.
class SharedLargeObjects : public testing::Test {
 protected:
  // `many` times the object that `large` makes.
  static std::string shared(const std::string& large, int many, const std::string& front = "]") {
    std::string value = large + binput(1) + "0" + front + "(";
    for (int i = 0; i < many; ++i) value += binget(1);
    return value + "e";
  }
  static std::string large_list(const std::string& item, int count = 100'000) {
    return "](" + repeat(item, static_cast<std::size_t>(count)) + "e";
  }
  static std::string large_dict(int count = 100'000) {
    std::string value = "}(";
    for (int i = 0; i < count; ++i) value += integer(i) + "N";
    return value + "u";
  }
};

TEST_F(SharedLargeObjects, CostNoMoreThanTheFile) {
  const std::string none_of_them =
      made("torch.nn", "M") +
      build(dict(
          {{str("_parameters"), large_dict()}, {str("_buffers"), "}"}, {str("_modules"), "}"}}));
  const std::string same_key = "}" + [] {
    std::string sets;
    for (int i = 0; i < 100'000; ++i) sets += str("a") + "Ns";
    return sets;
  }();
  const std::vector<std::pair<const char*, std::string>> kinds = {
      {"scalars", large_list("N")},
      {"empty tuples", large_list(")")},
      {"lists", large_list("]")},
      {"a dict", large_dict()},
      {"one key", same_key},
      {"a module", none_of_them},
      {"states", made("m", "T") + repeat("}b", 100'000)},
      {"tuple states", made("m", "T") + repeat("NN\x86"
                                               "b",
                                               100'000)},
      {"parameter states", made("torch.nn.parameter", "Parameter") + repeat("N\x85"
                                                                            "b",
                                                                            100'000)},
      {"array states", called("numpy.core.multiarray", "_reconstruct") + repeat(")b", 100'000)},
      {"text", str(std::string(1'000'000, 'x'))},
      {"bytes", bytes(std::string(1'000'000, 'x'))},
      {"keys", dict({{str(std::string(1'000'000, 'x')), "N"}})}};
  for (const auto& [name, large] : kinds) {
    const CpuTime time;
    for (const std::string& front : {std::string("]"), made("mod", "L")}) {
      TestDocument document(stream(shared(large, 100'000, front)), kStorages);
      const auto once = collect(*document, document.root(), {});
      const auto all = collect(*document, document.root(), {.collapse = false});
      std::size_t text = 0;
      for (const Leaf& leaf : all.leaves)
        text += leaf.path.size() + leaf.text.size() + leaf.value.size();
      EXPECT_LT(text, std::size_t{600} << 20) << name;
      EXPECT_LE(once.troubles.size(), 100'000U);
    }
    EXPECT_LT(time.seconds(), kMostSeconds) << name;
  }
}

// ---- the walk over everything

// "depth role key kind type/value children #number", a line for each object.
std::vector<std::string> walked(const std::string& stream_of, unsigned depth = UINT32_MAX) {
  std::vector<Root> roots;
  TestDocument document(stream_of, kStorages);
  auto run = pickle::run(as_bytes(stream_of));
  Surroundings surroundings;
  surroundings.externals = std::make_unique<TestStorages>(kStorages);
  surroundings.nested = format::nested_opener();
  roots.push_back({"", ""});
  roots.back().document = std::make_unique<Document>(std::move(run), std::move(surroundings));
  const ObjectForest forest(std::move(roots));
  std::vector<std::string> lines;
  forest.walk(
      [&](const ObjectNode& node) {
        std::string line = std::to_string(node.depth) + " ";
        if (!node.key.empty()) line += node.key + " ";
        line += object_kind_name(node.kind);
        if (!node.type.empty()) line += " " + node.type;
        if (!node.value.empty()) line += " '" + node.value.substr(0, 40) + "'";
        if (node.number > 0) line += " #" + std::to_string(node.number);
        if (node.children > 0) line += " of " + std::to_string(node.children);
        if (node.tensor != nullptr) line += " " + std::string(dtype_name(node.tensor->dtype));
        if (node.kind == ObjectKind::kBroken) line += std::string(" ") + node.error.what;
        lines.push_back(std::move(line));
        return lines.size() < 1'000'000;
      },
      depth);
  return lines;
}

TEST(Forest, VisitsEveryObjectOnce) {
  EXPECT_THAT(
      walked(stream(dict({{str("w"), tensor()},
                          {str("n"), integer(3)},
                          {str("t"), str("text")},
                          {str("f"), real(1)},
                          {str("l"), list({boolean(true), kNone})},
                          {str("o"), made("mod", "T") + build(dict({{str("a"), bytes("x")}}))},
                          {str("c"), global("mod", "Name")}}))),
      ElementsAre("0 mapping dict #1 of 7", "1 w tensor F32", "1 n int '3'", "1 t text 'text'",
                  "1 f float '1.0'", "1 l sequence list #2 of 2", "2 bool 'True'", "2 none 'None'",
                  "1 o instance mod.T #3 of 1", "2 a bytes 'b'x''", "1 c name 'mod.Name'"));
}

TEST(Forest, RefersToWhatWasVisited) {
  EXPECT_THAT(walked(stream("](" + dict({{str("a"), kNone}}) + binput(1) + binget(1) + "e")),
              ElementsAre("0 sequence list #1 of 2", "1 mapping dict #2 of 1", "2 a none 'None'",
                          "1 reference #2"));
  EXPECT_THAT(walked(stream("]" + binput(1) + binget(1) + "a")),
              ElementsAre("0 sequence list #1 of 1", "1 reference #1"));
}

TEST(Forest, ShowsScalarsOfNumpyAsNumbers) {
  const auto scalar = [](std::string_view name, const std::string& raw) {
    return called("numpy.core.multiarray", "scalar",
                  {called("numpy", "dtype", {str(name)}), bytes(raw)});
  };
  EXPECT_THAT(
      walked(stream(list(
          {scalar("f8", memory_of<double>({2})), scalar("i4", "\1\0\0\0"s), scalar("b1", "\1")}))),
      ElementsAre("0 sequence list #1 of 3", "1 float '2.0'", "1 int '1'", "1 bool 'True'"));
}

TEST(Forest, SaysWhatIsBroken) {
  EXPECT_THAT(walked(stream(dict({{str("b"), vector_of("FloatStorage", "7", 4)}}))),
              ElementsAre("0 mapping dict #1 of 1", "1 b broken no such storage"));
}

TEST(Forest, StopsAtTheDepthThatIsAskedFor) {
  const std::string value =
      stream(dict({{str("a"), dict({{str("b"), dict({{str("c"), kNone}})}})}}));
  EXPECT_EQ(walked(value, 0).size(), 1U);
  EXPECT_EQ(walked(value, 1).size(), 2U);
  EXPECT_EQ(walked(value).size(), 4U);
}

TEST(Forest, CutsLongTexts) {
  std::vector<Root> roots(1);
  const std::string long_key =
      stream(dict({{str(std::string(20'000, 'k')), str(std::string(20'000, 'v'))}}));
  roots[0].document = std::make_unique<Document>(pickle::run(as_bytes(long_key)), Surroundings());
  const ObjectForest forest(std::move(roots));
  const Objects& objects = forest;
  objects.walk([](const ObjectNode& node) {
    EXPECT_LE(node.key.size(), 10'000U);
    EXPECT_LE(node.value.size(), 10'000U);
    return true;
  });
}

TEST(Forest, IsWalkedInTimeOfItsFile) {
  const CpuTime time;
  // A million levels, 2^60 paths, a large object that is shared.
  EXPECT_EQ(walked(stream(std::string(1'000'000, ']') + std::string(999'999, 'a'))).size(),
            1'000'000U);
  std::string doubled = "]";
  for (int i = 0; i < 60; ++i) doubled += "2\x86";
  EXPECT_EQ(walked(stream(doubled)).size(), 121U);
  std::string shared = "](" + repeat("N", 100'000) + "e" + binput(1) + "](";
  for (int i = 0; i < 100'000; ++i) shared += binget(1);
  EXPECT_EQ(walked(stream(shared + "e")).size(), 200'001U);
  EXPECT_LT(time.seconds(), kMostSeconds);
}

}  // namespace
}  // namespace tare::object
