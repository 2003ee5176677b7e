// What is known of the operators of ONNX models, by domain and name.
#pragma once

#include <cstdint>
#include <string_view>

namespace tare {

enum class OnnxTrust : std::uint8_t {
  kKnown,    // computes tensors from tensors
  kForeign,  // of a domain that only a library of the user has
  kHost,     // a runtime has it, and it runs what is not in the graph; or it is not known
};

// ONNX's own domains, whose operators its specification defines.
bool is_onnx_domain(std::string_view domain);

OnnxTrust onnx_operator_trust(std::string_view domain, std::string_view name);

}  // namespace tare
