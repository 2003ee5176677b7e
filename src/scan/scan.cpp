#include "tare/scan.hpp"

#include <algorithm>
#include <deque>
#include <tuple>

#include "format/format.hpp"
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

// A file, or one inside of another.
struct Task {
  ByteSpan bytes;
  std::string path;    // of its entry; empty for the file itself
  unsigned depth = 0;  // files around it
};

// Judges a file and, one after the other, the files inside of it.
class FileScanner {
 public:
  void run(ByteSpan bytes);
  ScanReport finish();

 private:
  void scan_task(const Task& task);
  void scan_as(const format::Format& format, const Task& task);
  void analyze(const format::Part& part, const Task& task);
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
  tasks_.push_back({bytes, "", 0});
  while (!tasks_.empty()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    scan_task(task);
  }
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
    analyze(part, task);
  }
}

void FileScanner::analyze(const format::Part& part, const Task& task) {
  ++report_.parts;
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
    case format::PartKind::kTensorData:
      report_.tensor_bytes += part.bytes.size();
      return;
    case format::PartKind::kPlainText:
    case format::PartKind::kTensorHeader:
      return;
    case format::PartKind::kNested:
      return add_task(part, task.depth);
    case format::PartKind::kUnknown:
      return add_unknown(part);
  }
}

// A file inside of one that is `depth` files deep.
void FileScanner::add_task(const format::Part& part, unsigned depth) {
  if (format::detect(part.bytes).empty()) return add_unknown(part);
  if (depth < format::kMaxDepth) {
    tasks_.push_back({part.bytes, part.path, depth + 1});
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
    report_.verdict = std::max(report_.verdict, finding.severity());
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

}  // namespace tare
