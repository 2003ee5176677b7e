// Tensors of a model file: those that are elements in memory, and those that need more than that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tare/tensor.hpp"

namespace tare {

struct NamedTensor {
  std::string name;  // UTF-8
  TensorView view;
  std::string entry;  // the container entry that holds the data; empty if there is none
};

// How a tensor is held that is not its elements one by one.
enum class SpecialKind : std::uint8_t {
  kSparseCoo,
  kSparseCsr,
  kSparseCsc,
  kSparseBsr,
  kSparseBsc,
  kQuantizedPerTensor,
  kQuantizedPerChannel,
  kNested,          // tensors of different shapes, one behind the other
  kMeta,            // shape and type without elements
  kBlockQuantized,  // blocks of elements with scales of their own, as ggml has them
  kSubclass,        // a class that keeps its elements in other tensors, in a way of its own
};

// "sparse_coo", "quantized_per_tensor".
std::string_view special_kind_name(SpecialKind kind);

struct SpecialTensor {
  std::string name;
  std::string entry;  // that holds the data of the first part
  SpecialKind kind = SpecialKind::kMeta;
  DType dtype = DType::kF32;  // of the elements that it stands for
  Shape shape;                // empty for kNested
  // By kind. Sparse: "indices" and "values" (COO: indices are I64, [axes, entries]), or
  // "compressed_indices", "plain_indices" and "values". Quantized: "elements" (I8, U8 or I32), per
  // channel also "scales" and "zero_points", one for each index of `axis`. Nested: "buffer",
  // "sizes", "strides", "offsets", or nothing. Blocks: "blocks" (U8). Subclass: its state.
  std::vector<NamedTensor> parts;
  double scale = 1;             // kQuantizedPerTensor: real = (element - zero_point) * scale
  std::int64_t zero_point = 0;  // kQuantizedPerTensor
  std::uint64_t axis = 0;       // kQuantizedPerChannel
  std::string class_name;       // kSubclass: "module.Name", text of the input; blocks: "Q4_K"

  const TensorView* part(std::string_view part_name) const;
};

}  // namespace tare
