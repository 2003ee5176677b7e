#include "scan/xml_findings.hpp"

#include <algorithm>
#include <array>

namespace tare {
namespace {

using format::XmlKind;
using namespace std::string_view_literals;

constexpr std::string_view kInclusion = "http://www.w3.org/2001/XInclude";
constexpr std::array kReferences = {"href"sv, "src"sv, "uri"sv, "url"sv, "location"sv};

bool opens_files(std::string_view doctype) {
  return std::ranges::any_of(
      std::array{"ENTITY"sv, "SYSTEM"sv, "PUBLIC"sv},
      [doctype](std::string_view word) { return doctype.find(word) != std::string_view::npos; });
}

}  // namespace

void judge_xml(const format::XmlEvent& event, ModelReport& report) {
  if (event.kind == XmlKind::kDoctype) {
    if (opens_files(event.text)) {
      return report.add(scan_rules::kXmlEntity, event.offset,
                        "it declares entities, or names another file", event.text);
    }
    return report.odd(event.offset, "a document type", event.text);
  }
  if (event.kind == XmlKind::kInstruction) {
    return report.odd(event.offset, "an instruction to the reader", event.name);
  }
  const bool includes = std::ranges::any_of(event.attributes, [](const auto& attribute) {
    return attribute.name.starts_with("xmlns") && attribute.value == kInclusion;
  });
  if (includes || event.name == "xi:include") {
    report.add(scan_rules::kXmlEntity, event.offset, "it includes files", event.name);
  }
}

bool is_reference(std::string_view attribute) {
  return std::ranges::find(kReferences, attribute.substr(attribute.find(':') + 1)) !=
         kReferences.end();
}

}  // namespace tare
