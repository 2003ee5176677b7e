// Objects that stand in no single pickle, as one tree: for models whose tensors and objects are
// kept apart, each under the path of keys that it has in the whole.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "object/document.hpp"
#include "tare/model.hpp"

namespace tare::format {

// A tensor, or what a file of its own holds.
using PieceContent = std::variant<object::TorchTensor, std::unique_ptr<object::Document>>;

struct Piece {
  std::vector<std::string> path;  // keys from the root down, at least one
  Result<PieceContent> content;   // an error is told wherever the piece would be used
};

// A document whose root is a dict of dicts with the pieces at its ends. If a path ends inside of
// another one, each piece stands under its keys joined by dots, in one dict. No two pieces may have
// the same joined keys. Errors: kLimit (more keys than a pickle may have here).
Result<std::unique_ptr<object::Document>> document_of_pieces(std::vector<Piece> pieces);

// The document of a file that holds one object. Takes it out of the contents. Errors: kMalformed.
Result<std::unique_ptr<object::Document>> only_document(ModelContents& contents);

}  // namespace tare::format
