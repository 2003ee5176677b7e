#include "scan/onnx_operators.hpp"

#include <algorithm>
#include <array>

namespace tare {
namespace {

constexpr std::array<std::string_view, 5> kDomains = {
    "", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training"};

// Domains that ONNX Runtime has, or its extensions.
constexpr std::array<std::string_view, 6> kRuntimeDomains = {
    "ai.onnx.contrib",     "com.microsoft",        "com.microsoft.extensions",
    "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten"};

// Contributed operators of "com.microsoft" that compute tensors from tensors, sorted. Not on the
// list, for what they reach: ATen, EPContext, PythonOp, PythonOpGrad, TorchEmbedding's kin and
// everything that is newer.
constexpr std::array kContributed = {
#define TARE_ONNX_OPERATOR(name) std::string_view(#name),
#include "scan/onnx_operators.def"
#undef TARE_ONNX_OPERATOR
};

}  // namespace

bool is_onnx_domain(std::string_view domain) {
  return std::ranges::find(kDomains, domain) != kDomains.end();
}

OnnxTrust onnx_operator_trust(std::string_view domain, std::string_view name) {
  if (is_onnx_domain(domain)) return OnnxTrust::kKnown;
  if (std::ranges::find(kRuntimeDomains, domain) == kRuntimeDomains.end()) {
    return OnnxTrust::kForeign;
  }
  const bool known = domain == "com.microsoft" && std::ranges::binary_search(kContributed, name);
  return known ? OnnxTrust::kKnown : OnnxTrust::kHost;
}

}  // namespace tare
