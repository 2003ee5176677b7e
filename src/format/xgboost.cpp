// XGBoost models: JSON, and the same in UBJSON. Format: docs/formats/xgboost.md.
#include "format/xgboost.hpp"

namespace tare::format {
namespace {

// In UBJSON the length of the first key stands behind the brace, with its type in front.
bool is_ubjson(ByteSpan bytes) {
  constexpr std::string_view kIntegers = "iUIlL";
  return bytes.size() > 1 && bytes[0] == std::byte{'{'} &&
         kIntegers.find(static_cast<char>(bytes[1])) != std::string_view::npos;
}

bool recognises(ByteSpan bytes) {
  using namespace std::string_view_literals;
  if (is_ubjson(bytes)) {
    const std::string_view text = as_text(bytes).substr(1);
    return text.starts_with("L\0\0\0\0\0\0\0\x07learner"sv) || text.starts_with("i\x07learner");
  }
  unsigned seen = 0;
  return has_top_level_key(bytes, [&seen](std::string_view key) {
    if (key == "learner") seen |= 1U;
    if (key == "version") seen |= 2U;
    return seen == 3U;
  });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.format = is_ubjson(bytes) ? "xgboost-ubjson" : "xgboost-json";
  list.parts.push_back({"", PartKind::kXgboost, bytes, 0});
  return list;
}

}  // namespace

Result<JsonTree> read_xgboost(ByteSpan bytes) {
  return is_ubjson(bytes) ? JsonTree::parse_ubjson(bytes)
                          : JsonTree::parse(as_text(bytes), JsonNumbers::kPacked);
}

const Format kXgboost = {"xgboost", "an XGBoost model", recognises, list_parts, nullptr};

}  // namespace tare::format
