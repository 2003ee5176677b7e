// LightGBM models: text. Format: docs/formats/lightgbm.md.
#include "format/lightgbm.hpp"

#include <algorithm>
#include <utility>

#include "io/cursor.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  const std::string_view text = as_text(bytes);
  return text.starts_with("tree\nversion=") || text.starts_with("tree\r\nversion=");
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kLightgbm, bytes, 0});
  return list;
}

LightgbmLine split(std::string_view line, std::string_view mark, std::uint64_t offset) {
  const std::size_t at = line.find(mark);
  if (at == std::string_view::npos) return {line, {}, offset};
  return {line.substr(0, at), line.substr(at + mark.size()), offset};
}

class LightgbmReader {
 public:
  LightgbmView run(ByteSpan bytes);

 private:
  enum class Section : std::uint8_t { kHead, kTrees, kRest, kImportances, kParameters };

  void take(std::string_view line, std::uint64_t offset);
  void take_tree_line(std::string_view line, std::uint64_t offset);
  void take_rest(std::string_view line, std::uint64_t offset);
  // The headings behind the trees.
  bool take_heading(std::string_view line);

  LightgbmView view_;
  Section section_ = Section::kHead;
};

LightgbmView LightgbmReader::run(ByteSpan bytes) {
  Cursor in(bytes);
  in.take_line();  // "tree"
  while (!in.at_end()) {
    const std::uint64_t offset = in.offset();
    auto bytes_of_line = in.take_line();
    if (!bytes_of_line) bytes_of_line = in.take(in.remaining());
    std::string_view line = as_text(*bytes_of_line);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) take(line, offset);
  }
  return std::move(view_);
}

bool LightgbmReader::take_heading(std::string_view line) {
  if (line == "end of trees" || line == "end of parameters") {
    section_ = Section::kRest;
  } else if (line == "feature_importances:" || line == "feature importances:") {
    section_ = Section::kImportances;
  } else if (line == "parameters:") {
    section_ = Section::kParameters;
  } else {
    return false;
  }
  return true;
}

void LightgbmReader::take(std::string_view line, std::uint64_t offset) {
  if (section_ != Section::kHead && take_heading(line)) return;
  if (section_ == Section::kHead || section_ == Section::kTrees)
    return take_tree_line(line, offset);
  take_rest(line, offset);
}

void LightgbmReader::take_tree_line(std::string_view line, std::uint64_t offset) {
  const LightgbmLine entry = split(line, "=", offset);
  if (entry.key == "Tree") {
    section_ = Section::kTrees;
    view_.trees.push_back({offset, {}});
  } else {
    LightgbmTree& tree = view_.trees.empty() ? view_.head : view_.trees.back();
    tree.lines.push_back(entry);
  }
}

void LightgbmReader::take_rest(std::string_view line, std::uint64_t offset) {
  constexpr std::string_view kCategories = "pandas_categorical:";
  if (line.starts_with(kCategories) && view_.categories.key.empty()) {
    view_.categories = split(line, ":", offset);
  } else if (section_ == Section::kParameters && line.front() == '[' && line.back() == ']') {
    view_.parameters.push_back(split(line.substr(1, line.size() - 2), ": ", offset));
  } else if (section_ != Section::kImportances || line.find('=') == std::string_view::npos) {
    view_.others.push_back({line, {}, offset});
  }
}

}  // namespace

std::string_view LightgbmTree::value(std::string_view key) const {
  const auto found = std::ranges::find(lines, key, &LightgbmLine::key);
  return found == lines.end() ? std::string_view() : found->value;
}

LightgbmView read_lightgbm(ByteSpan bytes) {
  return LightgbmReader().run(bytes);
}

const Format kLightgbm = {"lightgbm", "a LightGBM model", recognises, list_parts, nullptr};

}  // namespace tare::format
