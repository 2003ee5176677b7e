// The element types of ggml, by their number in GGUF files (docs/formats/gguf.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tare/tensor.hpp"

namespace tare::format {

struct GgmlType {
  std::uint32_t number;
  std::string_view name;
  unsigned block_elements;  // that stand together
  unsigned block_bytes;
  std::optional<DType> dtype;  // if blocks are single elements

  bool is_quantized() const { return !dtype; }
};

// Null for a number that no file has.
const GgmlType* ggml_type(std::uint32_t number);

}  // namespace tare::format
