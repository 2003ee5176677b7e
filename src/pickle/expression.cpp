// Values and events as Python text, for findings and error messages. The full decompiler is a
// different reader of the same graph; this one is bounded, so that a finding stays one line.
#include <set>

#include "io/utf8.hpp"
#include "pickle/escape.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {
namespace {

// Writes an expression with an explicit stack of work, stops when the text is long enough. Looks at
// no more values than it may write characters: a call of a call of a call has no text before the
// innermost one.
class ExpressionWriter {
 public:
  ExpressionWriter(const Graph& graph, std::size_t max_length)
      : graph_(graph), max_length_(max_length) {}

  std::string write(Value value);

 private:
  struct Work {
    std::string_view literal;  // written if not empty; otherwise `value` is
    Value value;
    bool leaves = false;  // `value` is finished: it is no longer inside itself
  };

  void expand(Value value);
  void expand_items(std::string_view open, std::string_view close, Value value);
  void expand_opaque(Value value);
  void write_text(Value value);
  // Work is pushed in reverse: what is written first goes on top.
  void then(std::string_view literal) { pending_.push_back({literal, {}}); }
  void then(Value value) { pending_.push_back({{}, value}); }
  void schedule();

  const Graph& graph_;
  std::size_t max_length_;
  std::string out_;
  std::vector<Work> work_;
  std::vector<Work> pending_;
  std::set<std::uint32_t> open_;  // containers being written: a cycle ends here
  std::size_t expanded_ = 0;
};

std::string ExpressionWriter::write(Value value) {
  then(value);
  schedule();
  while (!work_.empty()) {
    if (out_.size() >= max_length_) return out_.ends_with("...") ? out_ : out_ + "...";
    const Work work = work_.back();
    work_.pop_back();
    if (work.leaves) {
      open_.erase(work.value.bits());
    } else if (!work.literal.empty()) {
      out_ += work.literal;
    } else if (expanded_ >= max_length_) {
      out_ += "...";
    } else {
      ++expanded_;
      expand(work.value);
      schedule();
    }
  }
  return out_;
}

void ExpressionWriter::schedule() {
  work_.insert(work_.end(), pending_.rbegin(), pending_.rend());
  pending_.clear();
}

void ExpressionWriter::write_text(Value value) {
  const std::size_t room = max_length_ > out_.size() ? max_length_ - out_.size() : 1;
  const std::string_view text = graph_.text(value);
  switch (graph_.kind(value)) {
    case Kind::kBytes:
      append_python_bytes(out_, text, room);
      break;
    case Kind::kByteArray:
      out_ += "bytearray(";
      append_python_bytes(out_, text, room);
      out_ += ')';
      break;
    case Kind::kBigInt:
      if (graph_.is_decimal_text(value)) {
        append_printable(out_, text, room);
      } else {
        out_ += "int.from_bytes(";
        append_python_bytes(out_, text, room);
        out_ += ", 'little', signed=True)";
      }
      break;
    case Kind::kPy2String:
      // What is no ASCII is up to the loader: the bytes themselves.
      if (!is_ascii(text)) {
        append_python_bytes(out_, text, room);
        break;
      }
      [[fallthrough]];
    default:
      append_python_string(out_, text, room);
      break;
  }
}

void ExpressionWriter::expand(Value value) {
  switch (graph_.kind(value)) {
    case Kind::kNone:
      out_ += "None";
      return;
    case Kind::kBool:
      out_ += graph_.boolean(value) ? "True" : "False";
      return;
    case Kind::kInt:
      out_ += std::to_string(graph_.integer(value));
      return;
    case Kind::kFloat:
      append_python_float(out_, graph_.real(value));
      return;
    case Kind::kBigInt:
    case Kind::kString:
    case Kind::kPy2String:
    case Kind::kBytes:
    case Kind::kByteArray:
      write_text(value);
      return;
    case Kind::kTuple:
    case Kind::kList:
    case Kind::kDict:
    case Kind::kSet:
    case Kind::kFrozenSet:
    case Kind::kGlobal:
    case Kind::kCall:
    case Kind::kPersistent:
    case Kind::kExtension:
    case Kind::kBuffer:
      break;
  }
  if (!open_.insert(value.bits()).second) {
    out_ += "...";
    return;
  }
  switch (graph_.kind(value)) {
    case Kind::kTuple: {
      const auto items = graph_.tuple_items(value);
      then("(");
      for (std::size_t i = 0; i < items.size() && i < max_length_; ++i) {
        if (i > 0) then(", ");
        then(items[i]);
      }
      then(items.size() == 1 ? ",)" : ")");
      break;
    }
    case Kind::kList:
      expand_items("[", "]", value);
      break;
    case Kind::kDict:
      expand_items("{", "}", value);
      break;
    case Kind::kSet:
      // Not by length(), which looks at every update.
      graph_.updates(value).begin() == graph_.updates(value).end() ? then("set()")
                                                                   : expand_items("{", "}", value);
      break;
    case Kind::kFrozenSet:
      expand_items("frozenset([", "])", value);
      break;
    default:
      expand_opaque(value);
      break;
  }
  pending_.push_back({{}, value, true});
}

void ExpressionWriter::expand_items(std::string_view open, std::string_view close, Value value) {
  then(open);
  std::size_t written = 0;
  for (const Update update : graph_.updates(value)) {
    const bool pairs = update.kind == UpdateKind::kSetItems;
    for (std::size_t i = 0; i < update.items.size(); ++i) {
      if (++written > max_length_) break;
      const bool is_value = pairs && i % 2 == 1;
      if (is_value) {
        then(": ");
      } else if (written > 1) {
        then(", ");
      }
      then(update.items[i]);
    }
    if (written > max_length_) break;
  }
  then(close);
}

void ExpressionWriter::expand_opaque(Value value) {
  switch (graph_.kind(value)) {
    case Kind::kGlobal: {
      const Value module = graph_.module(value);
      const Value name = graph_.name(value);
      if (graph_.is_text(module) && graph_.is_text(name)) {
        append_printable(out_, graph_.text(module), max_length_);
        out_ += '.';
        append_printable(out_, graph_.text(name), max_length_);
      } else {
        then("getattr(__import__(");
        then(module);
        then("), ");
        then(name);
        then(")");
      }
      break;
    }
    case Kind::kCall: {
      const Value arguments = graph_.arguments(value);
      const Op op = graph_.made_by(value);
      const bool is_new = op == Op::kNewObj || op == Op::kNewObjEx;
      then(graph_.callable(value));
      then(is_new ? ".__new__(" : "(");
      if (is_new) then(graph_.callable(value));
      if (graph_.kind(arguments) == Kind::kTuple) {
        bool first = !is_new;
        std::size_t written = 0;
        for (const Value item : graph_.tuple_items(arguments)) {
          if (++written > max_length_) break;
          if (!first) then(", ");
          first = false;
          then(item);
        }
      } else {
        then(is_new ? ", *" : "*");
        then(arguments);
      }
      if (op == Op::kNewObjEx) {
        then(", **");
        then(graph_.keywords(value));
      }
      then(")");
      break;
    }
    case Kind::kPersistent:
      then("persistent_load(");
      then(graph_.persistent_id(value));
      then(")");
      break;
    case Kind::kExtension:
      then("copyreg._inverted_registry[");
      then(graph_.extension_code(value));
      then("]");
      break;
    default:
      // The read-only form of an object has the same bytes.
      if (graph_.made_by(value) == Op::kReadonlyBuffer) {
        then(graph_.writable_form(value));
      } else {
        then("next(buffers)");
      }
      break;
  }
}

}  // namespace

std::string expression(const Graph& graph, Value value, std::size_t max_length) {
  return ExpressionWriter(graph, max_length).write(value);
}

namespace {

// SETITEMS with several items: "x.update({1: 2, 3: 4})".
std::string items_statement(const Graph& graph, std::string_view subject,
                            std::span<const Value> items, std::size_t max_length) {
  std::string text(subject);
  text += ".update({";
  const std::size_t limit = text.size() + max_length;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (i > 0) text += ", ";
    if (text.size() > limit) {
      text += "...";
      break;
    }
    text += expression(graph, items[i], max_length);
    text += ": ";
    text += expression(graph, items[i + 1], max_length);
  }
  return text += "})";
}

}  // namespace

std::string statement(const Graph& graph, const Event& event, std::size_t max_length) {
  std::string subject = expression(graph, event.subject, max_length);
  switch (event.kind) {
    case EventKind::kImport: {
      const Value module = graph.module(event.subject);
      const Value name = graph.name(event.subject);
      if (!graph.is_text(module) || !graph.is_text(name)) return subject;
      std::string text = "from ";
      append_printable(text, graph.text(module), max_length);
      text += " import ";
      append_printable(text, graph.text(name), max_length);
      return text;
    }
    case EventKind::kBuild:
      return subject + ".__setstate__(" + expression(graph, event.argument, max_length) + ")";
    case EventKind::kAppend: {
      const auto items = graph.tuple_items(event.argument);
      if (items.size() == 1) {
        return subject + ".append(" + expression(graph, items[0], max_length) + ")";
      }
      return subject + ".extend(" + expression(graph, event.argument, max_length) + ")";
    }
    case EventKind::kSetItems: {
      const auto items = graph.tuple_items(event.argument);
      if (items.size() == 2) {
        return subject + "[" + expression(graph, items[0], max_length) +
               "] = " + expression(graph, items[1], max_length);
      }
      return items_statement(graph, subject, items, max_length);
    }
    case EventKind::kAddItems:
      return subject + ".update(" + expression(graph, event.argument, max_length) + ")";
    case EventKind::kCall:
    case EventKind::kPersistentLoad:
    case EventKind::kExtension:
    case EventKind::kBuffer:
      return subject;
  }
  return subject;
}

}  // namespace tare::pickle
