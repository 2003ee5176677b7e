#include "format/rdata.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <ranges>
#include <unordered_set>

#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

enum Type : std::uint32_t {
  kNil = 0,
  kSymbol = 1,
  kPairlist = 2,
  kClosure = 3,
  kEnvironment = 4,
  kPromise = 5,
  kLanguage = 6,
  kSpecial = 7,
  kBuiltin = 8,
  kChars = 9,
  kLogical = 10,
  kInteger = 13,
  kReal = 14,
  kComplex = 15,
  kTexts = 16,
  kDots = 17,
  kVector = 19,
  kExpression = 20,
  kBytecode = 21,
  kPointer = 22,
  kWeakReference = 23,
  kRaw = 24,
  kObject = 25,
  kAltrep = 238,
  kAttributedPairlist = 239,
  kAttributedLanguage = 240,
  kBytecodeReference = 243,
  kBytecodeDefinition = 244,
  kPersistent = 247,
  kPackage = 248,
  kNamespace = 249,
  kReference = 255,
};

constexpr std::uint32_t kHasAttributes = 1U << 9;
constexpr std::uint32_t kHasTag = 1U << 10;
constexpr std::uint32_t kNoNode = UINT32_MAX;
constexpr std::size_t kMaxNodes = 4'000'000;

enum class Encoding : std::uint8_t { kXdr, kNative, kText };

// ---- numbers and bytes, in three forms

class Source {
 public:
  Source(ByteSpan bytes, std::uint64_t start, Encoding encoding)
      : in_(bytes, start), encoding_(encoding) {}

  std::optional<std::int32_t> integer();
  // The bytes of `count` numbers; as text, `owned` gets them.
  std::optional<ByteSpan> numbers(DType dtype, std::uint64_t count, std::vector<std::byte>& owned);
  // A text of so many bytes; as text, it is decoded into `owned`.
  std::optional<std::string_view> text(std::uint64_t length, std::string& owned);
  std::optional<ByteSpan> raw(std::uint64_t count);
  std::uint64_t offset() const { return in_.offset(); }
  std::uint64_t remaining() const { return in_.remaining(); }
  bool is_big_endian() const { return encoding_ == Encoding::kXdr; }
  void skip_spaces();

 private:
  std::optional<std::string_view> word();
  bool read_number(DType dtype, std::vector<std::byte>& owned);
  std::optional<char> decoded_char();

  Cursor in_;
  Encoding encoding_;
};

void Source::skip_spaces() {
  while (!in_.at_end()) {
    Cursor ahead = in_;
    const std::uint8_t next = *ahead.read<std::uint8_t>();
    if (next != ' ' && (next < '\t' || next > '\r')) return;
    in_ = ahead;
  }
}

// Without the spaces around it.
std::optional<std::string_view> Source::word() {
  skip_spaces();
  const std::uint64_t most = std::min<std::uint64_t>(in_.remaining(), 128);
  const std::string_view front = as_text(*Cursor(in_).take(most));
  const std::size_t length = std::min(front.find_first_of(" \t\n\r\v\f"), front.size());
  if (length == 0) return std::nullopt;
  in_.take(length);
  return front.substr(0, length);
}

template <typename T>
std::optional<T> parsed(std::string_view word) {
  T value{};
  const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
  if (read.ec != std::errc() || read.ptr != word.data() + word.size()) return std::nullopt;
  return value;
}

std::optional<std::int32_t> Source::integer() {
  if (encoding_ == Encoding::kText) {
    const auto found = word();
    if (!found) return std::nullopt;
    return *found == "NA" ? std::numeric_limits<std::int32_t>::min() : parsed<std::int32_t>(*found);
  }
  const auto value = in_.read<std::uint32_t>();
  if (!value) return std::nullopt;
  return static_cast<std::int32_t>(is_big_endian() ? std::byteswap(*value) : *value);
}

// NA of doubles is one of many NaNs.
constexpr std::uint64_t kNaBits = 0x7FF00000000007A2;

std::optional<double> double_of(std::string_view word) {
  if (word == "NA") return std::bit_cast<double>(kNaBits);
  if (word == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (word == "Inf") return std::numeric_limits<double>::infinity();
  if (word == "-Inf") return -std::numeric_limits<double>::infinity();
  return parsed<double>(word);
}

bool Source::read_number(DType dtype, std::vector<std::byte>& owned) {
  const auto append = [&owned](const auto& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    owned.insert(owned.end(), bytes.begin(), bytes.end());
  };
  if (dtype == DType::kI32) {
    const auto value = integer();
    if (value) append(*value);
    return value.has_value();
  }
  for (int part = 0; part < (dtype == DType::kC128 ? 2 : 1); ++part) {
    const auto found = word();
    const auto value = found ? double_of(*found) : std::nullopt;
    if (!value) return false;
    append(*value);
  }
  return true;
}

std::optional<ByteSpan> Source::numbers(DType dtype, std::uint64_t count,
                                        std::vector<std::byte>& owned) {
  if (encoding_ != Encoding::kText) {
    const auto size = checked_mul(count, dtype_bits(dtype) / 8);
    return size ? in_.take(*size) : std::nullopt;
  }
  if (count > in_.remaining()) return std::nullopt;
  for (; count > 0; --count) {
    if (!read_number(dtype, owned)) return std::nullopt;
  }
  return ByteSpan(owned);
}

// One byte of a text: as it is, or an escape of C.
std::optional<char> Source::decoded_char() {
  const auto first = in_.read<char>();
  if (!first || *first != '\\') return first;
  const auto next = in_.read<char>();
  if (!next) return next;
  constexpr std::string_view kLetters = "ntvbrfa";
  constexpr std::string_view kMeanings = "\n\t\v\b\r\f\a";
  if (const std::size_t at = kLetters.find(*next); at != std::string_view::npos) {
    return kMeanings[at];
  }
  if (*next < '0' || *next > '7') return next;
  int value = *next - '0';
  for (int digits = 1; digits < 3; ++digits) {
    Cursor ahead = in_;
    const auto digit = ahead.read<char>();
    if (!digit || *digit < '0' || *digit > '7') break;
    value = 8 * value + (*digit - '0');
    in_ = ahead;
  }
  return static_cast<char>(value);
}

std::optional<std::string_view> Source::text(std::uint64_t length, std::string& owned) {
  if (encoding_ != Encoding::kText) {
    const auto bytes = in_.take(length);
    if (!bytes) return std::nullopt;
    return as_text(*bytes);
  }
  if (length > in_.remaining()) return std::nullopt;
  if (length > 0) skip_spaces();
  owned.clear();
  for (; length > 0; --length) {
    const auto c = decoded_char();
    if (!c) return std::nullopt;
    owned += *c;
  }
  return owned;
}

// As text, two digits each.
std::optional<ByteSpan> Source::raw(std::uint64_t count) {
  if (encoding_ != Encoding::kText) return in_.take(count);
  if (count > in_.remaining()) return std::nullopt;
  for (; count > 0; --count) {
    if (!word()) return std::nullopt;
  }
  return ByteSpan();
}

// ---- detection

std::optional<Source> source_of(ByteSpan bytes) {
  std::string_view text = as_text(bytes);
  std::uint64_t start = 0;
  if (text.size() > 5 &&
      (text.starts_with("RDX") || text.starts_with("RDA") || text.starts_with("RDB")) &&
      (text[3] == '2' || text[3] == '3') && text[4] == '\n') {
    start = 5;
  }
  text.remove_prefix(start);
  if (text.size() < 2 || text[1] != '\n') return std::nullopt;
  Encoding encoding = Encoding::kXdr;
  if (text[0] == 'A') {
    encoding = Encoding::kText;
  } else if (text[0] == 'B') {
    encoding = Encoding::kNative;
  } else if (text[0] != 'X') {
    return std::nullopt;
  }
  const Source source(bytes, start + 2, encoding);
  Source ahead = source;
  const auto version = ahead.integer();
  if (!version || (*version != 2 && *version != 3)) return std::nullopt;
  return source;
}

// ---- objects

// What an object is to the one that it stands in.
enum class Role : std::uint8_t {
  kRoot,
  kElement,    // by position, or by the names of the vector
  kTagged,     // by the tag of a pairlist
  kInherits,   // it is what stands for the other
  kAttribute,  // by the tag
  kHidden,     // nothing that has a name
  kCode,       // part of code
};

struct Node {
  std::uint32_t parent = kNoNode;
  Role role = Role::kRoot;
  std::uint8_t type = 0;
  std::uint32_t position = 0;  // from 1
  std::uint32_t tag = 0;       // a symbol; 0 is none
  std::uint32_t names = kNoNode;
  std::uint32_t dim = kNoNode;
  std::uint64_t offset = 0;  // of the elements
  std::uint64_t count = 0;
  ByteSpan bytes = {};
};

class RReader {
 public:
  RReader(ByteSpan file, Source source) : file_(file), in_(source) { symbols_.emplace_back(); }
  Result<RView> read();

 private:
  enum class Do : std::uint8_t {
    kItem,
    kCell,        // of a pairlist, behind its attributes
    kTail,        // what follows a cell
    kElements,    // of a vector
    kAttributes,  // of a node: an item that is a pairlist
    kAltrep,      // state and attributes, behind what says its class
    kBytecode,
    kConstants,
    kBytecodeItem,  // an item whose type is written as a number in front
    kBytecodeCell,  // behind its attributes
  };
  struct Task {
    Do what = Do::kItem;
    Role role = Role::kHidden;
    std::uint32_t parent = kNoNode;
    std::uint32_t flags = 0;
    std::uint32_t position = 0;
    std::uint32_t tag = 0;
    std::uint64_t left = 0;
  };

  bool step(const Task& task);
  bool read_header();
  bool item(const Task& task);
  bool typed(const Task& task, std::uint32_t flags, std::uint64_t at);
  bool cell(const Task& task);
  bool tail(const Task& task);
  bool numbers(const Task& task, std::uint32_t flags, DType dtype);
  bool texts(const Task& task, std::uint32_t flags);
  bool vector(const Task& task, std::uint32_t flags);
  bool altrep(const Task& task);
  bool constants(const Task& task);
  bool bytecode_item(const Task& task, std::uint32_t type);
  bool environment(const Task& task);
  bool is_evaluated(std::uint32_t flags) const;
  bool read_symbol_tag(std::uint32_t& tag);
  bool names_of_package(RCodeKind kind);
  bool chars(const Task& task, std::uint32_t flags, std::uint64_t at);
  bool read_chars(std::string_view& text);
  bool new_symbol(std::uint32_t& symbol);
  bool length(std::uint64_t& count);
  std::uint32_t add_node(const Task& task, std::uint32_t type);
  void push(Task task) { tasks_.push_back(task); }
  void push_attributes(std::uint32_t flags, std::uint32_t node, Role role);
  void note_code(RCodeKind kind, std::uint64_t offset, std::string_view text = "");
  void note_name(std::uint64_t offset, std::string_view text);

  void list_tensors();
  bool is_of_wrapper(const Node& node) const;
  bool append_name(std::uint32_t node, std::string& name) const;
  std::string_view name_at(std::uint32_t texts, std::uint32_t position) const;
  void add_tensor(const Node& node, std::string name);
  std::optional<Shape> shape_of(const Node& node) const;

  bool stop(ErrorCode code, const char* what) {
    error_ = Error{code, 0, in_.offset(), what};
    return false;
  }
  bool cut() { return stop(ErrorCode::kTruncated, "an object is cut off"); }

  ByteSpan file_;
  Source in_;
  RView view_;
  Error error_{};
  std::vector<Task> tasks_;
  std::vector<Node> nodes_;
  std::vector<std::string> symbols_;             // 0 is none
  std::vector<std::uint32_t> references_;        // symbols, or 0
  std::vector<std::vector<std::string>> texts_;  // of vectors of texts that are names
  std::unordered_set<std::string> names_;        // that code has
  std::string buffer_;
};

Result<RView> RReader::read() {
  if (!read_header()) return std::unexpected(error_);
  push({Do::kItem, Role::kRoot});
  while (!tasks_.empty()) {
    const Task task = tasks_.back();
    tasks_.pop_back();
    if (!step(task)) return std::unexpected(error_);
  }
  in_.skip_spaces();
  view_.end = in_.offset();
  list_tensors();
  return std::move(view_);
}

bool RReader::read_header() {
  const auto version = in_.integer();
  const auto writer = in_.integer();
  const auto least = in_.integer();
  if (!version || !writer || !least) return cut();
  if (*version == 2) return true;
  const auto size = in_.integer();
  if (!size || *size < 0 || *size > 1000) return cut();
  return in_.text(static_cast<std::uint64_t>(*size), buffer_).has_value() || cut();
}

void RReader::note_code(RCodeKind kind, std::uint64_t offset, std::string_view text) {
  if (view_.code.size() == RView::kMaxCode) {
    view_.has_more_code = true;
    return;
  }
  view_.code.push_back({kind, offset, std::string(text.substr(0, 200))});
}

void RReader::note_name(std::uint64_t offset, std::string_view text) {
  if (text.size() > 200 || !names_.emplace(text).second) return;
  note_code(RCodeKind::kName, offset, text);
}

std::uint32_t RReader::add_node(const Task& task, std::uint32_t type) {
  Node node;
  node.parent = task.parent;
  node.role = task.role;
  node.type = static_cast<std::uint8_t>(type);
  node.position = task.position;
  node.tag = task.tag;
  const auto index = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back(node);
  // What a vector needs to say the names and the shape of what is in it.
  if (task.role == Role::kAttribute && task.parent != kNoNode) {
    Node& owner = nodes_[task.parent];
    if (symbols_[task.tag] == "names" && type == kTexts) owner.names = index;
    if (symbols_[task.tag] == "dim" && (type == kInteger || type == kReal)) owner.dim = index;
  }
  return index;
}

void RReader::push_attributes(std::uint32_t flags, std::uint32_t node, Role role) {
  if ((flags & kHasAttributes) == 0) return;
  push({Do::kAttributes, role == Role::kCode ? Role::kCode : Role::kAttribute, node});
}

bool RReader::step(const Task& task) {
  if (nodes_.size() > kMaxNodes || tasks_.size() > kMaxNodes) {
    return stop(ErrorCode::kLimit, "more objects than tare is willing to read");
  }
  switch (task.what) {
    case Do::kItem:
    case Do::kAttributes:
      return item(task);
    case Do::kCell:
      return cell(task);
    case Do::kTail:
      return tail(task);
    case Do::kElements: {
      if (task.left > 1) {
        Task rest = task;
        --rest.left;
        ++rest.position;
        push(rest);
      }
      Task element = task;
      element.what = Do::kItem;
      return item(element);
    }
    case Do::kAltrep:
      return altrep(task);
    case Do::kConstants:
      return constants(task);
    case Do::kBytecode: {
      // How often parts refer to each other is in front of the outermost.
      push({Do::kConstants, Role::kCode});
      push({Do::kItem, Role::kHidden});
      return true;
    }
    case Do::kBytecodeItem: {
      const auto type = in_.integer();
      return type ? bytecode_item(task, static_cast<std::uint32_t>(*type)) : cut();
    }
    case Do::kBytecodeCell: {
      push({Do::kBytecodeItem, Role::kCode});
      push({Do::kBytecodeItem, Role::kCode});
      push({Do::kItem, Role::kCode});
      return true;
    }
  }
  return false;
}

bool RReader::item(const Task& task) {
  const std::uint64_t at = in_.offset();
  const auto flags = in_.integer();
  if (!flags) return cut();
  return typed(task, static_cast<std::uint32_t>(*flags), at);
}

bool RReader::typed(const Task& task, std::uint32_t flags, std::uint64_t at) {
  Task next = task;
  next.flags = flags;
  const std::uint32_t type = flags & 0xFF;
  // What a function keeps in its environment waits for the function.
  const bool is_in_code = task.role == Role::kCode || task.role == Role::kHidden;
  switch (type) {
    case kNil:
    case 254:  // nil as it is written
    case 253:  // the global environment
    case 252:  // unbound
    case 251:  // a missing argument
    case 250:  // the namespace of base
    case 242:  // the empty environment
    case 241:  // the environment of base
      return true;
    case kReference: {
      std::uint32_t index = flags >> 8;
      if (index == 0) {
        const auto number = in_.integer();
        if (!number) return cut();
        index = static_cast<std::uint32_t>(*number);
      }
      if (index == 0 || index > references_.size()) {
        return stop(ErrorCode::kMalformed, "a reference to what is not there");
      }
      if (task.role == Role::kCode) note_name(at, symbols_[references_[index - 1]]);
      return true;
    }
    case kSymbol: {
      std::uint32_t symbol = 0;
      if (!new_symbol(symbol)) return false;
      if (task.role == Role::kCode) note_name(at, symbols_[symbol]);
      return true;
    }
    case kPersistent:
      return names_of_package(RCodeKind::kPersistent);
    case kPackage:
    case kNamespace:
      return names_of_package(RCodeKind::kPackage);
    case kEnvironment:
      return environment(task);
    case kClosure:
      note_code(RCodeKind::kFunction, at);
      next.role = Role::kCode;
      return cell(next);
    case kPromise:
      note_code(is_evaluated(flags) || is_in_code ? RCodeKind::kCall : RCodeKind::kPromise, at);
      next.role = Role::kCode;
      return cell(next);
    case kLanguage:
      if (task.role != Role::kCode) note_code(RCodeKind::kCall, at);
      next.role = Role::kCode;
      return cell(next);
    case kPairlist:
    case kDots:
      if (task.what == Do::kAttributes || task.role == Role::kCode) return cell(next);
      // A list of its own, with tags for names.
      next.parent = add_node(task, type);
      next.role = task.role == Role::kHidden ? Role::kHidden : Role::kTagged;
      next.position = 1;
      return cell(next);
    case kPointer:
    case kWeakReference:
      note_code(RCodeKind::kPointer, at);
      references_.push_back(0);
      push_attributes(flags, kNoNode, Role::kHidden);
      if (type == kPointer) {
        push({});
        push({});
      }
      return true;
    case kSpecial:
    case kBuiltin: {
      const auto size = in_.integer();
      if (!size || *size < 0) return cut();
      const auto text = in_.text(static_cast<std::uint64_t>(*size), buffer_);
      if (!text) return cut();
      note_code(RCodeKind::kBuiltin, at, *text);
      push_attributes(flags, kNoNode, Role::kHidden);
      return true;
    }
    case kChars:
      return chars(task, flags, at);
    case kLogical:
    case kInteger:
      return numbers(next, flags, DType::kI32);
    case kReal:
      return numbers(next, flags, DType::kF64);
    case kComplex:
      return numbers(next, flags, DType::kC128);
    case kRaw:
      return numbers(next, flags, DType::kU8);
    case kTexts:
      return texts(next, flags);
    case kExpression:
      note_code(RCodeKind::kCall, at);
      next.role = Role::kCode;
      return vector(next, flags);
    case kVector:
      return vector(next, flags);
    case kBytecode: {
      note_code(RCodeKind::kBytecode, at);
      if (!in_.integer()) return cut();
      push_attributes(flags, kNoNode, Role::kHidden);
      push({Do::kBytecode, Role::kCode});
      return true;
    }
    case kObject:
      push_attributes(flags, add_node(task, type), task.role);
      return true;
    case kAltrep:
      next.what = Do::kAltrep;
      return altrep(next);
    default:
      return stop(ErrorCode::kMalformed, "an object of a type that R does not have");
  }
}

// Attributes, tag, value, and what follows.
bool RReader::cell(const Task& task) {
  Task behind = task;
  if (task.what != Do::kCell && (task.flags & kHasAttributes) != 0) {
    behind.what = Do::kCell;
    push(behind);
    push({Do::kAttributes, task.role == Role::kCode ? Role::kCode : Role::kHidden});
    return true;
  }
  const std::uint32_t type = task.flags & 0xFF;
  const bool is_list = type == kPairlist || type == kDots || type == kLanguage;
  std::uint32_t tag = 0;
  Task rest = task;
  rest.what = is_list ? Do::kTail : Do::kItem;
  ++rest.position;
  push(rest);
  Task value = task;
  value.what = Do::kItem;
  if ((task.flags & kHasTag) != 0) {
    if (is_list) {
      if (!read_symbol_tag(tag)) return false;
    } else {
      // The environment of a function or promise.
      push(value);
      push({Do::kItem, Role::kCode});
      return true;
    }
  }
  value.tag = tag;
  push(value);
  return true;
}

bool RReader::tail(const Task& task) {
  const std::uint64_t at = in_.offset();
  const auto flags = in_.integer();
  if (!flags) return cut();
  const std::uint32_t type = static_cast<std::uint32_t>(*flags) & 0xFF;
  if (type != kPairlist && type != kDots && type != kLanguage) {
    Task last = task;
    last.what = Do::kItem;
    return typed(last, static_cast<std::uint32_t>(*flags), at);
  }
  Task next = task;
  next.what = Do::kTail;
  next.flags = static_cast<std::uint32_t>(*flags);
  if (type == kLanguage && task.role != Role::kCode) {
    note_code(RCodeKind::kCall, at);
    next.role = Role::kCode;
  }
  return cell(next);
}

// Tags are symbols.
bool RReader::read_symbol_tag(std::uint32_t& tag) {
  const auto flags = in_.integer();
  if (!flags) return cut();
  const auto bits = static_cast<std::uint32_t>(*flags);
  if ((bits & 0xFF) == kNil || (bits & 0xFF) == 254) return true;
  if ((bits & 0xFF) == kSymbol) return new_symbol(tag);
  if ((bits & 0xFF) != kReference) return stop(ErrorCode::kMalformed, "a tag that is no symbol");
  std::uint32_t index = bits >> 8;
  if (index == 0) index = static_cast<std::uint32_t>(in_.integer().value_or(0));
  if (index == 0 || index > references_.size()) {
    return stop(ErrorCode::kMalformed, "a reference to what is not there");
  }
  tag = references_[index - 1];
  return true;
}

bool RReader::new_symbol(std::uint32_t& symbol) {
  std::string_view text;
  const auto flags = in_.integer();
  if (!flags) return cut();
  if ((static_cast<std::uint32_t>(*flags) & 0xFF) != kChars) {
    return stop(ErrorCode::kMalformed, "a symbol without a name");
  }
  if (!read_chars(text)) return false;
  symbol = static_cast<std::uint32_t>(symbols_.size());
  symbols_.emplace_back(text);
  references_.push_back(symbol);
  return true;
}

// Length -1 is NA.
bool RReader::read_chars(std::string_view& text) {
  const auto size = in_.integer();
  if (!size || *size < -1) return cut();
  if (*size == -1) {
    text = "NA";
    return true;
  }
  const auto found = in_.text(static_cast<std::uint64_t>(*size), buffer_);
  if (!found) return cut();
  text = *found;
  return true;
}

bool RReader::chars(const Task& task, std::uint32_t flags, std::uint64_t at) {
  std::string_view text;
  if (!read_chars(text)) return false;
  if (task.role == Role::kCode) note_name(at, text);
  push_attributes(flags, kNoNode, Role::kHidden);
  return true;
}

// A vector of texts that says whose environment it is.
bool RReader::names_of_package(RCodeKind kind) {
  const std::uint64_t at = in_.offset();
  const auto zero = in_.integer();
  const auto count = in_.integer();
  if (!zero || !count || *count < 0) return cut();
  for (std::int32_t i = 0; i < *count; ++i) {
    std::string_view text;
    if (!in_.integer()) return cut();
    if (!read_chars(text)) return false;
    if (i == 0) note_code(kind, at, text);
  }
  references_.push_back(0);
  return true;
}

// A promise that has its value is not looked into any more. It has no environment either.
bool RReader::is_evaluated(std::uint32_t flags) const {
  Source ahead = in_;
  const auto value = ahead.integer();
  constexpr std::uint32_t kUnbound = 252;
  return (flags & (kHasTag | kHasAttributes)) == 0 && value &&
         (static_cast<std::uint32_t>(*value) & 0xFF) != kUnbound;
}

bool RReader::environment(const Task& task) {
  if (!in_.integer()) return cut();
  references_.push_back(0);
  const bool is_code = task.role == Role::kCode;
  const std::uint32_t node = add_node(task, kEnvironment);
  const Role inner = is_code ? Role::kHidden : Role::kInherits;
  push({Do::kItem, Role::kHidden});  // attributes
  push({Do::kItem, inner, node});    // a table of frames
  push({Do::kItem, inner, node});    // a frame
  push({Do::kItem, Role::kHidden});  // what is around it
  return true;
}

// Of more than 2^31: -1, and two halves.
bool RReader::length(std::uint64_t& count) {
  const auto size = in_.integer();
  if (!size || *size < -1) return cut();
  count = static_cast<std::uint64_t>(*size);
  if (*size != -1) return true;
  const auto high = in_.integer();
  const auto low = in_.integer();
  if (!high || !low || *high < 0) return cut();
  count = static_cast<std::uint64_t>(*high) << 32 | static_cast<std::uint32_t>(*low);
  return true;
}

bool RReader::numbers(const Task& task, std::uint32_t flags, DType dtype) {
  std::uint64_t count = 0;
  if (!length(count)) return false;
  const std::uint64_t at = in_.offset();
  auto owned = std::make_shared<std::vector<std::byte>>();
  const auto bytes = dtype == DType::kU8 ? in_.raw(count) : in_.numbers(dtype, count, *owned);
  if (!bytes) return cut();
  const std::uint32_t node = add_node(task, flags & 0xFF);
  nodes_[node].offset = at;
  nodes_[node].count = count;
  nodes_[node].bytes = *bytes;
  if (!owned->empty()) view_.contents.owners.push_back(std::move(owned));
  push_attributes(flags, node, task.role);
  return true;
}

bool RReader::texts(const Task& task, std::uint32_t flags) {
  std::uint64_t count = 0;
  if (!length(count)) return false;
  if (count > in_.remaining()) return cut();
  const std::uint32_t node = add_node(task, kTexts);
  nodes_[node].count = count;
  const bool is_names = task.parent != kNoNode && nodes_[task.parent].names == node;
  std::vector<std::string> kept;
  for (; count > 0; --count) {
    const std::uint64_t at = in_.offset();
    std::string_view text;
    const auto bits = in_.integer();
    if (!bits) return cut();
    if ((static_cast<std::uint32_t>(*bits) & 0xFF) != kChars) {
      return stop(ErrorCode::kMalformed, "a text that is none");
    }
    if (!read_chars(text)) return false;
    if (task.role == Role::kCode) note_name(at, text);
    if (is_names) kept.emplace_back(text);
  }
  if (is_names) {
    nodes_[node].position = static_cast<std::uint32_t>(texts_.size());
    texts_.push_back(std::move(kept));
  }
  push_attributes(flags, node, task.role);
  return true;
}

bool RReader::vector(const Task& task, std::uint32_t flags) {
  std::uint64_t count = 0;
  if (!length(count)) return false;
  if (count > in_.remaining()) return cut();
  const std::uint32_t node = add_node(task, flags & 0xFF);
  nodes_[node].count = count;
  push_attributes(flags, node, task.role);
  // A table of an environment is a list of frames.
  const bool is_table = task.role == Role::kInherits && task.parent != kNoNode &&
                        nodes_[task.parent].type == kEnvironment;
  Role role = task.role;
  if (role == Role::kRoot || role == Role::kTagged || role == Role::kAttribute) {
    role = Role::kElement;
  }
  if (role == Role::kInherits && !is_table) role = Role::kElement;
  if (count > 0) push({Do::kElements, role, node, 0, 1, 0, count});
  return true;
}

// What class it is of, its state, its attributes; the class is a list of symbols.
bool RReader::altrep(const Task& task) {
  const std::uint64_t at = in_.offset();
  std::vector<std::string> symbols;
  for (;;) {
    const auto flags = in_.integer();
    if (!flags) return cut();
    const auto bits = static_cast<std::uint32_t>(*flags);
    if ((bits & 0xFF) != kPairlist) break;
    std::uint32_t symbol = 0;
    Source ahead = in_;
    const auto next = ahead.integer();
    if (!next) return cut();
    const std::uint32_t type = static_cast<std::uint32_t>(*next) & 0xFF;
    if (type == kSymbol || type == kReference) {
      if (!read_symbol_tag(symbol)) return false;
      symbols.push_back(symbols_[symbol]);
      continue;
    }
    // The type: an integer.
    const auto skipped = in_.integer();
    const auto count = in_.integer();
    const auto value = in_.integer();
    if (!skipped || type != kInteger || count != 1 || !value) {
      return stop(ErrorCode::kMalformed, "an object of a form that R does not have");
    }
  }
  constexpr std::array kKnown = {"compact_intseq"sv, "compact_realseq"sv, "deferred_string"sv,
                                 "wrap_real"sv,      "wrap_integer"sv,    "wrap_logical"sv,
                                 "wrap_complex"sv,   "wrap_raw"sv,        "wrap_string"sv,
                                 "wrap_list"sv};
  if (symbols.size() < 2) return stop(ErrorCode::kMalformed, "an object without a class");
  if (symbols[0].starts_with("mmap_")) {
    note_code(RCodeKind::kFile, at, symbols[0]);
  } else if (symbols[1] != "base" || std::ranges::find(kKnown, symbols[0]) == kKnown.end()) {
    note_code(RCodeKind::kPackage, at, symbols[1]);
  }
  const std::uint32_t node = add_node(task, kAltrep);
  const bool is_wrapper = symbols[0].starts_with("wrap_");
  nodes_[node].count = symbols[0].starts_with("compact_") ? 1 : 0;
  nodes_[node].offset = at;
  push({Do::kAttributes, Role::kAttribute, node});
  push({Do::kItem, is_wrapper ? Role::kInherits : Role::kHidden, node});
  return true;
}

// ---- bytecode: instructions, and constants with their types in front

bool RReader::constants(const Task& task) {
  std::uint64_t left = task.left;
  if (task.tag == 0) {
    const auto count = in_.integer();
    if (!count || *count < 0) return cut();
    left = static_cast<std::uint64_t>(*count);
  }
  if (left == 0) return true;
  if (left > in_.remaining()) return cut();
  if (left > 1) push({Do::kConstants, Role::kCode, kNoNode, 0, 0, 1, left - 1});
  const auto type = in_.integer();
  if (!type) return cut();
  if (*type == kBytecode) {
    push({Do::kBytecode, Role::kCode});
    return true;
  }
  return bytecode_item(task, static_cast<std::uint32_t>(*type));
}

bool RReader::bytecode_item(const Task&, std::uint32_t type) {
  if (type == kBytecodeReference) return in_.integer().has_value() || cut();
  if (type == kBytecodeDefinition) {
    const auto place = in_.integer();
    const auto inner = in_.integer();
    if (!place || !inner) return cut();
    type = static_cast<std::uint32_t>(*inner);
  }
  const bool has_attributes = type == kAttributedLanguage || type == kAttributedPairlist;
  if (has_attributes || type == kLanguage || type == kPairlist) {
    push({Do::kBytecodeCell, Role::kCode});
    if (has_attributes) push({Do::kItem, Role::kCode});
    return true;
  }
  push({Do::kItem, Role::kCode});
  return true;
}

// ---- numbers as tensors

std::string_view RReader::name_at(std::uint32_t texts, std::uint32_t position) const {
  const auto& names = texts_[nodes_[texts].position];
  return position == 0 || position > names.size() ? ""sv : names[position - 1];
}

// False for what has no name: attributes, what is hidden, parts of code.
// The state of a wrapper is a list: what it wraps, and what is known about that.
bool RReader::is_of_wrapper(const Node& node) const {
  if (node.role != Role::kElement) return false;
  const Node& list = nodes_[node.parent];
  return list.role == Role::kInherits && list.parent != kNoNode &&
         nodes_[list.parent].type == kAltrep;
}

bool RReader::append_name(std::uint32_t index, std::string& name) const {
  std::vector<std::uint32_t> way;
  for (std::uint32_t at = index; at != kNoNode; at = nodes_[at].parent) {
    const Node& node = nodes_[at];
    const bool is_slot = node.role == Role::kAttribute && node.parent != kNoNode &&
                         nodes_[node.parent].type == kObject && symbols_[node.tag] != "class";
    if (node.role == Role::kHidden || node.role == Role::kCode) return false;
    if (node.role == Role::kAttribute && !is_slot) return false;
    if (is_of_wrapper(node) && node.position > 1) return false;
    way.push_back(at);
    if (way.size() > 1000) return false;
  }
  for (const std::uint32_t at : way | std::views::reverse) {
    const Node& node = nodes_[at];
    if (node.role == Role::kRoot || node.role == Role::kInherits || is_of_wrapper(node)) continue;
    std::string_view word = symbols_[node.tag];
    if (node.role == Role::kElement && nodes_[node.parent].names != kNoNode) {
      word = name_at(nodes_[node.parent].names, node.position);
    }
    if (!name.empty()) name += '.';
    name += word.empty() ? std::to_string(node.position) : std::string(word);
  }
  return true;
}

std::optional<Shape> RReader::shape_of(const Node& node) const {
  if (node.dim == kNoNode) return Shape{node.count};
  const Node& dim = nodes_[node.dim];
  if (dim.type != kInteger || dim.count > 64) return std::nullopt;
  Shape shape;
  Cursor in(dim.bytes);
  for (std::uint64_t i = 0; i < dim.count; ++i) {
    const auto value = in.read<std::uint32_t>();
    if (!value) return std::nullopt;
    shape.push_back(in_.is_big_endian() ? std::byteswap(*value) : *value);
  }
  const auto count = element_count(shape);
  if (!count || *count != node.count) return std::nullopt;
  return shape;
}

std::optional<DType> tensor_type(std::uint8_t type) {
  switch (type) {
    case kLogical:
    case kInteger:
      return DType::kI32;
    case kReal:
      return DType::kF64;
    case kComplex:
      return DType::kC128;
    case kRaw:
      return DType::kU8;
    default:
      return std::nullopt;
  }
}

void RReader::add_tensor(const Node& node, std::string name) {
  const DType dtype = *tensor_type(node.type);
  auto shape = shape_of(node);
  const bool is_there = node.bytes.size() == node.count * (dtype_bits(dtype) / 8);
  if (!shape || !is_utf8(name) || !is_there) {
    const char* const what = !shape      ? "its dimensions are not those of its elements"
                             : !is_there ? "raw bytes as text are not read"
                                         : "its name is not UTF-8";
    const auto code = is_there ? ErrorCode::kMalformed : ErrorCode::kUnsupported;
    view_.contents.problems.push_back({std::move(name), Error{code, 0, node.offset, what}});
    return;
  }
  // The first axis runs fastest.
  std::vector<std::uint64_t> strides(shape->size(), 1);
  for (std::size_t axis = 1; axis < strides.size(); ++axis) {
    strides[axis] = strides[axis - 1] * (*shape)[axis - 1];
  }
  TensorView view{dtype, std::move(*shape), std::move(strides), 0, node.bytes};
  if (in_.is_big_endian() && dtype != DType::kU8) {
    view.stored = Stored{.dtype = dtype, .big_endian = true};
  }
  view_.contents.tensors.push_back({std::move(name), std::move(view), ""});
}

void RReader::list_tensors() {
  constexpr std::uint64_t kMost = std::uint64_t{64} << 20;
  std::uint64_t name_bytes = 0;
  for (std::uint32_t index = 0; index < nodes_.size(); ++index) {
    const bool is_sequence = nodes_[index].type == kAltrep && nodes_[index].count == 1;
    if (!is_sequence && !tensor_type(nodes_[index].type)) continue;
    std::string name;
    if (!append_name(index, name)) continue;
    name_bytes += name.size() + 1;
    if (name_bytes > kMost && name_bytes > file_.size()) {
      view_.contents.problems.push_back(
          {"",
           Error{ErrorCode::kLimit, 0, 0, "names that are longer than tare is willing to read"}});
      return;
    }
    if (!is_sequence) {
      add_tensor(nodes_[index], std::move(name));
    } else {
      view_.contents.problems.push_back(
          {std::move(name), Error{ErrorCode::kUnsupported, 0, nodes_[index].offset,
                                  "is a sequence like 1:10 that is not written out"}});
    }
  }
}

// ---- the format

bool recognises(ByteSpan bytes) {
  return source_of(bytes).has_value();
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto view = read_rdata(bytes);
  if (!view) return std::unexpected(view.error());
  PartList list;
  list.parts.push_back({"", PartKind::kRdata, bytes.first(view->end), 0});
  if (view->end < bytes.size()) {
    list.parts.push_back({"", PartKind::kUnknown, bytes.subspan(view->end), view->end, view->end});
  }
  return list;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  auto view = read_rdata(bytes);
  if (!view) return std::unexpected(view.error());
  return std::move(view->contents);
}

}  // namespace

Result<RView> read_rdata(ByteSpan bytes) {
  const auto source = source_of(bytes);
  if (!source) return fail(ErrorCode::kWrongFormat, "no object of R");
  return RReader(bytes, *source).read();
}

const Format kRdata = {"r", "R data", recognises, list_parts, read_tensors};

}  // namespace tare::format
