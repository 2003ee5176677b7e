#include "format/pieces.hpp"

#include <map>
#include <string_view>
#include <utility>

#include "object/object_forest.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::format {
namespace {

using object::Document;
using object::Graph;
using object::TorchTensor;
using object::Value;
using pickle::Op;

// The dicts of the tree. Keys are in the order in which they came.
class Tree {
 public:
  Tree() : nodes_(1) {}

  // False if the path contradicts one that was added before.
  bool add(const std::vector<std::string>& path, std::size_t piece);
  // As a pickle: each piece as a persistent id, its number.
  std::vector<std::byte> pickle() const;

 private:
  static constexpr std::size_t kNoPiece = SIZE_MAX;

  struct Node {
    std::string_view key;
    std::size_t piece = kNoPiece;
    std::vector<std::size_t> children;
  };

  std::vector<Node> nodes_;
  std::map<std::pair<std::size_t, std::string_view>, std::size_t> places_;  // by parent and key
};

bool Tree::add(const std::vector<std::string>& path, std::size_t piece) {
  std::size_t at = 0;
  bool fresh = false;
  for (const std::string& key : path) {
    if (nodes_[at].piece != kNoPiece) return false;
    const auto [place, added] = places_.try_emplace({at, key}, nodes_.size());
    if (added) {
      nodes_[at].children.push_back(nodes_.size());
      nodes_.push_back({key, kNoPiece, {}});
    }
    at = place->second;
    fresh = added;
  }
  nodes_[at].piece = piece;
  return fresh;
}

std::vector<std::byte> Tree::pickle() const {
  struct Open {
    const Node* node;
    std::size_t next;
  };
  pickle::Writer out;
  out.proto(2).op(Op::kEmptyDict, Op::kMark);
  std::vector<Open> open{{&nodes_.front(), 0}};
  while (!open.empty()) {
    Open& top = open.back();
    if (top.next == top.node->children.size()) {
      out.op(Op::kSetItems);
      open.pop_back();
      continue;
    }
    const Node& child = nodes_[top.node->children[top.next++]];
    out.binunicode(child.key);
    if (child.piece != kNoPiece) {
      out.integer(static_cast<std::int64_t>(child.piece)).op(Op::kBinPersId);
    } else {
      out.op(Op::kEmptyDict, Op::kMark);
      open.push_back({&child, 0});
    }
  }
  out.op(Op::kStop);
  return out.take();
}

// Also keeps the pickle, which the document refers to.
class PieceExternals : public object::Externals {
 public:
  PieceExternals(std::vector<Piece> pieces, std::vector<std::byte> pickle)
      : pieces_(std::move(pieces)), pickle_(std::move(pickle)) {}

  ByteSpan pickle() const { return pickle_; }

  bool is_tensor(const Graph& graph, Value value) const override {
    const Piece* const piece = find(graph, value);
    return piece != nullptr &&
           (!piece->content || std::holds_alternative<TorchTensor>(*piece->content));
  }
  // A document asks for each only once.
  Result<TorchTensor> tensor(const Graph& graph, Value value) override {
    auto& content = pieces_[number(graph, value)].content;
    if (!content) return std::unexpected(content.error());
    return std::move(std::get<TorchTensor>(*content));
  }
  Document* document(const Graph& graph, Value value) override {
    const Piece* const piece = find(graph, value);
    if (piece == nullptr || !piece->content) return nullptr;
    const auto* const document = std::get_if<std::unique_ptr<Document>>(&*piece->content);
    return document == nullptr ? nullptr : document->get();
  }

 private:
  static std::size_t number(const Graph& graph, Value value) {
    return static_cast<std::size_t>(graph.integer(graph.persistent_id(value)));
  }
  const Piece* find(const Graph& graph, Value value) const {
    return graph.kind(value) == pickle::Kind::kPersistent ? &pieces_[number(graph, value)]
                                                          : nullptr;
  }

  std::vector<Piece> pieces_;
  std::vector<std::byte> pickle_;
};

std::vector<std::byte> pickle_of(const std::vector<Piece>& pieces) {
  Tree tree;
  bool fits = true;
  for (std::size_t i = 0; i < pieces.size() && fits; ++i) fits = tree.add(pieces[i].path, i);
  return fits ? tree.pickle() : std::vector<std::byte>();
}

std::string joined(const std::vector<std::string>& path) {
  std::string name;
  for (const std::string& key : path) name += (name.empty() ? "" : ".") + key;
  return name;
}

}  // namespace

Result<std::unique_ptr<Document>> document_of_pieces(std::vector<Piece> pieces) {
  auto pickle = pickle_of(pieces);
  if (pickle.empty()) {
    for (Piece& piece : pieces) piece.path = {joined(piece.path)};
    Tree tree;
    for (std::size_t i = 0; i < pieces.size(); ++i) tree.add(pieces[i].path, i);
    pickle = tree.pickle();
  }
  auto externals = std::make_unique<PieceExternals>(std::move(pieces), std::move(pickle));
  pickle::Run run = pickle::run(externals->pickle());
  if (run.end != pickle::End::kStop) return std::unexpected(run.error);
  object::Surroundings surroundings;
  surroundings.externals = std::move(externals);
  return std::make_unique<Document>(std::move(run), std::move(surroundings));
}

Result<std::unique_ptr<Document>> only_document(ModelContents& contents) {
  auto* const forest = dynamic_cast<object::ObjectForest*>(contents.objects.get());
  auto roots = forest == nullptr ? std::vector<object::Root>() : forest->take_roots();
  if (roots.size() == 1 && roots.front().document) return std::move(roots.front().document);
  return fail(ErrorCode::kMalformed, "is stored as a file that holds no object");
}

}  // namespace tare::format
