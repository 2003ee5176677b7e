// What a value of a pickle is as a Python object: its kind, its class, what it holds.
#include "object/python_objects.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_values.hpp"

namespace tare::object {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

std::string kind_text(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "none";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kComplex:
      return "complex";
    case Kind::kText:
      return "text";
    case Kind::kBytes:
      return "bytes";
    case Kind::kName:
      return "name";
    case Kind::kSequence:
      return "sequence";
    case Kind::kMapping:
      return "mapping";
    case Kind::kInstance:
      return "instance";
    case Kind::kOpaque:
      return "opaque";
  }
  return "?";
}

std::string child_text(const Graph& graph, const Child& child) {
  const std::string value = pickle::expression(graph, child.value, 60);
  switch (child.role) {
    case Role::kIndex:
      return std::to_string(child.index) + ": " + value;
    case Role::kKey:
      return "[" + pickle::expression(graph, child.key, 60) + "]: " + value;
    case Role::kAttribute:
      return "." + pickle::expression(graph, child.key, 60) + ": " + value;
    case Role::kArgument:
      return "argument " + std::to_string(child.index) + ": " + value;
    case Role::kState:
      return "state " + std::to_string(child.index) + ": " + value;
  }
  return "?";
}

// The object at the end of a stream: its kind and class, then a line for each child.
std::vector<std::string> looked(const std::string& stream) {
  const auto run = pickle::run(as_bytes(stream));
  if (run.end != pickle::End::kStop) return {std::string("broken: ") + run.error.what};
  const ObjectView view = look(run.graph, run.result);
  std::string head = kind_text(view.kind);
  if (!view.name.empty() || !view.module.empty()) {
    head += " " + std::string(view.module) + "." + std::string(view.name);
  }
  std::vector<std::string> lines = {head};
  for (const Child& child : view.children) lines.push_back(child_text(run.graph, child));
  return lines;
}
std::vector<std::string> looked_value(const std::string& value) {
  return looked(stream(value));
}

const std::string kA = str("a");
const std::string kB = str("b");

// ---- plain values

TEST(Look, KnowsScalars) {
  EXPECT_THAT(looked_value("N"), ElementsAre("none"));
  EXPECT_THAT(looked_value(boolean(true)), ElementsAre("bool"));
  EXPECT_THAT(looked_value(integer(7)), ElementsAre("int"));
  EXPECT_THAT(looked_value("\x8A\x09" + std::string(8, '\xFF') + "\x7F"), ElementsAre("int"));
  EXPECT_THAT(looked_value(real(0.5)), ElementsAre("float"));
  EXPECT_THAT(looked_value(kA), ElementsAre("text"));
  EXPECT_THAT(looked_value("U\x01"
                           "a"),
              ElementsAre("text"));  // of Python 2
  EXPECT_THAT(looked_value(bytes("xy")), ElementsAre("bytes"));
  EXPECT_THAT(looked(stream("\x96" + u64(2) + "xy", 5)), ElementsAre("bytes"));  // a bytearray
  EXPECT_THAT(looked_value(called("builtins", "complex", {real(1), real(2)})),
              ElementsAre("complex builtins.complex"));
}

TEST(Look, TakesEncodedTextAndEmptyBytesForBytes) {
  EXPECT_THAT(looked_value(called("_codecs", "encode", {str("xy"), str("latin1")})),
              ElementsAre("bytes _codecs.encode"));
  EXPECT_THAT(looked_value(called("__builtin__", "bytes")), ElementsAre("bytes builtins.bytes"));
  EXPECT_THAT(looked_value(called("__builtin__", "bytearray", {str("x"), str("latin-1")})),
              ElementsAre("bytes builtins.bytearray"));
}

TEST(Look, KnowsNames) {
  EXPECT_THAT(looked_value(global("torch", "float32")), ElementsAre("name torch.float32"));
  // A member of an Enum, as Python 3.11.0 to 3.11.3 writes it.
  EXPECT_THAT(looked_value(called("builtins", "getattr", {global("mod", "Color"), str("RED")})),
              ElementsAre("name mod.Color"));
  // As others do: the class, called.
  EXPECT_THAT(looked_value(called("mod", "Color", {integer(1)})),
              ElementsAre("instance mod.Color", "argument 0: 1"));
}

TEST(Look, KnowsOpaqueValues) {
  EXPECT_THAT(looked_value(persistent(kA)), ElementsAre("opaque"));
  EXPECT_THAT(looked(stream("\x97", 5)), ElementsAre("opaque"));
  EXPECT_THAT(looked_value("\x82\x07"), ElementsAre("opaque"));
}

// ---- containers

TEST(Look, ListsSequencesInOrder) {
  const std::vector<std::string> two = {kA, integer(2)};
  EXPECT_THAT(looked_value(tuple(two)), ElementsAre("sequence", "0: 'a'", "1: 2"));
  EXPECT_THAT(looked_value(")"), ElementsAre("sequence"));
  EXPECT_THAT(looked_value(list(two)), ElementsAre("sequence", "0: 'a'", "1: 2"));
  EXPECT_THAT(looked_value("]" + kA + "a" + "(" + kB + "N" + "e" + integer(3) + "a"),
              ElementsAre("sequence", "0: 'a'", "1: 'b'", "2: None", "3: 3"));
  EXPECT_THAT(looked(stream("\x8F(" + kA + kB + "\x90", 4)),
              ElementsAre("sequence", "0: 'a'", "1: 'b'"));
  EXPECT_THAT(looked(stream("(" + kA + "\x91", 4)), ElementsAre("sequence", "0: 'a'"));
}

// Up to protocol 3.
TEST(Look, ListsSetsThatAreMadeOfLists) {
  for (const std::string name : {"set", "frozenset"}) {
    EXPECT_THAT(looked_value(called("__builtin__", name, {list({kA, kB})})),
                ElementsAre("sequence builtins." + name, "0: 'a'", "1: 'b'"));
  }
}

TEST(Look, ListsDequesWithAndWithoutALimit) {
  const std::string appended = "(" + kA + kB + "e";
  EXPECT_THAT(looked_value(called("collections", "deque", {tuple({}), integer(9)}) + appended),
              ElementsAre("sequence collections.deque", "0: 'a'", "1: 'b'"));
  EXPECT_THAT(looked_value(called("collections", "deque", {tuple({})}) + kA + "a"),
              ElementsAre("sequence collections.deque", "0: 'a'"));
  EXPECT_THAT(looked_value(called("collections", "deque", {list({kA})}) + kB + "a"),
              ElementsAre("sequence collections.deque", "0: 'a'", "1: 'b'"));
}

TEST(Look, ListsDicts) {
  EXPECT_THAT(looked_value("}"), ElementsAre("mapping"));
  EXPECT_THAT(looked_value(dict({{kA, integer(1)}, {kB, "N"}})),
              ElementsAre("mapping", "['a']: 1", "['b']: None"));
  EXPECT_THAT(looked_value("}" + kA + integer(1) + "s" + items({{kB, integer(2)}})),
              ElementsAre("mapping", "['a']: 1", "['b']: 2"));
}

TEST(Look, ListsOrderedDictsOfAllVersions) {
  const std::string filled = items({{kA, integer(1)}});
  EXPECT_THAT(looked_value(ordered_dict() + filled),
              ElementsAre("mapping collections.OrderedDict", "['a']: 1"));
  // Python 2 gives pairs to the constructor, as lists or tuples.
  EXPECT_THAT(looked_value(called("collections", "OrderedDict",
                                  {list({list({kA, integer(1)}), tuple({kB, integer(2)})})})),
              ElementsAre("mapping collections.OrderedDict", "['a']: 1", "['b']: 2"));
  EXPECT_THAT(looked_value(called("collections", "OrderedDict", {tuple({tuple({kA, "N"})})})),
              ElementsAre("mapping collections.OrderedDict", "['a']: None"));
  // An attribute beside the items, which state_dict() sets.
  EXPECT_THAT(
      looked_value(ordered_dict() + filled + build(dict({{str("_metadata"), ordered_dict()}}))),
      ElementsAre("mapping collections.OrderedDict", "['a']: 1",
                  ".'_metadata': collections.OrderedDict()"));
}

TEST(Look, ListsTheKinOfDicts) {
  EXPECT_THAT(looked_value(called("collections", "defaultdict", {global("builtins", "list")}) +
                           items({{kA, "]"}})),
              ElementsAre("mapping collections.defaultdict", "['a']: []"));
  EXPECT_THAT(looked_value(called("collections", "Counter", {dict({{kA, integer(3)}})})),
              ElementsAre("mapping collections.Counter", "['a']: 3"));
  EXPECT_THAT(looked_value(called("builtins", "dict", {list({tuple({kA, integer(3)})})})),
              ElementsAre("mapping builtins.dict", "['a']: 3"));
}

TEST(Look, PassesOverPairsThatAreNone) {
  EXPECT_THAT(looked_value(called("collections", "OrderedDict",
                                  {list({list({kA}), "N", tuple({kA, kB, kA})})})),
              ElementsAre("mapping collections.OrderedDict"));
}

// As Python has it: the first place, the last value.
TEST(Look, KeepsThePlaceOfAKeyThatIsSetAgain) {
  EXPECT_THAT(looked_value(dict({{kA, integer(1)}, {kB, integer(2)}, {kA, integer(3)}})),
              ElementsAre("mapping", "['a']: 3", "['b']: 2"));
  EXPECT_THAT(looked_value(dict({{kA, integer(1)}}) + kA + integer(2) + "s"),
              ElementsAre("mapping", "['a']: 2"));
  // Texts of Python 2 and 3 that say the same.
  EXPECT_THAT(looked_value(dict({{kA, integer(1)},
                                 {"U\x01"
                                  "a",
                                  integer(2)}})),
              ElementsAre("mapping", "['a']: 2"));
}

TEST(Look, TakesKeysThatAreNoTexts) {
  EXPECT_THAT(looked_value(dict({{integer(0), kA},
                                 {tuple({integer(1), kB}), kA},
                                 {"N", kA},
                                 {real(0.5), kA},
                                 {bytes("k"), kA},
                                 {global("torch", "float32"), kA}})),
              ElementsAre("mapping", "[0]: 'a'", "[(1, 'b')]: 'a'", "[None]: 'a'", "[0.5]: 'a'",
                          "[b'k']: 'a'", "[torch.float32]: 'a'"));
  // Equal numbers are one key, whatever their type.
  EXPECT_THAT(looked_value(dict({{integer(1), kA}, {boolean(true), kB}})),
              ElementsAre("mapping", "[1]: 'b'"));
  EXPECT_THAT(
      looked_value(dict({{integer(1), kA}, {real(1), kB}, {real(0.5), kA}, {real(0.5), kB}})),
      ElementsAre("mapping", "[1]: 'b'", "[0.5]: 'b'"));
  EXPECT_THAT(looked_value(dict({{bytes("k"), kA}, {bytes("k"), kB}, {str("k"), kA}})),
              ElementsAre("mapping", "[b'k']: 'b'", "['k']: 'a'"));
  EXPECT_THAT(looked_value(dict({{integer(INT64_MAX), kA}, {integer(INT64_MAX), kB}})),
              ElementsAre("mapping", "[9223372036854775807]: 'b'"));
  // A NaN is no other NaN, but itself.
  const double nan = std::bit_cast<double>(0x7FF8000000000000ULL);
  EXPECT_EQ(looked_value(dict({{real(nan), kA}, {real(nan), kB}})).size(), 3U);
}

// ---- objects

TEST(Look, ListsTheAttributesOfAnObject) {
  const std::string state = dict({{kA, integer(1)}, {kB, "N"}});
  for (const std::string& object : {made("mod", "Thing"), called("mod", "Thing")}) {
    EXPECT_THAT(looked_value(object + build(state)),
                ElementsAre("instance mod.Thing", ".'a': 1", ".'b': None"));
  }
}

TEST(Look, ListsArgumentsBeforeAttributes) {
  EXPECT_THAT(looked_value(made("mod", "Thing", {kA, integer(2)}) + build(dict({{kA, "N"}}))),
              ElementsAre("instance mod.Thing", "argument 0: 'a'", "argument 1: 2", ".'a': None"));
  // A namedtuple has no others.
  EXPECT_THAT(looked_value(made("mod", "Point", {integer(1), integer(2)})),
              ElementsAre("instance mod.Point", "argument 0: 1", "argument 1: 2"));
}

TEST(Look, ListsKeywordArgumentsAsAttributes) {
  EXPECT_THAT(
      looked(stream(global("mod", "Thing") + tuple({kA}) + dict({{kB, integer(2)}}) + "\x92", 4)),
      ElementsAre("instance mod.Thing", "argument 0: 'a'", ".'b': 2"));
}

TEST(Look, ListsObjectsMadeByHelpers) {
  const std::string thing = global("mod", "Thing");
  const std::string object = global("__builtin__", "object");
  EXPECT_THAT(looked_value(called("copy_reg", "_reconstructor", {thing, object, "N"}) +
                           build(dict({{kA, integer(1)}}))),
              ElementsAre("instance mod.Thing", ".'a': 1"));
  // A subclass of list or dict, with what it holds.
  EXPECT_THAT(looked_value(called("copy_reg", "_reconstructor",
                                  {thing, global("__builtin__", "list"), list({kA, kB})})),
              ElementsAre("instance mod.Thing", "0: 'a'", "1: 'b'"));
  EXPECT_THAT(looked_value(called("copy_reg", "_reconstructor",
                                  {thing, global("__builtin__", "dict"), dict({{kA, kB}})})),
              ElementsAre("instance mod.Thing", "['a']: 'b'"));
  EXPECT_THAT(looked_value(called("copy_reg", "__newobj__", {thing, kA})),
              ElementsAre("instance mod.Thing", "argument 0: 'a'"));
  EXPECT_THAT(looked_value(called("copy_reg", "__newobj_ex__",
                                  {thing, tuple({kA}), dict({{kB, integer(2)}})})),
              ElementsAre("instance mod.Thing", "argument 0: 'a'", ".'b': 2"));
}

TEST(Look, ListsItemsAndAttributesOfASubclass) {
  EXPECT_THAT(looked_value(made("mod", "Config") + items({{kA, integer(1)}}) +
                           build(dict({{kB, integer(2)}}))),
              ElementsAre("instance mod.Config", "['a']: 1", ".'b': 2"));
  EXPECT_THAT(looked_value(made("mod", "Stack") + "(" + kA + kB + "e"),
              ElementsAre("instance mod.Stack", "0: 'a'", "1: 'b'"));
  // The same key as an item and as an attribute are two.
  EXPECT_THAT(looked_value(made("mod", "Config") + items({{kA, integer(1)}}) +
                           build(dict({{kA, integer(2)}}))),
              ElementsAre("instance mod.Config", "['a']: 1", ".'a': 2"));
}

TEST(Look, TakesEveryState) {
  const std::string thing = made("mod", "Thing");
  // One after the other, as update() does.
  EXPECT_THAT(looked_value(thing + build(dict({{kA, integer(1)}, {kB, integer(2)}})) +
                           build(dict({{kA, integer(3)}}))),
              ElementsAre("instance mod.Thing", ".'a': 3", ".'b': 2"));
  // With slots: a pair, of which either may be missing.
  EXPECT_THAT(
      looked_value(thing + build(tuple({dict({{kA, integer(1)}}), dict({{kB, integer(2)}})}))),
      ElementsAre("instance mod.Thing", ".'a': 1", ".'b': 2"));
  EXPECT_THAT(looked_value(thing + build(tuple({"N", dict({{kB, integer(2)}})}))),
              ElementsAre("instance mod.Thing", ".'b': 2"));
  EXPECT_THAT(looked_value(thing + build(tuple({dict({{kA, integer(1)}}), "N"}))),
              ElementsAre("instance mod.Thing", ".'a': 1"));
  // Anything else is what its __setstate__ makes of it.
  EXPECT_THAT(looked_value(thing + build(tuple({kA, kB}))),
              ElementsAre("instance mod.Thing", "state 0: ('a', 'b')"));
  EXPECT_THAT(looked_value(thing + build(kA) + build(integer(2))),
              ElementsAre("instance mod.Thing", "state 0: 'a'", "state 1: 2"));
  EXPECT_THAT(looked_value(thing + build(tuple({dict({{kA, kB}}), "N", "N"}))).size(), 2U);
}

TEST(Look, KnowsNoClassWhereOneIsComputed) {
  const auto lines = looked_value(called("mod", "make") + tuple({kA}) + "R");
  EXPECT_THAT(lines, ElementsAre("instance", "argument 0: 'a'"));
}

TEST(Look, ListsWhatIsDoneToAPersistentObject) {
  EXPECT_THAT(looked_value(persistent(kA) + build(dict({{kB, integer(1)}}))),
              ElementsAre("opaque", ".'b': 1"));
}

// ---- helpers

Value root_of(const pickle::Run& run) {
  EXPECT_EQ(run.end, pickle::End::kStop);
  return run.result;
}

TEST(Calls, AreComparedByModuleAndName) {
  const std::string pickled = stream(called("mod", "f", {kA}));
  const auto run = pickle::run(as_bytes(pickled));
  const Value call = root_of(run);
  EXPECT_TRUE(is_call_to(run.graph, call, "mod", "f"));
  EXPECT_FALSE(is_call_to(run.graph, call, "mod", "g"));
  EXPECT_FALSE(is_call_to(run.graph, run.graph.callable(call), "mod", "f"));
  EXPECT_TRUE(is_global(run.graph, run.graph.callable(call), "mod", "f"));
  EXPECT_EQ(call_arguments(run.graph, call).size(), 1U);
}

TEST(PaddleTensors, AreOneKeyByTheNameOfTheExpression) {
  const auto inner = [](const std::string& value) -> std::string {
    const std::string pickled = stream(value);
    const auto run = pickle::run(as_bytes(pickled));
    const auto found = paddle_tensor(run.graph, root_of(run));
    return found ? pickle::expression(run.graph, *found) : "nothing";
  };
  const std::string data = str("data");
  EXPECT_EQ(inner(called("builtins", "eval", {data, dict({{data, integer(7)}})})), "7");
  EXPECT_EQ(inner(called("builtins", "eval", {str("os"), dict({{str("os"), integer(7)}})})),
            "nothing");
  EXPECT_EQ(inner(called("builtins", "eval", {data, dict({{data, integer(7)}, {kA, "N"}})})),
            "nothing");
  EXPECT_EQ(inner(called("builtins", "eval", {data})), "nothing");
  EXPECT_EQ(inner(called("builtins", "exec", {data, dict({{data, integer(7)}})})), "nothing");
}

TEST(Attributes, AreFoundByName) {
  const std::string pickled =
      stream(made("mod", "T") + items({{kA, integer(1)}}) + build(dict({{kB, integer(2)}})));
  const auto run = pickle::run(as_bytes(pickled));
  const ObjectView view = look(run.graph, root_of(run));
  EXPECT_EQ(find_attribute(view, run.graph, "a"), nullptr) << "an item";
  ASSERT_NE(find_attribute(view, run.graph, "b"), nullptr);
  EXPECT_EQ(run.graph.integer(find_attribute(view, run.graph, "b")->value), 2);
}

}  // namespace
}  // namespace tare::object
