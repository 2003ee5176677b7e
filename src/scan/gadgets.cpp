// The table of known gadgets, and how a name is found in it.
#include <algorithm>
#include <array>
#include <tuple>

#include "scan/policy.hpp"

namespace tare::scan_policy {
namespace {

constexpr auto kGadgets = [] {
  auto table = std::to_array<ListedGadget>({
#define TARE_GADGET(module, name, category) ListedGadget{module, name, Category::category},
#include "scan/gadgets.def"
#undef TARE_GADGET
  });
  std::ranges::sort(table, [](const ListedGadget& a, const ListedGadget& b) {
    return std::tie(a.module, a.name) < std::tie(b.module, b.name);
  });
  return table;
}();

// No longer name can be on the list: names of a hostile file may have any length and any number of
// dots.
constexpr std::size_t kLongestModule = [] {
  std::size_t longest = 0;
  for (const ListedGadget& gadget : kGadgets) longest = std::max(longest, gadget.module.size());
  return longest;
}();
constexpr std::size_t kLongestName = [] {
  std::size_t longest = 0;
  for (const ListedGadget& gadget : kGadgets) longest = std::max(longest, gadget.name.size());
  return longest;
}();

const ListedGadget* find_exact(std::string_view module, std::string_view name) {
  const auto found = std::ranges::lower_bound(
      kGadgets, std::tie(module, name), std::less{},
      [](const ListedGadget& gadget) { return std::tie(gadget.module, gadget.name); });
  if (found == kGadgets.end() || found->module != module || found->name != name) return nullptr;
  return &*found;
}

// The text up to its last dot that is not longer than `limit`; empty if there is none.
std::string_view parent(std::string_view text, std::size_t limit) {
  const std::size_t dot = text.substr(0, limit + 1).rfind('.');
  return dot == std::string_view::npos || dot == 0 ? "" : text.substr(0, dot);
}

}  // namespace

const char* category_text(Category category) {
  switch (category) {
    case Category::kCodeExecution:
      return "runs code";
    case Category::kImport:
      return "imports or reaches modules";
    case Category::kFile:
      return "reaches files";
    case Category::kNetwork:
      return "reaches the network";
    case Category::kLibrary:
      return "loads native code";
    case Category::kDeserialization:
      return "loads another program";
    case Category::kAttribute:
      return "reaches attributes by name, and through them anything";
    case Category::kProcess:
      return "starts programs";
    case Category::kDenial:
      return "stops the process or makes it hang";
  }
  return "";
}

const char* category_word(Category category) {
  switch (category) {
    case Category::kCodeExecution:
      return "code-execution";
    case Category::kImport:
      return "import";
    case Category::kFile:
      return "file";
    case Category::kNetwork:
      return "network";
    case Category::kLibrary:
      return "library-loading";
    case Category::kDeserialization:
      return "deserialization";
    case Category::kAttribute:
      return "attribute-walking";
    case Category::kProcess:
      return "process";
    case Category::kDenial:
      return "denial-of-service";
  }
  return "";
}

std::span<const ListedGadget> listed_gadgets() {
  return kGadgets;
}

std::optional<Category> find_gadget(std::string_view module, std::string_view name) {
  // Names of the same module in Python 2 and inside every module's namespace.
  if (module == "__builtin__" || module == "__builtins__") module = "builtins";
  // The name, and what it is an attribute of: "FileHandler.emit", "FileHandler".
  for (std::string_view path = name; !path.empty(); path = parent(path, kLongestName)) {
    if (const ListedGadget* const found = find_exact(module, path)) return found->category;
  }
  // The module as a whole, and what it is in.
  for (std::string_view path = module; !path.empty(); path = parent(path, kLongestModule)) {
    if (const ListedGadget* const found = find_exact(path, "*")) return found->category;
  }
  // A dotted name walks from an innocent module to anything that it imports.
  if (name.find('.') != std::string_view::npos) return Category::kAttribute;
  return std::nullopt;
}

}  // namespace tare::scan_policy
