// LightGBM: the lines of a model file (docs/formats/lightgbm.md).
#pragma once

#include <string_view>
#include <vector>

#include "format/format.hpp"

namespace tare::format {

// "key=value". What has no "=" is a key without a value.
struct LightgbmLine {
  std::string_view key;
  std::string_view value;
  std::uint64_t offset = 0;  // of the line, bytes from the start of the file
};

struct LightgbmTree {
  std::uint64_t offset = 0;  // of its first line
  std::vector<LightgbmLine> lines;

  // The first line of this key; an absent one is empty.
  std::string_view value(std::string_view key) const;
};

struct LightgbmView {
  LightgbmTree head;  // the lines before the first tree
  std::vector<LightgbmTree> trees;
  std::vector<LightgbmLine> parameters;  // "[key: value]"
  LightgbmLine categories;               // "pandas_categorical:", JSON
  std::vector<LightgbmLine> others;      // lines that no LightGBM writes
};

// Every line of a model; nothing is checked. No errors: what is no model has other lines.
LightgbmView read_lightgbm(ByteSpan bytes);

}  // namespace tare::format
