// Walks the objects of a document and names the tensors in them.
//
// Names are paths: keys of dicts, positions of lists and names of attributes, with dots between. A
// torch.nn.Module has the names that its state_dict() has. Objects that hold each other are walked
// once around; what is shared is walked wherever it stands. Steps, depth and the length of all
// names are bounded: what lies beyond is a Trouble.
#pragma once

#include <string>
#include <vector>

#include "object/document.hpp"

namespace tare::object {

// What is no tensor and holds none.
struct Leaf {
  std::string path;
  std::string text;        // "int 3", "dict of 12": that of describe()
  std::string value;       // of a scalar: a text as it is, other values as Python writes them
  bool is_scalar = false;  // None, a bool, number or text; without collapse also a list of these
};

// A tensor that cannot be read, or a part that was not walked.
struct Trouble {
  std::string path;
  Error error;
};

struct Collected {
  std::vector<NamedTensor> tensors;
  std::vector<SpecialTensor> specials;
  std::vector<Leaf> leaves;
  std::vector<Trouble> troubles;

  bool has_tensors() const { return !tensors.empty() || !specials.empty(); }
};

struct CollectOptions {
  std::string prefix{};  // of all names, without the dot
  // One leaf for an object without any tensor, in place of one for each thing in it.
  bool collapse = true;
};

// The tensors in `root` and below. One that stands at the root itself is named "tensor".
Collected collect(Document& document, Value root, const CollectOptions& options = {});

// How many tensors are in `root` and below, counting no further than `most`.
std::size_t count_tensors(Document& document, Value root, std::size_t most);

// What collect() takes as the name of a child, without the path: "weight", "0".
std::string child_name(const Graph& graph, const Child& child);

// The objects that collect() looks at below a value: of a module its parameters, buffers and
// modules, of anything else what look() finds.
std::vector<Child> named_children(Document& document, Value value);

// "dict of 3", "torch.nn.modules.linear.Linear", "int 3": text of the input, not fit for a terminal
// as it is.
std::string describe(Document& document, Value value);

// True for an object with the attributes of a torch.nn.Module.
bool is_module(const Graph& graph, Value value);

}  // namespace tare::object
