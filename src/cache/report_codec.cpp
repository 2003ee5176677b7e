#include "cache/report_codec.hpp"

#include <algorithm>

#include "io/byte_buffer.hpp"
#include "io/cursor.hpp"

namespace tare::cache {
namespace {

enum class Kind : std::uint8_t { kReport, kNothing };

class Writer {
 public:
  void operator()(std::uint64_t value) { out_.u64(value); }
  void operator()(std::string_view value) { out_.u64(value.size()).text(value); }
  void operator()(const std::vector<std::byte>& value) { (*this)(as_text(value)); }
  std::vector<std::byte> take() { return out_.take(); }

 private:
  ByteBuffer out_;
};

// Each reads one value; after the first failure nothing is read any more.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : in_(bytes) {}

  std::uint64_t number() {
    const auto value = in_.read<std::uint64_t>();
    failed_ |= !value;
    return value.value_or(0);
  }
  std::string text() { return std::string(as_text(bytes())); }
  std::vector<std::byte> buffer() {
    const ByteSpan value = bytes();
    return {value.begin(), value.end()};
  }
  // A number that counts what follows, each of which takes a number at least.
  std::uint64_t count() {
    const std::uint64_t value = number();
    failed_ |= value > in_.remaining() / sizeof(std::uint64_t);
    return failed_ ? 0 : value;
  }
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }
  bool read_all() const { return !failed_ && in_.at_end(); }

 private:
  ByteSpan bytes() {
    const auto value = in_.take(number());
    failed_ |= !value;
    return value.value_or(ByteSpan());
  }

  Cursor in_;
  bool failed_ = false;
};

// The names of all members stand here, so that one that is added does not compile until it is kept.
void write(Writer& to, const Finding& finding) {
  const auto& [rule, entry, offset, opcode, evidence, detail, name, file_offset, context,
               context_before, suppressed] = finding;
  to(rule->id);
  to(entry);
  to(offset);
  to(opcode);
  to(evidence);
  to(detail);
  to(name);
  to(file_offset);
  to(context);
  to(context_before);
  to(suppressed);
}

Finding read_finding(Reader& from) {
  Finding finding;
  finding.rule = rule_by_id(from.text());
  if (finding.rule == nullptr) from.fail();
  finding.entry = from.text();
  finding.offset = from.number();
  finding.opcode = from.text();
  finding.evidence = from.text();
  finding.detail = from.text();
  finding.name = from.text();
  finding.file_offset = from.number();
  finding.context = from.buffer();
  finding.context_before = from.number();
  finding.suppressed = from.text();
  return finding;
}

void write(Writer& to, const ScanReport& report) {
  const auto& [verdict, formats, findings, size, parts, tensor_bytes, out_of_time] = report;
  to(std::to_underlying(verdict));
  to(formats.size());
  for (const std::string& format : formats) to(format);
  to(findings.size());
  for (const Finding& finding : findings) write(to, finding);
  to(size);
  to(parts);
  to(tensor_bytes);
  to(std::uint64_t{out_of_time});
}

ScanReport read_report(Reader& from) {
  ScanReport report;
  const std::uint64_t verdict = from.number();
  if (verdict > std::to_underlying(Verdict::kDangerous)) from.fail();
  report.verdict = static_cast<Verdict>(verdict);
  for (std::uint64_t left = from.count(); left > 0 && !from.failed(); --left) {
    report.formats.push_back(from.text());
  }
  for (std::uint64_t left = from.count(); left > 0 && !from.failed(); --left) {
    report.findings.push_back(read_finding(from));
  }
  report.size = from.number();
  report.parts = from.number();
  report.tensor_bytes = from.number();
  report.out_of_time = from.number() != 0;
  return report;
}

void write(Writer& to, const Error& error) {
  const auto& [code, sys_errno, offset, what, expected, actual, beginning, beginning_size] = error;
  to(std::to_underlying(code));
  to(static_cast<std::uint64_t>(sys_errno));
  to(offset);
  to(std::string_view(what));
  to(expected);
  to(actual);
  to(as_text(std::span(beginning).first(beginning_size)));
}

Error read_error(Reader& from, Literals& literals) {
  Error error;
  error.code = static_cast<ErrorCode>(from.number());
  error.sys_errno = static_cast<int>(from.number());
  error.offset = from.number();
  error.what = literals.keep(from.text());
  error.expected = from.number();
  error.actual = from.number();
  const std::vector<std::byte> beginning = from.buffer();
  if (beginning.size() > error.beginning.size()) from.fail();
  error.beginning_size =
      static_cast<std::uint8_t>(std::min(beginning.size(), error.beginning.size()));
  std::copy_n(beginning.begin(), error.beginning_size, error.beginning.begin());
  if (error.code != ErrorCode::kWrongFormat) from.fail();
  return error;
}

}  // namespace

const char* Literals::keep(std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto found = texts_.find(text);
  return found != texts_.end() ? found->c_str() : texts_.emplace(text).first->c_str();
}

bool can_be_kept(const Outcome& outcome) {
  return outcome ? !outcome->out_of_time : outcome.error().code == ErrorCode::kWrongFormat;
}

std::vector<std::byte> encode(const Outcome& outcome) {
  Writer to;
  to(std::to_underlying(outcome ? Kind::kReport : Kind::kNothing));
  if (outcome) {
    write(to, *outcome);
  } else {
    write(to, outcome.error());
  }
  return to.take();
}

std::optional<Outcome> decode(ByteSpan bytes, Literals& literals) {
  Reader from(bytes);
  const std::uint64_t kind = from.number();
  if (kind == std::to_underlying(Kind::kReport)) {
    Outcome outcome = read_report(from);
    if (from.read_all()) return outcome;
  } else if (kind == std::to_underlying(Kind::kNothing)) {
    Outcome outcome = std::unexpected(read_error(from, literals));
    if (from.read_all()) return outcome;
  }
  return std::nullopt;
}

}  // namespace tare::cache
