// OpenVINO IR: layers of libraries, constants and edges that point to nothing, XML that opens files
// (docs/formats/openvino.md).
#include <algorithm>
#include <array>
#include <set>

#include "format/openvino.hpp"
#include "io/parse_number.hpp"
#include "scan/analyzers.hpp"
#include "scan/xml_findings.hpp"

namespace tare {
namespace {

using format::OpenvinoLayer;
using format::OpenvinoView;
using format::XmlEvent;
using format::XmlKind;
using format::XmlReader;
using namespace std::string_view_literals;

constexpr std::string_view kOperators[] = {
#define TARE_OPENVINO_OPERATOR(name) std::string_view(#name),
#include "scan/openvino_operators.def"
#undef TARE_OPENVINO_OPERATOR
};
static_assert(std::ranges::is_sorted(kOperators));

constexpr unsigned kLastOpset = 17;

// Sorted. In what is not listed here, loaders look for nothing.
constexpr std::array kElements = {"back_edges"sv, "body"sv,      "cli_parameters"sv,
                                  "data"sv,       "dim"sv,       "edge"sv,
                                  "edges"sv,      "else_body"sv, "else_port_map"sv,
                                  "input"sv,      "layer"sv,     "layers"sv,
                                  "meta_data"sv,  "net"sv,       "output"sv,
                                  "port"sv,       "port_map"sv,  "quantization_parameters"sv,
                                  "rt_info"sv,    "then_body"sv, "then_port_map"sv};
static_assert(std::ranges::is_sorted(kElements));
// Free texts of whoever made the model.
constexpr std::array kNotes = {"cli_parameters"sv, "meta_data"sv, "quantization_parameters"sv,
                               "rt_info"sv};

bool is_own_opset(std::string_view opset) {
  constexpr std::string_view kPrefix = "opset";
  if (!opset.starts_with(kPrefix)) return false;
  const std::uint64_t number = parse_number(opset.substr(kPrefix.size())).value_or(0);
  return number >= 1 && number <= kLastOpset;
}

// Elements and attributes; false if they cannot be read to the end.
bool judge_elements(ByteSpan bytes, ModelReport& report) {
  XmlReader reader(bytes);
  std::size_t notes = 0;  // elements that are open from a note on
  while (const XmlEvent* event = reader.next()) {
    judge_xml(*event, report);
    if (event->kind == XmlKind::kEnd && notes > 0) --notes;
    if (event->kind != XmlKind::kStart) continue;
    const bool is_note = std::ranges::find(kNotes, event->name) != kNotes.end();
    if (notes > 0 || is_note) {
      ++notes;
    } else if (!std::ranges::binary_search(kElements, event->name)) {
      report.odd(event->offset, "an element that OpenVINO does not have", event->name);
    }
  }
  if (reader.failed()) report.add(reader.error());
  return !reader.failed();
}

void judge_layer(const OpenvinoLayer& layer, ModelReport& report) {
  const bool is_own = is_own_opset(layer.opset) &&
                      std::ranges::binary_search(kOperators, std::string_view(layer.type));
  if (!is_own) {
    report.add(scan_rules::kModelCode, layer.offset,
               "a layer that a library of the user has to bring", layer.opset + "::" + layer.type);
  }
  if (layer.type != "Const") return;
  if (!layer.data) return report.bounds(layer.offset, "a constant without elements", layer.name);
  if (layer.is_ambiguous) report.bounds(layer.offset, "a constant with elements twice", layer.name);
  const auto range = format::openvino_range(*layer.data);
  if (!range) report.bounds(layer.offset, range.error().what, layer.name);
}

// Every edge joins two layers of its own graph, whose numbers are unique.
void judge_edges(const OpenvinoView& model, ModelReport& report) {
  std::set<std::pair<std::uint32_t, std::string_view>> layers;
  for (const OpenvinoLayer& layer : model.layers) {
    if (!layers.emplace(layer.scope, layer.id).second) {
      report.odd(layer.offset, "two layers with one number", layer.id);
    }
  }
  for (const auto& edge : model.edges) {
    if (layers.contains({edge.scope, edge.from}) && layers.contains({edge.scope, edge.to}))
      continue;
    report.bounds(edge.offset, "an edge from or to a layer that is not there", edge.from);
  }
}

}  // namespace

void analyze_openvino(const format::Part& part, Findings& findings) {
  ModelReport report(part, findings);
  if (!judge_elements(part.bytes, report)) return;
  const auto model = format::read_openvino(part.bytes);
  if (!model) return report.add(model.error());
  if (model->version != "10" && model->version != "11") {
    report.add(scan_rules::kRecognisedOnly, 0, "a version of OpenVINO IR that is not 10 or 11");
  }
  for (const OpenvinoLayer& layer : model->layers) judge_layer(layer, report);
  judge_edges(*model, report);
}

}  // namespace tare
