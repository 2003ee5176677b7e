#include "tare/select.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "object/object_forest.hpp"

namespace tare {
namespace {

using object::Child;
using object::Collected;
using object::Document;
using object::Graph;
using object::ObjectForest;
using object::Root;
using object::Value;
using object::WalkBudget;

// Keys under which programs keep the weights, beside other things.
constexpr std::array<std::string_view, 22> kModelKeys = {"state_dict",
                                                         "model_state_dict",
                                                         "model_state",
                                                         "model",
                                                         "module",
                                                         "net",
                                                         "network",
                                                         "ema",
                                                         "model_ema",
                                                         "ema_state_dict",
                                                         "state_dict_ema",
                                                         "ema_model",
                                                         "params",
                                                         "params_ema",
                                                         "weights",
                                                         "generator",
                                                         "student",
                                                         "teacher",
                                                         "encoder_state_dict",
                                                         "model_weights",
                                                         "net_state_dict",
                                                         "backbone"};

bool is_model_key(std::string_view key) {
  return std::ranges::find(kModelKeys, key) != kModelKeys.end();
}

// A place in a document.
struct Place {
  Document* document = nullptr;
  Value value;
};

// What an object is once files inside of the pickle are looked into.
Place settle(Place place) {
  for (int depth = 0; depth < 8; ++depth) {
    if (place.document->meaning(place.value) != object::Meaning::kFile) return place;
    const auto file = place.document->file(place.value);
    if (!file) return place;
    place = {*file, (*file)->root()};
  }
  return place;
}

bool holds_tensors(Place place, WalkBudget& budget) {
  return object::holds_tensors(*place.document, place.value, &budget);
}

bool is_tensor(Place place) {
  return place.document->meaning(place.value) == object::Meaning::kTensor;
}

std::vector<Child> children_of(Place place, WalkBudget& budget) {
  return is_tensor(place) ? std::vector<Child>()
                          : object::named_children(*place.document, place.value, budget);
}

// What torch.optim.Optimizer.state_dict() returns, or a list of them.
bool is_optimizer(Place place, WalkBudget& budget) {
  const Graph& graph = place.document->graph();
  bool state = false;
  bool groups = false;
  const auto children = children_of(place, budget);
  for (const Child& child : children) {
    if (child.role != object::Role::kKey) continue;
    state = state || graph.text_or_empty(child.key) == "state";
    groups = groups || graph.text_or_empty(child.key) == "param_groups";
  }
  return state && groups;
}

bool is_optimizer_list(Place place, WalkBudget& budget) {
  const auto children = children_of(place, budget);
  return !children.empty() && std::ranges::all_of(children, [&](const Child& child) {
    return is_optimizer({place.document, child.value}, budget);
  });
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

class Selector {
 public:
  Selector(const Model& model, const SelectOptions& options) : model_(model), options_(options) {}

  std::expected<Selection, SelectFailure> select();

 private:
  using Outcome = std::expected<void, SelectFailure>;

  Outcome select_roots(const ObjectForest& forest);
  Outcome select_in(Place root, const std::string& path);
  Outcome select_key(const ObjectForest& forest);
  void select_flat();
  bool select_flat_key();
  void take(Place place, const std::string& prefix);
  void take_all(const ModelContents& contents);
  void drop(Place place, const std::string& path);
  void drop_leaves(const Root& root);
  void keep_scalars(const ObjectForest& forest);
  void strip();
  Outcome check_names() const;
  static SelectFailure ambiguous(std::vector<std::string> candidates);

  const Model& model_;
  const SelectOptions& options_;
  WalkBudget budget_{5};  // what holds tensors, which are optimizers, what is taken, the scalars
  Selection out_;
};

SelectFailure Selector::ambiguous(std::vector<std::string> candidates) {
  SelectFailure failure(Error{ErrorCode::kInvalidArgument, 0, Error::kNoOffset,
                              "holds several models; choose one by its key"});
  failure.candidates = std::move(candidates);
  return failure;
}

std::expected<Selection, SelectFailure> Selector::select() {
  const auto* forest = dynamic_cast<const ObjectForest*>(model_.contents().objects.get());
  if (forest == nullptr || forest->roots().empty()) {
    if (options_.key.empty() || options_.key == ".") {
      take_all(model_.contents());
    } else if (!select_flat_key()) {
      return std::unexpected(
          SelectFailure(Error{ErrorCode::kNotFound, 0, Error::kNoOffset, "no tensor has this key"},
                        options_.key));
    }
  } else {
    const Outcome done = options_.key.empty() ? select_roots(*forest) : select_key(*forest);
    if (!done) return std::unexpected(done.error());
    if (options_.keep_scalars) keep_scalars(*forest);
  }
  out_.files = model_.files();
  if (budget_.is_used_up()) return std::unexpected(SelectFailure(object::too_many_objects()));
  strip();
  if (auto checked = check_names(); !checked) return std::unexpected(checked.error());
  return std::move(out_);
}

void Selector::take_all(const ModelContents& contents) {
  out_.tensors = contents.tensors;
  out_.specials = contents.specials;
  out_.problems = contents.problems;
}

// By the names alone, where there are no objects or none of this key.
bool Selector::select_flat_key() {
  const std::string prefix = options_.key + ".";
  const ModelContents& contents = model_.contents();
  for (const NamedTensor& tensor : contents.tensors) {
    if (!tensor.name.starts_with(prefix)) continue;
    out_.tensors.push_back(tensor);
    out_.tensors.back().name.erase(0, prefix.size());
  }
  for (const SpecialTensor& tensor : contents.specials) {
    if (!tensor.name.starts_with(prefix)) continue;
    out_.specials.push_back(tensor);
    out_.specials.back().name.erase(0, prefix.size());
  }
  for (const Problem& problem : contents.problems) {
    if (problem.subject.starts_with(prefix)) out_.problems.push_back(problem);
  }
  out_.key = options_.key;
  return !out_.tensors.empty() || !out_.specials.empty() || !out_.problems.empty();
}

void Selector::take(Place place, const std::string& prefix) {
  Collected found = object::collect(*place.document, place.value, {.prefix = prefix}, &budget_);
  std::ranges::move(found.tensors, std::back_inserter(out_.tensors));
  std::ranges::move(found.specials, std::back_inserter(out_.specials));
  for (object::Trouble& trouble : found.troubles) {
    out_.problems.push_back({std::move(trouble.path), trouble.error});
  }
  for (object::Leaf& leaf : found.leaves) {
    out_.dropped.push_back({std::move(leaf.path), std::move(leaf.text)});
  }
}

void Selector::drop(Place place, const std::string& path) {
  out_.dropped.push_back({path, is_tensor(place)
                                    ? "a tensor"
                                    : object::describe(*place.document, place.value, budget_)});
}

// What stands in no pickle and is no tensor.
void Selector::drop_leaves(const Root& root) {
  for (const object::Leaf& leaf : root.leaves) {
    out_.dropped.push_back({joined(root.name, leaf.path), leaf.text});
  }
}

// Files of several pickles: the one that holds tensors other than those of an optimizer.
Selector::Outcome Selector::select_roots(const ObjectForest& forest) {
  std::vector<const Root*> with_tensors;
  for (const Root& root : forest.roots()) {
    if (!root.document) {
      if (!root.tensors.empty()) with_tensors.push_back(&root);
      continue;
    }
    const Place place = settle({root.document.get(), root.document->root()});
    const bool only_one = forest.roots().size() == 1;
    if (only_one || (holds_tensors(place, budget_) && !is_optimizer(place, budget_)))
      with_tensors.push_back(&root);
  }
  // The constants of programs are the model only if there are no tensors of its own.
  if (!std::ranges::all_of(with_tensors, &Root::is_named)) {
    std::erase_if(with_tensors, [](const Root* root) { return root->is_named; });
  }
  if (with_tensors.size() > 1) {
    std::vector<std::string> names;
    for (const Root* root : with_tensors) names.push_back(root->name);
    return std::unexpected(ambiguous(std::move(names)));
  }
  for (const Root& root : forest.roots()) {
    if (!with_tensors.empty() && &root == with_tensors.front()) continue;
    if (root.document) {
      drop(settle({root.document.get(), root.document->root()}), root.name);
    } else if (!root.tensors.empty()) {
      out_.dropped.push_back({root.name, "a file with tensors"});
    }
    drop_leaves(root);
  }
  if (with_tensors.empty()) return {};
  const Root& root = *with_tensors.front();
  drop_leaves(root);
  if (!root.document) {
    out_.tensors = root.tensors;
    // Of the only file: what it holds and could not be read is missing from the model.
    if (forest.roots().size() == 1) out_.problems = model_.contents().problems;
    return {};
  }
  if (root.is_named) {
    take({root.document.get(), root.document->root()}, root.name);
    return {};
  }
  if (forest.roots().size() > 1) out_.key = root.name;
  return select_in(settle({root.document.get(), root.document->root()}), out_.key);
}

// `path` is the key of the root, which is not part of the names.
Selector::Outcome Selector::select_in(Place root, const std::string& path) {
  const Graph& graph = root.document->graph();
  if (is_tensor(root) || object::is_module(graph, root.value)) {
    take(root, "");
    return {};
  }
  struct Part {
    std::string name;
    bool is_key;  // of a dict, not an attribute
    Place place;
    bool holds = false;  // a container with tensors
    bool optimizer = false;
  };
  std::vector<Part> parts;
  std::vector<std::string> keys;
  std::set<std::uint32_t> distinct;
  const Part* chosen = nullptr;
  for (const Child& child : children_of(root, budget_)) {
    Part part{object::child_name(graph, child), child.role == object::Role::kKey,
              settle({root.document, child.value})};
    part.holds = !is_tensor(part.place) && holds_tensors(part.place, budget_);
    part.optimizer =
        part.holds && (is_optimizer(part.place, budget_) || is_optimizer_list(part.place, budget_));
    parts.push_back(std::move(part));
  }
  for (const Part& part : parts) {
    if (!part.holds || part.optimizer || !part.is_key || !is_model_key(part.name)) continue;
    // The same object under two keys is one candidate.
    if (!distinct.insert(part.place.value.bits()).second) continue;
    keys.push_back(joined(path, part.name));
    if (chosen == nullptr) chosen = &part;
  }
  if (keys.size() > 1) return std::unexpected(ambiguous(std::move(keys)));
  if (chosen != nullptr) {
    out_.key = joined(path, chosen->name);
    for (const Part& part : parts) {
      if (&part != chosen) drop(part.place, part.name);
    }
    take(chosen->place, "");
    return {};
  }
  const bool has_others = std::ranges::any_of(parts, [](const Part& part) {
    return is_tensor(part.place) || (part.holds && !part.optimizer);
  });
  const bool has_optimizers = std::ranges::any_of(parts, &Part::optimizer);
  if (!has_others || !has_optimizers) {
    take(root, "");
    return {};
  }
  for (const Part& part : parts) {
    if (part.optimizer) {
      drop(part.place, part.name);
    } else {
      take(part.place, part.name);
    }
  }
  return {};
}

// Follows the key from name to name; a name may have dots, the longest that fits counts.
std::optional<Place> follow(Place place, std::string_view key, WalkBudget& budget) {
  place = settle(place);
  while (!key.empty()) {
    std::optional<Value> next;
    std::size_t longest = 0;
    for (const Child& child : children_of(place, budget)) {
      const std::string name = object::child_name(place.document->graph(), child);
      const bool fits =
          key.starts_with(name) && (key.size() == name.size() || key[name.size()] == '.');
      if (!fits || (next && name.size() <= longest)) continue;
      next = child.value;
      longest = name.size();
    }
    if (!next) return std::nullopt;
    key.remove_prefix(std::min(key.size(), longest + 1));
    place = settle({place.document, *next});
  }
  return place;
}

Selector::Outcome Selector::select_key(const ObjectForest& forest) {
  if (options_.key == ".") {
    take_all(model_.contents());
    for (const Root& root : forest.roots()) {
      drop_leaves(root);
      if (!root.document) continue;
      Collected found =
          object::collect(*root.document, root.document->root(), {.prefix = root.name}, &budget_);
      for (object::Leaf& leaf : found.leaves) {
        out_.dropped.push_back({std::move(leaf.path), std::move(leaf.text)});
      }
    }
    return {};
  }
  std::string_view key = options_.key;
  for (const Root& root : forest.roots()) {
    std::string_view rest = key;
    if (!root.name.empty()) {
      if (!rest.starts_with(root.name)) continue;
      rest.remove_prefix(root.name.size());
      if (!rest.empty() && rest.front() != '.') continue;
      if (!rest.empty()) rest.remove_prefix(1);
    }
    if (!root.document) {
      if (!rest.empty()) continue;
      out_.tensors = root.tensors;
      out_.key = options_.key;
      return {};
    }
    const auto place = follow({root.document.get(), root.document->root()}, rest, budget_);
    if (!place) continue;
    take(*place, "");
    out_.key = options_.key;
    return {};
  }
  if (select_flat_key()) return {};
  SelectFailure failure(Error{ErrorCode::kNotFound, 0, Error::kNoOffset, "no object has this key"},
                        options_.key);
  for (const Root& root : forest.roots()) {
    if (!root.name.empty()) failure.candidates.push_back(root.name);
    if (!root.document || forest.roots().size() > 1) continue;
    const Place top = settle({root.document.get(), root.document->root()});
    for (const Child& child : children_of(top, budget_)) {
      if (failure.candidates.size() < 50) {
        failure.candidates.push_back(object::child_name(top.document->graph(), child));
      }
    }
  }
  return std::unexpected(std::move(failure));
}

void Selector::keep_scalars(const ObjectForest& forest) {
  for (const Root& root : forest.roots()) {
    if (!root.document) continue;
    Collected found = object::collect(*root.document, root.document->root(),
                                      {.prefix = root.name, .collapse = false}, &budget_);
    for (object::Leaf& leaf : found.leaves) {
      if (leaf.is_scalar)
        out_.scalars.insert_or_assign(std::move(leaf.path), std::move(leaf.value));
    }
  }
}

void Selector::strip() {
  const auto strip_name = [this](std::string& name) {
    for (bool again = true; again;) {
      again = false;
      for (const std::string& prefix : options_.strip_prefixes) {
        if (prefix.empty() || name.size() <= prefix.size() || !name.starts_with(prefix)) continue;
        name.erase(0, prefix.size());
        again = true;
      }
    }
  };
  for (NamedTensor& tensor : out_.tensors) strip_name(tensor.name);
  for (SpecialTensor& tensor : out_.specials) strip_name(tensor.name);
}

Selector::Outcome Selector::check_names() const {
  std::vector<std::string_view> names;
  for (const NamedTensor& tensor : out_.tensors) names.push_back(tensor.name);
  for (const SpecialTensor& tensor : out_.specials) names.push_back(tensor.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return {};
  return std::unexpected(
      SelectFailure(Error{ErrorCode::kMismatch, 0, Error::kNoOffset, "two tensors have this name"},
                    std::string(*twice)));
}

}  // namespace

std::expected<Selection, SelectFailure> select_tensors(const Model& model,
                                                       const SelectOptions& options) {
  return Selector(model, options).select();
}

Model restrict_to(Model model, Selection selection) {
  const std::string_view format = model.format();
  ModelContents contents = model.take_contents();
  contents.tensors = std::move(selection.tensors);
  contents.specials = std::move(selection.specials);
  contents.problems = std::move(selection.problems);
  for (const SpecialTensor& tensor : contents.specials) {
    contents.problems.push_back({tensor.name,
                                 {ErrorCode::kUnsupported, 0, Error::kNoOffset,
                                  "is no dense tensor: it is not read element by element"}});
  }
  return {model.take_files(), format, std::move(contents)};
}

Model with_tied_names(Model model) {
  const std::string_view format = model.format();
  ModelContents contents = model.take_contents();
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : contents.tensors) names.insert(tensor.name);
  std::vector<NamedTensor> tied;
  for (const auto& [name, kept] : contents.metadata) {
    if (names.contains(name) || !names.contains(kept)) continue;
    const auto found = std::ranges::find(contents.tensors, kept, &NamedTensor::name);
    tied.push_back({name, found->view, found->entry});
  }
  std::ranges::move(tied, std::back_inserter(contents.tensors));
  return {model.take_files(), format, std::move(contents)};
}

}  // namespace tare
