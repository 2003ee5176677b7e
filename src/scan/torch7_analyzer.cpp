// Objects of Torch7: functions of Lua are code, and a class is read by a method of its package.
#include <algorithm>
#include <array>

#include "format/torch7.hpp"
#include "scan/analyzers.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using namespace std::string_view_literals;

// Packages of Torch7 itself, whose objects are read as tensors or tables.
constexpr std::array kPackages = {"torch."sv, "nn."sv, "cudnn."sv, "optim."sv};

const char* language_of(ByteSpan code) {
  const std::string_view text = as_text(code);
  if (text.starts_with("\x1BLJ")) return "bytecode of LuaJIT";
  if (text.starts_with("\x1BLua")) return "bytecode of Lua";
  return "source of Lua, or what claims to be";
}

bool is_known_class(std::string_view name) {
  return std::ranges::any_of(kPackages,
                             [name](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace

void analyze_torch7(const format::Part& part, Findings& findings) {
  const auto view = format::read_torch7(part.bytes);
  if (!view) return;  // the format has refused it
  for (const auto& function : view->functions) {
    findings.add(scan_rules::kLuaFunction, part.path, part.base + function.offset,
                 (function.path.empty() ? "" : function.path + ": ") +
                     std::to_string(function.code.size()) + " bytes, " +
                     language_of(function.code));
  }
  for (const auto& [name, offset] : view->classes) {
    if (is_known_class(name)) continue;
    findings.add(scan_rules::kLuaClass, part.path, part.base + offset, name);
  }
}

}  // namespace tare
