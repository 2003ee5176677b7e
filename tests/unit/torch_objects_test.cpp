// Torch's calls in a pickle: which are tensors, of what, and what is refused.
#include "object/torch_objects.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "support/pickle_values.hpp"
#include "support/tensors.hpp"

namespace tare::object {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

using Storages = std::map<std::string, std::string>;

// Four floats, and eight bytes.
const Storages kStorages = {{"0", memory_of<float>({1, 2, 3, 4})},
                            {"1", memory_of<std::int64_t>({5, -6})}};

std::string numbers(const std::vector<std::uint64_t>& values) {
  std::string out;
  for (const std::uint64_t value : values) out += (out.empty() ? "" : ",") + std::to_string(value);
  return out;
}

// "F32 [2,2] (2,1) @0", and how it is stored if that is not as it is.
std::string view_text(const TensorView& view) {
  std::string out = std::string(dtype_name(view.dtype)) + " [" + numbers(view.shape) + "] (" +
                    numbers(view.strides) + ") @" + std::to_string(view.offset);
  if (!view.stored) return out;
  if (view.stored->dtype != view.dtype) out += " as " + std::string(dtype_name(view.stored->dtype));
  if (view.stored->big_endian) out += " big";
  if (view.stored->conjugated) out += " conj";
  if (view.stored->negated) out += " neg";
  return out;
}

std::string error_line(const Error& error) {
  return std::string(error_code_name(error.code)) + ": " + error.what;
}

std::string special_text(const SpecialTensor& tensor) {
  std::string out = std::string(special_kind_name(tensor.kind)) + " " +
                    std::string(dtype_name(tensor.dtype)) + " [" + numbers(tensor.shape) + "]";
  if (!tensor.class_name.empty()) out += " " + tensor.class_name;
  for (const NamedTensor& part : tensor.parts) out += "; " + part.name + " " + view_text(part.view);
  return out;
}

std::string tensor_text(const Result<AnyTensor>& tensor) {
  if (!tensor) return error_line(tensor.error());
  if (const auto* dense = std::get_if<TorchTensor>(&*tensor)) return view_text(dense->view);
  return special_text(std::get<SpecialTensor>(*tensor));
}

// What the value at the end of a stream is; "no tensor" if it is none.
std::string read_stream(const std::string& stream, const Storages& storages = kStorages,
                        bool big_endian = false) {
  TestDocument document(stream, storages, big_endian);
  if (document->meaning(document.root()) != Meaning::kTensor) return "no tensor";
  return tensor_text(document->tensor(document.root()));
}
std::string read(const std::string& value, const Storages& storages = kStorages) {
  return read_stream(stream(value), storages);
}

std::string rebuild(std::string_view function, const std::vector<std::string>& arguments) {
  return called("torch._utils", function, arguments);
}

std::string floats() {
  return storage("FloatStorage", "0", 4);
}
std::string untyped(std::string_view key, std::int64_t numel) {
  return persistent(tuple({str("storage"), global("torch.storage", "UntypedStorage"), str(key),
                           str("cpu"), integer(numel)}));
}
const std::string kFloats = "F32 [2,2] (2,1) @0";
std::string small() {
  return tensor_v2(floats(), 0, {2, 2}, {2, 1});
}

// ---- dense tensors

TEST(DenseTensors, AreReadFromEveryVersionOfTheirFunction) {
  const std::vector<std::string> four = {floats(), integer(0), sizes({2, 2}), sizes({2, 1})};
  auto v2 = four;
  v2.insert(v2.end(), {boolean(false), ordered_dict()});
  auto v3 = v2;
  v3.push_back(global("torch", "float32"));
  EXPECT_EQ(read(rebuild("_rebuild_tensor", four)), kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_tensor_v2", v2)), kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_tensor_v3", v3)), kFloats);
  for (auto* arguments : {&v2, &v3}) arguments->push_back("}");
  EXPECT_EQ(read(rebuild("_rebuild_tensor_v2", v2)), kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_tensor_v3", v3)), kFloats);
  for (auto* arguments : {&v2, &v3}) arguments->back() = "N";
  EXPECT_EQ(read(rebuild("_rebuild_tensor_v2", v2)), kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_tensor_v3", v3)), kFloats);
}

TEST(DenseTensors, HaveTheTypeOfTheirStorage) {
  for (const auto& [name, dtype, bytes] :
       std::vector<std::tuple<const char*, const char*, int>>{{"DoubleStorage", "F64", 8},
                                                              {"FloatStorage", "F32", 4},
                                                              {"HalfStorage", "F16", 2},
                                                              {"BFloat16Storage", "BF16", 2},
                                                              {"LongStorage", "I64", 8},
                                                              {"IntStorage", "I32", 4},
                                                              {"ShortStorage", "I16", 2},
                                                              {"CharStorage", "I8", 1},
                                                              {"ByteStorage", "U8", 1},
                                                              {"BoolStorage", "BOOL", 1},
                                                              {"ComplexFloatStorage", "C64", 8},
                                                              {"ComplexDoubleStorage", "C128", 16},
                                                              {"UntypedStorage", "U8", 1}}) {
    const std::string exact(static_cast<std::size_t>(3 * bytes), 'x');
    EXPECT_EQ(read(vector_of(name, "0", 3), {{"0", exact}}), std::string(dtype) + " [3] (1) @0");
    EXPECT_THAT(read(vector_of(name, "0", 3), {{"0", exact.substr(1)}}),
                StartsWith("malformed: the storage is shorter"));
  }
  for (const char* name : {"QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage",
                           "QUInt2x4Storage", "TypedStorage"}) {
    EXPECT_THAT(read(vector_of(name, "0", 2)), StartsWith("unsupported: ")) << name;
  }
}

std::string v3(const std::string& storage, std::int64_t offset,
               const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
               const std::string& dtype) {
  return rebuild("_rebuild_tensor_v3", {storage, integer(offset), sizes(shape), sizes(strides),
                                        boolean(false), ordered_dict(), dtype});
}

// Its storage counts bytes, the tensor elements of its type.
TEST(DenseTensors, OfVersion3HaveATypeOfTheirOwn) {
  for (const auto& [name, dtype] :
       std::vector<std::pair<const char*, const char*>>{{"uint16", "U16"},
                                                        {"uint32", "U32"},
                                                        {"uint64", "U64"},
                                                        {"float8_e4m3fn", "F8_E4M3"},
                                                        {"float8_e5m2", "F8_E5M2"},
                                                        {"float8_e4m3fnuz", "F8_E4M3FNUZ"},
                                                        {"float8_e5m2fnuz", "F8_E5M2FNUZ"},
                                                        {"float8_e8m0fnu", "F8_E8M0"},
                                                        {"complex32", "C32"},
                                                        {"float32", "F32"}}) {
    EXPECT_EQ(read(v3(untyped("0", 16), 0, {2}, {1}, global("torch", name))),
              std::string(dtype) + " [2] (1) @0");
  }
  EXPECT_EQ(read(v3(untyped("0", 16), 1, {7}, {1}, global("torch", "uint16"))), "U16 [7] (1) @1");
  EXPECT_THAT(read(v3(untyped("0", 16), 2, {7}, {1}, global("torch", "uint16"))),
              StartsWith("malformed: "));
  for (const char* name : {"bits8", "bits1x8", "uint4", "int3", "quint8"}) {
    EXPECT_EQ(
        read(v3(untyped("0", 16), 0, {2}, {1}, global("torch", name))),
        "unsupported: is of the type " + std::string(name) + ", which this version does not read");
  }
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {2}, {1}, global("torch", "float1"))),
              StartsWith("unsupported: "));
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {2}, {1}, global("numpy", "float32"))),
              StartsWith("unsupported: "));
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {2}, {1}, str("float32"))), StartsWith("unsupported: "));
}

// Torch counts a pair of them as one element.
TEST(DenseTensors, OfPairsOfF4HaveTwiceTheElements) {
  const std::string pairs = global("torch", "float4_e2m1fn_x2");
  EXPECT_EQ(read(v3(untyped("0", 16), 0, {2, 3}, {3, 1}, pairs)), "F4 [2,6] (6,1) @0");
  EXPECT_EQ(read(v3(untyped("0", 16), 4, {3}, {1}, pairs)), "F4 [6] (1) @8");
  EXPECT_EQ(read(v3(untyped("0", 16), 0, {2, 3}, {4, 1}, pairs)), "F4 [2,6] (8,1) @0");
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {3, 2}, {1, 3}, pairs)), StartsWith("unsupported: "));
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {}, {}, pairs)), StartsWith("unsupported: "));
  EXPECT_THAT(read(v3(untyped("0", 16), 14, {3}, {1}, pairs)), StartsWith("malformed: "));
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {INT64_MAX}, {1}, pairs)),
              testing::Not(StartsWith("F4")));
  EXPECT_THAT(read(v3(untyped("0", 16), INT64_MAX, {1}, {1}, pairs)),
              testing::Not(StartsWith("F4")));
  EXPECT_THAT(read(v3(untyped("0", 16), 0, {2, 2}, {INT64_MAX, 1}, pairs)),
              testing::Not(StartsWith("F4")));
}

TEST(DenseTensors, TakeSizesInAnyForm) {
  const auto with_sizes = [](const std::string& shape, const std::string& strides) {
    return read(rebuild("_rebuild_tensor", {floats(), integer(0), shape, strides}));
  };
  EXPECT_EQ(with_sizes(called("torch", "Size", {sizes({2, 2})}), list({integer(2), integer(1)})),
            kFloats);
  EXPECT_EQ(with_sizes(called("torch", "Size", {list({integer(4)})}), sizes({1})),
            "F32 [4] (1) @0");
  EXPECT_EQ(with_sizes(tuple({boolean(true), "\x8A\x01\x04"}), sizes({4, 1})),
            "F32 [1,4] (4,1) @0");
  EXPECT_EQ(with_sizes(")", "]"), "F32 [] () @0");
}

// Each of the fields, wrong in every way.
TEST(DenseTensors, AreRefusedIfAFieldLies) {
  const std::vector<std::string> good = {floats(),      integer(0),     sizes({2, 2}),
                                         sizes({2, 1}), boolean(false), ordered_dict()};
  const auto with = [&](std::size_t field, const std::string& value) {
    auto arguments = good;
    arguments[field] = value;
    return read(rebuild("_rebuild_tensor_v2", arguments));
  };
  ASSERT_EQ(with(0, floats()), kFloats);
  const std::string huge = "\x8A\x09" + std::string(8, '\xFF') + "\x01";  // more than 64 bits
  for (const std::string& offset : {integer(-1), integer(1), integer(INT64_MAX), huge, real(0),
                                    str("0"), kNone, tuple({}), floats()}) {
    EXPECT_THAT(with(1, offset),
                testing::AnyOf(StartsWith("malformed: "), StartsWith("overflow: ")))
        << offset;
  }
  for (const std::string& shape :
       {sizes({-2, 2}), sizes({2, 3}), sizes({INT64_MAX, 2}), sizes({INT64_MAX, INT64_MAX}),
        sizes({4}), sizes({2, 2, 1}), tuple({huge, integer(1)}), tuple({real(2), integer(2)}),
        tuple({str("2"), integer(2)}), kNone, integer(4), str("2"), dict({}),
        tuple({kNone, kNone})}) {
    EXPECT_THAT(with(2, shape), testing::AnyOf(StartsWith("malformed: "), StartsWith("overflow: ")))
        << shape;
  }
  for (const std::string& strides :
       {sizes({-2, 1}), sizes({2, -1}), sizes({3, 1}), sizes({INT64_MAX, 1}),
        sizes({INT64_MAX, INT64_MAX}), sizes({1}), sizes({4, 2, 1}), kNone, integer(1),
        tuple({kNone, integer(1)})}) {
    EXPECT_THAT(with(3, strides),
                testing::AnyOf(StartsWith("malformed: "), StartsWith("overflow: ")))
        << strides;
  }
  for (const std::string& storage : {kNone, integer(0), str("0"), small(), persistent(str("0")),
                                     persistent(integer(0)), dict({})}) {
    EXPECT_THAT(with(0, storage), StartsWith("unsupported: ")) << storage;
  }
  // What torch does not look at is not looked at.
  EXPECT_EQ(with(4, kNone), kFloats);
  EXPECT_EQ(with(5, kNone), kFloats);
}

TEST(DenseTensors, AreRefusedWithTheWrongNumberOfArguments) {
  const std::vector<std::string> all = {floats(),
                                        integer(0),
                                        sizes({2, 2}),
                                        sizes({2, 1}),
                                        boolean(false),
                                        ordered_dict(),
                                        global("torch", "float32"),
                                        "N",
                                        "N"};
  const auto refused = [&](const char* function, std::size_t count) {
    const std::vector<std::string> some(all.begin(), all.begin() + static_cast<long>(count));
    return read(rebuild(function, some)) == "malformed: a tensor is made from unexpected arguments";
  };
  for (std::size_t count = 0; count <= all.size(); ++count) {
    EXPECT_EQ(refused("_rebuild_tensor", count), count != 4) << count;
    EXPECT_EQ(refused("_rebuild_tensor_v3", count), count != 7 && count != 8) << count;
  }
  for (const std::size_t count : {0U, 5U, 8U, 9U}) {
    EXPECT_TRUE(refused("_rebuild_tensor_v2", count)) << count;
  }
  // Arguments that are no tuple.
  EXPECT_THAT(read(global("torch._utils", "_rebuild_tensor") + "]R"), StartsWith("malformed: "));
}

TEST(DenseTensors, MayBeConjugatedAndNegated) {
  const auto with_metadata = [](const std::string& metadata) {
    return read(rebuild("_rebuild_tensor_v2",
                        {storage("ComplexFloatStorage", "0", 2), integer(0), sizes({2}), sizes({1}),
                         boolean(false), ordered_dict(), metadata}));
  };
  const std::string yes = boolean(true);
  EXPECT_EQ(with_metadata(dict({{str("conj"), yes}})), "C64 [2] (1) @0 conj");
  EXPECT_EQ(with_metadata(dict({{str("neg"), yes}})), "C64 [2] (1) @0 neg");
  EXPECT_EQ(with_metadata(dict({{str("neg"), yes}, {str("conj"), yes}})),
            "C64 [2] (1) @0 conj neg");
  EXPECT_EQ(with_metadata(dict({{str("conj"), boolean(false)}})), "C64 [2] (1) @0");
  EXPECT_EQ(with_metadata(dict({{str("conj"), yes}, {str("conj"), boolean(false)}})),
            "C64 [2] (1) @0");
  for (const std::string& metadata : {dict({{str("zero"), yes}}), dict({{str("conj"), integer(1)}}),
                                      dict({{yes, yes}}), integer(1), tuple({}), str("conj")}) {
    EXPECT_THAT(with_metadata(metadata), StartsWith("unsupported: ")) << metadata;
  }
}

TEST(DenseTensors, AreStoredInTheByteOrderOfTheFile) {
  EXPECT_EQ(read_stream(stream(small()), kStorages, true), kFloats + " big");
  EXPECT_EQ(read_stream(stream(vector_of("ByteStorage", "0", 16)), kStorages, true),
            "U8 [16] (1) @0");
  EXPECT_EQ(read_stream(stream(v3(untyped("0", 16), 0, {8}, {1}, global("torch", "uint16"))),
                        kStorages, true),
            "U16 [8] (1) @0 big");
}

TEST(DenseTensors, HaveALimitedNumberOfAxes) {
  const std::vector<std::int64_t> ones(1000, 1);
  EXPECT_THAT(read(tensor_v2(floats(), 0, ones, ones)), StartsWith("F32 [1,1,1"));
  const std::vector<std::int64_t> more(5000, 1);
  EXPECT_THAT(read(tensor_v2(floats(), 0, more, more)), StartsWith("malformed: "));
  EXPECT_THAT(read(tensor_v2(floats(), 0, {1}, more)), StartsWith("malformed: "));
}

// ---- storages

TEST(Storages, HaveKeysOfSeveralKinds) {
  const auto with_key = [](const std::string& key) {
    return read(tensor_v2(persistent(tuple({str("storage"), global("torch", "FloatStorage"), key,
                                            str("cpu"), integer(4)})),
                          0, {4}, {1}),
                {{"7", memory_of<float>({1, 2, 3, 4})}});
  };
  EXPECT_EQ(with_key(str("7")), "F32 [4] (1) @0");
  EXPECT_EQ(with_key(integer(7)), "F32 [4] (1) @0");  // torch.package
  EXPECT_EQ(with_key(bytes("7")), "F32 [4] (1) @0");  // Python 2
  EXPECT_EQ(with_key("U\x01"
                     "7"),
            "F32 [4] (1) @0");
  EXPECT_THAT(with_key(integer(-7)), StartsWith("unsupported: "));
  EXPECT_THAT(with_key(real(7)), StartsWith("unsupported: "));
  EXPECT_THAT(with_key(kNone), StartsWith("unsupported: "));
  EXPECT_THAT(with_key(str("8")), StartsWith("not_found: "));
}

TEST(Storages, AreOfKnownClassesOfTorch) {
  const auto with_class = [](const std::string& storage_class) {
    return read(tensor_v2(
        persistent(tuple({str("storage"), storage_class, str("0"), str("cpu"), integer(4)})), 0,
        {4}, {1}));
  };
  EXPECT_EQ(with_class(global("torch.cuda", "FloatStorage")), "F32 [4] (1) @0");
  EXPECT_EQ(with_class(global("torch.storage", "UntypedStorage")), "U8 [4] (1) @0");
  EXPECT_EQ(with_class(global("torch.storage", "_UntypedStorage")), "U8 [4] (1) @0");
  EXPECT_THAT(with_class(global("evil", "FloatStorage")), StartsWith("unsupported: "));
  EXPECT_THAT(with_class(global("torch", "WideStorage")), StartsWith("unsupported: "));
  EXPECT_THAT(with_class(str("FloatStorage")), StartsWith("unsupported: "));
}

TEST(Storages, HaveIdsOfFiveOrSixFields) {
  const std::vector<std::string> good = {str("storage"), global("torch", "FloatStorage"), str("0"),
                                         str("cpu"), integer(4)};
  const auto with = [&](const std::function<void(std::vector<std::string>&)>& change) {
    auto id = good;
    change(id);
    return read(tensor_v2(persistent(tuple(id)), 0, {4}, {1}));
  };
  EXPECT_EQ(with([](auto&) {}), "F32 [4] (1) @0");
  EXPECT_EQ(with([](auto& id) { id.push_back("N"); }), "F32 [4] (1) @0");
  EXPECT_EQ(with([](auto& id) { id[0] = bytes("storage"); }), "F32 [4] (1) @0");
  EXPECT_THAT(with([](auto& id) { id.pop_back(); }), StartsWith("unsupported: "));
  EXPECT_THAT(with([](auto& id) { id.insert(id.end(), {"N", "N"}); }), StartsWith("unsupported: "));
  EXPECT_THAT(with([](auto& id) { id[0] = str("module"); }), StartsWith("unsupported: "));
  EXPECT_THAT(with([](auto& id) { id[3] = "N"; }), StartsWith("unsupported: "));
  for (const std::string& numel : {integer(-4), real(4), kNone, str("4")}) {
    EXPECT_THAT(with([&](auto& id) { id[4] = numel; }), StartsWith("unsupported: ")) << numel;
  }
  EXPECT_THAT(with([](auto& id) { id[4] = integer(5); }), StartsWith("malformed: "));
  EXPECT_THAT(with([](auto& id) { id[4] = integer(INT64_MAX); }), StartsWith("overflow: "));
  EXPECT_THAT(with([](auto& id) { id[4] = integer(3); }), StartsWith("malformed: "))
      << "the tensor reaches past what is claimed, though there are more bytes";
}

// Torch 0.2 and 0.3.
TEST(Storages, MayBePartsOfOthers) {
  const auto with_view = [](const std::string& view) {
    return read(tensor_v2(persistent(tuple({str("storage"), global("torch", "FloatStorage"),
                                            str("0"), str("cpu"), integer(4), view})),
                          0, {2}, {1}));
  };
  EXPECT_EQ(with_view(tuple({str("9"), integer(2), integer(2)})), "F32 [2] (1) @0");
  EXPECT_THAT(with_view(tuple({str("9"), integer(3), integer(2)})), StartsWith("malformed: "));
  EXPECT_THAT(with_view(tuple({str("9"), integer(5), integer(0)})), StartsWith("malformed: "));
  EXPECT_THAT(with_view(tuple({str("9"), integer(0), integer(1)})), StartsWith("malformed: "));
  EXPECT_THAT(with_view(tuple({str("9"), integer(INT64_MAX), integer(2)})),
              StartsWith("malformed: "));
  EXPECT_THAT(with_view(tuple({str("9"), integer(-1), integer(2)})), StartsWith("unsupported: "));
  EXPECT_THAT(with_view(tuple({str("9"), integer(2)})), StartsWith("unsupported: "));
  EXPECT_THAT(with_view(integer(2)), StartsWith("unsupported: "));
  // And the elements are those from there on.
  TestDocument document(
      stream(tensor_v2(
          persistent(tuple({str("storage"), global("torch", "FloatStorage"), str("0"), str("cpu"),
                            integer(4), tuple({str("9"), integer(2), integer(2)})})),
          0, {2}, {1})),
      kStorages);
  const auto& tensor = document->tensor(document.root());
  ASSERT_TRUE(tensor.has_value());
  EXPECT_EQ(as_text(std::get<TorchTensor>(*tensor).view.storage), memory_of<float>({3, 4}));
}

// The first class counts for all, as in torch.
TEST(Storages, HaveTheClassOfTheirFirstId) {
  const std::string both =
      tuple({vector_of("FloatStorage", "0", 4), vector_of("IntStorage", "0", 4)});
  TestDocument mixed(stream(both), kStorages);
  const auto tensors = mixed.graph().tuple_items(mixed.root());
  EXPECT_EQ(tensor_text(mixed->tensor(tensors[1])), "F32 [4] (1) @0");
  EXPECT_TRUE(mixed->torch().has_mixed_classes());
  TestDocument same(stream(tuple({small(), small()})), kStorages);
  EXPECT_FALSE(same->torch().has_mixed_classes());
  // As large as the first id says.
  TestDocument longer(stream(tuple({vector_of("FloatStorage", "0", 2), small()})), kStorages);
  EXPECT_THAT(tensor_text(longer->tensor(longer.graph().tuple_items(longer.root())[1])),
              StartsWith("malformed: "));
}

// ---- what stands around tensors

TEST(Wrappers, AreTheTensorInside) {
  const std::string yes = boolean(true);
  EXPECT_EQ(read(rebuild("_rebuild_parameter", {small(), yes, ordered_dict()})), kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_parameter_with_state", {small(), yes, ordered_dict(), "}"})),
            kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_device_tensor_from_cpu_tensor",
                         {small(), global("torch", "float32"), str("xla:0"), yes})),
            kFloats);
  EXPECT_EQ(read(made("torch.nn.parameter", "Parameter", {small(), yes})), kFloats);
  EXPECT_EQ(read(made("torch.nn", "Parameter", {small()})), kFloats);
  EXPECT_EQ(read(made("torch.nn.parameter", "Buffer", {small()})), kFloats);
  EXPECT_EQ(read(rebuild("_rebuild_parameter",
                         {rebuild("_rebuild_parameter", {small(), yes, "N"}), yes, "N"})),
            kFloats);
}

// As torch 0.1 to 0.3 wrote them: made of nothing, all in the state.
TEST(Wrappers, MayHaveTheirTensorAsTheirState) {
  const std::string state = tuple({small(), "N", ordered_dict(), boolean(true), boolean(false)});
  EXPECT_EQ(read(made("torch.nn.parameter", "Parameter") + build(state)), kFloats);
  EXPECT_EQ(read(called("torch.autograd.variable", "Variable") + build(state)), kFloats);
  EXPECT_EQ(read(made("torch.nn.parameter", "Parameter") + build(tuple({}))),
            "malformed: a tensor is made from unexpected arguments");
  EXPECT_EQ(read(made("torch.nn.parameter", "Parameter") + build("}")), "no tensor");
  EXPECT_EQ(read(made("torch.nn.parameter", "Parameter")), "no tensor");
}

TEST(Wrappers, OfSubclassesCallTheFunctionThatTheyName) {
  const std::vector<std::string> v2 = {floats(),      integer(0),     sizes({2, 2}),
                                       sizes({2, 1}), boolean(false), ordered_dict()};
  const std::string function = global("torch._utils", "_rebuild_tensor_v2");
  const std::string type = global("mod", "MyTensor");
  for (const auto& [module, name] :
       std::vector<std::pair<const char*, const char*>>{{"torch._tensor", "_rebuild_from_type_v2"},
                                                        {"torch._tensor", "_rebuild_from_type"},
                                                        {"torch.tensor", "_rebuild_from_type"}}) {
    EXPECT_EQ(read(called(module, name, {function, type, tuple(v2), "}"})), kFloats);
  }
  const std::string v2_name = "_rebuild_from_type_v2";
  // Around a parameter, and around another one of its kind.
  EXPECT_EQ(read(called("torch._tensor", v2_name,
                        {global("torch._utils", "_rebuild_parameter"), type,
                         tuple({small(), boolean(true), ordered_dict()}), "}"})),
            kFloats);
  EXPECT_EQ(read(called("torch._tensor", v2_name,
                        {global("torch._tensor", v2_name), type,
                         tuple({function, type, tuple(v2), "}"}), "}"})),
            kFloats);
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {function, type, tuple(v2)},
                                             {function, type, tuple(v2), "}", "N"},
                                             {function, type, list(v2), "}"},
                                             {str("f"), type, tuple(v2), "}"},
                                             {called("mod", "f"), type, tuple(v2), "}"}}) {
    EXPECT_EQ(read(called("torch._tensor", v2_name, arguments)),
              "malformed: a tensor is made from unexpected arguments");
  }
  EXPECT_THAT(read(called("torch._tensor", v2_name,
                          {global("posix", "system"), type, tuple({str("id")}), "}"})),
              StartsWith("unsupported: "));
}

TEST(Wrappers, AreTakenOffUpToALimit) {
  const auto nested = [](int depth) {
    std::string value = small();
    for (int i = 0; i < depth; ++i) value = rebuild("_rebuild_parameter", {value, "N", "N"});
    return read(value);
  };
  EXPECT_EQ(nested(63), kFloats);
  EXPECT_THAT(nested(64), StartsWith("limit: "));
  EXPECT_THAT(nested(5000), StartsWith("limit: "));
  // One that is inside of itself.
  EXPECT_THAT(read(global("torch.nn.parameter", "Parameter") + ")\x81" + binput(1) + "(" +
                   binget(1) + "tb"),
              StartsWith("limit: "));
}

TEST(Wrappers, NeedATensorInside) {
  for (const std::string& inner : {kNone, integer(1), floats(), tuple({small()}), str("x")}) {
    EXPECT_EQ(read(rebuild("_rebuild_parameter", {inner, boolean(true), "N"})),
              "malformed: a tensor is made from unexpected arguments");
  }
  EXPECT_EQ(read(rebuild("_rebuild_parameter", {})),
            "malformed: a tensor is made from unexpected arguments");
  EXPECT_THAT(read(rebuild("_rebuild_parameter", {called("mod", "f")})),
              StartsWith("unsupported: "));
}

TEST(OldTensors, AreCalledByTheirClass) {
  const std::string state = tuple({floats(), integer(0), sizes({2, 2}), sizes({2, 1})});
  EXPECT_EQ(read(called("torch", "FloatTensor") + build(state)), kFloats);
  EXPECT_EQ(read(called("torch.cuda", "FloatTensor") + build(state)), kFloats);
  EXPECT_EQ(read(called("torch", "Tensor") + build(state)), kFloats);
  EXPECT_EQ(read(called("torch", "FloatTensor")), "no tensor");
  EXPECT_EQ(read(called("torch", "FloatTensor") + build("}")), "no tensor");
  EXPECT_EQ(read(called("mod", "FloatTensor") + build(state)), "no tensor");
  EXPECT_EQ(read(called("torch", "FloatTensor") + build(tuple({floats(), integer(0)}))),
            "malformed: a tensor is made from unexpected arguments");
  EXPECT_EQ(read(called("torch", "FloatTensor") + build(state) + build(state)), kFloats);
}

// ---- quantized tensors

std::string quantized(const std::string& storage, const std::string& scheme) {
  return rebuild("_rebuild_qtensor", {storage, integer(0), sizes({2, 2}), sizes({2, 1}), scheme,
                                      boolean(false), ordered_dict()});
}
std::string per_tensor(const std::string& scale, const std::string& zero_point) {
  return tuple({global("torch", "per_tensor_affine"), scale, zero_point});
}

TEST(QuantizedTensors, HaveAScaleForAll) {
  for (const auto& [name, dtype] : std::vector<std::pair<const char*, const char*>>{
           {"QInt8Storage", "I8"}, {"QUInt8Storage", "U8"}, {"QInt32Storage", "I32"}}) {
    TestDocument document(
        stream(quantized(storage(name, "0", 4), per_tensor(real(0.5), integer(-3)))), kStorages);
    const auto& tensor = document->tensor(document.root());
    ASSERT_TRUE(tensor.has_value()) << tensor.error().what;
    const auto& special = std::get<SpecialTensor>(*tensor);
    EXPECT_EQ(special.kind, SpecialKind::kQuantizedPerTensor);
    EXPECT_EQ(special.scale, 0.5);
    EXPECT_EQ(special.zero_point, -3);
    ASSERT_EQ(special.parts.size(), 1U);
    EXPECT_EQ(view_text(special.parts[0].view), std::string(dtype) + " [2,2] (2,1) @0");
  }
}

const Storages kQuantized = {
    {"q", "\1\2\3\4"}, {"s", memory_of<double>({0.5, 2})}, {"z", memory_of<std::int64_t>({1, 0})}};

std::string per_channel(const std::string& scales, const std::string& zero_points,
                        std::int64_t axis, std::string_view scheme = "per_channel_affine") {
  return quantized(storage("QInt8Storage", "q", 4),
                   tuple({global("torch", scheme), scales, zero_points, integer(axis)}));
}

TEST(QuantizedTensors, HaveAScaleForEachChannel) {
  const std::string scales = vector_of("DoubleStorage", "s", 2);
  const std::string zeros = vector_of("LongStorage", "z", 2);
  const std::string expected =
      "quantized_per_channel F32 [2,2]; elements I8 [2,2] (2,1) @0; scales F64 [2] (1) @0; "
      "zero_points I64 [2] (1) @0";
  for (const std::int64_t axis : {0, 1}) {
    EXPECT_EQ(read(per_channel(scales, zeros, axis), kQuantized), expected);
  }
  EXPECT_EQ(read(per_channel(scales, zeros, 0, "per_channel_affine_float_qparams"), kQuantized),
            expected);
  for (const std::int64_t axis : {-1L, 2L, INT64_MAX}) {
    EXPECT_THAT(read(per_channel(scales, zeros, axis), kQuantized), StartsWith("unsupported: "));
  }
  const std::string one = vector_of("DoubleStorage", "s", 1);
  EXPECT_THAT(read(per_channel(one, zeros, 0), kQuantized), StartsWith("malformed: "));
  EXPECT_THAT(read(per_channel(scales, kNone, 0), kQuantized), StartsWith("malformed: "));
  EXPECT_THAT(read(per_channel(scales, zeros, 0, "per_row"), kQuantized),
              StartsWith("unsupported: "));
}

// As older versions wrote them.
TEST(QuantizedTensors, MayHaveTheirScalesAsLists) {
  const std::string scales = list({real(0.5), real(2)});
  const std::string zeros = list({integer(1), integer(-2)});
  TestDocument document(stream(per_channel(scales, zeros, 0)), kQuantized);
  const auto& tensor = document->tensor(document.root());
  ASSERT_TRUE(tensor.has_value()) << tensor.error().what;
  const auto& special = std::get<SpecialTensor>(*tensor);
  EXPECT_EQ(special_text(special),
            "quantized_per_channel F32 [2,2]; elements I8 [2,2] (2,1) @0; scales F64 [2] (1) @0; "
            "zero_points I64 [2] (1) @0");
  EXPECT_EQ(as_text(special.part("scales")->storage), memory_of<double>({0.5, 2}));
  EXPECT_EQ(as_text(special.part("zero_points")->storage), memory_of<std::int64_t>({1, -2}));
  for (const std::string& wrong :
       {list({real(0.5)}), list({real(0.5), str("2")}), list({real(0.5), kNone}), list({})}) {
    EXPECT_THAT(read(per_channel(wrong, zeros, 0), kQuantized), StartsWith("malformed: "));
  }
  EXPECT_THAT(read(per_channel(scales, list({integer(1), real(2)}), 0), kQuantized),
              StartsWith("malformed: "));
}

TEST(QuantizedTensors, AreRefusedIfAFieldLies) {
  const std::string q = storage("QInt8Storage", "q", 4);
  const auto with = [&](const std::string& storage, const std::string& scheme) {
    return read(quantized(storage, scheme), kQuantized);
  };
  EXPECT_THAT(with(q, per_tensor(real(1), integer(0))), StartsWith("quantized_per_tensor"));
  for (const std::string& scheme : {per_tensor(str("1"), integer(0)), per_tensor(real(1), real(0)),
                                    per_tensor(kNone, kNone), kNone, list({}), integer(1)}) {
    EXPECT_THAT(with(q, scheme), StartsWith("malformed: ")) << scheme;
  }
  for (const std::string& scheme :
       {tuple({}), tuple({global("torch", "per_tensor_affine"), real(1)}),
        tuple({global("torch", "per_tensor_symmetric"), real(1), integer(0)})}) {
    EXPECT_THAT(with(q, scheme), StartsWith("unsupported: ")) << scheme;
  }
  for (const char* name : {"QUInt4x2Storage", "QUInt2x4Storage", "FloatStorage", "ByteStorage"}) {
    EXPECT_THAT(with(storage(name, "q", 1), per_tensor(real(1), integer(0))),
                StartsWith("unsupported: "))
        << name;
  }
  EXPECT_THAT(with(storage("QInt8Storage", "q", 3), per_tensor(real(1), integer(0))),
              StartsWith("malformed: "));
  EXPECT_THAT(with(storage("QInt8Storage", "q", 5), per_tensor(real(1), integer(0))),
              StartsWith("malformed: "));
  EXPECT_THAT(
      read(rebuild("_rebuild_qtensor", {q, integer(0), sizes({1}), sizes({1})}), kQuantized),
      StartsWith("malformed: "));
}

// ---- sparse and nested tensors

const Storages kSparse = {{"i", memory_of<std::int64_t>({0, 1, 1, 0})},
                          {"c", memory_of<std::int64_t>({0, 1, 2})},
                          {"p", memory_of<std::int64_t>({1, 0})},
                          {"v", memory_of<float>({5, 6})}};

std::string layout(std::string_view name) {
  return called("torch.serialization", "_get_layout", {str(name)});
}

TEST(SparseTensors, OfCoordinates) {
  const std::string indices = tensor_v2(storage("LongStorage", "i", 4), 0, {2, 2}, {2, 1});
  const std::string values = vector_of("FloatStorage", "v", 2);
  const std::string expected =
      "sparse_coo F32 [2,3]; indices I64 [2,2] (2,1) @0; values F32 [2] (1) @0";
  const auto coo = [&](const std::vector<std::string>& data) {
    return read(rebuild("_rebuild_sparse_tensor", {layout("torch.sparse_coo"), tuple(data)}),
                kSparse);
  };
  EXPECT_EQ(coo({indices, values, sizes({2, 3})}), expected);
  EXPECT_EQ(coo({indices, values, called("torch", "Size", {sizes({2, 3})})}), expected);
  EXPECT_EQ(coo({indices, values, sizes({2, 3}), boolean(true)}), expected);
  EXPECT_THAT(coo({indices, values}), StartsWith("malformed: "));
  EXPECT_THAT(coo({indices, values, kNone}), StartsWith("malformed: "));
  EXPECT_THAT(coo({indices, values, sizes({-1})}), StartsWith("malformed: "));
  EXPECT_THAT(coo({indices, kNone, sizes({2, 3})}), StartsWith("malformed: "));
  EXPECT_THAT(coo({values, vector_of("FloatStorage", "v", 3), sizes({2})}),
              StartsWith("malformed: the tensor reaches past the end"));
}

TEST(SparseTensors, OfCompressedIndices) {
  const std::string compressed = vector_of("LongStorage", "c", 3);
  const std::string plain = vector_of("LongStorage", "p", 2);
  const std::string values = vector_of("FloatStorage", "v", 2);
  for (const std::string name : {"csr", "csc", "bsr", "bsc"}) {
    EXPECT_EQ(
        read(rebuild("_rebuild_sparse_tensor", {layout("torch.sparse_" + name),
                                                tuple({compressed, plain, values, sizes({2, 2})})}),
             kSparse),
        "sparse_" + name +
            " F32 [2,2]; compressed_indices I64 [3] (1) @0; plain_indices I64 [2] (1) @0; "
            "values F32 [2] (1) @0");
  }
  EXPECT_THAT(
      read(rebuild("_rebuild_sparse_csr_tensor",
                   {layout("torch.sparse_csr"), tuple({compressed, plain, values, sizes({2, 2})})}),
           kSparse),
      StartsWith("sparse_csr F32 [2,2]; "));
  for (const std::string& wrong :
       {layout("torch.strided"), layout("sparse_csr"), kNone, global("torch", "sparse_csr"),
        called("torch.serialization", "_get_layout"), called("mod", "_get_layout", {str("x")})}) {
    EXPECT_THAT(read(rebuild("_rebuild_sparse_tensor",
                             {wrong, tuple({compressed, plain, values, sizes({2, 2})})}),
                     kSparse),
                StartsWith("unsupported: "));
  }
  EXPECT_THAT(read(rebuild("_rebuild_sparse_tensor",
                           {layout("torch.sparse_csr"), tuple({compressed, plain, values})}),
                   kSparse),
              StartsWith("malformed: "));
  EXPECT_THAT(read(rebuild("_rebuild_sparse_tensor", {layout("torch.sparse_csr")}), kSparse),
              StartsWith("malformed: "));
}

TEST(NestedTensors, HaveABufferAndThreeLists) {
  const std::string buffer = vector_of("FloatStorage", "v", 2);
  const std::string list = vector_of("LongStorage", "p", 2);
  EXPECT_THAT(read(rebuild("_rebuild_nested_tensor", {buffer, list, list, list}), kSparse),
              StartsWith("nested F32 []; buffer F32 [2] (1) @0; sizes I64"));
  EXPECT_THAT(read(rebuild("_rebuild_nested_tensor", {buffer, list, list}), kSparse),
              StartsWith("malformed: "));
  EXPECT_THAT(read(rebuild("_rebuild_nested_tensor", {buffer, list, list, kNone}), kSparse),
              StartsWith("malformed: "));
  EXPECT_THAT(read(called("torch.nested._internal.nested_tensor", "_rebuild_njt", {}), kSparse),
              StartsWith("nested"));
}

// ---- tensors without elements, and those of classes

TEST(MetaTensors, HaveATypeAndAShape) {
  const std::string type = global("torch", "float16");
  EXPECT_EQ(read(rebuild("_rebuild_meta_tensor_no_storage",
                         {type, sizes({2, 3}), sizes({3, 1}), boolean(false)})),
            "meta F16 [2,3]");
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {type}, {type, kNone}, {kNone, sizes({2})}, {type, sizes({-1})}}) {
    EXPECT_THAT(read(rebuild("_rebuild_meta_tensor_no_storage", arguments)),
                StartsWith("malformed: "));
  }
}

std::string wrapper_subclass(const std::string& state, const std::string& shape = sizes({4})) {
  return called(
      "torch._tensor", "_rebuild_from_type_v2",
      {global("torch._utils", "_rebuild_wrapper_subclass"), global("mod", "Packed"),
       tuple({global("mod", "Packed"), global("torch", "float32"), shape, sizes({1}), integer(0),
              layout("torch.strided"), called("torch", "device", {str("cpu")}), boolean(false)}),
       state});
}

TEST(Subclasses, KeepTheirElementsInTheirState) {
  const std::string part = vector_of("FloatStorage", "0", 4);
  EXPECT_EQ(read(wrapper_subclass(dict({{str("data"), part}, {str("n"), integer(1)}}))),
            "subclass F32 [4] mod.Packed; data F32 [4] (1) @0");
  EXPECT_EQ(read(wrapper_subclass("}")), "subclass F32 [4] mod.Packed");
  EXPECT_EQ(read(wrapper_subclass(kNone)), "subclass F32 [4] mod.Packed");
  // One process has all of it.
  EXPECT_EQ(read(wrapper_subclass(dict({{str("_local_tensor"), part}}))), "F32 [4] (1) @0");
  EXPECT_EQ(read(wrapper_subclass(dict({{str("_local_tensor"), part}}), sizes({8}))),
            "subclass F32 [8] mod.Packed; _local_tensor F32 [4] (1) @0");
  EXPECT_THAT(read(wrapper_subclass("}", kNone)), StartsWith("malformed: "));
}

// What many of them share costs no more than the file has.
TEST(Subclasses, DoNotMultiplyWhatTheyShare) {
  std::vector<std::pair<std::string, std::string>> state;
  for (int i = 0; i < 5000; ++i) state.emplace_back(str("k" + std::to_string(i)), binget(9));
  const std::string first =
      vector_of("FloatStorage", "0", 4) + binput(9) + "0" + dict(state) + binput(8) + "0";
  std::string many = "](";
  for (int i = 0; i < 3000; ++i) many += wrapper_subclass(binget(8));
  TestDocument document(stream(first + many + "e"), kStorages);
  std::size_t parts = 0;
  std::size_t limited = 0;
  for (const Child& child : look(document.graph(), document.root()).children) {
    const auto& tensor = document->tensor(child.value);
    if (!tensor) {
      EXPECT_EQ(tensor.error().code, ErrorCode::kLimit);
      ++limited;
    } else {
      parts += std::get<SpecialTensor>(*tensor).parts.size();
    }
  }
  EXPECT_GT(limited, 0U);
  EXPECT_LT(parts, 1'000'000U);
}

// ---- files inside

TEST(NestedFiles, HoldTheStorageOfATensor) {
  std::string file = stream(
                         "\x8A\x0Al\xFC\x9C"
                         "F\xF9 j\xA8P\x19") +
                     stream(integer(1001)) + stream("}") + stream(storage("FloatStorage", "5", 4)) +
                     stream(list({str("5")})) + u64(4) + memory_of<float>({1, 2, 3, 4});
  const std::string loaded = called("torch.storage", "_load_from_bytes", {bytes(file)});
  EXPECT_EQ(read(tensor_v2(loaded, 0, {2, 2}, {2, 1})), kFloats);
  file.pop_back();
  EXPECT_THAT(read(tensor_v2(called("torch.storage", "_load_from_bytes", {bytes(file)}), 0, {2, 2},
                             {2, 1})),
              StartsWith("not_found: "));
  EXPECT_THAT(read(tensor_v2(called("torch.storage", "_load_from_bytes", {bytes("no file")}), 0,
                             {2, 2}, {2, 1})),
              testing::Not(StartsWith("F32")));
  EXPECT_THAT(read(tensor_v2(called("torch.storage", "_load_from_bytes", {str("x")}), 0, {2}, {1})),
              StartsWith("unsupported: "));
}

}  // namespace
}  // namespace tare::object
