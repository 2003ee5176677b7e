#include "format/npy.hpp"

#include <algorithm>

#include "format/npy_header.hpp"
#include "format/object_contents.hpp"

namespace tare::format {
namespace {

using object::Root;

constexpr std::string_view kExtension = ".npy";

// One array, read into a root: a tensor, a leaf, or a document of objects.
Result<void> read_array(const std::string& name, ByteSpan bytes, Root& flat,
                        std::vector<Root>& documents) {
  const auto header = parse_npy_header(bytes);
  if (!header) return std::unexpected(header.error());
  const ByteSpan data = bytes.subspan(header->data_offset);
  if (header->dtype.has_objects) {
    auto run = run_whole(data, header->data_offset);
    if (!run) return std::unexpected(run.error());
    Root root{name, ""};
    root.document = std::make_unique<object::Document>(std::move(*run), object::Surroundings());
    documents.push_back(std::move(root));
    return {};
  }
  if (header->data_bytes > data.size()) {
    Error error{ErrorCode::kTruncated, 0, header->data_offset, "the array is cut off"};
    error.expected = header->data_bytes;
    error.actual = data.size();
    return std::unexpected(error);
  }
  const object::ArrayType type = object::array_type_of(header->dtype);
  if (!type.is_numeric()) {
    flat.leaves.push_back({name, object::unread_array_text(type), "", false});
    return {};
  }
  auto view = object::array_view(type, header->shape, header->fortran_order,
                                 data.first(header->data_bytes));
  if (!view) return std::unexpected(view.error());
  flat.tensors.push_back({name, std::move(*view), ""});
  return {};
}

ModelContents finish(Root flat, std::vector<Root> documents, std::vector<Problem> problems) {
  std::vector<Root> roots;
  if (!flat.tensors.empty() || !flat.leaves.empty()) roots.push_back(std::move(flat));
  std::ranges::move(documents, std::back_inserter(roots));
  ModelContents contents = contents_of_roots(std::move(roots));
  std::ranges::move(problems, std::back_inserter(contents.problems));
  return contents;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  Root flat;
  std::vector<Root> documents;
  std::vector<Problem> problems;
  if (auto read = read_array("array", bytes, flat, documents); !read) {
    // An element type that no tensor has is for a conversion to refuse.
    if (read.error().code != ErrorCode::kUnsupported) return std::unexpected(read.error());
    problems.push_back({"array", read.error()});
  }
  for (Root& root : documents) root.name.clear();
  return finish(std::move(flat), std::move(documents), std::move(problems));
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto header = parse_npy_header(bytes);
  if (!header) return std::unexpected(header.error());
  PartList list;
  const std::uint64_t start = header->data_offset;
  const ByteSpan data = bytes.subspan(start);
  list.parts.push_back({"", PartKind::kTensorHeader, bytes.first(start), 0});
  if (header->repeated_key) {
    list.notes.push_back({NoteKind::kAmbiguous, 0, "", "the header has a key twice"});
  }
  if (header->dtype.has_objects) {
    list.parts.push_back({"", PartKind::kPickle, data, start, start});
    return list;
  }
  const std::uint64_t size = std::min<std::uint64_t>(header->data_bytes, data.size());
  list.parts.push_back({"", PartKind::kTensorData, data.first(size), start, start});
  if (size < header->data_bytes) {
    list.notes.push_back({NoteKind::kTensor, start, "", "the array is cut off"});
  }
  if (size < data.size()) {
    // numpy.load of an open file may be called again: what follows is another array or a pickle.
    list.notes.push_back({NoteKind::kTrailing, start + size, "", "bytes behind the array"});
    list.parts.push_back({"", PartKind::kNested, data.subspan(size), start + size, start + size});
  }
  return list;
}

}  // namespace

bool is_npz(const std::vector<std::string>& names) {
  return std::ranges::any_of(names,
                             [](std::string_view name) {
                               return name.ends_with(kExtension) &&
                                      name.find('/') == std::string_view::npos;
                             }) ||
         (!names.empty() && std::ranges::all_of(names, [](std::string_view name) {
           return name.ends_with(kExtension);
         }));
}

Result<ModelContents> contents_of_npz(const std::vector<Member>& members) {
  Root flat;
  std::vector<Root> documents;
  std::vector<Problem> problems;
  for (const Member& member : members) {
    std::string name = member.name;
    if (name.ends_with(kExtension)) name.resize(name.size() - kExtension.size());
    if (!is_npy(member.bytes)) {
      flat.leaves.push_back({member.name, "no array", "", false});
      continue;
    }
    const auto read = read_array(name, member.bytes, flat, documents);
    if (!read) problems.push_back({name, read.error()});
  }
  ModelContents contents = finish(std::move(flat), std::move(documents), std::move(problems));
  contents.format = "npz";
  return contents;
}

const Format kNpy = {"npy", "a NumPy array", is_npy, list_parts, read_tensors};

}  // namespace tare::format
