#include "pickle/python_names.hpp"

#include <algorithm>
#include <iterator>

namespace tare::pickle {
namespace {

constexpr std::size_t kMaxName = 100;

constexpr std::string_view kKeywords[] = {
    "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
    "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
    "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
    "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield",
};

// Builtins that the source uses: bound by an import, they would mean something else, unless it is
// the builtin that is imported.
constexpr std::string_view kBuiltins[] = {
    "NotImplementedError",
    "__import__",
    "bytearray",
    "float",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "int",
    "isinstance",
    "iter",
    "len",
    "memoryview",
    "next",
    "set",
    "setattr",
    "str",
    "tuple",
    "type",
};

constexpr std::string_view kHelpers[] = {
    "_build",  "_find_class", "_instantiate", "_py2_str",        "_readonly",
    "buffers", "copyreg",     "encoding",     "persistent_load", "sys",
};

bool contains(const auto& list, std::string_view name) {
  return std::ranges::find(list, name) != std::end(list);
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c); }) &&
         !contains(kKeywords, text);
}

bool is_path(std::string_view text) {
  if (text.size() > kMaxName) return false;
  for (;;) {
    const auto dot = text.find('.');
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// prefix, and digits behind it.
bool is_numbered(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) && std::ranges::all_of(name.substr(prefix.size()), is_digit);
}

bool is_reserved(std::string_view module, std::string_view name) {
  if (contains(kBuiltins, name)) return module != "builtins";
  return contains(kHelpers, name) || is_numbered(name, "_var") || is_numbered(name, "result") ||
         (name.starts_with("__") && name.ends_with("__"));
}

}  // namespace

bool is_importable(std::string_view module, std::string_view name) {
  // "from __future__ import" is a statement of its own kind.
  return name.size() <= kMaxName && is_identifier(name) && is_path(module) &&
         module != "__future__";
}

bool is_importable_path(std::string_view module, std::string_view path) {
  return is_path(path) && is_path(module) && module != "__future__";
}

bool PythonNames::is_free(const std::string& name, const DecompilePlan& plan) const {
  const auto found = bound_.find(name);
  return found == bound_.end() || !plan.has_uses_left(found->second);
}

std::string PythonNames::bind(std::string_view module, std::string_view name, Value owner,
                              const DecompilePlan& plan) {
  std::string candidate(name);
  if (is_reserved(module, name) || !is_free(candidate, plan)) {
    std::uint64_t& suffix = last_suffix_.try_emplace(candidate, 1).first->second;
    do {
      candidate = std::string(name) + "_" + std::to_string(++suffix);
    } while (!is_free(candidate, plan));
  }
  bound_.insert_or_assign(candidate, owner);
  return candidate;
}

}  // namespace tare::pickle
