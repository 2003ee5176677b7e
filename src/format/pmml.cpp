// PMML: models as XML. Format: docs/formats/pmml.md.
#include "format/format.hpp"
#include "format/xml_reader.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  return xml_root(bytes) == "PMML";
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kPmml, bytes, 0});
  return list;
}

}  // namespace

const Format kPmml = {"pmml", "a PMML model", recognises, list_parts, nullptr};

}  // namespace tare::format
