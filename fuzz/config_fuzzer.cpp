// Any bytes as a configuration, a template, and a file that is known by its signature: every format
// that takes them lists its parts or says why not, and the scan says something.
#include <cstdlib>

#include "format/format.hpp"
#include "format/json_tree.hpp"
#include "scan/analyzers.hpp"
#include "tare/scan.hpp"

namespace {

using namespace tare;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes = std::as_bytes(std::span(data, size));
  if (const auto tree = format::JsonTree::parse(as_text(bytes))) {
    for (const auto& node : tree->nodes()) require(node.offset < size);
  }
  for (const format::Format* known :
       {&format::kHfConfig, &format::kKerasConfig, &format::kJinja, &format::kRecognised,
        &format::kHydra, &format::kImage, &format::kProgram}) {
    if (known->recognises(bytes)) require(scan(bytes).has_value());
  }
  // A template that no file would be taken for stands in a configuration.
  Findings findings;
  analyze_template({"", format::PartKind::kTemplate, bytes, 0}, findings);
  // The same of what counts by its name in an archive.
  analyze_hydra({"", format::PartKind::kHydraConfig, bytes, 0}, findings);
  analyze_mar({"", format::PartKind::kMarManifest, bytes, 0}, findings);
  for (const Finding& finding : findings.take()) require(finding.offset <= size);
  return 0;
}
