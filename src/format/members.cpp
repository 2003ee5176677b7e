#include "format/members.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "format/object_contents.hpp"

namespace tare::format {
namespace {

using object::Root;

// "weights/model.ckpt": "weights.model".
std::string root_name(std::string_view member) {
  while (member.starts_with("./")) member.remove_prefix(2);
  const auto slash = member.rfind('/');
  const auto dot = member.rfind('.');
  const bool has_extension = dot != std::string_view::npos && dot > 0 &&
                             (slash == std::string_view::npos || dot > slash + 1);
  std::string name(has_extension ? member.substr(0, dot) : member);
  std::ranges::replace(name, '/', '.');
  return name;
}

// What a member holds, as roots under its name.
std::vector<Root> roots_of(const Member& member, ModelContents& contents) {
  std::vector<Root> roots;
  if (auto* forest = dynamic_cast<object::ObjectForest*>(contents.objects.get())) {
    roots = forest->take_roots();
  } else {
    Root root;
    root.tensors = std::move(contents.tensors);
    roots.push_back(std::move(root));
  }
  const std::string name = root_name(member.name);
  for (Root& root : roots) {
    root.name = root.name.empty() ? name : name + "." + root.name;
    root.entry = root.entry.empty() ? member.name : member.name + "!" + root.entry;
    for (NamedTensor& tensor : root.tensors) tensor.entry = root.entry;
  }
  return roots;
}

bool holds_tensors(const ModelContents& contents) {
  return !contents.tensors.empty() || !contents.specials.empty();
}

}  // namespace

Result<ModelContents> contents_of_members(const std::vector<Member>& members,
                                          ReadContext& context) {
  std::vector<Root> roots;
  std::vector<Problem> problems;
  std::vector<std::shared_ptr<const void>> owners;
  std::vector<std::string_view> formats;
  std::size_t holders = 0;
  for (const Member& member : members) {
    if (member.bytes.empty() || detect(member.bytes).empty()) continue;
    auto contents = read_nested(member.bytes, context);
    if (!contents) {
      problems.push_back({member.name, contents.error()});
      continue;
    }
    for (const Problem& problem : contents->problems) {
      problems.push_back({member.name + ": " + problem.subject, problem.error});
    }
    if (holds_tensors(*contents)) {
      ++holders;
      formats.push_back(contents->format);
    }
    auto found = roots_of(member, *contents);
    std::ranges::move(found, std::back_inserter(roots));
    std::ranges::move(contents->owners, std::back_inserter(owners));
  }
  if (roots.empty() && problems.empty()) {
    return fail(ErrorCode::kWrongFormat, "an archive that holds no model file");
  }
  if (holders == 1) {
    // Beside it there may be others that hold none: they keep their names.
    for (Root& root : roots) {
      if (!root.tensors.empty() ||
          (root.document && object::holds_tensors(*root.document, root.document->root()))) {
        root.name.clear();
      }
    }
  }
  ModelContents contents = contents_of_roots(std::move(roots));
  // What the roots find again is told with the member's name already.
  contents.problems = std::move(problems);
  contents.owners = std::move(owners);
  return contents;
}

}  // namespace tare::format
