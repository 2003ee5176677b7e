// What is found in any XML, whatever it is a model of.
#pragma once

#include "format/xml_reader.hpp"
#include "scan/model_report.hpp"

namespace tare {

// Document types, inclusions and instructions. A document type is never without a finding.
void judge_xml(const format::XmlEvent& event, ModelReport& report);

// True for an attribute that says where something else is: "href", "xlink:href", "src", ...
bool is_reference(std::string_view attribute);

}  // namespace tare
