#include "object/object_forest.hpp"

#include <map>

namespace tare::object {
namespace {

using PickleKind = pickle::Kind;

// Texts and bytes are cut off at this length, in bytes.
constexpr std::size_t kMaxValueBytes = 10'000;

ObjectKind public_kind(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return ObjectKind::kNone;
    case Kind::kBool:
      return ObjectKind::kBool;
    case Kind::kInt:
      return ObjectKind::kInt;
    case Kind::kFloat:
      return ObjectKind::kFloat;
    case Kind::kComplex:
      return ObjectKind::kComplex;
    case Kind::kText:
      return ObjectKind::kText;
    case Kind::kBytes:
      return ObjectKind::kBytes;
    case Kind::kName:
      return ObjectKind::kName;
    case Kind::kSequence:
      return ObjectKind::kSequence;
    case Kind::kMapping:
      return ObjectKind::kMapping;
    case Kind::kInstance:
      return ObjectKind::kInstance;
    case Kind::kOpaque:
      return ObjectKind::kOpaque;
  }
  return ObjectKind::kOpaque;
}

ObjectRole public_role(Role role) {
  switch (role) {
    case Role::kIndex:
      return ObjectRole::kIndex;
    case Role::kKey:
      return ObjectRole::kKey;
    case Role::kAttribute:
      return ObjectRole::kAttribute;
    case Role::kArgument:
      return ObjectRole::kArgument;
    case Role::kState:
      return ObjectRole::kState;
  }
  return ObjectRole::kState;
}

bool is_container(ObjectKind kind) {
  return kind == ObjectKind::kSequence || kind == ObjectKind::kMapping ||
         kind == ObjectKind::kInstance;
}

std::string dotted(std::string_view module, std::string_view name) {
  return std::string(module) + "." + std::string(name);
}

class Walker {
 public:
  Walker(const std::function<bool(const ObjectNode&)>& visit, unsigned max_depth)
      : visit_(visit), max_depth_(max_depth) {}

  // False if the visitor has had enough.
  bool walk(const Root& root);

 private:
  struct Frame {
    Document* document;
    std::vector<Child> children;
    std::size_t next;
  };

  bool walk_tensors(const Root& root);
  // Tells of a value, and puts its children on the stack.
  bool tell(Document& document, Value value, ObjectNode node);
  bool tell_tensor(Document& document, Value value, ObjectNode node);
  bool tell_broken(const Error& error, ObjectNode node);
  bool tell_plain(Document& document, Value value, ObjectNode node);
  static void tell_array(Document& document, Value value, const std::string& description,
                         ObjectView& view, ObjectNode& node);
  static void fill(const Graph& graph, Value value, const ObjectView& view, ObjectNode& node);

  const std::function<bool(const ObjectNode&)>& visit_;
  unsigned max_depth_;
  std::vector<Frame> frames_;
  std::map<std::pair<const Document*, std::uint32_t>, std::uint64_t> numbers_;
};

bool Walker::walk(const Root& root) {
  if (!root.document) return walk_tensors(root);
  ObjectNode top;
  top.key = root.name;
  if (!tell(*root.document, root.document->root(), std::move(top))) return false;
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (frame.next == frame.children.size()) {
      frames_.pop_back();
      continue;
    }
    const Child& child = frame.children[frame.next++];
    ObjectNode node;
    node.role = public_role(child.role);
    node.depth = static_cast<unsigned>(frames_.size());
    if (child.role == Role::kKey || child.role == Role::kAttribute) {
      node.key = child_name(frame.document->graph(), child, kMaxValueBytes);
    }
    if (!tell(*frame.document, child.value, std::move(node))) return false;
  }
  return true;
}

bool Walker::walk_tensors(const Root& root) {
  ObjectNode top;
  top.key = root.name;
  top.kind = ObjectKind::kMapping;
  top.type = "dict";
  top.children = root.tensors.size();
  if (!visit_(top)) return false;
  for (const NamedTensor& tensor : root.tensors) {
    ObjectNode node;
    node.kind = ObjectKind::kTensor;
    node.role = ObjectRole::kKey;
    node.depth = 1;
    node.key = tensor.name;
    node.tensor = &tensor.view;
    if (max_depth_ > 0 && !visit_(node)) return false;
  }
  return true;
}

bool Walker::tell(Document& document, Value value, ObjectNode node) {
  switch (document.meaning(value)) {
    case Meaning::kTensor:
      return tell_tensor(document, value, std::move(node));
    case Meaning::kFile: {
      const auto file = document.file(value);
      if (!file) return tell_broken(file.error(), std::move(node));
      const Value root = (*file)->root();
      if ((*file)->meaning(root) == Meaning::kTensor) {
        return tell_tensor(**file, root, std::move(node));
      }
      return tell_plain(**file, root, std::move(node));
    }
    case Meaning::kObjects:
    case Meaning::kPlain:
      break;
  }
  return tell_plain(document, value, std::move(node));
}

bool Walker::tell_tensor(Document& document, Value value, ObjectNode node) {
  const auto& tensor = document.tensor(value);
  if (!tensor) return tell_broken(tensor.error(), std::move(node));
  if (const auto* dense = std::get_if<TorchTensor>(&*tensor)) {
    node.kind = ObjectKind::kTensor;
    node.tensor = &dense->view;
  } else {
    node.kind = ObjectKind::kSpecial;
    node.special = &std::get<SpecialTensor>(*tensor);
  }
  return visit_(node);
}

bool Walker::tell_broken(const Error& error, ObjectNode node) {
  node.kind = ObjectKind::kBroken;
  node.error = error;
  return visit_(node);
}

bool Walker::tell_plain(Document& document, Value value, ObjectNode node) {
  const Graph& graph = document.graph();
  const auto index = graph.node_index(value);
  if (const auto known = index ? numbers_.find({&document, *index}) : numbers_.end();
      known != numbers_.end()) {
    node.kind = ObjectKind::kReference;
    node.number = known->second;
    return visit_(node);
  }
  ObjectView view = look(graph, value);
  node.kind = public_kind(view.kind);
  if (const std::string array = document.numpy().describe(value); !array.empty()) {
    tell_array(document, value, array, view, node);
  }
  if (is_container(node.kind) && index) {
    node.number = numbers_.size() + 1;
    numbers_.emplace(std::pair(&document, *index), node.number);
  }
  if (node.type.empty() && node.value.empty()) fill(graph, value, view, node);
  if (!visit_(node)) return false;
  if (is_container(node.kind) && node.depth < max_depth_) {
    frames_.push_back({&document, std::move(view.children), 0});
  }
  return true;
}

// A scalar of numpy is a number, an array of objects is a list of them; any other array is named.
void Walker::tell_array(Document& document, Value value, const std::string& description,
                        ObjectView& view, ObjectNode& node) {
  if (auto number = document.numpy().scalar(value)) {
    node.kind = public_kind(number->kind);
    node.value = std::move(number->text);
    return;
  }
  node.kind = ObjectKind::kOpaque;
  node.value = description;
  if (document.meaning(value) != Meaning::kObjects) return;
  const auto array = document.objects(value);
  if (!array) return;
  node.kind = ObjectKind::kSequence;
  node.type = description;
  node.value.clear();
  node.children = array->items.size();
  view.children.clear();
  for (std::uint64_t i = 0; i < array->items.size(); ++i) {
    view.children.push_back({Role::kIndex, Value(), i, array->items[i]});
  }
}

void Walker::fill(const Graph& graph, Value value, const ObjectView& view, ObjectNode& node) {
  const bool is_call = graph.kind(value) == PickleKind::kCall;
  switch (node.kind) {
    case ObjectKind::kSequence:
    case ObjectKind::kMapping:
      node.type = is_call ? dotted(view.module, view.name)
                          : std::string(pickle::kind_name(graph.kind(value)));
      node.children = view.children.size();
      return;
    case ObjectKind::kInstance:
      node.type = view.name.empty() ? pickle::expression(graph, graph.callable(value), 100)
                                    : dotted(view.module, view.name);
      node.children = view.children.size();
      return;
    case ObjectKind::kText:
      node.value = graph.text(value).substr(0, kMaxValueBytes);
      return;
    default:
      node.value = pickle::expression(graph, value, kMaxValueBytes);
      return;
  }
}

}  // namespace

void ObjectForest::walk(const std::function<bool(const ObjectNode&)>& visit,
                        unsigned max_depth) const {
  Walker walker(visit, max_depth);
  for (const Root& root : roots_) {
    if (!walker.walk(root)) return;
  }
}

}  // namespace tare::object

namespace tare {

std::string_view object_kind_name(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kNone:
      return "none";
    case ObjectKind::kBool:
      return "bool";
    case ObjectKind::kInt:
      return "int";
    case ObjectKind::kFloat:
      return "float";
    case ObjectKind::kComplex:
      return "complex";
    case ObjectKind::kText:
      return "text";
    case ObjectKind::kBytes:
      return "bytes";
    case ObjectKind::kName:
      return "name";
    case ObjectKind::kSequence:
      return "sequence";
    case ObjectKind::kMapping:
      return "mapping";
    case ObjectKind::kInstance:
      return "instance";
    case ObjectKind::kTensor:
      return "tensor";
    case ObjectKind::kSpecial:
      return "special_tensor";
    case ObjectKind::kBroken:
      return "broken";
    case ObjectKind::kReference:
      return "reference";
    case ObjectKind::kOpaque:
      return "opaque";
  }
  return "";
}

}  // namespace tare
