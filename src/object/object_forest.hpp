// The objects of a model file: one document, or several with names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "object/collect.hpp"
#include "tare/objects.hpp"

namespace tare::object {

// One pickle of a file, or tensors that stand in no pickle.
struct Root {
  std::string name;   // empty if the file has only this one
  std::string entry;  // of the container, that holds the pickle
  std::unique_ptr<Document> document{};
  std::vector<NamedTensor> tensors{};  // if there is no document; names without that of the root
  std::vector<Leaf> leaves{};          // likewise: what is no tensor
  bool is_named = false;  // its name stays in front of those of its tensors if it is the model
};

class ObjectForest : public Objects {
 public:
  explicit ObjectForest(std::vector<Root> roots) : roots_(std::move(roots)) {}

  std::vector<Root> take_roots() { return std::move(roots_); }
  const std::vector<Root>& roots() const { return roots_; }

  void walk(const std::function<bool(const ObjectNode&)>& visit, unsigned max_depth) const override;

 private:
  std::vector<Root> roots_;
};

}  // namespace tare::object
