#include "scan/onnx_operators.hpp"

#include <algorithm>
#include <array>

namespace tare {
namespace {

constexpr std::array<std::string_view, 6> kDomains = {
    "", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training"};

// Domains that ONNX Runtime has, or its extensions.
constexpr std::array<std::string_view, 6> kRuntimeDomains = {
    "ai.onnx.contrib",     "com.microsoft",        "com.microsoft.extensions",
    "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten"};

constexpr std::string_view kStandard[] = {
#define TARE_ONNX_STANDARD(name) std::string_view(#name),
#define TARE_ONNX_OPERATOR(name)
#define TARE_ONNX_LAYOUT(name)
#include "scan/onnx_operators.def"
#undef TARE_ONNX_STANDARD
#undef TARE_ONNX_OPERATOR
#undef TARE_ONNX_LAYOUT
};

constexpr std::string_view kContributed[] = {
#define TARE_ONNX_STANDARD(name)
#define TARE_ONNX_OPERATOR(name) std::string_view(#name),
#define TARE_ONNX_LAYOUT(name)
#include "scan/onnx_operators.def"
#undef TARE_ONNX_STANDARD
#undef TARE_ONNX_OPERATOR
#undef TARE_ONNX_LAYOUT
};

constexpr std::string_view kLayouts[] = {
#define TARE_ONNX_STANDARD(name)
#define TARE_ONNX_OPERATOR(name)
#define TARE_ONNX_LAYOUT(name) std::string_view(#name),
#include "scan/onnx_operators.def"
#undef TARE_ONNX_STANDARD
#undef TARE_ONNX_OPERATOR
#undef TARE_ONNX_LAYOUT
};

static_assert(std::ranges::is_sorted(kStandard) && std::ranges::is_sorted(kContributed) &&
              std::ranges::is_sorted(kLayouts));

bool is_known(std::string_view domain, std::string_view name) {
  if (is_onnx_domain(domain)) return std::ranges::binary_search(kStandard, name);
  if (domain == "com.microsoft") return std::ranges::binary_search(kContributed, name);
  const bool is_layout = domain == "com.microsoft.nchwc" || domain == "com.ms.internal.nhwc";
  return is_layout && std::ranges::binary_search(kLayouts, name);
}

}  // namespace

bool is_onnx_domain(std::string_view domain) {
  return std::ranges::find(kDomains, domain) != kDomains.end();
}

OnnxTrust onnx_operator_trust(std::string_view domain, std::string_view name) {
  if (is_known(domain, name)) return OnnxTrust::kKnown;
  const bool is_own =
      is_onnx_domain(domain) || std::ranges::find(kRuntimeDomains, domain) != kRuntimeDomains.end();
  return is_own ? OnnxTrust::kHost : OnnxTrust::kForeign;
}

}  // namespace tare
