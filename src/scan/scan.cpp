#include "tare/scan.hpp"

#include <algorithm>
#include <deque>
#include <tuple>

#include "format/format.hpp"
#include "format/shards.hpp"
#include "scan/analyzers.hpp"
#include "scan/findings.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

const Rule& rule_of(format::NoteKind kind) {
  switch (kind) {
    case format::NoteKind::kAmbiguous:
      return scan_rules::kContainerAmbiguous;
    case format::NoteKind::kDamaged:
      return scan_rules::kContainerDamaged;
    case format::NoteKind::kUnreadable:
      return scan_rules::kContainerUnreadable;
    case format::NoteKind::kTensor:
      return scan_rules::kTensorBounds;
    case format::NoteKind::kTrailing:
      return scan_rules::kContainerTrailing;
    case format::NoteKind::kExtraction:
      return scan_rules::kContainerExtraction;
    case format::NoteKind::kGgufHeader:
      return scan_rules::kGgufHeader;
    case format::NoteKind::kGgufBounds:
      return scan_rules::kGgufBounds;
    case format::NoteKind::kGgufOverflow:
      return scan_rules::kGgufOverflow;
  }
  return scan_rules::kUnknownPart;
}

void add(Findings& findings, const Rule& rule, std::string entry, std::uint64_t offset,
         std::string detail) {
  Finding* finding = findings.add(rule);
  if (finding == nullptr) return;
  finding->entry = std::move(entry);
  finding->offset = offset == Error::kNoOffset ? 0 : offset;
  finding->detail = std::move(detail);
}

// Where findings about a part are in the file, and the bytes around them.
void add_context(std::span<Finding> findings, const format::Part& part) {
  constexpr std::uint64_t kBefore = 16;
  constexpr std::uint64_t kAfter = 48;
  for (Finding& finding : findings) {
    const std::uint64_t at = finding.offset - std::min(finding.offset, part.base);
    if (at > part.bytes.size()) continue;
    if (part.offset != Error::kNoOffset) finding.file_offset = part.offset + at;
    const std::uint64_t from = at - std::min(at, kBefore);
    const auto bytes = part.bytes.subspan(from, std::min(at + kAfter, part.bytes.size()) - from);
    finding.context.assign(bytes.begin(), bytes.end());
    finding.context_before = at - from;
  }
}

// A file, or one inside of another.
struct Task {
  ByteSpan bytes;
  std::string path;          // of its entry; empty for the file itself
  unsigned depth = 0;        // files around it
  std::uint64_t offset = 0;  // of the bytes in the outermost file; none if decompressed
};

// Judges a file and, one after the other, the files inside of it.
class FileScanner {
 public:
  void run(ByteSpan bytes);
  // A file that consists of others, which lie in these places, in order.
  void run_parts(ByteSpan bytes, std::span<const FileRange> parts);
  ScanReport finish();

 private:
  void run_part(ByteSpan bytes, FileRange part);
  void drain();
  void scan_task(const Task& task);
  void scan_as(const format::Format& format, const Task& task);
  void analyze(const format::Part& part, const Task& task);
  void judge(const format::Part& part, const Task& task);
  void add_task(const format::Part& part, unsigned depth);
  void add_unknown(const format::Part& part);
  std::string inside(const Task& task, const std::string& path) const {
    return task.path.empty() ? path : path.empty() ? task.path : task.path + "!" + path;
  }

  ScanReport report_;
  Findings findings_;
  std::deque<format::PartList> lists_;  // own what was decompressed
  std::deque<Task> tasks_;
};

void FileScanner::run(ByteSpan bytes) {
  tasks_.push_back({bytes, "", 0, 0});
  drain();
}

void FileScanner::drain() {
  while (!tasks_.empty()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    scan_task(task);
  }
}

void FileScanner::run_parts(ByteSpan bytes, std::span<const FileRange> parts) {
  report_.formats.emplace_back("torch-distributed");
  // Parts that do not overlap are no more than the file.
  std::uint64_t budget = 3 * bytes.size();
  std::uint64_t covered = 0;
  const auto skip_to = [&](std::uint64_t offset) {
    if (offset <= covered) return;
    add_unknown({"", format::PartKind::kUnknown, bytes.subspan(covered, offset - covered), covered,
                 covered});
  };
  for (const FileRange part : parts) {
    const std::uint64_t offset = std::min<std::uint64_t>(part.offset, bytes.size());
    const std::uint64_t length = std::min(part.length, bytes.size() - offset);
    skip_to(offset);
    if (offset < covered) {
      add(findings_, scan_rules::kContainerAmbiguous, "", offset, "two parts of the file overlap");
    }
    if (length < part.length) {
      add(findings_, scan_rules::kContainerDamaged, "", offset, "the file ends inside of a part");
    }
    if (length > budget) {
      add(findings_, scan_rules::kContainerUnreadable, "", offset,
          "the parts share more bytes than tare is willing to look at");
      return;
    }
    budget -= length;
    run_part(bytes, {offset, length});
    covered = std::max(covered, offset + length);
  }
  skip_to(bytes.size());
}

void FileScanner::run_part(ByteSpan bytes, FileRange part) {
  if (part.length == 0) return;
  add_task({"bytes at " + std::to_string(part.offset), format::PartKind::kNested,
            bytes.subspan(part.offset, part.length), part.offset},
           0);
  drain();
  lists_.clear();  // findings do not refer to them
}

void FileScanner::scan_task(const Task& task) {
  for (const format::Format* format : format::detect(task.bytes)) scan_as(*format, task);
}

// One format's reading of the file.
void FileScanner::scan_as(const format::Format& format, const Task& task) {
  auto read = format.list_parts(task.bytes);
  if (task.depth == 0) {
    report_.formats.emplace_back(read && !read->format.empty() ? read->format : format.name);
  }
  if (!read) {
    add(findings_, scan_rules::kUnreadableFile, task.path, read.error().offset, read.error().what);
    return;
  }
  format::PartList& list = lists_.emplace_back(std::move(*read));
  for (const format::Note& note : list.notes) {
    add(findings_, rule_of(note.kind), inside(task, note.path), note.offset, note.text);
  }
  for (format::Part& part : list.parts) {
    part.path = inside(task, part.path);
    if (part.offset != Error::kNoOffset) {
      part.offset = task.offset == Error::kNoOffset ? task.offset : task.offset + part.offset;
    }
    analyze(part, task);
  }
}

void FileScanner::analyze(const format::Part& part, const Task& task) {
  ++report_.parts;
  const std::size_t first = findings_.size();
  judge(part, task);
  add_context(findings_.since(first), part);
}

void FileScanner::judge(const format::Part& part, const Task& task) {
  switch (part.kind) {
    case format::PartKind::kPickle:
      for (const NestedFile& file : analyze_pickle(part, findings_)) {
        const std::string name = "bytes at " + std::to_string(file.offset);
        const format::Part inner{part.path.empty() ? name : part.path + "!" + name,
                                 format::PartKind::kNested, file.bytes};
        add_task(inner, task.depth);
      }
      return;
    case format::PartKind::kTorchScript:
      analyze_torchscript(part, findings_);
      return;
    case format::PartKind::kOnnx:
      return analyze_onnx(part, findings_);
    case format::PartKind::kTflite:
      return analyze_tflite(part, findings_);
    case format::PartKind::kTensorflow:
      return analyze_tensorflow(part, findings_);
    case format::PartKind::kTensorData:
      report_.tensor_bytes += part.bytes.size();
      return;
    case format::PartKind::kPlainText:
    case format::PartKind::kTensorHeader:
      return;
    case format::PartKind::kNested:
      return add_task(part, task.depth);
    case format::PartKind::kNotAnalysed:
      return add(findings_, scan_rules::kNotAnalysed, part.path, part.base,
                 std::string(describe_content(part.bytes)) + ": recognised, not analysed");
    case format::PartKind::kTemplate:
    case format::PartKind::kUnknown:
      return add_unknown(part);
  }
}

// A file inside of one that is `depth` files deep.
void FileScanner::add_task(const format::Part& part, unsigned depth) {
  if (format::detect(part.bytes).empty()) return add_unknown(part);
  if (depth < format::kMaxDepth) {
    tasks_.push_back({part.bytes, part.path, depth + 1, part.offset});
    return;
  }
  add(findings_, scan_rules::kContainerUnreadable, part.path, 0,
      "files stand inside files more than 8 deep");
}

void FileScanner::add_unknown(const format::Part& part) {
  add(findings_, scan_rules::kUnknownPart, part.path, part.base,
      std::to_string(part.bytes.size()) + " bytes: " + std::string(describe_content(part.bytes)));
}

ScanReport FileScanner::finish() {
  if (const std::uint64_t left_out = findings_.left_out(); left_out > 0) {
    add(findings_, scan_rules::kFindingsLeftOut, "", 0,
        std::to_string(left_out) + " findings are not listed");
  }
  report_.findings = findings_.take();
  std::ranges::stable_sort(report_.findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.entry, a.offset) < std::tie(b.entry, b.offset);
  });
  for (const Finding& finding : report_.findings) {
    if (finding.suppressed.empty()) {
      report_.verdict = std::max(report_.verdict, finding.severity());
    }
  }
  return std::move(report_);
}

}  // namespace

Result<ScanReport> scan(ByteSpan bytes) {
  if (format::detect(bytes).empty()) return fail(ErrorCode::kWrongFormat, describe_content(bytes));
  FileScanner scanner;
  scanner.run(bytes);
  ScanReport report = scanner.finish();
  report.size = bytes.size();
  return report;
}

Result<ScanReport> scan_file(const ModelFile& file) {
  const ByteSpan bytes = file.input.bytes();
  if (file.is_index && format::is_shard_index(bytes)) {
    ScanReport report;
    report.formats.emplace_back("index");
    report.size = bytes.size();
    report.parts = 1;
    return report;
  }
  if (file.is_raw) {
    ScanReport report;
    report.formats.emplace_back("tensor data");
    report.size = report.tensor_bytes = bytes.size();
    report.parts = 1;
    return report;
  }
  if (file.parts.empty()) return scan(bytes);
  FileScanner scanner;
  scanner.run_parts(bytes, file.parts);
  ScanReport report = scanner.finish();
  report.size = bytes.size();
  return report;
}

}  // namespace tare
