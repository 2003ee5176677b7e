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

bool holds_tensors(const ModelContents& contents) {
  return !contents.tensors.empty() || !contents.specials.empty();
}

// False for what tare knows, and reads no tensors from.
bool is_readable(ByteSpan bytes) {
  const auto found = detect(bytes);
  return std::ranges::any_of(found,
                             [](const Format* format) { return format->read_tensors != nullptr; });
}

// What a member holds.
struct Found {
  std::string name;  // of the member, as that of a root
  bool holds_tensors = false;
  std::vector<Root> roots;
};

Found found_in(const Member& member, ModelContents& contents) {
  Found found{root_name(member.name), holds_tensors(contents), {}};
  if (auto* forest = dynamic_cast<object::ObjectForest*>(contents.objects.get())) {
    found.roots = forest->take_roots();
  } else {
    found.roots.emplace_back().tensors = std::move(contents.tensors);
  }
  for (Root& root : found.roots) {
    root.entry = root.entry.empty() ? member.name : member.name + "!" + root.entry;
    for (NamedTensor& tensor : root.tensors) tensor.entry = root.entry;
  }
  return found;
}

// The roots of all members under the names of these; those of the only one that holds tensors under
// their own.
std::vector<Root> named_roots(std::vector<Found> members) {
  const bool only_one = std::ranges::count_if(members, &Found::holds_tensors) == 1;
  std::vector<Root> roots;
  for (Found& member : members) {
    for (Root& root : member.roots) {
      if (!only_one || !member.holds_tensors) {
        root.name = root.name.empty() ? member.name : member.name + "." + root.name;
      }
      roots.push_back(std::move(root));
    }
  }
  return roots;
}

}  // namespace

Result<ModelContents> contents_of_members(const std::vector<Member>& members,
                                          ReadContext& context) {
  std::vector<Found> found;
  std::vector<Problem> problems;
  std::vector<std::shared_ptr<const void>> owners;
  for (const Member& member : members) {
    if (member.bytes.empty() || !is_readable(member.bytes)) continue;
    auto contents = read_nested(member.bytes, context);
    if (!contents) {
      problems.push_back({member.name, contents.error()});
      continue;
    }
    for (const Problem& problem : contents->problems) {
      problems.push_back({member.name + ": " + problem.subject, problem.error});
    }
    found.push_back(found_in(member, *contents));
    std::ranges::move(contents->owners, std::back_inserter(owners));
  }
  if (found.empty() && problems.empty()) {
    return fail(ErrorCode::kWrongFormat, "an archive that holds no model file");
  }
  ModelContents contents = contents_of_roots(named_roots(std::move(found)));
  // What the roots find again is told with the member's name already.
  contents.problems = std::move(problems);
  contents.owners = std::move(owners);
  return contents;
}

}  // namespace tare::format
