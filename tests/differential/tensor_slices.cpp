// Slices of a safetensors file: tare_tensor_slices FILE. Reads lines "NAME INDEX" from standard
// input and writes for each the length of the slice (u64, little-endian; all ones if refused) and
// its bytes. Every slice is taken through the mapping and by pread; they must be equal.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "tare/safetensors_file.hpp"

namespace {

using namespace tare;

Result<std::vector<std::byte>> slice_of(const safetensors::File& file, const std::string& name,
                                        const std::string& text) {
  const safetensors::TensorEntry* const tensor = file.header().find(name);
  if (tensor == nullptr) return fail(ErrorCode::kNotFound, "no such tensor");
  const auto index = parse_index(text);
  if (!index) return std::unexpected(index.error());
  const auto plan = SlicePlan::make(tensor->dtype, tensor->shape, *index);
  if (!plan) return std::unexpected(plan.error());
  std::vector<std::byte> out(plan->byte_count());
  if (auto read = file.read_slice(*tensor, *plan, out); !read) {
    return std::unexpected(read.error());
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 4;
  const auto mapped = safetensors::File::open(argv[1]);
  const auto read = safetensors::File::open(argv[1], {.access = safetensors::Access::kRead});
  if (!mapped || !read) return 2;
  std::string name;
  for (std::string index; std::cin >> name && std::getline(std::cin, index);) {
    const auto a = slice_of(*mapped, name, index);
    const auto b = slice_of(*read, name, index);
    if (a.has_value() != b.has_value() || (a && *a != *b)) {
      std::fprintf(stderr, "mapping and pread differ: %s %s\n", name.c_str(), index.c_str());
      return 1;
    }
    const std::uint64_t length = a ? a->size() : UINT64_MAX;
    std::fwrite(&length, sizeof length, 1, stdout);
    if (a && !a->empty()) std::fwrite(a->data(), 1, a->size(), stdout);
  }
  return 0;
}
