// Archives of torch.export (.pt2): programs whose tensors are records of their own, listed in JSON,
// and packages of AOTInductor, which hold native code. Format: docs/formats/torch-export.md.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/format.hpp"
#include "format/torch_records.hpp"
#include "object/object_forest.hpp"

namespace tare::format {

// The state dict of each program, under the name of the program if there are several; their
// constants under "constants"; and what is no tensor as leaves. Errors: kNotFound (a program
// without lists), kMalformed (a list that cannot be read), and those of the records.
Result<std::vector<object::Root>> open_export(const std::shared_ptr<Records>& records,
                                              unsigned depth);

// Records of an archive by what its lists of payloads say, without the folder, in lower case.
struct ExportRecords {
  std::set<std::string> elements;  // nothing but the bytes of a storage
  std::set<std::string> pickles;   // loaded as a file of torch.save, or as a pickle
};
// Whether a record, by its name without the folder, is such a list, and can be read. Adds what it
// says.
bool read_export_list(std::string_view name, ByteSpan content, ExportRecords& records);

}  // namespace tare::format
