#include "report/scan_writer.hpp"

#include <array>
#include <utility>

namespace tare::report {
namespace {

constexpr std::array kFormats = {std::pair{"text", ScanFormat::kText},
                                 std::pair{"json", ScanFormat::kJson}};

}  // namespace

void ScanTotals::add(const ScannedFile& file) {
  if (!file.report) {
    const ErrorCode code = file.report.error().code;
    ++(code == ErrorCode::kWrongFormat ? unknown : code == ErrorCode::kLimit ? skipped : failed);
    return;
  }
  bytes += file.report->size;
  if (file.report->out_of_time) ++out_of_time;
  switch (file.report->verdict) {
    case Verdict::kSafe:
      ++safe;
      return;
    case Verdict::kSuspicious:
      ++suspicious;
      return;
    case Verdict::kUnreadable:
      ++unreadable;
      return;
    case Verdict::kDangerous:
      ++dangerous;
      return;
  }
}

std::optional<ScanFormat> scan_format_of(std::string_view name) {
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  return std::nullopt;
}

std::unique_ptr<ScanWriter> make_scan_writer(ScanFormat format, Colour colour) {
  switch (format) {
    case ScanFormat::kText:
      return make_text_scan_writer(colour);
    case ScanFormat::kJson:
      return make_json_scan_writer();
  }
  return nullptr;
}

}  // namespace tare::report
