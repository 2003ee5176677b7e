// safetensors as a Format.
#include <algorithm>

#include "format/format.hpp"
#include "io/cursor.hpp"
#include "tare/safetensors.hpp"

namespace tare::format {
namespace {

// A plausible header length, and JSON that opens an object. A file that is cut off inside its
// header still counts, so that the error can say so.
bool recognises(ByteSpan bytes) {
  Cursor cursor(bytes);
  const auto length = cursor.read<std::uint64_t>();
  const auto first = cursor.read<char>();
  return length && first && *length <= safetensors::kMaxHeaderBytes && *length >= 2 &&
         *first == '{';
}

// Empty, with control bytes, or a path that leads out of a folder.
bool is_odd_name(std::string_view name) {
  const bool leads_out = name.starts_with('/') || name.starts_with("../") ||
                         name.find("/../") != std::string_view::npos || name.ends_with("/..") ||
                         name.find('\\') != std::string_view::npos || name == "..";
  return name.empty() || leads_out || std::ranges::any_of(name, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

void note_odd_names(const safetensors::Header& header, PartList& list) {
  constexpr std::size_t kMost = 100;
  for (const auto& entry : header.tensors()) {
    if (!is_odd_name(entry.name)) continue;
    list.notes.push_back({NoteKind::kOddName, 0, std::string(entry.name),
                          "the name is empty, or has control bytes, or leads out of a folder"});
    if (list.notes.size() == kMost) return;
  }
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto header = safetensors::parse(bytes);
  if (!header) return std::unexpected(header.error());
  PartList list;
  list.parts.push_back({"", PartKind::kTensorHeader, bytes.first(header->data_offset()), 0});
  list.parts.push_back(
      {"", PartKind::kTensorData, bytes.subspan(header->data_offset()), header->data_offset()});
  note_odd_names(*header, list);
  return list;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  const auto header = safetensors::parse(bytes);
  if (!header) return std::unexpected(header.error());
  ModelContents contents;
  contents.metadata = header->metadata();
  const ByteSpan data = bytes.subspan(header->data_offset());
  for (const auto& entry : header->tensors()) {
    contents.tensors.push_back({std::string(entry.name), safetensors::view_of(entry, data), ""});
  }
  return contents;
}

}  // namespace

const Format kSafetensors = {"safetensors", "a safetensors file", recognises, list_parts,
                             read_tensors};

}  // namespace tare::format
