// MXNet: graphs (symbol.json). Format: docs/formats/mxnet-graph.md.
#include "format/format.hpp"
#include "format/json_tree.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  unsigned seen = 0;
  return has_top_level_key(bytes, [&seen](std::string_view key) {
    if (key == "nodes") seen |= 1U;
    if (key == "arg_nodes") seen |= 2U;
    if (key == "heads") seen |= 4U;
    return seen == 7U;
  });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kMxnet, bytes, 0});
  return list;
}

}  // namespace

const Format kMxnetGraph = {"mxnet-graph", "an MXNet graph", recognises, list_parts, nullptr};

}  // namespace tare::format
