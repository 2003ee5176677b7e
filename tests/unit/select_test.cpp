// Which tensors of a checkpoint are taken as the model.
#include "tare/select.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/effort.hpp"
#include "support/pickle_values.hpp"
#include "support/safetensors_builder.hpp"
#include "support/tar_builder.hpp"
#include "support/torch_builder.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string weight() {
  return vector_of("FloatStorage", "0", 4);
}
std::string weights(const std::vector<std::string>& names = {"w"}) {
  Pairs pairs;
  for (const std::string& name : names) pairs.emplace_back(str(name), weight());
  return dict(pairs);
}
std::string optimizer() {
  return dict({{str("state"), dict({{integer(0), dict({{str("exp_avg"), weight()}})}})},
               {str("param_groups"), list({dict({{str("lr"), real(0.1)}})})}});
}

Model model_of_file(const std::string& file) {
  const auto bytes = as_bytes(std::string_view(file));
  Input input = Input::from_bytes({bytes.begin(), bytes.end()});
  auto context = format::context_of(input.bytes());
  auto contents = format::read_nested(input.bytes(), context);
  if (!contents) throw std::runtime_error(contents.error().what);
  const auto format = contents->format;
  return Model(std::move(input), format, std::move(*contents));
}

std::string checkpoint(const std::string& value) {
  return torch_zip(stream(value), {{"0", small_storage()}}).build();
}
Model model_of(const std::string& value) {
  return model_of_file(checkpoint(value));
}

// The names that are taken, the key in front; or why none are.
std::vector<std::string> selected(const Model& model, const SelectOptions& options = {}) {
  const auto selection = select_tensors(model, options);
  if (!selection) {
    std::vector<std::string> lines = {std::string(error_code_name(selection.error().code)) + " " +
                                      selection.error().subject};
    lines.insert(lines.end(), selection.error().candidates.begin(),
                 selection.error().candidates.end());
    return lines;
  }
  std::vector<std::string> lines = {"key '" + selection->key + "'"};
  for (const NamedTensor& tensor : selection->tensors) lines.push_back(tensor.name);
  for (const SpecialTensor& tensor : selection->specials) lines.push_back("special " + tensor.name);
  for (const Problem& problem : selection->problems) lines.push_back("problem " + problem.subject);
  return lines;
}
std::vector<std::string> selected(const std::string& value, const SelectOptions& options = {}) {
  return selected(model_of(value), options);
}
std::vector<std::string> selected_key(const std::string& value, const std::string& key) {
  return selected(value, {.key = key});
}

std::vector<std::string> dropped(const std::string& value, const SelectOptions& options = {}) {
  const Model model = model_of(value);
  const auto selection = select_tensors(model, options);
  if (!selection) return {"failed"};
  std::vector<std::string> lines;
  for (const Dropped& drop : selection->dropped) lines.push_back(drop.path + ": " + drop.what);
  return lines;
}

// ---- found by structure

TEST(Select, TakesADictOfTensors) {
  EXPECT_THAT(selected(weights({"a.w", "b.w"})), ElementsAre("key ''", "a.w", "b.w"));
  EXPECT_THAT(selected(weight()), ElementsAre("key ''", "tensor"));
  EXPECT_THAT(selected(list({weight(), weight()})), ElementsAre("key ''", "0", "1"));
  EXPECT_THAT(selected("}"), ElementsAre("key ''"));
  EXPECT_THAT(selected(integer(3)), ElementsAre("key ''"));
}

TEST(Select, TakesAModule) {
  const std::string module = made("mod", "Net") + build(dict({{str("_parameters"), weights({"w"})},
                                                              {str("_buffers"), weights({"b"})},
                                                              {str("_modules"), "}"},
                                                              {str("model"), weights({"x"})}}));
  EXPECT_THAT(selected(module), ElementsAre("key ''", "w", "b"));
  EXPECT_THAT(selected(dict({{str("epoch"), integer(1)}, {str("model"), module}})),
              ElementsAre("key 'model'", "w", "b"));
}

TEST(Select, TakesWhatStandsUnderAKeyOfFrameworks) {
  for (const std::string key :
       {"state_dict", "model_state_dict", "model", "module", "ema", "net", "params", "params_ema",
        "weights", "generator", "model_weights", "backbone"}) {
    EXPECT_THAT(selected(dict({{str("epoch"), integer(3)},
                               {str(key), weights()},
                               {str("optimizer"), optimizer()},
                               {str("extra"), weights({"x"})}})),
                ElementsAre("key '" + key + "'", "w"));
  }
  EXPECT_THAT(
      dropped(dict({{str("epoch"), integer(3)},
                    {str("model"), weights()},
                    {str("optimizer"), optimizer()},
                    {str("extra"), weights({"x"})},
                    {str("alone"), weight()}})),
      ElementsAre("epoch: int 3", "optimizer: dict of 2", "extra: dict of 1", "alone: a tensor"));
}

TEST(Select, RefusesToChooseBetweenTwo) {
  EXPECT_THAT(selected(dict({{str("model"), weights()}, {str("ema"), weights()}})),
              ElementsAre("invalid_argument ", "model", "ema"));
  EXPECT_THAT(selected(dict({{str("generator"), weights()},
                             {str("params"), weights()},
                             {str("params_ema"), weights()},
                             {str("other"), weights()}})),
              ElementsAre("invalid_argument ", "generator", "params", "params_ema"));
}

TEST(Select, TakesOneObjectUnderTwoKeysForOne) {
  EXPECT_THAT(selected("}(" + str("model") + weights() + binput(1) + str("ema") + binget(1) + "u"),
              ElementsAre("key 'model'", "w"));
}

// None, an empty dict, numbers: what people set when they train without an EMA.
TEST(Select, PassesOverKeysWithoutTensors) {
  for (const std::string& nothing : {kNone, dict({}), integer(1), str("name"), list({})}) {
    EXPECT_THAT(selected(dict({{str("ema"), nothing}, {str("model"), weights()}})),
                ElementsAre("key 'model'", "w"));
  }
  // A tensor is no model: its name may just be one.
  EXPECT_THAT(selected(dict({{str("weights"), weight()}, {str("bias"), weight()}})),
              ElementsAre("key ''", "weights", "bias"));
}

TEST(Select, DoesNotLookForKeysInAttributesOrBelow) {
  EXPECT_THAT(selected(made("mod", "T") +
                       build(dict({{str("model"), weights()}, {str("other"), weights()}}))),
              ElementsAre("key ''", "model.w", "other.w"));
  EXPECT_THAT(
      selected(dict({{str("outer"), dict({{str("model"), weights()}, {str("n"), integer(1)}})},
                     {str("more"), weights()}})),
      ElementsAre("key ''", "outer.model.w", "more.w"));
}

TEST(Select, LeavesOptimizersOut) {
  const std::string with_optimizer =
      dict({{str("encoder"), weights()}, {str("optim"), optimizer()}, {str("t"), weight()}});
  EXPECT_THAT(selected(with_optimizer), ElementsAre("key ''", "encoder.w", "t"));
  EXPECT_THAT(dropped(with_optimizer), ElementsAre("optim: dict of 2"));
  EXPECT_THAT(selected(dict({{str("encoder"), weights()},
                             {str("optimizers"), list({optimizer(), optimizer()})}})),
              ElementsAre("key ''", "encoder.w"));
  // Where a model is expected as well.
  EXPECT_THAT(selected(dict({{str("model"), optimizer()}, {str("encoder"), weights()}})),
              ElementsAre("key ''", "encoder.w"));
  // A file that is nothing else.
  EXPECT_THAT(selected(optimizer()), ElementsAre("key ''", "state.0.exp_avg"));
  EXPECT_THAT(selected(dict({{str("optimizer"), optimizer()}, {str("epoch"), integer(1)}})),
              ElementsAre("key ''", "optimizer.state.0.exp_avg"));
  // A list of something else beside one is none.
  EXPECT_THAT(
      selected(dict({{str("mixed"), list({optimizer(), weights()})}, {str("encoder"), weights()}})),
      ElementsAre("key ''", "mixed.0.state.0.exp_avg", "mixed.1.w", "encoder.w"));
}

TEST(Select, TakesProblemsOfTheSelectionAlone) {
  const std::string broken = vector_of("FloatStorage", "7", 4);
  EXPECT_THAT(selected(dict({{str("model"), dict({{str("w"), weight()}, {str("b"), broken}})},
                             {str("other"), dict({{str("x"), broken}})}})),
              ElementsAre("key 'model'", "w", "problem b"));
  EXPECT_THAT(selected(dict({{str("model"), weights()}, {str("other"), broken}})),
              ElementsAre("key 'model'", "w"));
}

// ---- named by a key

TEST(SelectKey, FollowsKeysPositionsAndAttributes) {
  const std::string value =
      dict({{str("a"), dict({{str("b"), weights()}})},
            {str("l"), list({kNone, weights({"x"})})},
            {str("o"), made("mod", "T") + build(dict({{str("net"), weights({"y"})}}))},
            {integer(5), weights({"z"})}});
  EXPECT_THAT(selected_key(value, "a"), ElementsAre("key 'a'", "b.w"));
  EXPECT_THAT(selected_key(value, "a.b"), ElementsAre("key 'a.b'", "w"));
  EXPECT_THAT(selected_key(value, "a.b.w"), ElementsAre("key 'a.b.w'", "tensor"));
  EXPECT_THAT(selected_key(value, "l.1"), ElementsAre("key 'l.1'", "x"));
  EXPECT_THAT(selected_key(value, "o.net"), ElementsAre("key 'o.net'", "y"));
  EXPECT_THAT(selected_key(value, "5"), ElementsAre("key '5'", "z"));
  EXPECT_THAT(selected_key(value, "l.0"), ElementsAre("key 'l.0'"));
}

TEST(SelectKey, UnderstandsKeysWithDots) {
  const std::string value = dict({{str("a"), dict({{str("b"), weights({"short"})}})},
                                  {str("a.b"), weights({"long"})},
                                  {str("v1.0"), dict({{str("m.n"), weights({"w"})}})}});
  EXPECT_THAT(selected_key(value, "a.b"), ElementsAre("key 'a.b'", "long"));
  EXPECT_THAT(selected_key(value, "v1.0.m.n"), ElementsAre("key 'v1.0.m.n'", "w"));
  EXPECT_THAT(selected_key(value, "v1"), testing::Not(Contains("w")));
}

TEST(SelectKey, TakesEverythingByADot) {
  EXPECT_THAT(selected_key(dict({{str("model"), weights()},
                                 {str("ema"), weights()},
                                 {str("optimizer"), optimizer()}}),
                           "."),
              ElementsAre("key ''", "model.w", "ema.w", "optimizer.state.0.exp_avg"));
}

TEST(SelectKey, ChoosesBetweenTwo) {
  const std::string value = dict({{str("model"), weights({"m"})}, {str("ema"), weights({"e"})}});
  EXPECT_THAT(selected_key(value, "model"), ElementsAre("key 'model'", "m"));
  EXPECT_THAT(selected_key(value, "ema"), ElementsAre("key 'ema'", "e"));
}

// Of a flat dict, the names that begin with the key.
TEST(SelectKey, TakesNamesThatBeginWithIt) {
  const std::string value = weights({"encoder.a", "encoder.b", "encoderx.c", "decoder.d"});
  EXPECT_THAT(selected_key(value, "encoder"), ElementsAre("key 'encoder'", "a", "b"));
  EXPECT_THAT(selected_key(value, "nothing"), ElementsAre("not_found nothing", "encoder.a",
                                                          "encoder.b", "encoderx.c", "decoder.d"));
}

TEST(SelectKey, ListsWhatThereIs) {
  EXPECT_THAT(selected_key(dict({{str("model"), weights()}, {str("epoch"), integer(1)}}), "modle"),
              ElementsAre("not_found modle", "model", "epoch"));
  // Not without end.
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("k" + std::to_string(i));
  EXPECT_LE(selected_key(weights(names), "x").size(), 51U);
}

TEST(SelectKey, HasNoTroubleWithOddKeys) {
  const std::string value = dict({{str(""), dict({{str(""), weights()}})}, {str("a."), weights()}});
  for (const std::string key : {"..", "...", "a.", "a..", ".w", "\xFF", "a\nb"}) {
    const auto lines = selected_key(value, key);
    EXPECT_FALSE(lines.empty()) << key;
  }
  EXPECT_THAT(selected_key(value, "a."), ElementsAre("key 'a.'", "w"));
}

// ---- names

TEST(SelectNames, LosePrefixesAgainAndAgain) {
  const std::string value = weights(
      {"module.a", "module.module.b", "_orig_mod.module.c", "d", "module._orig_mod.e", "modulef"});
  EXPECT_THAT(selected(value, {.strip_prefixes = {"module."}}),
              ElementsAre("key ''", "a", "b", "_orig_mod.module.c", "d", "_orig_mod.e", "modulef"));
  EXPECT_THAT(selected(value, {.strip_prefixes = {"module.", "_orig_mod."}}),
              ElementsAre("key ''", "a", "b", "c", "d", "e", "modulef"));
  EXPECT_THAT(selected(value, {.strip_prefixes = {""}}), Contains("module.a"));
}

TEST(SelectNames, KeepAtLeastOneByte) {
  EXPECT_THAT(selected(weights({"module."}), {.strip_prefixes = {"module."}}),
              ElementsAre("key ''", "module."));
}

TEST(SelectNames, MustDiffer) {
  EXPECT_THAT(selected(weights({"module.a", "a"}), {.strip_prefixes = {"module."}}),
              ElementsAre("mismatch a"));
  EXPECT_THAT(selected(dict({{str("a"), dict({{str("b"), weight()}})}, {str("a.b"), weight()}})),
              ElementsAre("mismatch a.b"));
  // 1 and "1" are two keys, and one name.
  EXPECT_THAT(selected(dict({{integer(1), weight()}, {str("1"), weight()}})),
              ElementsAre("mismatch 1"));
}

// ---- scalars

TEST(SelectScalars, AreThoseOfTheWholeFile) {
  const Model model = model_of(
      dict({{str("epoch"), integer(3)},
            {str("args"), dict({{str("lr"), real(0.5)}, {str("names"), list({str("a")})}})},
            {str("model"), weights()},
            {str("raw"), bytes("x")}}));
  const auto selection = select_tensors(model, {.keep_scalars = true});
  ASSERT_TRUE(selection.has_value());
  EXPECT_THAT(selection->scalars, UnorderedElementsAre(Pair("epoch", "3"), Pair("args.lr", "0.5"),
                                                       Pair("args.names", "['a']")));
  EXPECT_THAT(select_tensors(model)->scalars, IsEmpty());
}

// ---- files of several pickles

TEST(SelectRoots, AreToldApartByTheirTensors) {
  const std::string first = stream(dict({{str("epoch"), integer(1)}}));
  const auto array = [](const std::string& data) {
    return called("numpy.core.multiarray", "_reconstruct",
                  {global("numpy", "ndarray"), sizes({0}), bytes("b")}) +
           build(tuple({integer(1), sizes({2}), called("numpy", "dtype", {str("u1")}),
                        boolean(false), bytes(data)}));
  };
  const std::string second = stream(dict({{str("w"), array("ab")}}));
  const std::string third = stream(dict({{str("v"), array("cd")}}));
  EXPECT_THAT(selected(model_of_file(first + second)), ElementsAre("key '1'", "w"));
  EXPECT_THAT(selected(model_of_file(second + third)), ElementsAre("invalid_argument ", "0", "1"));
  EXPECT_THAT(selected(model_of_file(second + third), {.key = "1"}), ElementsAre("key '1'", "v"));
  EXPECT_THAT(selected(model_of_file(second + third), {.key = "0.w"}),
              ElementsAre("key '0.w'", "tensor"));
  EXPECT_THAT(selected(model_of_file(second + third), {.key = "."}),
              ElementsAre("key ''", "0.w", "1.v"));
  EXPECT_THAT(selected(model_of_file(second + third), {.key = "2"}),
              ElementsAre("not_found 2", "0", "1"));
}

// The names of two members of which only one holds tensors; and of one that has several itself.
TEST(SelectRoots, OfArchivesHaveTheNamesOfMembers) {
  const auto tar_of = [](const std::vector<std::pair<std::string, std::string>>& members) {
    std::string file;
    for (const auto& [name, content] : members) file += TarMember{name, content}.build();
    return file + tar_end();
  };
  const std::string model = checkpoint(weights());
  EXPECT_THAT(selected(model_of_file(tar_of({{"a.ckpt", model}, {"notes.txt", "text"}}))),
              ElementsAre("key ''", "w"));
  EXPECT_THAT(selected(model_of_file(tar_of({{"./x/a.ckpt", model}, {"b.ckpt", model}}))),
              ElementsAre("invalid_argument ", "x.a", "b"));
  EXPECT_THAT(
      selected(model_of_file(tar_of({{"x/a.ckpt", model}, {"b.ckpt", model}})), {.key = "x.a"}),
      ElementsAre("key 'x.a'", "w"));
  const auto array = called("numpy.core.multiarray", "_reconstruct",
                            {global("numpy", "ndarray"), sizes({0}), bytes("b")}) +
                     build(tuple({integer(1), sizes({2}), called("numpy", "dtype", {str("u1")}),
                                  boolean(false), bytes("ab")}));
  const std::string two = stream(dict({{str("w"), array}})) + stream(dict({{str("w"), array}}));
  const Model several = model_of_file(tar_of({{"a.pkl", two}}));
  EXPECT_THAT(selected(several), ElementsAre("invalid_argument ", "0", "1"));
  EXPECT_THAT(selected(several, {.key = "."}), ElementsAre("key ''", "0.w", "1.w"));
}

// ---- models without objects

Model flat_model() {
  return model_of_file(safetensors_file("{" + tensor_json("a.x", "U8", "[1]", 0, 1) + "," +
                                            tensor_json("a.y", "U8", "[1]", 1, 2) + "," +
                                            tensor_json("b", "U8", "[1]", 2, 3) + "}",
                                        "123"));
}

TEST(SelectFlat, TakesEverythingOrAPrefix) {
  EXPECT_THAT(selected(flat_model()), ElementsAre("key ''", "a.x", "a.y", "b"));
  EXPECT_THAT(selected(flat_model(), {.key = "."}), ElementsAre("key ''", "a.x", "a.y", "b"));
  EXPECT_THAT(selected(flat_model(), {.key = "a"}), ElementsAre("key 'a'", "x", "y"));
  EXPECT_THAT(selected(flat_model(), {.key = "b"}), ElementsAre("not_found b"));
  EXPECT_THAT(selected(flat_model(), {.strip_prefixes = {"a."}}),
              ElementsAre("key ''", "x", "y", "b"));
}

// ---- other models of it

TEST(RestrictTo, HasTheSelectedTensors) {
  Model model = model_of(dict({{str("model"), weights()}, {str("ema"), weights({"e"})}}));
  auto selection = select_tensors(model, {.key = "ema"});
  ASSERT_TRUE(selection.has_value());
  const Model restricted = restrict_to(std::move(model), std::move(*selection));
  ASSERT_EQ(restricted.tensors().size(), 1U);
  EXPECT_EQ(restricted.tensors()[0].name, "e");
  EXPECT_EQ(restricted.format(), "torch-zip");
  EXPECT_EQ(restricted.tensors()[0].view.byte_count(), 16U) << "the file lives on";
}

TEST(RestrictTo, HasProblemsForSpecialTensors) {
  const std::string meta = called("torch._utils", "_rebuild_meta_tensor_no_storage",
                                  {global("torch", "float32"), sizes({2}), sizes({1}), kNone});
  Model model = model_of(dict({{str("a"), weight()}, {str("m"), meta}}));
  auto selection = select_tensors(model);
  ASSERT_TRUE(selection.has_value());
  const Model restricted = restrict_to(std::move(model), std::move(*selection));
  ASSERT_EQ(restricted.contents().problems.size(), 1U);
  EXPECT_EQ(restricted.contents().problems[0].subject, "m");
}

TEST(TiedNames, AreTensorsOfTheMetadata) {
  const std::string header =
      R"({"__metadata__":{"format":"pt","tied":"a","a":"b","lost":"c","x":"tied"},)" +
      tensor_json("a", "U8", "[1]", 0, 1) + "," + tensor_json("b", "U8", "[1]", 1, 2) + "}";
  const Model model = with_tied_names(model_of_file(safetensors_file(header, "12")));
  std::vector<std::string> names;
  for (const NamedTensor& tensor : model.tensors()) names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("a", "b", "tied"));
  EXPECT_EQ(as_text(model.tensors()[2].view.contiguous_bytes()), "1");
}

// ---- bounds

// Whether each of many parts holds tensors is asked of what they share.
TEST(SelectBounds, DoNotWalkWhatIsSharedTooOften) {
  const CpuTime time;
  for (const std::string& item : {dict({}), list({dict({})}), list({kNone})}) {
    std::string value = "](" + repeat(item, 50'000) + "e" + binput(1) + "0}(";
    for (int i = 0; i < 50'000; ++i) value += integer(i) + binget(1);
    value += str("w") + weight() + "u";
    EXPECT_THAT(selected(value), ElementsAre("limit ")) << item;
  }
  EXPECT_LT(time.seconds(), kMostSeconds);
}

TEST(SelectBounds, TakeFilesOfManyTensors) {
  std::string value = "}(";
  for (int i = 0; i < 50'000; ++i) value += str("layer." + std::to_string(i)) + weight();
  const auto lines = selected(dict({{str("model"), value + "u"}, {str("epoch"), integer(1)}}));
  EXPECT_EQ(lines.size(), 50'001U);
}

}  // namespace
}  // namespace tare
