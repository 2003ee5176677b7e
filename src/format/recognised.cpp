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
    Signature{0, "MZqFpD='"sv,
              "an executable for several systems (llamafile, APE): loading it runs it", true},
    Signature{4, "PTMF"sv, "a TorchScript flatbuffer for mobile devices"},
    Signature{4, "ET12"sv, "an ExecuTorch program"},
    Signature{8, "eh00"sv, "an ExecuTorch program"},
    Signature{0, "RKNN"sv, "an RKNN model, which holds native code", true},
    Signature{0, "\x01HEF"sv, "a Hailo model, which holds native code", true},
    Signature{0, "B\0C\0N\0\0\0"sv, "a CNTK model of version 1"},
    Signature{0, "\x12\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv, "MXNet parameters"},
    Signature{0, "binf"sv, "an XGBoost model of before 1.0"},
    Signature{0, "7767517\n"sv, "an ncnn model"},
    Signature{0, "X\n\0\0\0\x02"sv, "R data (.rds), which can hold code (CVE-2024-27322)"},
    Signature{0, "X\n\0\0\0\x03"sv, "R data (.rds), which can hold code (CVE-2024-27322)"},
    Signature{0, "RDX2\n"sv, "R data (.rda), which can hold code (CVE-2024-27322)"},
    Signature{0, "RDX3\n"sv, "R data (.rda), which can hold code (CVE-2024-27322)"},
    Signature{0, "RDA2\n"sv, "R data (.rda), which can hold code (CVE-2024-27322)"},
    Signature{0, "RDA3\n"sv, "R data (.rda), which can hold code (CVE-2024-27322)"},
    Signature{0, "\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1"sv, "a Torch7 object, which can hold Lua code"},
    Signature{0, "4\n1\n3\nV 1\n"sv, "a Torch7 object, which can hold Lua code"},
    Signature{0, "\xAC\xED\0\x05"sv, "a serialized Java object (Weka, H2O), which can run code"},
};

const Signature* by_signature(ByteSpan bytes) {
  for (const Signature& signature : kSignatures) {
    if (bytes.size() < signature.offset) continue;
    if (as_text(bytes.subspan(signature.offset)).starts_with(signature.bytes)) return &signature;
  }
  return nullptr;
}

// ---- msgpack, as Flax writes it

// A map whose values hold at least one array of numpy (extension 1), and nothing behind it.
bool is_flax(ByteSpan bytes) {
  Cursor in(bytes);
  const auto first = in.read<std::uint8_t>();
  if (!first || !((*first > 0x80 && *first <= 0x8F) || *first == 0xDE || *first == 0xDF)) {
    return false;
  }
  in = Cursor(bytes);
  // Values that are still to come, in all that is open: nothing is nested, it is only counted.
  std::uint64_t wanted = 1;
  bool has_array = false;
  const auto big = [&in](unsigned width) -> std::optional<std::uint64_t> {
    const auto digits = in.take(width);
    if (!digits) return std::nullopt;
    std::uint64_t value = 0;
    for (const std::byte digit : *digits)
      value = value << 8 | std::to_integer<std::uint64_t>(digit);
    return value;
  };
  while (wanted > 0) {
    const auto type = in.read<std::uint8_t>();
    if (!type) return false;
    --wanted;
    const std::uint8_t t = *type;
    std::optional<std::uint64_t> skip = 0;
    std::optional<std::uint64_t> inner = 0;
    if (t <= 0x7F || t >= 0xE0 || t == 0xC0 || t == 0xC2 || t == 0xC3) {
      skip = 0;
    } else if (t <= 0x8F) {
      inner = 2 * (t & 0xFU);
    } else if (t <= 0x9F) {
      inner = t & 0xFU;
    } else if (t <= 0xBF) {
      skip = t & 0x1FU;
    } else if (t >= 0xC4 && t <= 0xC6) {
      skip = big(1U << (t - 0xC4));
    } else if (t >= 0xC7 && t <= 0xC9) {
      skip = big(1U << (t - 0xC7));
      const auto kind = in.read<std::uint8_t>();
      if (!kind) return false;
      has_array = has_array || *kind == 1;
    } else if (t == 0xCA || t == 0xCB) {
      skip = t == 0xCA ? 4 : 8;
    } else if (t >= 0xCC && t <= 0xD3) {
      skip = std::uint64_t{1} << ((t - 0xCC) % 4);
    } else if (t >= 0xD4 && t <= 0xD8) {
      const auto kind = in.read<std::uint8_t>();
      if (!kind) return false;
      has_array = has_array || *kind == 1;
      skip = std::uint64_t{1} << (t - 0xD4);
    } else if (t >= 0xD9 && t <= 0xDB) {
      skip = big(1U << (t - 0xD9));
    } else if (t == 0xDC || t == 0xDD) {
      inner = big(t == 0xDC ? 2 : 4);
    } else if (t == 0xDE || t == 0xDF) {
      inner = big(t == 0xDE ? 2 : 4);
      if (inner) inner = *inner * 2;
    } else {
      return false;
    }
    if (!skip || !inner || !in.take(*skip)) return false;
    wanted += *inner;
    // Each value takes at least a byte.
    if (wanted > in.remaining()) return false;
  }
  return has_array && in.at_end();
}

// ---- JSON

const char* by_json(ByteSpan bytes) {
  unsigned seen = 0;
  const char* found = "";
  has_top_level_key(bytes, [&](std::string_view key) {
    if (key == "base_code") seen |= 1U;
    if (key == "program") seen |= 2U;
    if (seen == 3U) found = "a PaddlePaddle program (PIR)";
    if (key == "oblivious_trees") found = "a CatBoost model (JSON)";
    return *found != '\0';
  });
  return found;
}

bool recognises(ByteSpan bytes) {
  return *recognised_text(bytes) != '\0';
}

Result<PartList> list_parts(ByteSpan bytes) {
  PartList list;
  const Signature* const signature = by_signature(bytes);
  const bool is_native = signature != nullptr && signature->is_native;
  list.parts.push_back({"", is_native ? PartKind::kNativeModel : PartKind::kRecognised, bytes, 0});
  return list;
}

}  // namespace

const char* recognised_text(ByteSpan bytes) {
  if (const Signature* signature = by_signature(bytes)) return signature->text;
  if (is_flax(bytes)) return "a Flax checkpoint (msgpack)";
  return by_json(bytes);
}

const Format kRecognised = {"recognised", "a format that tare does not analyse", recognises,
                            list_parts, nullptr};

}  // namespace tare::format
