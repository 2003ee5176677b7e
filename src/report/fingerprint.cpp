#include "report/fingerprint.hpp"

#include "io/sha256.hpp"

namespace tare::report {

std::string fingerprint(const Finding& finding) {
  Sha256 hash;
  // With the length of each in front, no two lists of fields are one text.
  const auto add = [&hash](std::string_view field) {
    const std::string length = std::to_string(field.size()) + ":";
    hash.update(as_bytes(length));
    hash.update(as_bytes(field));
  };
  add(finding.rule->id);
  add(finding.entry);
  add(std::to_string(finding.offset));
  add(finding.opcode);
  add(finding.detail);
  add(finding.evidence);
  add(as_text(finding.context));
  return hash.hex_digest();
}

}  // namespace tare::report
