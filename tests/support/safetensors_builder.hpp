// safetensors files from a header as text and data.
#pragma once

#include <string>
#include <string_view>

#include "support/binary.hpp"

namespace tare::test {

// The length in front is that of `json`: no padding is added.
inline std::string safetensors_file(std::string_view json, std::string_view data = "") {
  return u64(json.size()) + std::string(json) + std::string(data);
}

// One entry of the header: "name":{...}, without a comma.
inline std::string tensor_json(std::string_view name, std::string_view dtype,
                               std::string_view shape, std::uint64_t begin, std::uint64_t end) {
  return '"' + std::string(name) + R"(":{"dtype":")" + std::string(dtype) + R"(","shape":)" +
         std::string(shape) + R"(,"data_offsets":[)" + std::to_string(begin) + ',' +
         std::to_string(end) + "]}";
}

}  // namespace tare::test
