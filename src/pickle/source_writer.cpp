#include "pickle/source_writer.hpp"

#include <utility>

#include "io/utf8.hpp"
#include "pickle/escape.hpp"

namespace tare::pickle {
namespace {

// About the length of a line at which the items of a container go on in another statement.
constexpr std::size_t kLineLength = 100;
// Longer texts are cut into pieces of this length.
constexpr std::size_t kPieceLength = 2000;
constexpr std::size_t kFlushLength = std::size_t{1} << 15;
// CPython converts no decimals longer than this, not even in source.
constexpr std::size_t kMaxDecimals = 4300;

struct Brackets {
  std::string_view open;
  std::string_view close;
};

Brackets brackets_of(Kind kind) {
  switch (kind) {
    case Kind::kList:
      return {"[", "]"};
    case Kind::kFrozenSet:
      return {"frozenset([", "])"};
    default:
      return {"{", "}"};
  }
}

std::string_view empty_of(Kind kind) {
  switch (kind) {
    case Kind::kList:
      return "[]";
    case Kind::kDict:
      return "{}";
    case Kind::kSet:
      return "set()";
    default:
      return "frozenset()";
  }
}

// Two's complement, little-endian, as 0x...: the length of the text is linear in the number, and
// Python reads it in linear time, neither of which is so for decimals.
void append_hex_integer(std::string& out, std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const bool negative = (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  std::string magnitude(bytes);
  unsigned carry = 1;
  for (std::size_t i = 0; negative && i < magnitude.size(); ++i) {
    const unsigned sum = (static_cast<unsigned char>(~magnitude[i]) & 0xFFU) + carry;
    magnitude[i] = static_cast<char>(sum & 0xFF);
    carry = sum >> 8;
  }
  while (magnitude.size() > 1 && magnitude.back() == '\0') magnitude.pop_back();
  out += negative ? "-0x" : "0x";
  const auto top = static_cast<unsigned char>(magnitude.back());
  if (top >= 16) out += kDigits[top >> 4];
  out += kDigits[top & 15];
  for (std::size_t i = magnitude.size() - 1; i > 0; --i) {
    const auto byte = static_cast<unsigned char>(magnitude[i - 1]);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

// More than any escapes take: texts are not cut.
std::size_t room_for(std::string_view text) {
  return 10 * text.size() + 10;
}

void append_decimal_integer(std::string& out, std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const bool plain = digits.find_first_not_of("0123456789") == std::string_view::npos &&
                     digits.front() != '0' && digits.size() <= kMaxDecimals;
  if (plain) {
    out += text;
    return;
  }
  // As an unpickler reads it, and fails where that fails.
  out += "int(";
  append_python_string(out, text, room_for(text));
  out += ", 0)";
}

// The length of the next piece of a text, which ends at the end of a character.
std::size_t piece_length(std::string_view text, bool is_utf8) {
  if (text.size() <= kPieceLength) return text.size();
  std::size_t length = kPieceLength;
  while (is_utf8 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  return length;
}

}  // namespace

SourceWriter::SourceWriter(const DecompileOptions& options, const DecompileSink& sink)
    : options_(options), sink_(sink) {
  out_.reserve(kFlushLength + 2 * kLineLength);
}

// ---- runs

void SourceWriter::begin_run(const Run& run, std::uint64_t base) {
  run_ = &run;
  graph_ = &run.graph;
  base_ = base;
  first_variable_ = next_variable_;
  bound_names_.clear();
  names_.begin_run();
}

void SourceWriter::write(const Run& run, std::uint64_t base, std::string_view result_name) {
  begin_run(run, base);
  DecompilePlan plan(run);
  plan_ = &plan;
  write_helpers();
  write_program(result_name);
}

void SourceWriter::write_commented(const Run& run, std::uint64_t base,
                                   std::string_view result_name) {
  begin_run(run, base);
  DecompilePlan plan(run);
  plan_ = &plan;
  prefix_ = "#   ";
  write_program(result_name);
  prefix_ = {};
}

void SourceWriter::write_program(std::string_view result_name) {
  auto step = plan_->steps().begin();
  const auto steps_before = [&](std::uint64_t position) {
    for (; step != plan_->steps().end() && step->position < position; ++step) write_step(*step);
  };
  for (const Event& event : run_->events) {
    if (refused_) return;
    steps_before(event.position);
    event_ = &event;
    write_event(event);
    event_ = nullptr;
  }
  steps_before(UINT64_MAX);
  if (run_->end == End::kStop) {
    line_.clear();
    append(run_->result);
    end_statement(result_name, " = ");
    return;
  }
  line_ = "# the stream breaks here: ";
  line_ += std::string_view(run_->error.what);
  line_ += " (at byte ";
  line_.append_number(base_ + run_->end_offset);
  line_ += ')';
  add_line(line_.view());
}

void SourceWriter::comment(std::string_view text) {
  add_line("# ", text);
}

void SourceWriter::write_helpers() {
  for (const Event& event : run_->events) write_helpers_for(event);
  for (const auto& step : plan_->steps()) {
    if (graph_->kind(step.value) == Kind::kBuffer) write_helper(Helper::kReadonly);
  }
  for (const Oddity& oddity : run_->oddities) {
    if (oddity.kind == OddityKind::kNonAsciiString) write_helper(Helper::kPy2String);
  }
}

void SourceWriter::write_helpers_for(const Event& event) {
  switch (event.kind) {
    case EventKind::kImport: {
      const auto module = graph_->module_text(event.subject);
      const auto name = graph_->name_text(event.subject);
      const bool path = graph_->protocol(event.subject) >= 4;
      if (!is_importable(module, name) && !(path && is_importable_path(module, name))) {
        write_helper(Helper::kFindClass);
      }
      break;
    }
    case EventKind::kCall:
      if (is_instantiation(event)) write_helper(Helper::kInstantiate);
      break;
    case EventKind::kBuild:
      write_helper(Helper::kBuild);
      break;
    case EventKind::kExtension:
      write_helper(Helper::kExtensions);
      write_helper(Helper::kFindClass);
      break;
    case EventKind::kPersistentLoad:
      write_helper(Helper::kPersistentLoad);
      break;
    case EventKind::kBuffer:
      write_helper(Helper::kBuffers);
      break;
    case EventKind::kAppend:
    case EventKind::kSetItems:
    case EventKind::kAddItems:
      break;
  }
}

void SourceWriter::write_helper(Helper helper) {
  bool& defined = defined_helpers_[static_cast<std::size_t>(helper)];
  if (defined) return;
  defined = true;
  out_ += helper_source(helper);
  out_ += '\n';
}

// ---- statements

void SourceWriter::write_event(const Event& event) {
  line_.clear();
  switch (event.kind) {
    case EventKind::kImport:
      write_import(event);
      break;
    case EventKind::kCall:
      write_call(event);
      break;
    case EventKind::kBuild:
      line_ = "_build(";
      append(event.subject);
      line_ += ", ";
      append(event.argument);
      line_ += ')';
      end_statement();
      break;
    case EventKind::kAppend:
      write_appended(event);
      break;
    case EventKind::kSetItems:
      write_stored(event);
      break;
    case EventKind::kAddItems:
      write_added(event);
      break;
    case EventKind::kPersistentLoad:
      line_ = "persistent_load(";
      append(event.argument);
      line_ += ')';
      end_assignment(event.subject);
      break;
    case EventKind::kExtension:
      line_ = "_find_class(*copyreg._inverted_registry[";
      append(event.argument);
      line_ += "])";
      end_assignment(event.subject);
      break;
    case EventKind::kBuffer:
      line_ = "next(buffers)";
      end_assignment(event.subject);
      break;
  }
}

void SourceWriter::write_import(const Event& event) {
  const Value global = event.subject;
  const auto module = graph_->module_text(global);
  const auto name = graph_->name_text(global);
  const bool path = graph_->protocol(global) >= 4;
  if (is_importable(module, name)) {
    const std::string bound = names_.bind(module, name, global, *plan_);
    line_ += "from ";
    line_ += module;
    line_ += " import ";
    line_ += name;
    if (bound != name) add_alias(bound);
    slot(global) = kBound | static_cast<std::uint32_t>(bound_names_.size());
    bound_names_.push_back(bound);
    end_statement();
    return;
  }
  if (path && is_importable_path(module, name)) return write_path_import(event, module, name);
  line_ = "_find_class(";
  append(graph_->module(global));
  line_ += ", ";
  append(graph_->name(global));
  line_ += path ? ")" : ", dotted=False)";
  end_assignment(global);
}

void SourceWriter::add_alias(std::string_view bound) {
  line_ += " as ";
  line_ += bound;
}

// pathlib, os.system: the name is a path of attributes from the module on.
void SourceWriter::write_path_import(const Event& event, std::string_view module,
                                     std::string_view path) {
  const auto dot = module.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? module : module.substr(dot + 1);
  const std::string bound = names_.bind(module, last, {}, *plan_);
  line_ += "import ";
  line_ += module;
  if (bound != module) add_alias(bound);
  end_statement();
  line_ = bound;
  line_ += '.';
  line_ += path;
  end_assignment(event.subject);
}

bool SourceWriter::is_instantiation(const Event& event) const {
  const Value arguments = graph_->arguments(event.subject);
  return (event.op == Op::kObj || event.op == Op::kInst) &&
         graph_->kind(arguments) == Kind::kTuple && graph_->tuple_items(arguments).empty();
}

void SourceWriter::write_call(const Event& event) {
  const Value call = event.subject;
  const Value callable = graph_->callable(call);
  if (is_instantiation(event)) {
    line_ = "_instantiate(";
    append(callable);
  } else {
    const bool is_new = event.op == Op::kNewObj || event.op == Op::kNewObjEx;
    append(callable);
    line_ += is_new ? ".__new__(" : "(";
    if (is_new) append_name(callable);
    append_arguments(graph_->arguments(call), !is_new);
    if (event.op == Op::kNewObjEx) {
      line_ += ", **";
      append(graph_->keywords(call));
    }
  }
  line_ += ')';
  end_assignment(call);
}

void SourceWriter::append_arguments(Value arguments, bool is_first) {
  if (graph_->kind(arguments) != Kind::kTuple || plan_->is_variable(arguments)) {
    line_ += is_first ? "*" : ", *";
    append(arguments);
    return;
  }
  append_items(graph_->tuple_items(arguments), is_first);
}

void SourceWriter::write_appended(const Event& event) {
  const auto items = graph_->tuple_items(event.argument);
  append(event.subject);
  line_ += event.op == Op::kAppend ? ".append(" : ".extend([";
  bool is_first = true;
  append_items(items, is_first);
  line_ += event.op == Op::kAppend ? ")" : "])";
  end_statement();
}

void SourceWriter::write_stored(const Event& event) {
  const auto items = graph_->tuple_items(event.argument);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    line_.clear();
    append_name(event.subject);
    line_ += '[';
    append(items[i]);
    line_ += "] = ";
    append(items[i + 1]);
    end_statement();
  }
  plan_->take_use(event.subject);
}

void SourceWriter::write_added(const Event& event) {
  for (const Value item : graph_->tuple_items(event.argument)) {
    line_.clear();
    append_name(event.subject);
    line_ += ".add(";
    append(item);
    line_ += ')';
    end_statement();
  }
  plan_->take_use(event.subject);
}

void SourceWriter::write_step(const DecompilePlan::Step& step) {
  const Kind kind = graph_->kind(step.value);
  line_.clear();
  switch (kind) {
    case Kind::kTuple:
      append_tuple(step.value);
      return end_assignment(step.value);
    case Kind::kFrozenSet:
      append_contents(step.value);
      return end_assignment(step.value);
    case Kind::kBuffer:
      line_ = "_readonly(";
      append(graph_->writable_form(step.value));
      line_ += ')';
      return end_assignment(step.value);
    default:
      return fill(step.value, graph_->update_at(step.position));
  }
}

// The items of one update of a list, dict or set, a line of them at a time.
void SourceWriter::fill(Value container, const Update& update) {
  const Kind kind = graph_->kind(container);
  const std::size_t distance = kind == Kind::kDict ? 2 : 1;
  std::size_t count = 0;
  for (std::size_t i = 0; i + distance <= update.items.size() && !refused_; i += distance) {
    if (count > 0) line_ += ", ";
    append(update.items[i]);
    const std::size_t key_end = line_.size();
    if (kind == Kind::kDict) {
      line_ += ": ";
      append(update.items[i + 1]);
    }
    ++count;
    if (line_.size() >= kLineLength || i + distance >= update.items.size()) {
      add_group(container, kind, count, key_end);
      line_.clear();
      count = 0;
    }
  }
}

// line_ holds items: they make the container, or are added to it. What holds itself exists by now:
// it was defined when its items were written.
void SourceWriter::add_group(Value container, Kind kind, std::size_t count, std::size_t key_end) {
  const Brackets brackets = brackets_of(kind);
  if (slot(container) == 0) {
    std::string front = new_variable(container) + " = ";
    return add_line(front.append(brackets.open), line_.view(), brackets.close);
  }
  std::string front = name_of(container);
  if (count > 1) {
    front += kind == Kind::kList ? ".extend(" : ".update(";
    front += brackets.open;
    return add_line(front, line_.view(), std::string(brackets.close) + ")");
  }
  if (kind == Kind::kDict) {
    front.append("[").append(line_.view().substr(0, key_end)).append("] = ");
    return add_line(front, line_.view().substr(key_end + 2));
  }
  front += kind == Kind::kList ? ".append(" : ".add(";
  add_line(front, line_.view(), ")");
}

void SourceWriter::end_statement(std::string_view front, std::string_view back) {
  add_line(front, back, line_.view());
}

void SourceWriter::end_assignment(Value value) {
  end_statement(new_variable(value), " = ");
}

// ---- expressions

// A value in one of its uses.
void SourceWriter::append(Value value) {
  const Kind kind = graph_->kind(value);
  if (kind >= Kind::kGlobal || (kind >= Kind::kBigInt && plan_->is_variable(value))) {
    append_name(value);
    plan_->take_use(value);
  } else {
    append_plain(value, kind);
  }
}

// Recursion is bounded by the plan: what is nested deeper has a variable.
void SourceWriter::append_plain(Value value, Kind kind) {
  switch (kind) {
    case Kind::kNone:
      line_ += "None";
      break;
    case Kind::kBool:
      line_ += graph_->boolean(value) ? "True" : "False";
      break;
    case Kind::kInt:
      line_.append_number(graph_->integer(value));
      break;
    case Kind::kFloat:
      scratch_.clear();
      append_python_float(scratch_, graph_->real(value));
      line_ += scratch_;
      break;
    case Kind::kTuple:
      append_tuple(value);
      break;
    case Kind::kList:
    case Kind::kDict:
    case Kind::kSet:
    case Kind::kFrozenSet:
      append_contents(value);
      break;
    default:
      append_text(value, kind);
      break;
  }
}

void SourceWriter::append_text(Value value, Kind kind) {
  const std::string_view text = graph_->text(value);
  switch (kind) {
    case Kind::kBigInt:
      scratch_.clear();
      if (graph_->is_decimal_text(value)) {
        append_decimal_integer(scratch_, text);
      } else {
        append_hex_integer(scratch_, text);
      }
      line_ += scratch_;
      break;
    case Kind::kBytes:
      append_bytes(text);
      break;
    case Kind::kByteArray:
      line_ += "bytearray(";
      append_bytes(text);
      line_ += ')';
      break;
    case Kind::kPy2String:
      if (!is_ascii(text)) {
        line_ += "_py2_str(";
        append_bytes(text);
        line_ += ')';
        break;
      }
      [[fallthrough]];
    default:
      if (line_.append_quoted(text)) break;
      scratch_.clear();
      append_python_string(scratch_, text, room_for(text));
      line_ += scratch_;
      break;
  }
}

void SourceWriter::append_bytes(std::string_view bytes) {
  line_ += 'b';
  if (line_.append_quoted(bytes)) return;
  scratch_.clear();
  append_python_bytes(scratch_, bytes, room_for(bytes));
  line_ += std::string_view(scratch_).substr(1);
}

void SourceWriter::append_tuple(Value tuple) {
  const auto items = graph_->tuple_items(tuple);
  line_ += '(';
  bool is_first = true;
  append_items(items, is_first);
  line_ += items.size() == 1 ? ",)" : ")";
}

void SourceWriter::append_contents(Value container) {
  const Kind kind = graph_->kind(container);
  const UpdateRange updates = graph_->updates(container);
  if (updates.begin() == updates.end()) {
    line_ += empty_of(kind);
    return;
  }
  const Brackets brackets = brackets_of(kind);
  line_ += brackets.open;
  bool is_first = true;
  for (const Update update : updates) append_update(update, is_first);
  line_ += brackets.close;
}

void SourceWriter::append_update(const Update& update, bool& is_first) {
  if (update.kind != UpdateKind::kSetItems) return append_items(update.items, is_first);
  for (std::size_t i = 0; i < update.items.size(); ++i) {
    if (i % 2 == 1) {
      line_ += ": ";
    } else if (!is_first) {
      line_ += ", ";
    }
    is_first = false;
    append(update.items[i]);
  }
}

void SourceWriter::append_items(std::span<const Value> items, bool& is_first) {
  while (!items.empty()) {
    if (!is_first) line_ += ", ";
    is_first = false;
    if (graph_->kind(items.front()) == Kind::kInt) {
      items = append_integers(items);
    } else {
      append(items.front());
      items = items.subspan(1);
    }
  }
}

// Integers come in rows, which have a loop of their own: those that `items` begin with, or some of
// them. Returns the items behind.
std::span<const Value> SourceWriter::append_integers(std::span<const Value> items) {
  constexpr std::string_view kSeparator = ", ";
  constexpr std::size_t kMost = 32;
  const std::size_t most = std::min(items.size(), kMost);
  const Graph& graph = *graph_;
  char* out = line_.room(kMost * (kDecimalRoom + kSeparator.size()));
  std::size_t i = 0;
  do {
    out = put_signed_number(out, graph.integer(items[i]));
    out += kSeparator.copy(out, kSeparator.size());
    ++i;
  } while (i < most && graph.kind(items[i]) == Kind::kInt);
  line_.used_to(out - kSeparator.size());
  return items.subspan(i);
}

void SourceWriter::append_name(Value value) {
  if (slot(value) == 0) define(value);
  line_ += name_of(value);
}

// ---- variables

std::string SourceWriter::name_of(Value value) {
  const std::uint32_t found = slot(value);
  if ((found & kBound) != 0) return bound_names_[found & ~kBound];
  return "_var" + std::to_string(first_variable_ + found - 1);
}

std::string SourceWriter::new_variable(Value value) {
  slot(value) = static_cast<std::uint32_t>(next_variable_ - first_variable_ + 1);
  ++next_variable_;
  return name_of(value);
}

// Defines a variable in front of the statement that is being written: a text, or a container that
// gets its items later.
void SourceWriter::define(Value value) {
  const Kind kind = graph_->kind(value);
  const std::string name = new_variable(value);
  if (kind >= Kind::kList) return add_line(name, " = ", empty_of(kind));
  if (kind != Kind::kBigInt && graph_->text(value).size() > kPieceLength) {
    return write_long_text(name, value);
  }
  LineBuffer outer = std::exchange(line_, {});
  append_text(value, kind);
  add_line(name, " = ", line_.view());
  line_ = std::move(outer);
}

void SourceWriter::write_long_text(std::string_view name, Value value) {
  const Kind kind = graph_->kind(value);
  std::string_view text = graph_->text(value);
  const bool is_string = kind == Kind::kString || (kind == Kind::kPy2String && is_ascii(text));
  const char* open = kind == Kind::kByteArray            ? " = bytearray("
                     : is_string || kind == Kind::kBytes ? " = ("
                                                         : " = _py2_str(";
  add_line(name, open);
  std::string piece;
  while (!text.empty() && !refused_) {
    const std::size_t length = piece_length(text, is_string);
    piece.clear();
    if (is_string) {
      append_python_string(piece, text.substr(0, length), room_for(text));
    } else {
      append_python_bytes(piece, text.substr(0, length), room_for(text));
    }
    add_line("    ", piece);
    text.remove_prefix(length);
  }
  add_line(")");
}

// ---- text

void SourceWriter::add_line(std::string_view front, std::string_view middle,
                            std::string_view back) {
  out_.append(prefix_).append(front).append(middle).append(back);
  if (options_.offsets && event_ != nullptr) {
    out_ += "  # ";
    out_ += std::to_string(base_ + event_->offset);
  }
  out_ += '\n';
  if (out_.size() >= kFlushLength) flush();
}

void SourceWriter::flush() {
  if (!refused_ && !out_.empty()) refused_ = !sink_(out_);
  out_.clear();
}

}  // namespace tare::pickle
