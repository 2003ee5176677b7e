// TorchScript source is compiled Python-like text. What it may do on load is decided by the loader
// (torch.jit.load runs __setstate__ of its classes), so code that is merely present is suspicious,
// and code that reaches files, or that runs on load, is dangerous.
#include <array>

#include "scan/analyzers.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

struct Marker {
  std::string_view text;
  const char* meaning;
};

constexpr std::array kMarkers = {
    Marker{"torch.save(", "writes a file of its own choice (aten::save)"},
    Marker{"aten.save", "writes a file of its own choice (aten::save)"},
    Marker{"from_file", "maps a file of its own choice (aten::from_file)"},
    Marker{"rpc_", "calls other machines (rpc)"},
    Marker{"__setstate__", "runs when the object is loaded"},
};

std::string line_at(std::string_view text, std::size_t position) {
  const std::size_t before = text.rfind('\n', position);
  const std::size_t start = before == std::string_view::npos ? 0 : before + 1;
  const std::size_t end = text.find('\n', position);
  std::string line;
  for (const char c : text.substr(start, std::min<std::size_t>(end - start, 200))) {
    if (c >= 0x20 && c < 0x7f) line += c;
  }
  line.erase(0, line.find_first_not_of(' ') == std::string::npos ? 0 : line.find_first_not_of(' '));
  return line;
}

}  // namespace

void analyze_torchscript(const format::Part& part, Findings& findings) {
  const std::string_view source = as_text(part.bytes);
  bool dangerous = false;
  for (const Marker& marker : kMarkers) {
    const std::size_t position = source.find(marker.text);
    if (position == std::string_view::npos) continue;
    dangerous = true;
    Finding* finding = findings.add(scan_rules::kScriptDangerous);
    if (finding == nullptr) return;
    finding->entry = part.path;
    finding->offset = position;
    finding->evidence = line_at(source, position);
    finding->detail = std::string("the code ") + marker.meaning;
  }
  if (dangerous) return;
  Finding* finding = findings.add(scan_rules::kScriptCode);
  if (finding == nullptr) return;
  finding->entry = part.path;
  finding->evidence = line_at(source, 0);
  finding->detail = std::to_string(part.bytes.size()) + " bytes of code that a loader may run";
}

}  // namespace tare
