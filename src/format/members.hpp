// Model files inside of a container, as one model.
#pragma once

#include <string>
#include <vector>

#include "format/format.hpp"

namespace tare::format {

struct Member {
  std::string name;  // in the container
  ByteSpan bytes;
};

// The tensors of all members that are model files, whatever they are called. Names are those of the
// member, with dots for slashes and without the extension, and of the tensor; of the tensor alone
// if only one member holds any. A member that is none is left out; one that cannot be read is a
// problem. The bytes outlive the contents, or are owned by `owners` of them. Errors: kWrongFormat
// if no member is a model file.
Result<ModelContents> contents_of_members(const std::vector<Member>& members, ReadContext& context);

}  // namespace tare::format
