#include "format/object_contents.hpp"

#include <algorithm>
#include <set>

#include "format/torch_archive.hpp"
#include "format/torch_legacy.hpp"

namespace tare::format {
namespace {

// A pickle larger than this is not read: it holds structure, not data.
constexpr std::uint64_t kMaxPickleBytes = std::uint64_t{4} << 30;

void add_collected(ModelContents& contents, object::Collected collected) {
  std::ranges::move(collected.tensors, std::back_inserter(contents.tensors));
  std::ranges::move(collected.specials, std::back_inserter(contents.specials));
  for (object::Trouble& trouble : collected.troubles) {
    contents.problems.push_back({std::move(trouble.path), trouble.error});
  }
}

// A file inside a pickle: torch.save writes the old format there, or a zip archive.
Result<std::unique_ptr<object::Document>> open_nested_document(ByteSpan file, unsigned depth) {
  if (is_torch_legacy(file)) return open_torch_legacy(file, depth);
  return open_torch_archive(file, depth);
}

}  // namespace

void add_imports(const pickle::Run& run, std::set<std::string>& imports) {
  for (const pickle::Event& event : run.events) {
    if (event.kind != pickle::EventKind::kImport) continue;
    imports.insert(pickle::expression(run.graph, event.subject));
  }
}

object::NestedOpener nested_opener() {
  return open_nested_document;
}

Result<pickle::Run> run_whole(ByteSpan stream, std::uint64_t offset) {
  if (stream.size() > kMaxPickleBytes) return fail(ErrorCode::kLimit, "the pickle is too large");
  pickle::Run run = pickle::run(stream);
  if (run.end == pickle::End::kStop) return run;
  Error error = run.error;
  if (offset == Error::kNoOffset) {
    error.offset = Error::kNoOffset;
  } else if (error.has_offset()) {
    error.offset += offset;
  }
  return std::unexpected(error);
}

ModelContents contents_of_roots(std::vector<object::Root> roots) {
  ModelContents contents;
  std::set<std::string> imports;
  object::WalkBudget budget;
  for (object::Root& root : roots) {
    if (root.document) {
      add_imports(root.document->run(), imports);
      add_collected(contents, object::collect(*root.document, root.document->root(),
                                              {.prefix = root.name}, &budget));
      continue;
    }
    for (const NamedTensor& tensor : root.tensors) {
      contents.tensors.push_back(tensor);
      if (!root.name.empty()) contents.tensors.back().name = root.name + "." + tensor.name;
    }
  }
  contents.imports.assign(imports.begin(), imports.end());
  contents.objects = std::make_shared<object::ObjectForest>(std::move(roots));
  return contents;
}

}  // namespace tare::format
