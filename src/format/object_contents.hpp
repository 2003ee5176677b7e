// The contents of a model file that consists of pickles: the tensors in them, named; what they
// import; and the objects themselves.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "format/format.hpp"
#include "object/object_forest.hpp"

namespace tare::format {

// Takes the roots over. A document that stands alone has a root without a name.
ModelContents contents_of_roots(std::vector<object::Root> roots);

// Adds what a pickle imports, as "module.name".
void add_imports(const pickle::Run& run, std::set<std::string>& imports);

// Runs a pickle to its STOP. Errors: kLimit (more than 4 GiB), and why and where it broke, counted
// from `offset`, the place of the pickle in the file; Error::kNoOffset if it has none there.
Result<pickle::Run> run_whole(ByteSpan stream, std::uint64_t offset);

// Opens what torch.storage._load_from_bytes() reads.
object::NestedOpener nested_opener();

}  // namespace tare::format
