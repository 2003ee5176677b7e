// Where the bytes of a model are: by element type, and by the prefixes of tensor names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare::report {

struct DTypeSize {
  DType dtype;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;
};

// The largest first.
std::vector<DTypeSize> dtype_sizes(const Model& model);

// Tensors whose names begin alike. Names are cut at their dots; what has only one child is one
// group with it. Numbers are sorted as numbers.
struct SizeGroup {
  std::string prefix;  // of the names, or the whole name of a single tensor
  std::string label;   // the part of the prefix that its parent has not
  unsigned depth = 0;  // 0: at the top
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;
  std::uint64_t folded = 0;  // groups right below it that the depth leaves out
};

// The groups of up to `depth` levels, each in front of those below it. A group of more than
// kMaxChildren shows that many; the last stands for the rest and has an empty prefix.
inline constexpr std::size_t kMaxChildren = 100;
std::vector<SizeGroup> size_tree(const Model& model, unsigned depth);

}  // namespace tare::report
