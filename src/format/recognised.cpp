// Formats of models that tare knows by exact signatures and does not analyse.
// docs/formats/recognised.md is the list for people.
#include <algorithm>
#include <array>
#include <cstring>

#include "format/format.hpp"
#include "format/json_tree.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* text;
  bool is_native = false;  // code that a runtime runs as it is
};

constexpr std::array kSignatures = {
    Signature{0, "ptrt"sv, "a TensorRT engine, which is native code", true},
    Signature{0, "ftrt"sv, "a TensorRT engine, which is native code", true},
    Signature{4, "PTMF"sv, "a TorchScript flatbuffer for mobile devices"},
    Signature{4, "ET12"sv, "an ExecuTorch program"},
    Signature{8, "eh00"sv, "an ExecuTorch program"},
    Signature{0, "RKNN"sv, "an RKNN model, which holds native code", true},
    Signature{0, "\x01HEF"sv, "a Hailo model, which holds native code", true},
    Signature{0, "B\0C\0N\0\0\0"sv, "a CNTK model of version 1"},
    Signature{0, "\x0C\xDB\x3A\x2A"sv,
              "a database of TensorStore (OCDBT), as Orbax keeps arrays in"},
    Signature{0, "binf"sv, "an XGBoost model of before 1.0"},
    Signature{0, "7767517\n"sv, "an ncnn model"},
    Signature{0, "\xAC\xED\0\x05"sv, "a serialized Java object (Weka, H2O), which can run code"},
};

const Signature* by_signature(ByteSpan bytes) {
  for (const Signature& signature : kSignatures) {
    if (bytes.size() < signature.offset) continue;
    if (as_text(bytes.subspan(signature.offset)).starts_with(signature.bytes)) return &signature;
  }
  return nullptr;
}

// ---- JSON

const char* by_json(ByteSpan bytes) {
  unsigned seen = 0;
  const char* found = "";
  has_top_level_key(bytes, [&](std::string_view key) {
    if (key == "base_code") seen |= 1U;
    if (key == "program") seen |= 2U;
    if (seen == 3U) found = "a PaddlePaddle program (PIR)";
    if (key == "tree_metadata") found = "the metadata of an Orbax checkpoint";
    if (key == "oblivious_trees") found = "a CatBoost model (JSON)";
    return *found != '\0';
  });
  return found;
}

bool recognises(ByteSpan bytes) {
  return *recognised_text(bytes) != '\0';
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  const Signature* const signature = by_signature(bytes);
  const bool is_native = signature != nullptr && signature->is_native;
  list.parts.push_back({"", is_native ? PartKind::kNativeModel : PartKind::kRecognised, bytes, 0});
  return list;
}

}  // namespace

const char* recognised_text(ByteSpan bytes) {
  if (const Signature* signature = by_signature(bytes)) return signature->text;
  return by_json(bytes);
}

const Format kRecognised = {"recognised", "a format that tare does not analyse", recognises,
                            list_parts, nullptr};

}  // namespace tare::format
