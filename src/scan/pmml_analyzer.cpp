// PMML models: what makes a reader open files or run code, and elements that PMML does not have
// (docs/formats/pmml.md).
#include <algorithm>
#include <array>
#include <set>

#include "scan/analyzers.hpp"
#include "scan/xml_findings.hpp"

namespace tare {
namespace {

using format::XmlAttribute;
using format::XmlEvent;
using format::XmlKind;
using format::XmlReader;
using namespace std::string_view_literals;

constexpr std::string_view kElements[] = {
#define TARE_PMML_ELEMENT(name) std::string_view(name),
#include "scan/pmml_names.def"
#undef TARE_PMML_ELEMENT
};
static_assert(std::ranges::is_sorted(kElements));

// The functions of PMML 4.4, and those that JPMML adds, sorted.
constexpr std::array kFunctions = {"*"sv,
                                   "+"sv,
                                   "-"sv,
                                   "/"sv,
                                   "abs"sv,
                                   "acos"sv,
                                   "and"sv,
                                   "asin"sv,
                                   "atan"sv,
                                   "atan2"sv,
                                   "avg"sv,
                                   "ceil"sv,
                                   "concat"sv,
                                   "cos"sv,
                                   "cosh"sv,
                                   "dateDaysSinceYear"sv,
                                   "dateSecondsSinceMidnight"sv,
                                   "dateSecondsSinceYear"sv,
                                   "equal"sv,
                                   "erf"sv,
                                   "exp"sv,
                                   "expm1"sv,
                                   "floor"sv,
                                   "formatDatetime"sv,
                                   "formatNumber"sv,
                                   "greaterOrEqual"sv,
                                   "greaterThan"sv,
                                   "hypot"sv,
                                   "if"sv,
                                   "isIn"sv,
                                   "isMissing"sv,
                                   "isNotIn"sv,
                                   "isNotMissing"sv,
                                   "isNotValid"sv,
                                   "isValid"sv,
                                   "lessOrEqual"sv,
                                   "lessThan"sv,
                                   "ln"sv,
                                   "ln1p"sv,
                                   "log10"sv,
                                   "lowercase"sv,
                                   "matches"sv,
                                   "max"sv,
                                   "median"sv,
                                   "min"sv,
                                   "modulo"sv,
                                   "normalCDF"sv,
                                   "normalIDF"sv,
                                   "normalPDF"sv,
                                   "not"sv,
                                   "notEqual"sv,
                                   "or"sv,
                                   "pow"sv,
                                   "product"sv,
                                   "replace"sv,
                                   "rint"sv,
                                   "round"sv,
                                   "sin"sv,
                                   "sinh"sv,
                                   "sqrt"sv,
                                   "stdNormalCDF"sv,
                                   "stdNormalIDF"sv,
                                   "stdNormalPDF"sv,
                                   "stringLength"sv,
                                   "substring"sv,
                                   "sum"sv,
                                   "tan"sv,
                                   "tanh"sv,
                                   "threshold"sv,
                                   "trimBlanks"sv,
                                   "uppercase"sv,
                                   "x-atan2"sv,
                                   "x-cos"sv,
                                   "x-sin"sv,
                                   "x-tan"sv};

class PmmlAnalyzer {
 public:
  PmmlAnalyzer(const format::Part& part, Findings& findings)
      : reader_(part.bytes), report_(part, findings) {}

  void run();

 private:
  void judge_element(const XmlEvent& event);
  void judge_attribute(const XmlEvent& event, const XmlAttribute& attribute);
  // The rest of an element in which anything may stand: names of columns, of a vendor.
  void skip(const XmlEvent& event);
  void judge_functions();

  XmlReader reader_;
  ModelReport report_;
  std::set<std::string> defined_;  // functions of the model itself
  std::vector<std::pair<std::string, std::uint64_t>> called_;
};

void PmmlAnalyzer::run() {
  while (const XmlEvent* event = reader_.next()) {
    judge_xml(*event, report_);
    if (event->kind == XmlKind::kStart) judge_element(*event);
  }
  if (reader_.failed()) report_.add(reader_.error());
  judge_functions();
}

void PmmlAnalyzer::judge_element(const XmlEvent& event) {
  for (const XmlAttribute& attribute : event.attributes) judge_attribute(event, attribute);
  const std::string name(event.local_name());
  if (!std::ranges::binary_search(kElements, std::string_view(name))) {
    report_.odd(event.offset, "an element that PMML does not have", name);
  } else if (name == "DefineFunction") {
    defined_.emplace(event.attribute("name"));
  } else if (name == "Apply" || name == "Aggregate") {
    if (name == "Apply") called_.emplace_back(event.attribute("function"), event.offset);
  } else if (name == "TableLocator") {
    report_.odd(event.offset, "a table that stands elsewhere");
  } else if (name == "Extension" || name == "row" || name == "MiningBuildTask") {
    skip(event);
  }
}

void PmmlAnalyzer::judge_attribute(const XmlEvent& event, const XmlAttribute& attribute) {
  if (is_reference(attribute.name)) {
    report_.odd(event.offset, "an element names something else than the model holds",
                attribute.value);
  } else if (attribute.name.ends_with(":schemaLocation") &&
             (attribute.value.find("file:") != std::string_view::npos ||
              attribute.value.find("dmg.org/") == std::string_view::npos)) {
    report_.odd(event.offset, "the schema is not that of PMML", attribute.value);
  }
}

void PmmlAnalyzer::skip(const XmlEvent& event) {
  const bool is_row = event.local_name() == "row";
  std::size_t depth = 1;
  while (depth > 0) {
    const XmlEvent* inner = reader_.next();
    if (inner == nullptr) return;
    judge_xml(*inner, report_);
    if (inner->kind == XmlKind::kEnd) --depth;
    if (inner->kind != XmlKind::kStart) continue;
    ++depth;
    for (const XmlAttribute& attribute : inner->attributes) judge_attribute(*inner, attribute);
    if (!is_row && depth == 2) {
      report_.odd(inner->offset, "an extension holds elements of its own", inner->name);
    }
  }
}

void PmmlAnalyzer::judge_functions() {
  for (const auto& [name, offset] : called_) {
    if (std::ranges::find(kFunctions, name) != kFunctions.end() || defined_.contains(name))
      continue;
    report_.add(scan_rules::kModelCode, offset,
                "a function that PMML does not have; JPMML takes such a name for a class of Java",
                name);
  }
}

}  // namespace

void analyze_pmml(const format::Part& part, Findings& findings) {
  PmmlAnalyzer(part, findings).run();
}

}  // namespace tare
