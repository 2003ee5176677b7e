// Walks the objects of a document and names the tensors in them.
//
// Names are paths: keys of dicts, positions of lists and names of attributes, with dots between. A
// torch.nn.Module has the names that its state_dict() has. Objects that hold each other are walked
// once around; what is shared is walked wherever it stands. Steps, depth and the length of all
// texts are bounded: what lies beyond is a Trouble.
#pragma once

#include <set>
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

// What walks over the objects of a file may cost together. A file needs far less unless its objects
// share each other again and again: a few bytes can stand for more objects than can be counted.
class WalkBudget {
 public:
  // For so many walks over everything.
  explicit WalkBudget(std::uint64_t walks = 1) : walks_(walks) {}
  // Adds what a document affords; once for each.
  void add(const Document& document);
  // False if it is used up, from then on.
  bool take_steps(std::uint64_t count) { return take(steps_, count); }
  bool take_text(std::uint64_t bytes) { return take(text_, bytes); }
  bool is_used_up() const { return used_up_; }

 private:
  bool take(std::uint64_t& left, std::uint64_t count) {
    used_up_ = used_up_ || count > left;
    left -= used_up_ ? 0 : count;
    return !used_up_;
  }

  std::uint64_t walks_;
  std::set<const Document*> documents_;
  std::uint64_t steps_ = 100'000;                  // objects looked at
  std::uint64_t text_ = std::uint64_t{256} << 20;  // bytes of names and values
  bool used_up_ = false;
};
// What is told when a budget is used up.
Error too_many_objects();

struct CollectOptions {
  std::string prefix{};  // of all names, without the dot
  // One leaf for an object without any tensor, in place of one for each thing in it.
  bool collapse = true;
};

// The tensors in `root` and below. One that stands at the root itself is named "tensor". A budget
// that is used up is a Trouble; without one, the walk has its own.
Collected collect(Document& document, Value root, const CollectOptions& options = {},
                  WalkBudget* budget = nullptr);

// True if there is a tensor in `root` or below, or if the budget is used up.
bool holds_tensors(Document& document, Value root, WalkBudget* budget = nullptr);

// What collect() takes as the name of a child, without the path: "weight", "0". Of a text, `most`
// bytes.
std::string child_name(const Graph& graph, const Child& child, std::size_t most = SIZE_MAX);

// The objects that collect() looks at below a value: of a module its parameters, buffers and
// modules, of anything else what look() finds. Nothing if the budget is used up.
std::vector<Child> named_children(Document& document, Value value, WalkBudget& budget);

// "dict of 3", "torch.nn.modules.linear.Linear", "int 3": text of the input, not fit for a terminal
// as it is. Empty if the budget is used up.
std::string describe(Document& document, Value value, WalkBudget& budget);

// True for an object with the attributes of a torch.nn.Module.
bool is_module(const Graph& graph, Value value);

}  // namespace tare::object
