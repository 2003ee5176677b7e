#include <algorithm>

#include "tare/named_tensor.hpp"

namespace tare {

std::string_view special_kind_name(SpecialKind kind) {
  switch (kind) {
    case SpecialKind::kSparseCoo:
      return "sparse_coo";
    case SpecialKind::kSparseCsr:
      return "sparse_csr";
    case SpecialKind::kSparseCsc:
      return "sparse_csc";
    case SpecialKind::kSparseBsr:
      return "sparse_bsr";
    case SpecialKind::kSparseBsc:
      return "sparse_bsc";
    case SpecialKind::kQuantizedPerTensor:
      return "quantized_per_tensor";
    case SpecialKind::kQuantizedPerChannel:
      return "quantized_per_channel";
    case SpecialKind::kNested:
      return "nested";
    case SpecialKind::kMeta:
      return "meta";
    case SpecialKind::kBlockQuantized:
      return "block_quantized";
    case SpecialKind::kSubclass:
      return "subclass";
  }
  return "";
}

const TensorView* SpecialTensor::part(std::string_view part_name) const {
  const auto found = std::ranges::find(parts, part_name, &NamedTensor::name);
  return found == parts.end() ? nullptr : &found->view;
}

}  // namespace tare
