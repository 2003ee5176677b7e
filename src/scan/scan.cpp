#include "tare/scan.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <ranges>
#include <tuple>
#include <utility>

#include "format/format.hpp"
#include "format/shards.hpp"
#include "io/checked.hpp"
#include "io/sha256.hpp"
#include "scan/analyzers.hpp"
#include "scan/carve.hpp"
#include "scan/findings.hpp"
#include "scan/rules.hpp"
#include "tare/policy.hpp"

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
    case format::NoteKind::kUnchecked:
      return scan_rules::kTensorUnchecked;
    case format::NoteKind::kTrailing:
      return scan_rules::kContainerTrailing;
    case format::NoteKind::kExtraction:
      return scan_rules::kContainerExtraction;
    case format::NoteKind::kOutside:
      return scan_rules::kHdf5Outside;
    case format::NoteKind::kLink:
      return scan_rules::kHdf5Link;
    case format::NoteKind::kPlugin:
      return scan_rules::kHdf5Plugin;
    case format::NoteKind::kOddName:
      return scan_rules::kTensorName;
    case format::NoteKind::kGgufHeader:
      return scan_rules::kGgufHeader;
    case format::NoteKind::kGgufBounds:
      return scan_rules::kGgufBounds;
    case format::NoteKind::kGgufOverflow:
      return scan_rules::kGgufOverflow;
    case format::NoteKind::kContradiction:
      return scan_rules::kContradiction;
    case format::NoteKind::kElsewhere:
      return scan_rules::kElsewhere;
  }
  return scan_rules::kUnknownPart;
}

}  // namespace

void add_note(Findings& findings, const format::Note& note, std::string_view entry) {
  findings.add(rule_of(note.kind), entry, note.offset, note.text);
}

void count_unnoted(Findings& findings, const format::PartList& list) {
  for (const auto& [rule, count] : {std::pair(&scan_rules::kTensorBounds, list.misfits),
                                    std::pair(&scan_rules::kTensorUnchecked, list.unchecked)}) {
    if (count <= format::PartList::kMaxTensorNotes) continue;
    findings.leave_out(*rule, count - format::PartList::kMaxTensorNotes);
  }
}

namespace {

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

std::string content_of(const format::Part& part) {
  return std::to_string(part.bytes.size()) + " bytes: " + std::string(describe_content(part.bytes));
}

// The name of what stands at an offset of a part.
std::string name_inside(const format::Part& part, std::uint64_t offset) {
  const std::string name = "bytes at " + std::to_string(offset);
  return part.path.empty() ? name : part.path + "!" + name;
}

// Archives in which models are handed on, and which tare does not read.
bool holds_models(ByteSpan bytes) {
  return as_text(bytes).starts_with("Rar!\x1A\x07");
}

// The digest that a blob is named after, in image layouts (blobs/sha256/HEX) and in what ollama
// keeps (blobs/sha256-HEX).
std::optional<std::string_view> digest_in(std::string_view path) {
  constexpr std::size_t kDigits = 64;
  constexpr std::string_view kFolder = "blobs/sha256";
  if (path.size() < kFolder.size() + 1 + kDigits) return std::nullopt;
  const std::string_view digest = path.substr(path.size() - kDigits);
  path.remove_suffix(kDigits);
  if (!path.ends_with('/') && !path.ends_with('-')) return std::nullopt;
  path.remove_suffix(1);
  const bool is_hex = digest.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return is_hex && path.ends_with(kFolder) ? std::optional(digest) : std::nullopt;
}

bool is_python(std::string_view path) {
  return path.size() > 3 && (path.ends_with(".py") || path.ends_with(".PY"));
}

bool is_before(const Finding& a, const Finding& b) {
  return std::tie(a.entry, a.offset) < std::tie(b.entry, b.offset);
}

using Formats = std::vector<const format::Format*>;

// A file, or one inside of another.
struct Task {
  ByteSpan bytes;
  std::string path;          // of its entry; empty for the file itself
  unsigned depth = 0;        // files around it
  std::uint64_t offset = 0;  // of the bytes in the outermost file; none if decompressed
  Formats formats = {};      // that recognise it
  // What owns the bytes, if they were decompressed or decoded.
  std::shared_ptr<const void> owner = {};
};

// Judges a file and, one after the other, the files inside of it.
class FileScanner {
 public:
  explicit FileScanner(const ScanOptions& options) : options_(options), findings_(options) {}
  void run(ByteSpan bytes);
  // Whether a format recognised the file, or there was no time to find out.
  bool is_known() const { return !report_.formats.empty() || findings_.is_late(); }
  // A file that no format recognises.
  void run_unknown(ByteSpan bytes);
  // A file that consists of others, which lie in these places, in order.
  void run_parts(ByteSpan bytes, std::span<const FileRange> parts);
  ScanReport finish(ByteSpan bytes);

 private:
  void start(ByteSpan bytes);
  void suppress(ByteSpan bytes);
  void run_part(ByteSpan bytes, FileRange part);
  void drain();
  void scan_task(const Task& task);
  void scan_as(const format::Format& format, const Task& task);
  void analyze(const format::Part& part, const Task& task);
  void judge(const format::Part& part, const Task& task);
  void judge_pickle(const format::Part& part, const Task& task, Streams streams);
  // Bytes that no format reads, or that one could not read: a pickle may stand in them.
  void search(const format::Part& part, const Task& task);
  // Texts that stand for bytes, in what a format reads.
  void search_texts(const format::Part& part, const Task& task);
  void add_task(const format::Part& part, const Task& task);
  // What a part is besides what its name says.
  void add_others(const format::Part& part, const Task& task);
  // Nothing if no format recognises it.
  void add_recognised(const format::Part& part, Formats formats, const Task& task);
  void add_decoded(const format::Part& part, std::uint64_t offset, std::vector<std::byte> bytes,
                   const Task& task);
  void add_unknown(const format::Part& part, const Task& task);
  void check_digest(std::string_view path, ByteSpan bytes);
  std::string inside(const Task& task, const std::string& path) const {
    return task.path.empty() ? path : path.empty() ? task.path : task.path + "!" + path;
  }

  const ScanOptions& options_;
  ScanReport report_;
  Findings findings_;
  format::ReadContext context_;  // shared by all files inside of the file
  // Bytes that files inside of files may have: archives whose entries overlap multiply them.
  std::uint64_t nested_left_ = 0;
  std::shared_ptr<const void> owner_;  // of the parts that are being judged
  std::vector<Task> found_;            // in the file that is being judged
  std::vector<Task> tasks_;            // the next one last
};

// No honest file is handed on at more levels than this.
constexpr std::uint64_t kMostViews = std::uint64_t{4} * format::kMaxDepth;

void FileScanner::run(ByteSpan bytes) {
  start(bytes);
  check_digest(options_.path, bytes);
  tasks_.push_back({bytes, "", 0, 0, format::detect(bytes)});
  drain();
}

void FileScanner::start(ByteSpan bytes) {
  context_ = format::context_of(bytes);
  nested_left_ = checked_mul(kMostViews, bytes.size()).value_or(UINT64_MAX);
}

void FileScanner::run_unknown(ByteSpan bytes) {
  start(bytes);
  report_.formats.emplace_back("unknown");
  report_.parts = 1;
  const Task task{bytes, "", 0, 0};
  const format::Part part{"", format::PartKind::kUnknown, bytes, 0};
  if (holds_models(bytes)) {
    findings_.add(scan_rules::kUnreadableFile, "", 0, describe_content(bytes));
    search(part, task);
  } else {
    add_unknown(part, task);
  }
  add_context(findings_.since(0), part);
  drain();
}

// The files inside of one are judged before its neighbours, so that what was decompressed for them
// is given back.
void FileScanner::drain() {
  for (;;) {
    std::ranges::move(std::views::reverse(found_), std::back_inserter(tasks_));
    found_.clear();
    if (tasks_.empty() || findings_.is_late()) return;
    const Task task = std::move(tasks_.back());
    tasks_.pop_back();
    scan_task(task);
  }
}

void FileScanner::run_parts(ByteSpan bytes, std::span<const FileRange> parts) {
  report_.formats.emplace_back("torch-distributed");
  start(bytes);
  // Parts that do not overlap are no more than the file.
  std::uint64_t budget = 3 * bytes.size();
  std::uint64_t covered = 0;
  const auto skip_to = [&](std::uint64_t offset) {
    if (offset <= covered) return;
    add_unknown({"", format::PartKind::kUnknown, bytes.subspan(covered, offset - covered), covered,
                 covered},
                Task{bytes, "", 0, 0});
  };
  for (const FileRange part : parts) {
    const std::uint64_t offset = std::min<std::uint64_t>(part.offset, bytes.size());
    const std::uint64_t length = std::min(part.length, bytes.size() - offset);
    skip_to(offset);
    if (offset < covered) {
      findings_.add(scan_rules::kContainerAmbiguous, "", offset, "two parts of the file overlap");
    }
    if (length < part.length) {
      findings_.add(scan_rules::kContainerDamaged, "", offset, "the file ends inside of a part");
    }
    if (length > budget) {
      findings_.add(scan_rules::kContainerUnreadable, "", offset,
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
           Task{bytes, "", 0, 0});
  drain();
}

void FileScanner::scan_task(const Task& task) {
  for (const format::Format* format : task.formats) scan_as(*format, task);
}

// One format's reading of the file.
void FileScanner::scan_as(const format::Format& format, const Task& task) {
  const std::uint64_t inflate_before = context_.inflate_left;
  auto read = format.list_parts(task.bytes, context_);
  const std::uint64_t inflated = inflate_before - context_.inflate_left;
  nested_left_ = checked_add(nested_left_, checked_mul(kMostViews, inflated).value_or(UINT64_MAX))
                     .value_or(UINT64_MAX);
  if (task.depth == 0) {
    report_.formats.emplace_back(read && !read->format.empty() ? read->format : format.name);
  }
  if (!read) {
    findings_.add(scan_rules::kUnreadableFile, task.path, read.error().offset, read.error().what);
    return search({task.path, format::PartKind::kUnknown, task.bytes, task.offset, 0}, task);
  }
  const auto owner = std::make_shared<format::PartList>(std::move(*read));
  format::PartList& list = *owner;
  owner_ = list.inflated.empty() && list.unpacked.empty() ? task.owner : owner;
  for (const format::Note& note : list.notes) {
    add_note(findings_, note, inside(task, note.path));
  }
  count_unnoted(findings_, list);
  for (format::Part& part : list.parts) {
    part.path = inside(task, part.path);
    if (part.offset != Error::kNoOffset) {
      part.offset = task.offset == Error::kNoOffset ? task.offset : task.offset + part.offset;
    }
    analyze(part, task);
  }
}

void FileScanner::analyze(const format::Part& part, const Task& task) {
  if (findings_.is_late()) return;
  ++report_.parts;
  const std::size_t first = findings_.size();
  // An entry, not a part of one.
  if (part.path != task.path) check_digest(part.path, part.bytes);
  judge(part, task);
  add_context(findings_.since(first), part);
}

// A blob that is stored under its digest: a client that checks refuses it if it is another one.
void FileScanner::check_digest(std::string_view path, ByteSpan bytes) {
  const auto stated = digest_in(path);
  if (!stated) return;
  Sha256 sha256;
  sha256.update(bytes);
  const std::string digest = sha256.hex_digest();
  if (digest == *stated) return;
  findings_.add(scan_rules::kBlobDigest, path == options_.path ? "" : path, 0,
                "its SHA-256 is " + digest);
}

void FileScanner::judge_pickle(const format::Part& part, const Task& task, Streams streams) {
  for (NestedFile& file : analyze_pickle(part, findings_, streams)) {
    if (file.is_rest) {
      const std::uint64_t at = file.offset - part.base;
      const std::uint64_t offset = part.offset == Error::kNoOffset ? part.offset : part.offset + at;
      search({part.path, part.kind, file.bytes, offset, file.offset}, task);
    } else if (!file.decoded.empty()) {
      add_decoded(part, file.offset, std::move(file.decoded), task);
    } else {
      add_task({name_inside(part, file.offset), format::PartKind::kNested, file.bytes}, task);
    }
  }
}

void FileScanner::judge(const format::Part& part, const Task& task) {
  switch (part.kind) {
    case format::PartKind::kPickle:
    case format::PartKind::kScriptPickle:
      return judge_pickle(part, task, Streams::kAll);
    case format::PartKind::kTorchScript:
      analyze_torchscript(part, findings_);
      return add_recognised(part, format::detect(part.bytes), task);
    case format::PartKind::kNativeCode:
      findings_.add(scan_rules::kNativeCode, part.path, part.base, content_of(part));
      return;
    case format::PartKind::kTemplate:
      return analyze_template(part, findings_);
    case format::PartKind::kConfig:
      return analyze_config(part, findings_);
    case format::PartKind::kHydraConfig:
      analyze_hydra(part, findings_);
      return add_others(part, task);
    case format::PartKind::kMarManifest:
      analyze_mar(part, findings_);
      return add_others(part, task);
    case format::PartKind::kImage:
      return analyze_image(part, findings_);
    case format::PartKind::kKerasConfig:
      return analyze_keras_config(part, findings_);
    case format::PartKind::kOnnx:
      return analyze_onnx(part, findings_);
    case format::PartKind::kTflite:
      return analyze_tflite(part, findings_);
    case format::PartKind::kTensorflow:
      return analyze_tensorflow(part, findings_);
    case format::PartKind::kSkops:
      return analyze_skops(part, findings_);
    case format::PartKind::kTorch7:
      return analyze_torch7(part, findings_);
    case format::PartKind::kRdata:
      return analyze_rdata(part, findings_);
    case format::PartKind::kXgboost:
      analyze_xgboost(part, findings_);
      return search_texts(part, task);
    case format::PartKind::kLightgbm:
      analyze_lightgbm(part, findings_);
      return search_texts(part, task);
    case format::PartKind::kCatboost:
      analyze_catboost(part, findings_);
      return search_texts(part, task);
    case format::PartKind::kPmml:
      analyze_pmml(part, findings_);
      return search_texts(part, task);
    case format::PartKind::kOpenvino:
      analyze_openvino(part, findings_);
      return search_texts(part, task);
    case format::PartKind::kCoreml:
      return analyze_coreml(part, findings_);
    case format::PartKind::kCoremlManifest:
      return analyze_coreml_manifest(part, findings_);
    case format::PartKind::kPaddle:
      return analyze_paddle(part, findings_);
    case format::PartKind::kMxnet:
      return analyze_mxnet(part, findings_);
    case format::PartKind::kNativeModel:
      findings_.add(scan_rules::kModelNative, part.path, part.base, describe_content(part.bytes));
      return;
    case format::PartKind::kTensorData:
      report_.tensor_bytes += part.bytes.size();
      return;
    case format::PartKind::kPlainText:
    case format::PartKind::kTensorHeader:
      return;
    case format::PartKind::kNested:
      return add_task(part, task);
    case format::PartKind::kProgram:
      findings_.add(scan_rules::kProgram, part.path, part.base, content_of(part));
      return search(part, task);
    case format::PartKind::kRecognised:
      findings_.add(scan_rules::kRecognisedOnly, part.path, part.base,
                    std::string(describe_content(part.bytes)) + ": recognised, not analysed");
      return;
    case format::PartKind::kUnknown:
      return add_unknown(part, task);
  }
}

// A file inside of the task's.
void FileScanner::add_task(const format::Part& part, const Task& task) {
  Formats formats = format::detect(part.bytes);
  if (formats.empty()) return add_unknown(part, task);
  // A source in an archive is code whatever else it is.
  if (is_python(part.path)) analyze_python(part, findings_);
  add_recognised(part, std::move(formats), task);
}

void FileScanner::add_others(const format::Part& part, const Task& task) {
  // The whole file: its other formats have their turn.
  if (part.bytes.data() == task.bytes.data()) return;
  Formats formats = format::detect(part.bytes);
  std::erase(formats, &format::kHydra);
  add_recognised(part, std::move(formats), task);
}

void FileScanner::add_recognised(const format::Part& part, Formats formats, const Task& task) {
  if (formats.empty()) return;
  if (part.bytes.size() > nested_left_) {
    findings_.add(scan_rules::kContainerUnreadable, part.path, 0,
                  "the files share more bytes than tare is willing to look at");
    return;
  }
  nested_left_ -= part.bytes.size();
  if (task.depth < format::kMaxDepth) {
    found_.push_back(
        {part.bytes, part.path, task.depth + 1, part.offset, std::move(formats), owner_});
    return;
  }
  findings_.add(scan_rules::kContainerUnreadable, part.path, 0,
                "files stand inside files more than 8 deep");
}

void FileScanner::add_decoded(const format::Part& part, std::uint64_t offset,
                              std::vector<std::byte> bytes, const Task& task) {
  const auto kept = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  // A file in it may be handed on after this one is done with.
  const auto around = std::exchange(owner_, kept);
  add_task({name_inside(part, offset), format::PartKind::kNested, *kept}, task);
  owner_ = around;
}

void FileScanner::add_unknown(const format::Part& part, const Task& task) {
  if (is_python(part.path)) {
    analyze_python(part, findings_);
  } else {
    findings_.add(scan_rules::kUnknownPart, part.path, part.base, content_of(part));
  }
  search(part, task);
}

void FileScanner::search(const format::Part& part, const Task& task) {
  for (const std::uint64_t at : find_pickles(part.bytes)) {
    findings_.add(scan_rules::kPickleHidden, part.path, part.base + at,
                  "a pickle that imports something begins here");
    const std::uint64_t offset = part.offset == Error::kNoOffset ? part.offset : part.offset + at;
    judge_pickle(
        {part.path, format::PartKind::kPickle, part.bytes.subspan(at), offset, part.base + at},
        task, Streams::kFirst);
  }
  search_texts(part, task);
}

void FileScanner::search_texts(const format::Part& part, const Task& task) {
  for (DecodedText& text : find_encoded_pickles(part.bytes)) {
    findings_.add(scan_rules::kPickleHidden, part.path, part.base + text.offset,
                  "a text here decodes to a pickle");
    add_decoded(part, part.base + text.offset, std::move(text.bytes), task);
  }
}

// What the user's policy allows in this file.
void FileScanner::suppress(ByteSpan bytes) {
  if (options_.policy == nullptr || report_.findings.empty()) return;
  std::string digest;
  if (options_.policy->needs_sha256()) {
    Sha256 sha256;
    sha256.update(bytes);
    digest = sha256.hex_digest();
  }
  for (Finding& finding : report_.findings) {
    const auto* const allowance = options_.policy->allowance_for(finding, options_.path, digest);
    if (allowance != nullptr) finding.suppressed = allowance->reason;
  }
}

ScanReport FileScanner::finish(ByteSpan bytes) {
  report_.out_of_time = findings_.is_late();
  if (report_.out_of_time) {
    findings_.add(scan_rules::kOutOfTime, "", 0, "what was found until then is listed");
  }
  if (const std::uint64_t left_out = findings_.left_out(); left_out > 0) {
    findings_.add(scan_rules::kFindingsLeftOut, "", 0,
                  std::to_string(left_out) + " findings are not listed");
  }
  report_.findings = findings_.take();
  std::ranges::stable_sort(report_.findings, is_before);
  suppress(bytes);
  for (const Finding& finding : report_.findings) {
    if (finding.suppressed.empty()) {
      report_.verdict = std::max(report_.verdict, finding.severity());
    }
  }
  report_.size = bytes.size();
  return std::move(report_);
}

}  // namespace

Result<ScanReport> scan(ByteSpan bytes, const ScanOptions& options) {
  FileScanner scanner(options);
  scanner.run(bytes);
  if (!scanner.is_known()) {
    // A loader may be told to start behind what no format understands.
    if (find_pickles(bytes).empty() && !holds_models(bytes)) {
      return std::unexpected(format::wrong_format(bytes));
    }
    scanner.run_unknown(bytes);
  }
  return scanner.finish(bytes);
}

namespace {

// A file that metadata divides into parts is a file all the same, which a loader may be pointed at:
// what does harm in it as a whole counts as well. Everything else counts only in a file that is not
// named as the parts of a distributed checkpoint are; in those, several archives behind each other
// are as it should be.
ScanReport with_whole(ScanReport report, ByteSpan bytes, std::string_view name,
                      const ScanOptions& options) {
  auto whole = scan(bytes, options);
  if (!whole) return report;
  const bool is_checkpoint = name.ends_with(".distcp");
  for (Finding& finding : whole->findings) {
    if (is_checkpoint && finding.severity() != Verdict::kDangerous) continue;
    if (finding.suppressed.empty()) {
      report.verdict = std::max(report.verdict, finding.severity());
    }
    report.findings.push_back(std::move(finding));
  }
  std::ranges::stable_sort(report.findings, is_before);
  return report;
}

}  // namespace

Result<ScanReport> scan_file(const ModelFile& file, const ScanOptions& options) {
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
  if (file.parts.empty()) return scan(bytes, options);
  FileScanner scanner(options);
  scanner.run_parts(bytes, file.parts);
  ScanReport report = scanner.finish(bytes);
  // There is nothing to add to that.
  if (report.verdict == Verdict::kDangerous || report.out_of_time) return report;
  return with_whole(std::move(report), bytes, file.name.empty() ? options.path : file.name,
                    options);
}

}  // namespace tare
