#include "report/context_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "tare/pickle_disasm.hpp"

namespace tare::report {
namespace {

constexpr std::size_t kRowBytes = 16;
constexpr std::string_view kNoMark = " no MARK exists on stack";

// The bytes from the finding on.
ByteSpan bytes_behind(const Finding& finding) {
  return ByteSpan(finding.context)
      .subspan(std::min(finding.context_before, finding.context.size()));
}

// A line of a disassembly: "   35: R    REDUCE". Lines about pickletools and the like are not.
struct OpcodeLine {
  std::uint64_t offset;
  std::string_view text;  // behind the offset
};

std::optional<OpcodeLine> opcode_line(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::nullopt;
  std::uint64_t offset = 0;
  const auto [end, error] = std::from_chars(line.data() + begin, line.data() + line.size(), offset);
  if (error != std::errc() || end == line.data() + line.size() || *end != ':') return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  // Marks and values from before the context are there for an unpickler.
  if (line.ends_with(kNoMark)) line.remove_suffix(kNoMark.size());
  return OpcodeLine{offset, line.substr(0, line.find_last_not_of(' ') + 1)};
}

// The opcodes of the context, with offsets from the finding. Calls `visit` until it returns false.
template <typename Visit>
void visit_opcodes(const Finding& finding, Visit visit) {
  if (finding.opcode.empty()) return;
  std::string text;
  pickle::disassemble(bytes_behind(finding), {}, [&text](std::string_view piece) {
    text += piece;
    return true;
  });
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const auto line = opcode_line(rest.substr(0, end));
    if (line && !visit(*line)) return;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

char shown(std::byte byte) {
  const auto c = std::to_integer<unsigned char>(byte);
  return c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.';
}

}  // namespace

std::vector<HexRow> hex_rows(const Finding& finding) {
  std::vector<HexRow> rows;
  const std::uint64_t start = finding.offset - std::min(finding.offset, finding.context_before);
  for (std::size_t i = 0; i < finding.context.size(); i += kRowBytes) {
    HexRow& row = rows.emplace_back(HexRow{start + i, "", ""});
    for (std::size_t k = i; k < std::min(i + kRowBytes, finding.context.size()); ++k) {
      row.hex += fmt::format("{}{:02x}", k == i ? "" : " ", finding.context[k]);
      row.text += shown(finding.context[k]);
    }
  }
  return rows;
}

std::string opcode_view(const Finding& finding) {
  std::string out;
  visit_opcodes(finding, [&](const OpcodeLine& line) {
    out += fmt::format("{:5}{}\n", finding.offset + line.offset, line.text);
    return true;
  });
  return out;
}

std::uint64_t finding_length(const Finding& finding) {
  const std::uint64_t available = bytes_behind(finding).size();
  if (finding.opcode.empty()) return std::min<std::uint64_t>(available, 1);
  std::uint64_t length = available;
  visit_opcodes(finding, [&length](const OpcodeLine& line) {
    if (line.offset > 0) length = line.offset;
    return line.offset == 0;
  });
  return length;
}

}  // namespace tare::report
