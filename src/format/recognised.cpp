// Formats of models that tare knows by exact signatures and does not analyse.
// docs/formats/recognised.md is the list for people.
#include <algorithm>
#include <array>
#include <cstring>

#include "format/format.hpp"
#include "format/json_tree.hpp"
#include "io/cursor.hpp"
#include "io/protobuf.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* text;
};

constexpr std::array kSignatures = {
    Signature{0, "ptrt"sv, "a TensorRT engine, which is native code"},
    Signature{0, "ftrt"sv, "a TensorRT engine, which is native code"},
    Signature{4, "PTMF"sv, "a TorchScript flatbuffer for mobile devices"},
    Signature{4, "ET12"sv, "an ExecuTorch program"},
    Signature{8, "eh00"sv, "an ExecuTorch program"},
    Signature{0, "RKNN"sv, "an RKNN model, which holds native code"},
    Signature{0, "\x01HEF"sv, "a Hailo model, which holds native code"},
    Signature{0, "B\0C\0N\0\0\0"sv, "a CNTK model of version 1"},
    Signature{0, "\x0C\xDB\x3A\x2A"sv,
              "a database of TensorStore (OCDBT), as Orbax keeps arrays in"},
    Signature{0, "CBM1"sv, "a CatBoost model"},
    Signature{0, "tree\nversion="sv, "a LightGBM model"},
    Signature{0, "tree\r\nversion="sv, "a LightGBM model"},
    Signature{0, "binf"sv, "an XGBoost model of before 1.0"},
    Signature{0, "{L\0\0\0\0\0\0\0\x07learner"sv, "an XGBoost model (UBJSON)"},
    Signature{0, "{i\x07learner"sv, "an XGBoost model (UBJSON)"},
    Signature{0, "7767517\n"sv, "an ncnn model"},
    Signature{0, "\xAC\xED\0\x05"sv, "a serialized Java object (Weka, H2O), which can run code"},
};

const char* by_signature(ByteSpan bytes) {
  for (const Signature& signature : kSignatures) {
    if (bytes.size() < signature.offset) continue;
    if (as_text(bytes.subspan(signature.offset)).starts_with(signature.bytes)) {
      return signature.text;
    }
  }
  return "";
}

// ---- protobuf, as far as it tells whose it is

// Model: specificationVersion = 1, description = 2, isUpdatable = 10, and one type from 200 on.
bool is_coreml(ByteSpan bytes) {
  ProtobufReader in(bytes);
  const auto version = in.next();
  if (!version || version->number != 1 || version->type != WireType::kVarint) return false;
  if (version->value < 1 || version->value > 100) return false;
  const auto description = in.next();
  if (!description || description->number != 2 || !description->is_bytes()) return false;
  unsigned types = 0;
  while (const auto field = in.next()) {
    if (field->number == 10 && field->type == WireType::kVarint) continue;
    if (field->number < 200 || field->number > 3000 || !field->is_bytes()) return false;
    ++types;
  }
  return !in.failed() && types == 1;
}

// ProgramDesc: the first block is number 0, and has no parent.
bool is_paddle_program(ByteSpan bytes) {
  const auto block = ProtobufReader(bytes).next();
  if (!block || block->number != 1 || !block->is_bytes()) return false;
  return block->text().starts_with("\x08\0\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"sv) ||
         block->text().starts_with("\x08\0\x10\xFF\xFF\xFF\xFF\x0F"sv);
}

// version u32 0, levels u64 0, version u32 0, bytes of a TensorDesc i32, TensorDesc: a type, dims.
bool is_paddle_params(ByteSpan bytes) {
  Cursor in(bytes);
  const auto zeros = in.take(16);
  const auto size = in.read<std::uint32_t>();
  if (!zeros || !size || *size < 2 || *size > 4096) return false;
  const auto desc = in.take(*size);
  if (!desc || std::ranges::any_of(*zeros, [](std::byte b) { return b != std::byte{0}; })) {
    return false;
  }
  ProtobufReader fields(*desc);
  const auto type = fields.next();
  if (!type || type->number != 1 || type->type != WireType::kVarint || type->value > 40) {
    return false;
  }
  while (const auto dim = fields.next()) {
    if (dim->number != 2 || dim->type == WireType::kGroup) return false;
  }
  return !fields.failed();
}

// ---- XML and JSON

constexpr std::size_t kFront = std::size_t{64} << 10;

// The name of the outermost element; empty if the front is no XML.
std::string_view root_element(std::string_view text) {
  text = text.substr(0, kFront);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (;;) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos || text[start] != '<') return "";
    text.remove_prefix(start);
    std::string_view close = ">";
    if (text.starts_with("<?")) {
      close = "?>";
    } else if (text.starts_with("<!--")) {
      close = "-->";
    } else if (text.starts_with("<!DOCTYPE")) {
      // A document type may hold a list of declarations in brackets.
      const std::size_t bracket = text.find('[');
      const std::size_t end = text.find('>');
      if (bracket < end) close = "]>";
    } else {
      const std::size_t end = text.find_first_of(" \t\r\n/>", 1);
      return end == std::string_view::npos ? "" : text.substr(1, end - 1);
    }
    const std::size_t end = text.find(close);
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + close.size());
  }
}

const char* by_xml(std::string_view text) {
  const std::string_view root = root_element(text);
  if (root == "PMML" || root.ends_with(":PMML")) return "a PMML model";
  const std::string_view front = text.substr(0, kFront);
  if (root == "net" && front.find("<layers") != std::string_view::npos) {
    return "an OpenVINO model";
  }
  return "";
}

const char* by_json(ByteSpan bytes) {
  unsigned seen = 0;
  const char* found = "";
  has_top_level_key(bytes, [&](std::string_view key) {
    if (key == "learner") seen |= 1U;
    if (key == "version") seen |= 2U;
    if (key == "arg_nodes") seen |= 4U;
    if (key == "heads") seen |= 8U;
    if (key == "tree_metadata") found = "the metadata of an Orbax checkpoint";
    if (key == "oblivious_trees") found = "a CatBoost model (JSON)";
    if ((seen & 3U) == 3U) found = "an XGBoost model (JSON)";
    if ((seen & 12U) == 12U) found = "an MXNet graph";
    return *found != '\0';
  });
  return found;
}

bool recognises(ByteSpan bytes) {
  return *recognised_text(bytes) != '\0';
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kRecognised, bytes, 0});
  const std::string_view text = as_text(bytes);
  if (root_element(text).empty()) return list;
  for (const std::string_view mark : {"<!ENTITY"sv, "SYSTEM"sv, "PUBLIC"sv, "<xi:include"sv}) {
    const std::size_t at = text.find(mark);
    // The words count inside of a document type only.
    const bool is_word = mark[0] != '<';
    const std::size_t doctype = text.find("<!DOCTYPE");
    if (at == std::string_view::npos || (is_word && doctype > at)) continue;
    list.notes.push_back({NoteKind::kEntity, at, "", "it declares entities, or includes files"});
    break;
  }
  return list;
}

}  // namespace

const char* recognised_text(ByteSpan bytes) {
  if (const char* text = by_signature(bytes); *text != '\0') return text;
  if (is_coreml(bytes)) return "a CoreML model";
  if (is_paddle_program(bytes)) return "a PaddlePaddle program";
  if (is_paddle_params(bytes)) return "PaddlePaddle parameters";
  if (const char* text = by_xml(as_text(bytes)); *text != '\0') return text;
  return by_json(bytes);
}

const Format kRecognised = {"recognised", "a format that tare does not analyse", recognises,
                            list_parts, nullptr};

}  // namespace tare::format
