// Whether two models hold the same tensors: names, dtypes, shapes, bytes. Formats, strides, the
// order of the tensors and the files they are spread over do not count. No number is interpreted:
// a NaN equals the same NaN, and 0.0 differs from -0.0.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare {

enum class DifferenceKind : std::uint8_t {
  kOnlyInA,
  kOnlyInB,
  kDType,  // the shapes may differ as well
  kShape,
  kBytes,
};

// The stable lower-case name of a kind ("only_in_a"), for reports.
const char* difference_name(DifferenceKind kind);

// One tensor that is not the same in both. Refers to the models.
struct Difference {
  DifferenceKind kind = DifferenceKind::kBytes;
  const NamedTensor* a = nullptr;  // none if it is only in B
  const NamedTensor* b = nullptr;
  // kBytes: the first byte and the first element that differ, counted in row-major order, and how
  // many bytes differ.
  std::uint64_t first_byte = 0;
  std::uint64_t first_element = 0;
  std::uint64_t differing_bytes = 0;

  const std::string& name() const { return (a != nullptr ? a : b)->name; }
};

// A metadata text that is not the same in both; nothing where there is none.
struct MetadataDifference {
  std::string key;
  std::optional<std::string> a;
  std::optional<std::string> b;
};

struct Comparison {
  std::uint64_t equal_tensors = 0;
  std::uint64_t compared_bytes = 0;          // of tensors that are of one dtype and shape
  std::vector<Difference> differences;       // by name
  std::vector<MetadataDifference> metadata;  // by key
};

// Called with the number of tensor bytes done so far.
using CompareProgress = std::function<void(std::uint64_t)>;

// Compares what was read of two models: their problems are for the caller to tell. Errors: kLimit
// (a tensor repeats its storage to more than 1 GiB), kUnsupported (strided packed types), with the
// tensor's name.
std::expected<Comparison, Failure> compare(const Model& a, const Model& b,
                                           const CompareProgress& progress = {});

}  // namespace tare
