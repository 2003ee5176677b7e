// What a conversion writes: the tensors of a selection without those that are others by a second
// name, cast, and special ones as dense ones.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "tare/convert.hpp"

namespace tare {

struct PlannedTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  TensorView view;                         // if there is no `special`
  const SpecialTensor* special = nullptr;  // refers to the selection
};

std::uint64_t byte_count(const PlannedTensor& tensor);
// All elements, packed and row-major. Errors: those of stream() and of the special tensor.
Result<void> stream(const PlannedTensor& tensor, const ByteSink& sink);

struct ConvertPlan {
  std::vector<PlannedTensor> tensors;       // in the order of the selection
  std::map<std::string, std::string> tied;  // name to the name that is kept
  std::uint64_t overlapping = 0;
  safetensors::Metadata metadata;  // format and scalars, without ties

  std::uint64_t tensor_bytes() const;
};

// Errors: those of convert() that are known before a byte is written.
std::expected<ConvertPlan, Failure> plan_conversion(const Selection& selection,
                                                    const ConvertOptions& options);

// Names of tensors that are the very same view of the very same memory as another one, with the one
// that is kept: the first by name.
std::map<std::string, std::string> find_ties(std::span<const NamedTensor> tensors);

}  // namespace tare
