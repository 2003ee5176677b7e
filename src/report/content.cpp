#include "report/content.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "report/text.hpp"

namespace tare::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxChildren = 100;
constexpr std::size_t kMaxLine = 100;
constexpr unsigned kMaxDepth = 64;
constexpr std::size_t kMaxObjects = 200'000;

bool is_container(ObjectKind kind) {
  return kind == ObjectKind::kSequence || kind == ObjectKind::kMapping ||
         kind == ObjectKind::kInstance;
}

bool is_tensor(ObjectKind kind) {
  return kind == ObjectKind::kTensor || kind == ObjectKind::kSpecial;
}

std::string cut(std::string text) {
  if (text.size() > kMaxLine) text.replace(kMaxLine, std::string::npos, "...");
  return text;
}

std::string tensor_text(const ObjectNode& node) {
  if (node.kind == ObjectKind::kTensor) {
    return fmt::format("{} {}", dtype_name(node.tensor->dtype), shape_text(node.tensor->shape));
  }
  return fmt::format("{} {} {}", special_kind_name(node.special->kind),
                     dtype_name(node.special->dtype), shape_text(node.special->shape));
}

std::string value_text(const ObjectNode& node) {
  switch (node.kind) {
    case ObjectKind::kTensor:
    case ObjectKind::kSpecial:
      return tensor_text(node);
    case ObjectKind::kText:
      return "'" + printable(node.value) + "'";
    case ObjectKind::kSequence:
    case ObjectKind::kMapping:
      return fmt::format("{} of {}", printable(node.type), node.children);
    case ObjectKind::kInstance:
      return printable(node.type);
    case ObjectKind::kBroken:
      return error_text(node.error);
    case ObjectKind::kReference:
      return fmt::format("#{} again", node.number);
    default:
      return printable(node.value);
  }
}

std::string key_text(const ObjectNode& node, std::uint64_t position) {
  if (node.role == ObjectRole::kKey || node.role == ObjectRole::kAttribute) {
    return (node.role == ObjectRole::kAttribute ? "." : "") + cut(printable(node.key));
  }
  return node.role == ObjectRole::kState ? "state" : fmt::format("[{}]", position);
}

// ---- text

class TextWriter {
 public:
  explicit TextWriter(unsigned depth) : depth_(depth) {}

  bool take(const ObjectNode& node);
  std::string finish() {
    close(0);
    return std::move(out_);
  }

 private:
  // A container whose children come.
  struct Open {
    std::string line;  // of its own; written when something in it is
    std::uint64_t children;
    std::uint64_t taken = 0;
    std::uint64_t tensors = 0;  // right below it, not written one by one
    bool written = false;
  };

  void write_open();
  void close(std::size_t depth);
  static std::string indent(std::size_t depth) { return std::string(2 * depth + 2, ' '); }

  unsigned depth_;
  std::string out_;
  std::vector<Open> open_;
};

// Containers are written with the first thing in them that is no tensor, or when they end.
void TextWriter::write_open() {
  for (Open& open : open_) {
    if (!open.written) out_ += open.line + "\n";
    open.written = true;
  }
}

void TextWriter::close(std::size_t depth) {
  while (open_.size() > depth) {
    Open& open = open_.back();
    const std::size_t level = open_.size();
    if (open.tensors > 0 && !open.written) {
      open.line += fmt::format(", {} of them tensors", open.tensors);
    }
    const bool tensors_left = open.tensors > 0 && open.written;
    write_open();
    if (tensors_left) {
      out_ +=
          fmt::format("{}{} tensor{}\n", indent(level), open.tensors, open.tensors == 1 ? "" : "s");
    }
    if (open.taken > kMaxChildren) {
      out_ += fmt::format("{}and {} more\n", indent(level), open.taken - kMaxChildren);
    }
    open_.pop_back();
  }
}

bool TextWriter::take(const ObjectNode& node) {
  close(node.depth);
  if (open_.size() < node.depth) return true;  // below something that is not shown
  std::uint64_t position = 0;
  if (!open_.empty()) {
    Open& holder = open_.back();
    position = holder.taken;
    if (is_tensor(node.kind)) {
      ++holder.tensors;
      return true;
    }
    if (++holder.taken > kMaxChildren) return true;
  }
  std::string line = indent(node.depth);
  if (node.role != ObjectRole::kRoot) {
    line += key_text(node, position) + ": ";
  } else if (!node.key.empty()) {
    line += printable(node.key) + ": ";
  }
  line += cut(value_text(node));
  if (is_container(node.kind) && node.depth < depth_) {
    open_.push_back({std::move(line), node.children});
    return true;
  }
  write_open();
  out_ += line + "\n";
  return true;
}

// ---- JSON

Json number_json(const std::string& text) {
  std::int64_t integer = 0;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, integer).ptr == end) return integer;
  double real = 0;
  const auto read = std::from_chars(text.data(), end, real);
  if (read.ptr == end && read.ec == std::errc{} && std::isfinite(real)) return real;
  return text;  // too large, or no number of JSON
}

Json value_json(const ObjectNode& node) {
  switch (node.kind) {
    case ObjectKind::kNone:
      return nullptr;
    case ObjectKind::kBool:
      return node.value == "True";
    case ObjectKind::kInt:
    case ObjectKind::kFloat:
      return number_json(node.value);
    default:
      return node.value;
  }
}

Json object_json(const ObjectNode& node) {
  Json out;
  out["kind"] = object_kind_name(node.kind);
  const bool is_root = node.role == ObjectRole::kRoot;
  if (node.role == ObjectRole::kKey || (is_root && !node.key.empty())) out["key"] = node.key;
  if (node.role == ObjectRole::kAttribute) out["attribute"] = node.key;
  switch (node.kind) {
    case ObjectKind::kTensor:
      out["dtype"] = dtype_name(node.tensor->dtype);
      out["shape"] = node.tensor->shape;
      break;
    case ObjectKind::kSpecial:
      out["layout"] = special_kind_name(node.special->kind);
      out["dtype"] = dtype_name(node.special->dtype);
      out["shape"] = node.special->shape;
      break;
    case ObjectKind::kSequence:
    case ObjectKind::kMapping:
    case ObjectKind::kInstance:
      out["type"] = node.type;
      out["number"] = node.number;
      out["items"] = Json::array();
      break;
    case ObjectKind::kReference:
      out["number"] = node.number;
      break;
    case ObjectKind::kBroken:
      out["error"] = error_code_name(node.error.code);
      out["message"] = error_text(node.error);
      break;
    default:
      out["value"] = value_json(node);
      break;
  }
  return out;
}

}  // namespace

bool has_content(const Objects& objects) {
  bool found = false;
  objects.walk([&found](const ObjectNode& node) {
    found = !is_tensor(node.kind) && node.kind != ObjectKind::kSequence &&
            node.kind != ObjectKind::kMapping;
    return !found;
  });
  return found;
}

std::string content_text(const Objects& objects, unsigned depth) {
  TextWriter writer(depth);
  objects.walk([&writer](const ObjectNode& node) { return writer.take(node); }, depth);
  return writer.finish();
}

nlohmann::ordered_json content_json(const Objects& objects) {
  // A document is built from its end: the holder takes what it holds when that is complete.
  std::vector<Json> open;
  Json roots = Json::array();
  std::size_t count = 0;
  const auto close = [&](std::size_t depth) {
    while (open.size() > depth) {
      Json done = std::move(open.back());
      open.pop_back();
      if (open.empty()) {
        roots.push_back(std::move(done));
      } else {
        open.back()["items"].push_back(std::move(done));
      }
    }
  };
  objects.walk(
      [&](const ObjectNode& node) {
        close(node.depth);
        if (++count > kMaxObjects) {
          if (!open.empty()) open.back()["cut"] = true;
          return false;
        }
        open.push_back(object_json(node));
        if (node.depth == kMaxDepth && is_container(node.kind) && node.children > 0) {
          open.back()["cut"] = true;
        }
        return true;
      },
      kMaxDepth);
  close(0);
  return roots;
}

}  // namespace tare::report
