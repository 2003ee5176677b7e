#include "report/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>

#include "report/content.hpp"
#include "report/sizes.hpp"
#include "tare/select.hpp"

namespace tare::report {
namespace {

const char* colour_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSafe:
      return "\x1b[32m";
    case Verdict::kSuspicious:
      return "\x1b[33m";
    case Verdict::kUnreadable:
      return "\x1b[35m";
    case Verdict::kDangerous:
      return "\x1b[1;31m";
  }
  return "";
}

std::string verdict_text(Verdict verdict, Colour colour) {
  if (colour == Colour::kNo) return verdict_name(verdict);
  return fmt::format("{}{}\x1b[0m", colour_of(verdict), verdict_name(verdict));
}

void append_finding(std::string& out, const Finding& finding, Colour colour) {
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "  {} {}", finding.rule->id, verdict_text(finding.severity(), colour));
  if (!finding.entry.empty()) fmt::format_to(end, "  {}", printable(finding.entry));
  fmt::format_to(end, "  offset {}", finding.offset);
  if (!finding.opcode.empty()) fmt::format_to(end, "  {}", finding.opcode);
  if (!finding.suppressed.empty()) {
    fmt::format_to(end, "  suppressed: {}\n", printable(finding.suppressed));
    return;
  }
  fmt::format_to(end, "\n      {}: {}\n", finding.rule->title, printable(finding.detail));
  if (!finding.evidence.empty()) fmt::format_to(end, "      >>> {}\n", printable(finding.evidence));
  fmt::format_to(end, "      why: {}\n      do:  {}\n", finding.rule->why,
                 finding.rule->what_to_do);
}

std::string type_text(const NamedTensor& tensor) {
  return fmt::format("{} {}", dtype_name(tensor.view.dtype), shape_text(tensor.view.shape));
}

// "[1, 2]": where an element stands that is the `number`th in row-major order.
std::string index_text(std::uint64_t number, const Shape& shape) {
  Shape index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = number % shape[axis];
    number /= shape[axis];
  }
  return shape_text(index);
}

std::string difference_text(const Difference& difference) {
  switch (difference.kind) {
    case DifferenceKind::kOnlyInA:
      return fmt::format("only in A, {}", type_text(*difference.a));
    case DifferenceKind::kOnlyInB:
      return fmt::format("only in B, {}", type_text(*difference.b));
    case DifferenceKind::kDType:
    case DifferenceKind::kShape:
      return fmt::format("{} in A, {} in B", type_text(*difference.a), type_text(*difference.b));
    case DifferenceKind::kBytes:
      break;
  }
  return fmt::format("{}, {} of {} bytes differ, the first is byte {}, in element {}",
                     type_text(*difference.a), difference.differing_bytes,
                     difference.a->view.byte_count(), difference.first_byte,
                     index_text(difference.first_element, difference.a->view.shape));
}

std::string metadata_value(const std::optional<std::string>& value) {
  return value ? "'" + printable(*value) + "'" : "none";
}

const char* plural(std::uint64_t count) {
  return count == 1 ? "" : "s";
}

void append_table(std::string& out, const Model& model) {
  std::size_t width = 4;
  for (const NamedTensor& tensor : model.tensors()) {
    width = std::max(width, printable(tensor.name).size());
  }
  width = std::min<std::size_t>(width, 60);
  const auto end = std::back_inserter(out);
  if (!model.tensors().empty()) {
    fmt::format_to(end, "\n  {:<{}}  {:<8} {:>12}  shape\n", "name", width, "dtype", "bytes");
  }
  for (const NamedTensor& tensor : model.tensors()) {
    fmt::format_to(end, "  {:<{}}  {:<8} {:>12}  {}\n", printable(tensor.name), width,
                   dtype_name(tensor.view.dtype), tensor.view.byte_count(),
                   shape_text(tensor.view.shape));
  }
}

// "37.5 %  ########": what share of the whole a part is.
std::string share_text(std::uint64_t part, std::uint64_t whole) {
  constexpr double kBarWidth = 24;
  const double share = whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  const auto filled = static_cast<std::size_t>(std::lround(share * kBarWidth));
  const std::string bar(filled, '#');
  return fmt::format("{:>5.1f} %{}{}", 100 * share, bar.empty() ? "" : "  ", bar);
}

// Of one type there is nothing to compare.
void append_dtypes(std::string& out, const Model& model) {
  const auto sizes = dtype_sizes(model);
  if (sizes.size() < 2) return;
  const std::uint64_t whole = model.tensor_bytes();
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "\n  {:<11} {:>8} {:>11}\n", "dtype", "tensors", "size");
  for (const DTypeSize& size : sizes) {
    fmt::format_to(end, "  {:<11} {:>8} {:>11}  {}\n", dtype_name(size.dtype), size.tensors,
                   human_bytes(size.bytes), share_text(size.bytes, whole));
  }
}

void append_specials(std::string& out, const Model& model) {
  const auto& specials = model.contents().specials;
  if (!specials.empty()) out += "\n  not dense\n";
  for (const SpecialTensor& tensor : specials) {
    fmt::format_to(std::back_inserter(out), "  {}  {} {} {}\n", printable(tensor.name),
                   special_kind_name(tensor.kind), dtype_name(tensor.dtype),
                   shape_text(tensor.shape));
  }
}

// What convert, hash and verify take, if that is not everything.
void append_taken(std::string& out, const Model& model) {
  const auto end = std::back_inserter(out);
  const auto selection = select_tensors(model);
  if (!selection) {
    fmt::format_to(end, "\nseveral models: --key chooses one in convert, hash and verify\n");
    for (const std::string& key : selection.error().candidates) {
      fmt::format_to(end, "  {}\n", printable(key));
    }
  } else if (!selection->key.empty()) {
    fmt::format_to(end, "\nthe model in it: {} ({} tensors)\n", printable(selection->key),
                   selection->tensors.size() + selection->specials.size());
  }
}

std::string label_text(const SizeGroup& group) {
  const std::string label = group.label.empty() ? "''" : printable(group.label);
  return std::string(std::size_t{2} * group.depth, ' ') + label;
}

void append_tree(std::string& out, const Model& model, unsigned depth) {
  const auto groups = size_tree(model, depth);
  if (groups.empty()) return;
  std::size_t width = 6;
  for (const SizeGroup& group : groups) width = std::max(width, label_text(group).size());
  width = std::min<std::size_t>(width, 60);
  const auto end = std::back_inserter(out);
  fmt::format_to(end, "\n  {:<{}} {:>8} {:>11}\n", "prefix", width, "tensors", "size");
  const std::uint64_t whole = model.tensor_bytes();
  bool folded = false;
  for (const SizeGroup& group : groups) {
    fmt::format_to(end, "  {:<{}} {:>8} {:>11}  {}{}\n", label_text(group), width, group.tensors,
                   human_bytes(group.bytes), share_text(group.bytes, whole),
                   group.folded == 0 ? "" : fmt::format("  +{}", group.folded));
    folded |= group.folded > 0;
  }
  if (folded) {
    fmt::format_to(end,
                   "  +N: N groups or tensors below that are not shown; --depth {} shows more\n",
                   depth + 1);
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string human_bytes(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string shape_text(const Shape& shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(shape[i]);
  }
  return out + "]";
}

std::string failure_text(const Failure& failure) {
  const std::string text = error_text(failure);
  return failure.subject.empty() ? text : fmt::format("'{}': {}", printable(failure.subject), text);
}

namespace {

// A scan that saw all bytes has nothing to say about the others.
std::string unread_text(const ScanReport& report, const remote::Fetched& fetched) {
  if (report.tensor_bytes == 0 || fetched.bytes >= fetched.size) return "";
  return "; tensor data was not read";
}

const char* sha256_text(remote::Sha256Check check) {
  switch (check) {
    case remote::Sha256Check::kNone:
      return "";
    case remote::Sha256Check::kNotDone:
      return "; the SHA-256 that the server tells was not checked";
    case remote::Sha256Check::kEqual:
      return "; its SHA-256 is what the server tells";
  }
  return "";
}

}  // namespace

std::string fetched_text(const remote::Fetched& fetched) {
  if (fetched.is_whole) {
    return fmt::format("fetched whole, {}{}", human_bytes(fetched.bytes),
                       sha256_text(fetched.sha256));
  }
  const std::string check =
      fetched.sha256 == remote::Sha256Check::kEqual ? sha256_text(fetched.sha256) : "";
  return fmt::format("fetched {} of {} in {} request{}{}", human_bytes(fetched.bytes),
                     human_bytes(fetched.size), fetched.requests, plural(fetched.requests), check);
}

std::string scan_text(std::string_view path, const ScanReport& report, Colour colour,
                      const remote::Fetched* fetched) {
  std::string out =
      fmt::format("{}: {}  ({}, {}", printable(path), verdict_text(report.verdict, colour),
                  fmt::join(report.formats, " + "), human_bytes(report.size));
  if (report.tensor_bytes > 0) {
    out += fmt::format(", of which tensor data {}", human_bytes(report.tensor_bytes));
  }
  out += ")\n";
  if (fetched != nullptr) {
    out += "  " + fetched_text(*fetched) + unread_text(report, *fetched) + "\n";
  }
  for (const Finding& finding : report.findings) append_finding(out, finding, colour);
  return out;
}

std::string inspect_text(std::string_view path, const Model& model, const InspectOptions& options) {
  const ModelContents& contents = model.contents();
  std::string out;
  const auto end = std::back_inserter(out);
  const auto shards = static_cast<std::uint64_t>(std::ranges::count_if(
      model.files(), [](const ModelFile& file) { return !file.name.empty(); }));
  fmt::format_to(end, "{}: {}, {}{} tensors, {} of data\n", printable(path), model.format(),
                 shards == 0 ? "" : fmt::format("{} shard{}, ", shards, plural(shards)),
                 contents.tensors.size(), human_bytes(model.tensor_bytes()));
  if (options.fetched != nullptr) {
    fmt::format_to(end, "  {}; tensor data is not needed for this\n",
                   fetched_text(*options.fetched));
  }
  if (options.tree) {
    append_tree(out, model, options.depth);
  } else {
    append_table(out, model);
  }
  append_specials(out, model);
  append_dtypes(out, model);
  if (options.tree && contents.objects && has_content(*contents.objects)) {
    out += "\ncontent\n" + content_text(*contents.objects, options.depth);
  }
  append_taken(out, model);
  if (!contents.metadata.empty()) out += "\nmetadata\n";
  for (const auto& [key, value] : contents.metadata) {
    fmt::format_to(end, "  {} = {}\n", printable(key), printable(value));
  }
  if (!contents.imports.empty()) out += "\nimports\n";
  for (const std::string& import : contents.imports) fmt::format_to(end, "  {}\n", import);
  if (!contents.problems.empty()) out += "\nnot read\n";
  for (const Problem& problem : contents.problems) {
    fmt::format_to(end, "  {}: {}\n", printable(problem.subject), error_text(problem.error));
  }
  return out;
}

std::string nesting_text(std::string_view path, const Nesting& nesting) {
  constexpr std::size_t kWidest = 48;
  std::vector<std::string> labels;
  std::size_t width = 0;
  for (const NestedEntry& entry : nesting.entries) {
    std::string name = printable(entry.depth == 0 ? path : std::string_view(entry.name));
    if (name.empty()) name = fmt::format("(bytes at {})", entry.offset);
    if (entry.entries > 1) name += fmt::format(" and {} more", entry.entries - 1);
    labels.push_back(std::string(2 + 2 * entry.depth, ' ') + name);
    width = std::max(width, std::min(kWidest, labels.back().size()));
  }
  std::string out = "nesting\n";
  const auto end = std::back_inserter(out);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const NestedEntry& entry = nesting.entries[i];
    fmt::format_to(end, "{:<{}}", labels[i], width);
    if (!entry.what.empty()) {
      fmt::format_to(end, "  {}, {}", entry.what, human_bytes(entry.size));
    }
    if (!entry.not_opened.empty()) fmt::format_to(end, "  not opened: {}", entry.not_opened);
    out += '\n';
  }
  if (nesting.is_cut) out += "  and more, which are not shown\n";
  return out;
}

std::string verify_text(const ComparedModels& models) {
  const Comparison& comparison = models.comparison;
  std::string out = fmt::format("A {}\nB {}\n", printable(models.path_a), printable(models.path_b));
  const auto end = std::back_inserter(out);
  const std::size_t count = comparison.differences.size();
  fmt::format_to(end, "{} tensor{} equal, {} differ{} ({} compared)\n", comparison.equal_tensors,
                 plural(comparison.equal_tensors), count, count == 1 ? "s" : "",
                 human_bytes(comparison.compared_bytes));
  if (count > 0) out += '\n';
  for (const Difference& difference : comparison.differences) {
    fmt::format_to(end, "  {}: {}\n", printable(difference.name()), difference_text(difference));
  }
  if (!comparison.metadata.empty()) {
    fmt::format_to(end, "\nmetadata that differs{}\n",
                   models.metadata_counts ? "" : " (does not count without --metadata)");
  }
  for (const MetadataDifference& difference : comparison.metadata) {
    fmt::format_to(end, "  {}: {} in A, {} in B\n", printable(difference.key),
                   metadata_value(difference.a), metadata_value(difference.b));
  }
  if (!models.is_complete()) out += "\nnot compared\n";
  for (const Problem& problem : models.a.contents().problems) {
    fmt::format_to(end, "  A {}: {}\n", printable(problem.subject), error_text(problem.error));
  }
  for (const Problem& problem : models.b.contents().problems) {
    fmt::format_to(end, "  B {}: {}\n", printable(problem.subject), error_text(problem.error));
  }
  return out;
}

const char* check_verdict(const CheckReport& report) {
  if (report.is_unknown()) return "unknown";
  return report.is_valid() ? "valid" : "invalid";
}

const char* rules_name(safetensors::Rules rules) {
  return rules == safetensors::Rules::kStrict ? "strict" : "reference";
}

std::string check_text(const CheckedFile& file) {
  const CheckReport& report = file.report;
  std::string out = fmt::format("{}: {}", printable(file.path), check_verdict(report));
  const auto end = std::back_inserter(out);
  if (!report.format.empty()) {
    fmt::format_to(end, " ({}", report.format);
    if (report.by_rules) fmt::format_to(end, " by {} rules", rules_name(file.rules));
    if (report.shards > 0)
      fmt::format_to(end, ", {} shard{}", report.shards, plural(report.shards));
    if (report.is_valid()) {
      fmt::format_to(end, ", {} tensor{}, {}; checked: {}", report.tensors, plural(report.tensors),
                     human_bytes(report.tensor_bytes), report.scope);
    }
    out += ')';
  }
  out += '\n';
  for (const CheckProblem& problem : report.problems) {
    out += "  ";
    if (!problem.file.empty()) fmt::format_to(end, "{}: ", printable(problem.file));
    out += failure_text(Failure(problem.error, problem.subject)) + '\n';
  }
  if (report.reference_accepts) out += "  by reference rules it is valid\n";
  return out;
}

std::string file_path(std::string_view path, const ModelFile& file) {
  const auto& origin = file.input.origin();
  return origin ? origin->path.string() : std::string(path);
}

std::string hash_text(const HashedModel& hashed) {
  const ModelDigest& digest = hashed.digest;
  std::string out;
  const auto end = std::back_inserter(out);
  for (std::size_t i = 0; i < digest.files.size(); ++i) {
    fmt::format_to(end, "{}  {}\n", digest.files[i].sha256,
                   printable(file_path(hashed.path, hashed.model.files()[i])));
  }
  if (!digest.files.empty() && !digest.tensors_sha256.empty()) out += '\n';
  if (!digest.tensors_sha256.empty()) {
    fmt::format_to(end, "{}  all tensors: {}, {}\n", digest.tensors_sha256, digest.tensors.size(),
                   human_bytes(hashed.model.tensor_bytes()));
  }
  if (!digest.tensors.empty()) out += '\n';
  for (const TensorDigest& entry : digest.tensors) {
    fmt::format_to(end, "{}  {}: {}\n", entry.sha256, printable(entry.tensor->name),
                   type_text(*entry.tensor));
  }
  const auto& problems = hashed.model.contents().problems;
  if (!problems.empty()) out += "\nnot read, so that there is no digest of all tensors\n";
  for (const Problem& problem : problems) {
    fmt::format_to(end, "  {}: {}\n", printable(problem.subject), error_text(problem.error));
  }
  return out;
}

namespace {

// More than these are for --json.
constexpr std::size_t kMaxListed = 40;

void append_dropped(std::string& out, const std::vector<Dropped>& dropped) {
  const auto end = std::back_inserter(out);
  if (!dropped.empty()) fmt::format_to(end, "not tensors, and left out:\n");
  for (std::size_t i = 0; i < std::min(dropped.size(), kMaxListed); ++i) {
    const std::string path = dropped[i].path.empty() ? "(the whole)" : printable(dropped[i].path);
    fmt::format_to(end, "  {}: {}\n", path, printable(dropped[i].what));
  }
  if (dropped.size() > kMaxListed) {
    fmt::format_to(end, "  and {} more; --json lists them\n", dropped.size() - kMaxListed);
  }
}

}  // namespace

std::string convert_text(const ConvertedModel& converted) {
  const ConvertSummary& summary = converted.summary;
  std::string out;
  const auto end = std::back_inserter(out);
  if (!converted.selection.key.empty()) {
    fmt::format_to(end, "taken: {}\n", printable(converted.selection.key));
  }
  for (const WrittenFile& file : summary.files) {
    fmt::format_to(end, "{}{}\n", printable(file.path.string()),
                   converted.dry_run ? "" : fmt::format(": {}", human_bytes(file.bytes)));
    if (!file.sha256.empty()) fmt::format_to(end, "  sha256 {}\n", file.sha256);
  }
  if (converted.dry_run) {
    fmt::format_to(end, "{} tensor{}, {}; nothing was written\n", summary.tensors,
                   plural(summary.tensors), human_bytes(summary.tensor_bytes));
  } else {
    fmt::format_to(
        end, "{} tensor{}, {} in {:.2f} s ({:.0f} MB/s), {}\n", summary.tensors,
        plural(summary.tensors), human_bytes(summary.file_bytes), converted.seconds,
        static_cast<double>(summary.file_bytes) / 1e6 / std::max(converted.seconds, 1e-9),
        !summary.verified              ? "not verified"
        : converted.fetched != nullptr ? "verified against what came from the server"
                                       : "verified against the source");
  }
  if (converted.fetched != nullptr) {
    fmt::format_to(end, "{}{}\n", fetched_text(*converted.fetched),
                   converted.fetched->sha256 == remote::Sha256Check::kNotDone
                       ? sha256_text(remote::Sha256Check::kNotDone)
                       : "");
  }
  for (const auto& [name, kept] : summary.tied) {
    fmt::format_to(end, "{} is {}, written once\n", printable(name), printable(kept));
  }
  if (summary.overlapping > 0) {
    fmt::format_to(end, "{} tensors share memory in the source; each is written in full\n",
                   summary.overlapping);
  }
  append_dropped(out, converted.selection.dropped);
  return out;
}

}  // namespace tare::report
