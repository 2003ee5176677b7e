#include "scan/template_analyzer.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using scan_template::Token;
using scan_template::TokenKind;
using namespace std::string_view_literals;

// Chat templates have a few KiB; this is for what pretends to be one.
constexpr std::size_t kMaxBytes = std::size_t{16} << 20;

// ---- what real chat templates use

constexpr std::array kTags = {
    "break"sv,      "call"sv,      "continue"sv, "elif"sv,          "else"sv,
    "endcall"sv,    "endfilter"sv, "endfor"sv,   "endgeneration"sv, "endif"sv,
    "endmacro"sv,   "endraw"sv,    "endset"sv,   "filter"sv,        "for"sv,
    "generation"sv, "if"sv,        "macro"sv,    "raw"sv,           "set"sv};

constexpr std::array kFilters = {
    "abs"sv,      "batch"sv,      "capitalize"sv, "center"sv,   "count"sv,  "d"sv,
    "default"sv,  "dictsort"sv,   "e"sv,          "escape"sv,   "first"sv,  "float"sv,
    "groupby"sv,  "indent"sv,     "int"sv,        "items"sv,    "join"sv,   "last"sv,
    "length"sv,   "list"sv,       "lower"sv,      "map"sv,      "max"sv,    "min"sv,
    "reject"sv,   "rejectattr"sv, "replace"sv,    "reverse"sv,  "round"sv,  "safe"sv,
    "select"sv,   "selectattr"sv, "slice"sv,      "sort"sv,     "string"sv, "sum"sv,
    "title"sv,    "tojson"sv,     "trim"sv,       "truncate"sv, "unique"sv, "upper"sv,
    "wordcount"sv};

constexpr std::array kTests = {
    "boolean"sv,  "callable"sv, "defined"sv, "divisibleby"sv, "eq"sv,   "equalto"sv,
    "even"sv,     "false"sv,    "float"sv,   "ge"sv,          "gt"sv,   "in"sv,
    "integer"sv,  "iterable"sv, "le"sv,      "lower"sv,       "lt"sv,   "mapping"sv,
    "ne"sv,       "none"sv,     "None"sv,    "number"sv,      "odd"sv,  "sameas"sv,
    "sequence"sv, "string"sv,   "true"sv,    "undefined"sv,   "upper"sv};

constexpr std::array kFunctions = {"caller"sv,          "dict"sv,  "loop"sv,        "namespace"sv,
                                   "raise_exception"sv, "range"sv, "strftime_now"sv};

constexpr std::array kMethods = {
    "append"sv,  "capitalize"sv, "copy"sv,         "count"sv,        "cycle"sv,      "endswith"sv,
    "find"sv,    "get"sv,        "index"sv,        "isalnum"sv,      "isalpha"sv,    "isdigit"sv,
    "islower"sv, "isspace"sv,    "isupper"sv,      "items"sv,        "join"sv,       "keys"sv,
    "lower"sv,   "lstrip"sv,     "removeprefix"sv, "removesuffix"sv, "replace"sv,    "rfind"sv,
    "rsplit"sv,  "rstrip"sv,     "split"sv,        "splitlines"sv,   "startswith"sv, "strftime"sv,
    "strip"sv,   "title"sv,      "upper"sv,        "values"sv};

// Names in front of a bracket that are no function.
constexpr std::array kKeywords = {"and"sv, "call"sv, "elif"sv, "else"sv, "if"sv,  "in"sv,
                                  "is"sv,  "not"sv,  "or"sv,   "set"sv,  "for"sv, "recursive"sv};

// ---- what leads out of a template

// Objects that Jinja and web frameworks put into every template, and that none needs.
constexpr std::array kGlobals = {
    "cycler"sv, "get_flashed_messages"sv, "joiner"sv, "lipsum"sv, "self"sv, "url_for"sv};

// Attributes without underscores that lead to code.
constexpr std::array kWalks = {
    "ag_code"sv,       "ag_frame"sv,      "co_consts"sv, "cr_code"sv,   "cr_frame"sv,
    "f_back"sv,        "f_builtins"sv,    "f_code"sv,    "f_globals"sv, "f_locals"sv,
    "func_code"sv,     "func_globals"sv,  "gi_code"sv,   "gi_frame"sv,  "mro"sv,
    "popen"sv,         "system"sv,        "tb_frame"sv,  "tb_next"sv,   "subprocess"sv,
    "import_module"sv, "func_defaults"sv, "im_func"sv,   "im_self"sv};

template <std::size_t kSize>
bool is_in(std::string_view name, const std::array<std::string_view, kSize>& list) {
  return std::ranges::find(list, name) != list.end();
}

class TemplateAnalyzer {
 public:
  TemplateAnalyzer(const format::Part& part, Findings& findings)
      : part_(part), source_(as_text(part.bytes)), findings_(findings) {}

  void run();

 private:
  struct Bracket {
    char open;
    bool subscript;  // "x[...]"
    bool has_text = false;
    bool computes = false;
  };

  void report(const Rule& rule, std::uint64_t offset, std::string detail);
  void note_names();
  void note_bound(std::size_t tag);
  bool is_assigned(std::size_t i) const;
  void read(std::size_t i);
  void read_name(std::size_t i);
  void unknown(const Token& token, const char* kind) {
    report(scan_rules::kTemplateUnknown, token.offset, kind + excerpt(token.text, 60));
  }
  void read_attribute(const Token& name, bool called);
  void read_filter(std::size_t i);
  void read_call(std::size_t i);
  void read_text(std::size_t i);
  void read_number(const Token& token);
  void read_operator(std::size_t i);
  void close_bracket(const Token& token);
  bool is_operator(std::size_t i, char c) const {
    return i < tokens_.size() && tokens_[i].kind == TokenKind::kOperator && tokens_[i].text[0] == c;
  }
  bool is_name(std::size_t i, std::string_view text) const {
    return i < tokens_.size() && tokens_[i].kind == TokenKind::kName && tokens_[i].text == text;
  }

  const format::Part& part_;
  std::string_view source_;
  Findings& findings_;
  std::vector<Token> tokens_;
  std::set<std::string, std::less<>> macros_;
  // Names that the template gives to values of its own.
  std::set<std::string, std::less<>> bound_;
  std::vector<Bracket> brackets_;
};

void TemplateAnalyzer::report(const Rule& rule, std::uint64_t offset, std::string detail) {
  Finding* finding = findings_.add(rule, part_.path, part_.base + offset, std::move(detail));
  if (finding != nullptr) finding->evidence = line_around(source_, offset);
}

void TemplateAnalyzer::run() {
  if (source_.size() > kMaxBytes) {
    return report(scan_rules::kTemplateBroken, 0, "a template of more than 16 MiB");
  }
  auto tokens = scan_template::tokens_of(source_);
  if (!tokens) {
    return report(scan_rules::kTemplateBroken, tokens.error().offset, tokens.error().what);
  }
  tokens_ = std::move(*tokens);
  note_names();
  for (std::size_t i = 0; i < tokens_.size(); ++i) read(i);
}

// "name=", not "name==".
bool TemplateAnalyzer::is_assigned(std::size_t i) const {
  return is_operator(i + 1, '=') && !is_operator(i + 2, '=');
}

// The names that a tag binds: "for a, b in", "set a, b =", "macro m(a, b)", "call(a) m()".
void TemplateAnalyzer::note_bound(std::size_t tag) {
  const std::string& word = tokens_[tag].text;
  const bool is_macro = word == "macro";
  if (word != "for" && word != "set" && word != "call" && !is_macro) return;
  for (std::size_t i = tag + 1; i < tokens_.size(); ++i) {
    if (tokens_[i].kind == TokenKind::kClose) return;
    if ((word == "for" && is_name(i, "in")) || (word == "set" && is_operator(i, '='))) return;
    // "call(a) m(range)": what stands behind the first bracket is an expression.
    if (word == "call" && is_operator(i, ')')) return;
    if (tokens_[i].kind != TokenKind::kName) continue;
    if (is_macro && i == tag + 1) {
      macros_.insert(tokens_[i].text);
    } else {
      bound_.insert(tokens_[i].text);
    }
  }
}

void TemplateAnalyzer::note_names() {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const Token& token = tokens_[i];
    if (token.kind == TokenKind::kOpenTag && i + 1 < tokens_.size()) note_bound(i + 1);
    if (token.kind == TokenKind::kName && is_assigned(i)) bound_.insert(token.text);
    if (token.kind == TokenKind::kText && is_operator(i + 1, ':')) bound_.insert(token.text);
  }
}

void TemplateAnalyzer::read(std::size_t i) {
  switch (tokens_[i].kind) {
    case TokenKind::kName:
      return read_name(i);
    case TokenKind::kText:
      return read_text(i);
    case TokenKind::kNumber:
      return read_number(tokens_[i]);
    case TokenKind::kOperator:
      return read_operator(i);
    case TokenKind::kOpenTag:
    case TokenKind::kOpenValue:
    case TokenKind::kClose:
      brackets_.clear();
      return;
  }
}

void TemplateAnalyzer::read_attribute(const Token& name, bool called) {
  if (is_in(name.text, kWalks)) {
    report(scan_rules::kTemplateWalk, name.offset, "the attribute " + excerpt(name.text, 60));
  } else if (name.text.starts_with('_')) {
    unknown(name, "the private attribute ");
  } else if (called && !is_in(name.text, kMethods)) {
    unknown(name, "the method ");
  } else if (called && bound_.contains(name.text)) {
    unknown(name, "a call of what the template itself calls ");
  }
}

void TemplateAnalyzer::read_filter(std::size_t i) {
  const Token& name = tokens_[i];
  if (name.text == "attr") {
    return report(scan_rules::kTemplateWalk, name.offset, "the filter attr");
  }
  if (!is_in(name.text, kFilters)) return unknown(name, "the filter ");
  const bool takes_filter = name.text == "map";
  const bool takes_test = name.text == "select" || name.text == "reject";
  if ((!takes_filter && !takes_test) || !is_operator(i + 1, '(') || i + 2 >= tokens_.size()) return;
  // "map('trim')", "map(attribute='a')".
  const Token& first = tokens_[i + 2];
  if (first.kind == TokenKind::kText && first.text == "attr") {
    report(scan_rules::kTemplateWalk, first.offset, "the filter attr by its name");
  } else if (is_name(i + 2, "attribute") && is_assigned(i + 2)) {
    return;
  } else if (first.kind != TokenKind::kText ||
             !(takes_filter ? is_in(first.text, kFilters) : is_in(first.text, kTests))) {
    unknown(first, takes_filter ? "the filter " : "the test ");
  }
}

void TemplateAnalyzer::read_call(std::size_t i) {
  const Token& name = tokens_[i];
  if (is_in(name.text, kKeywords)) return;
  if (!is_in(name.text, kFunctions) && !macros_.contains(name.text)) {
    return unknown(name, "the function ");
  }
  if (bound_.contains(name.text)) {
    return unknown(name, "a call of what the template itself calls ");
  }
  // A table that is made of pairs: its keys become attributes.
  const bool makes_table = name.text == "dict" || name.text == "namespace";
  const bool has_names = is_operator(i + 2, ')') || (i + 2 < tokens_.size() && is_assigned(i + 2));
  if (makes_table && !has_names) unknown(name, "a table made of what is computed: ");
}

void TemplateAnalyzer::read_name(std::size_t i) {
  const Token& name = tokens_[i];
  const bool called = is_operator(i + 1, '(');
  if (name.text.starts_with("__")) {
    return report(scan_rules::kTemplateWalk, name.offset, "the name " + excerpt(name.text, 60));
  }
  if (i > 0 && is_operator(i - 1, '.')) return read_attribute(name, called);
  const bool is_filter_tag =
      i > 1 && is_name(i - 1, "filter") && tokens_[i - 2].kind == TokenKind::kOpenTag;
  if (i > 0 && tokens_[i - 1].kind == TokenKind::kOpenTag) {
    if (!is_in(name.text, kTags)) unknown(name, "the tag ");
  } else if ((i > 0 && is_operator(i - 1, '|')) || is_filter_tag) {
    read_filter(i);
  } else if (i > 0 &&
             (is_name(i - 1, "is") || (i > 1 && is_name(i - 1, "not") && is_name(i - 2, "is")))) {
    if (name.text != "not" && !is_in(name.text, kTests)) unknown(name, "the test ");
  } else if (is_in(name.text, kGlobals)) {
    unknown(name, "the object ");
  } else if (called && !(i > 0 && is_name(i - 1, "macro"))) {
    read_call(i);
  }
}

bool holds_dunder(std::string_view text) {
  for (std::size_t at = text.find("__"); at != std::string_view::npos;
       at = text.find("__", at + 1)) {
    const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz", at + 2);
    if (end != std::string_view::npos && end > at + 2 && text.substr(end).starts_with("__")) {
      return true;
    }
  }
  return false;
}

void TemplateAnalyzer::read_text(std::size_t i) {
  const Token& token = tokens_[i];
  if (!brackets_.empty()) brackets_.back().has_text = true;
  if (holds_dunder(token.text)) {
    report(scan_rules::kTemplateWalk, token.offset, "the name of an attribute of Python in a text");
  } else if (is_in(token.text, kWalks) && !brackets_.empty() && brackets_.back().subscript) {
    report(scan_rules::kTemplateWalk, token.offset, "the attribute " + token.text);
  } else if (token.text.find("__") != std::string::npos && !brackets_.empty()) {
    report(scan_rules::kTemplateUnknown, token.offset, "part of a name with double underscores");
  }
}

// A large range, or power, takes the memory or the time of whoever renders it.
void TemplateAnalyzer::read_number(const Token& token) {
  constexpr std::size_t kDigits = 6;
  if (token.text.size() > kDigits) {
    report(scan_rules::kTemplateUnknown, token.offset, "the number " + excerpt(token.text, 30));
  }
}

void TemplateAnalyzer::read_operator(std::size_t i) {
  const Token& token = tokens_[i];
  const char c = token.text[0];
  const bool behind_value =
      i > 0 &&
      (is_operator(i - 1, ')') || is_operator(i - 1, ']') || is_operator(i - 1, '}') ||
       tokens_[i - 1].kind == TokenKind::kText ||
       (tokens_[i - 1].kind == TokenKind::kName && !is_in(tokens_[i - 1].text, kKeywords)));
  if (c == '(' || c == '[' || c == '{') {
    const bool behind_bracket = i > 0 && tokens_[i - 1].kind == TokenKind::kOperator;
    if (c == '(' && behind_value && behind_bracket) {
      report(scan_rules::kTemplateUnknown, token.offset, "a call of what is computed");
    }
    brackets_.push_back({c, c == '[' && behind_value});
  } else if (c == ')' || c == ']' || c == '}') {
    close_bracket(token);
  } else if ((c == '+' || c == '~' || c == '%' || c == '|') && !brackets_.empty()) {
    brackets_.back().computes = true;
  }
  const bool is_argument = i > 0 && (is_operator(i - 1, '(') || is_operator(i - 1, ','));
  if (c == '*' && is_operator(i + 1, '*') && !is_argument) {
    report(scan_rules::kTemplateUnknown, token.offset, "a power");
  }
}

// "x['__cla' ~ 'ss__']": no template needs a key that is put together.
void TemplateAnalyzer::close_bracket(const Token& token) {
  if (brackets_.empty()) return;  // the lexer has balanced them
  const Bracket closed = brackets_.back();
  brackets_.pop_back();
  if (closed.subscript && closed.has_text && closed.computes) {
    report(scan_rules::kTemplateUnknown, token.offset, "a key that is put together");
  }
  // Parentheses do not hide that.
  if (closed.open == '(' && !brackets_.empty()) {
    brackets_.back().has_text |= closed.has_text;
    brackets_.back().computes |= closed.computes;
  }
}

}  // namespace

void analyze_template(const format::Part& part, Findings& findings) {
  TemplateAnalyzer(part, findings).run();
}

}  // namespace tare
