#include "object/collect.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_set>

namespace tare::object {
namespace {

using PickleKind = pickle::Kind;

// Python itself gives up on objects nested deeper than this.
constexpr std::size_t kMaxDepth = 1000;

// ---- modules

// The attributes of a module as a mapping: of an instance, or the dict that
// torch.fx.graph_module.reduce_graph_module() makes a GraphModule from.
ObjectView module_view(const Graph& graph, Value value) {
  if (!is_call_to(graph, value, "torch.fx.graph_module", "reduce_graph_module")) {
    return look(graph, value);
  }
  const auto arguments = call_arguments(graph, value);
  ObjectView view;
  if (arguments.empty()) return view;
  view = look(graph, arguments[0]);
  view.kind = Kind::kInstance;
  for (Child& child : view.children) child.role = Role::kAttribute;
  return view;
}

bool is_module_view(const ObjectView& view, const Graph& graph) {
  return view.kind == Kind::kInstance && find_attribute(view, graph, "_parameters") != nullptr &&
         find_attribute(view, graph, "_modules") != nullptr;
}

std::vector<Child> entries_of(const ObjectView& module, const Graph& graph,
                              std::string_view attribute, std::uint64_t& steps) {
  const Child* const map = find_attribute(module, graph, attribute);
  if (map == nullptr) return {};
  ObjectView entries = look(graph, map->value);
  steps += entries.steps;
  std::erase_if(entries.children, [&](const Child& entry) {
    return entry.role != Role::kKey || graph.kind(entry.value) == PickleKind::kNone;
  });
  return std::move(entries.children);
}

// What state_dict() goes through, in its order. Adds what was looked at to `steps`.
std::vector<Child> module_children(const ObjectView& module, const Graph& graph,
                                   std::uint64_t& steps) {
  std::vector<Child> children = entries_of(module, graph, "_parameters", steps);
  std::set<std::string_view> left_out;
  if (const Child* set = find_attribute(module, graph, "_non_persistent_buffers_set")) {
    const ObjectView names = look(graph, set->value);
    steps += names.steps;
    for (const Child& name : names.children) left_out.insert(graph.text_or_empty(name.value));
  }
  for (const Child& buffer : entries_of(module, graph, "_buffers", steps)) {
    if (!left_out.contains(graph.text_or_empty(buffer.key))) children.push_back(buffer);
  }
  const auto modules = entries_of(module, graph, "_modules", steps);
  children.insert(children.end(), modules.begin(), modules.end());
  return children;
}

// Nothing in it is worth a step: a list of scalars, or anything of them if all of it is one leaf.
bool is_plain_list(const Graph& graph, const ObjectView& view, bool collapse) {
  if (!collapse && view.kind != Kind::kSequence) return false;
  return std::ranges::all_of(view.children, [&](const Child& child) {
    return graph.kind(child.value) < PickleKind::kTuple;
  });
}

// "1.2": the indices of the `flat`th element.
std::string index_name(const Shape& shape, std::uint64_t flat) {
  std::string name;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    name.insert(0, std::to_string(flat % shape[axis]) + (name.empty() ? "" : "."));
    flat /= shape[axis];
  }
  return name;
}

Error packed_parameters() {
  return {ErrorCode::kUnsupported, 0, Error::kNoOffset,
          "are packed parameters of a quantized module, which only PyTorch unpacks"};
}

// A class of PyTorch's own in TorchScript.
bool is_torchbind_class(const ObjectView& view) {
  return view.kind == Kind::kInstance && view.module.starts_with("__torch__.torch.classes");
}

bool is_script_class(const ObjectView& view) {
  return view.kind == Kind::kInstance && view.module.starts_with("__torch__");
}

// Of a module of TorchScript: its parameters and buffers, and its modules.
std::vector<Child> script_children(Document& document, ObjectView view) {
  const Graph& graph = document.graph();
  const auto known =
      document.script()->find(std::string(view.module) + "." + std::string(view.name));
  std::erase_if(view.children, [&](const Child& child) {
    if (document.meaning(child.value) == Meaning::kTensor) {
      return known != document.script()->end() &&
             !known->second.contains(graph.text_or_empty(child.key));
    }
    return !called_module(graph, child.value).starts_with("__torch__");
  });
  return std::move(view.children);
}

// What an object holds; what it was made from counts only if it holds nothing else, as in a
// namedtuple: a class may make anything of its arguments.
std::vector<Child> own_children(ObjectView view) {
  const auto is_argument = [](const Child& child) { return child.role == Role::kArgument; };
  if (!std::ranges::all_of(view.children, is_argument)) std::erase_if(view.children, is_argument);
  return std::move(view.children);
}

// ---- the walk

class Collector {
 public:
  // Stops at `most` tensors.
  Collector(const CollectOptions& options, std::size_t most, WalkBudget& budget)
      : options_(options),
        most_(most),
        path_(options.prefix),
        has_name_(!options.prefix.empty()),
        budget_(budget) {}

  Collected collect(Document& document, Value root);

 private:
  // An object whose children are being walked.
  struct Frame {
    Document* document;
    std::vector<Child> children;
    std::size_t next;
    Shape array_shape;      // of an array of objects
    std::size_t path_size;  // of its own path
    std::size_t leaves;     // before it
    std::size_t tensors;    // before it
    Value value;
    bool has_name;
    bool is_array = false;
  };

  std::size_t tensor_count() const { return out_.tensors.size() + out_.specials.size(); }
  void visit(Document& document, Value value);
  void enter(Document& document, Value value);
  void enter_objects(Document& document, Value value);
  void push(Frame frame);
  void add_name(const Frame& frame, const Child& child);
  void leave();
  void take_tensor(Document& document, Value value);
  void take_file(Document& document, Value value);
  void add_leaf(Document& document, Value value, std::string text);
  void trouble(const Error& error) { out_.troubles.push_back({name(), error}); }
  // A name may be empty: that of an empty key.
  std::string name() const { return has_name_ ? path_ : "tensor"; }
  std::string inside(const std::string& name) const {
    return has_name_ ? path_ + "." + name : name;
  }
  void note_module_attributes(Document& document, const ObjectView& view);

  const CollectOptions& options_;
  std::size_t most_;
  Collected out_;
  std::string path_;
  bool has_name_;  // what is visited has one, be it empty
  WalkBudget& budget_;
  std::vector<Frame> frames_;
  std::set<std::pair<const Document*, std::uint32_t>> open_;  // nodes of the frames
};

Collected Collector::collect(Document& document, Value root) {
  budget_.add(document);
  visit(document, root);
  while (!frames_.empty() && tensor_count() < most_ && !budget_.is_used_up()) {
    Frame& frame = frames_.back();
    path_.resize(frame.path_size);
    if (frame.next == frame.children.size()) {
      leave();
      continue;
    }
    const Child child = frame.children[frame.next++];
    add_name(frame, child);
    if (!budget_.take_steps(1) || !budget_.take_text(path_.size())) break;
    visit(*frame.document, child.value);
  }
  if (budget_.is_used_up()) out_.troubles.push_back({"", too_many_objects()});
  return std::move(out_);
}

void Collector::add_name(const Frame& frame, const Child& child) {
  has_name_ = frame.has_name;
  if (frame.is_array && frame.array_shape.empty()) return;
  if (has_name_) path_ += '.';
  has_name_ = true;
  if (frame.is_array) {
    path_ += index_name(frame.array_shape, child.index);
    return;
  }
  if (frames_.size() == 1 && child.role == Role::kIndex) path_ += frame.document->index_prefix();
  path_ += child_name(frame.document->graph(), child);
}

void Collector::visit(Document& document, Value value) {
  switch (document.meaning(value)) {
    case Meaning::kTensor:
      return take_tensor(document, value);
    case Meaning::kFile:
      return take_file(document, value);
    case Meaning::kObjects:
    case Meaning::kPlain:
      return enter(document, value);
  }
}

void Collector::take_tensor(Document& document, Value value) {
  const auto& tensor = document.tensor(value);
  if (!tensor) return trouble(tensor.error());
  if (const auto* dense = std::get_if<TorchTensor>(&*tensor)) {
    out_.tensors.push_back({name(), dense->view, dense->entry});
    return;
  }
  const SpecialTensor& special = std::get<SpecialTensor>(*tensor);
  // A class that keeps its elements in other tensors is these.
  if (special.kind == SpecialKind::kSubclass && !special.parts.empty()) {
    for (const NamedTensor& part : special.parts) {
      if (!budget_.take_text(path_.size() + part.name.size())) return;
      out_.tensors.push_back({inside(part.name), part.view, part.entry});
    }
    return;
  }
  out_.specials.push_back(special);
  out_.specials.back().name = name();
}

void Collector::take_file(Document& document, Value value) {
  const auto inner = document.file(value);
  if (!inner) return trouble(inner.error());
  budget_.add(**inner);
  visit(**inner, (*inner)->root());
}

void Collector::enter(Document& document, Value value) {
  const Graph& graph = document.graph();
  const auto node = graph.node_index(value);
  if (node && open_.contains({&document, *node})) {
    return add_leaf(document, value, "a reference to what holds it");
  }
  if (document.meaning(value) == Meaning::kObjects) return enter_objects(document, value);
  if (budget_.is_used_up()) return;
  if (const std::string text = document.numpy().describe(value); !text.empty()) {
    return add_leaf(document, value, text);
  }
  ObjectView view = module_view(graph, value);
  if (!budget_.take_steps(view.steps)) return;
  const bool is_container =
      view.kind == Kind::kSequence || view.kind == Kind::kMapping || view.kind == Kind::kInstance;
  if (view.kind == Kind::kMapping && view.children.empty()) return;  // nothing, and of no type
  if (!is_container || !node || is_plain_list(graph, view, options_.collapse)) {
    return add_leaf(document, value, describe(document, value, budget_));
  }
  Frame frame{&document,      {},    0,        {}, path_.size(), out_.leaves.size(),
              tensor_count(), value, has_name_};
  if (document.script() && is_torchbind_class(view)) return trouble(packed_parameters());
  if (is_module_view(view, graph)) {
    std::uint64_t steps = 0;
    frame.children = module_children(view, graph, steps);
    if (!budget_.take_steps(steps)) return;
    note_module_attributes(document, view);
  } else if (document.script() && is_script_class(view)) {
    frame.children = script_children(document, std::move(view));
  } else {
    frame.children = own_children(std::move(view));
  }
  push(std::move(frame));
}

void Collector::push(Frame frame) {
  if (frames_.size() == kMaxDepth) {
    return trouble({ErrorCode::kLimit, 0, Error::kNoOffset, "objects nested more than 1,000 deep"});
  }
  open_.emplace(frame.document, *frame.document->graph().node_index(frame.value));
  frames_.push_back(std::move(frame));
}

// The items by their indices; one that has no axes is its item.
void Collector::enter_objects(Document& document, Value value) {
  auto array = document.objects(value);
  if (!array) return trouble(array.error());
  if (!budget_.take_steps(array->items.size())) return;
  Frame frame{&document,      {},    0,        {}, path_.size(), out_.leaves.size(),
              tensor_count(), value, has_name_};
  for (std::uint64_t i = 0; i < array->items.size(); ++i) {
    frame.children.push_back({Role::kIndex, Value(), i, array->items[i]});
  }
  frame.array_shape = std::move(array->shape);
  frame.is_array = true;
  push(std::move(frame));
}

void Collector::leave() {
  const Frame& frame = frames_.back();
  const bool has_tensors = tensor_count() > frame.tensors;
  if (!has_tensors && (options_.collapse || frame.children.empty())) {
    out_.leaves.resize(frame.leaves);
    add_leaf(*frame.document, frame.value, describe(*frame.document, frame.value, budget_));
  }
  open_.erase({frame.document, *frame.document->graph().node_index(frame.value)});
  frames_.pop_back();
}

// Tensors that a module has besides its parameters and buffers; state_dict() leaves them out. What
// quantized modules keep their weights in it does not leave out, but only PyTorch can unpack it.
void Collector::note_module_attributes(Document& document, const ObjectView& view) {
  for (const Child& child : view.children) {
    if (child.role != Role::kAttribute) continue;
    if (document.graph().text_or_empty(child.key) == "_packed_params" &&
        document.graph().kind(child.value) == PickleKind::kCall) {
      out_.troubles.push_back({inside("_packed_params"), packed_parameters()});
    }
    if (document.meaning(child.value) != Meaning::kTensor) continue;
    if (!budget_.take_text(path_.size())) return;
    out_.leaves.push_back({inside(child_name(document.graph(), child)),
                           "a tensor that state_dict() leaves out", "", false});
  }
}

void Collector::add_leaf(Document& document, Value value, std::string text) {
  const Graph& graph = document.graph();
  Leaf leaf{path_, std::move(text), "", false};
  switch (graph.kind(value)) {
    case PickleKind::kString:
    case PickleKind::kPy2String:
      if (!budget_.take_text(graph.text(value).size())) return;
      leaf.value = graph.text(value);
      leaf.is_scalar = true;
      break;
    case PickleKind::kNone:
    case PickleKind::kBool:
    case PickleKind::kInt:
    case PickleKind::kBigInt:
    case PickleKind::kFloat:
      leaf.value = pickle::expression(graph, value, 10'000);
      leaf.is_scalar = true;
      break;
    case PickleKind::kTuple:
    case PickleKind::kList:
      if (options_.collapse) break;
      leaf.value = pickle::expression(graph, value, 10'000);
      leaf.is_scalar = is_plain_list(graph, look(graph, value), false);
      break;
    case PickleKind::kCall:
      if (auto number = document.numpy().scalar(value)) {
        leaf.value = std::move(number->text);
        leaf.is_scalar = true;
      }
      break;
    default:
      break;
  }
  if (budget_.take_text(leaf.text.size())) {
    out_.leaves.push_back(std::move(leaf));
  }
}

std::string count_text(const char* what, std::size_t count) {
  return std::string(what) + " of " + std::to_string(count);
}

}  // namespace

void WalkBudget::add(const Document& document) {
  constexpr std::uint64_t kStepsPerOpcode = 4;
  constexpr std::uint64_t kTextPerByte = 4;
  if (!documents_.insert(&document).second) return;
  steps_ += walks_ * kStepsPerOpcode * document.run().opcode_count;
  text_ += kTextPerByte * document.run().end_offset;
}

Error too_many_objects() {
  return {ErrorCode::kLimit, 0, Error::kNoOffset, "objects share each other too often to walk"};
}

Collected collect(Document& document, Value root, const CollectOptions& options,
                  WalkBudget* budget) {
  WalkBudget own;
  return Collector(options, SIZE_MAX, budget == nullptr ? own : *budget).collect(document, root);
}

bool holds_tensors(Document& document, Value root, WalkBudget* budget) {
  WalkBudget own;
  if (budget == nullptr) budget = &own;
  const Collected found = Collector({}, 1, *budget).collect(document, root);
  return found.has_tensors() || budget->is_used_up();
}

std::string child_name(const Graph& graph, const Child& child, std::size_t most) {
  switch (child.role) {
    case Role::kIndex:
    case Role::kArgument:
      return std::to_string(child.index);
    case Role::kState:
      return child.index == 0 ? "state" : "state." + std::to_string(child.index);
    case Role::kKey:
    case Role::kAttribute:
      break;
  }
  if (graph.is_text(child.key)) return std::string(graph.text(child.key).substr(0, most));
  return pickle::expression(graph, child.key, 100);
}

std::vector<Child> named_children(Document& document, Value value, WalkBudget& budget) {
  const Graph& graph = document.graph();
  budget.add(document);
  if (budget.is_used_up()) return {};
  ObjectView view = module_view(graph, value);
  std::uint64_t steps = view.steps;
  if (is_module_view(view, graph)) {
    auto children = module_children(view, graph, steps);
    return budget.take_steps(steps) ? std::move(children) : std::vector<Child>();
  }
  if (!budget.take_steps(steps)) return {};
  if (document.script() && is_script_class(view)) return script_children(document, std::move(view));
  return own_children(std::move(view));
}

bool is_module(const Graph& graph, Value value) {
  return is_module_view(module_view(graph, value), graph);
}

std::string describe(Document& document, Value value, WalkBudget& budget) {
  const Graph& graph = document.graph();
  budget.add(document);
  if (budget.is_used_up()) return "";
  if (const std::string array = document.numpy().describe(value); !array.empty()) return array;
  const ObjectView view = look(graph, value);
  budget.take_steps(view.steps);
  switch (view.kind) {
    case Kind::kInstance:
      return view.name.empty() ? pickle::expression(graph, graph.callable(value), 100)
                               : std::string(view.module) + "." + std::string(view.name);
    case Kind::kSequence:
    case Kind::kMapping:
      if (graph.kind(value) == PickleKind::kCall) {
        return count_text(pickle::expression(graph, graph.callable(value), 60).c_str(),
                          view.children.size());
      }
      return count_text(std::string(pickle::kind_name(graph.kind(value))).c_str(),
                        view.children.size());
    case Kind::kBytes:
      return "bytes";
    case Kind::kNone:
    case Kind::kName:
    case Kind::kComplex:
      return pickle::expression(graph, value, 80);
    default:
      return std::string(pickle::kind_name(graph.kind(value))) + " " +
             pickle::expression(graph, value, 60);
  }
}

}  // namespace tare::object
