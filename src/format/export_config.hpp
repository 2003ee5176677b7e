// The lists of payloads in an archive of torch.export or of AOTInductor: which record holds which
// tensor. Format: docs/formats/torch-export.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tare/tensor.hpp"

namespace tare::format {

// A tensor as a view of what a record holds.
struct PayloadView {
  // Nothing: that of the tensor in the record.
  std::optional<DType> dtype;
  Shape shape;
  std::vector<std::uint64_t> strides;
  std::uint64_t offset = 0;
};

struct Payload {
  std::string name;
  std::string record;       // in the folder of such records
  bool is_pickled = false;  // a file of torch.save, or a pickle; else the bytes of a storage
  // None for objects. kUnsupported: an element type or a layout that is not read here.
  std::optional<Result<PayloadView>> view;
};

// {"config": {name: {"path_name": "weight_0", "use_pickle": false, "tensor_meta": ...}, ...}}
// Errors: kMalformed with the offset, kRefused (a name that is listed twice).
Result<std::vector<Payload>> read_payload_config(ByteSpan text);

// {name: ["weight_0", shape, strides, offset], ...}: tensors of AOTInductor. Errors: likewise.
Result<std::vector<Payload>> read_aoti_config(ByteSpan text);

}  // namespace tare::format
