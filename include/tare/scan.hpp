// Scanning: what could a file do to whoever loads it, and the verdict.
//
// scan() finds every part of a file that some loader would interpret and judges it without running
// any of it. The verdict fails closed: `safe` means that every such part was understood and cannot
// run code; whatever is not understood is at least `suspicious` (docs/scan.md says what the verdict
// claims and what it does not). Same bytes, same report.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"
#include "tare/model.hpp"

namespace tare {

// Ordered: the verdict of a file is the highest of its findings.
enum class Verdict : std::uint8_t {
  kSafe,
  kSuspicious,  // something was not understood, or readers would disagree about it
  kUnreadable,  // a part could not be read at all
  kDangerous,   // loading it runs code, or touches files, the network or libraries
};

// The stable lower-case name: "safe".
const char* verdict_name(Verdict verdict);

// What a finding says about whoever wrote the file.
enum class Trust : bool {
  kOdd,      // honest files have it as well
  kHostile,  // none does: nothing in the file is to be taken, not even its tensors
};

struct Rule {
  const char* id;  // "TARE-PKL-001"; never reused for another meaning
  Verdict severity;
  Trust trust;
  const char* title;  // what was found
  const char* why;    // why it matters, one sentence
  const char* what_to_do;
  // What its page in docs/rules/ says besides.
  const char* security_severity = "";  // 0.1 to 10.0, on the scale of CVSS: "9.8"
  const char* example = "";            // lines of what is found, decompiled or as bytes
  const char* fix = "";                // for whoever makes such files
  const char* references = "";         // ids of advisories and weaknesses: "CWE-502 CVE-2025-32434"
};

struct Finding {
  const Rule* rule = nullptr;
  std::string entry;         // entry of the container; empty for the file itself
  std::uint64_t offset = 0;  // bytes from the start of the entry
  std::string opcode;        // for pickles: the opcode at `offset`
  std::string evidence;      // what would run, as a line of Python; printable ASCII
  std::string detail;        // what exactly, in one sentence
  std::string name;          // for pickles: "module.name" of what it is about
  // Where `offset` is in the file itself; Error::kNoOffset in what was decompressed.
  std::uint64_t file_offset = Error::kNoOffset;
  // Some bytes of the entry around `offset`, of which this many stand before it.
  std::vector<std::byte> context;
  std::size_t context_before = 0;
  // Why the finding does not count for the verdict; empty if it does.
  std::string suppressed;

  Verdict severity() const { return rule->severity; }
};

class Policy;

struct ScanOptions {
  const Policy* policy = nullptr;  // what a user adds to the policy; outlives the scan
  std::string path;                // of the file, as the policy's patterns have it
  // Then the scan ends, with what it has found and a finding that says so: looked at between parts
  // and inside of pickles. Decompressing one entry, which is bounded by its size, is not cut short.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

struct ScanReport {
  Verdict verdict = Verdict::kSafe;
  std::vector<std::string> formats;  // what the file is; several for a polyglot
  std::vector<Finding> findings;     // by entry and offset
  std::uint64_t size = 0;            // bytes of the file
  std::uint64_t parts = 0;           // parts that were judged
  std::uint64_t tensor_bytes = 0;    // raw tensor data: bounds checked, values not looked at
  bool out_of_time = false;          // the deadline passed before all was judged
};

// Judges the bytes of one file. Errors: kWrongFormat if no format that tare knows recognises them
// (describe_content() says what they are). A recognised file that cannot be read is a report with
// the verdict kUnreadable, not an error.
Result<ScanReport> scan(ByteSpan bytes, const ScanOptions& options = {});
// Judges one file of a model, by the parts that the model takes from it, and what does harm in it
// as a whole. Bytes of no part are not understood. The index of a sharded model holds names and
// nothing else: it is safe.
Result<ScanReport> scan_file(const ModelFile& file, const ScanOptions& options = {});

struct FileReport {
  std::filesystem::path path;
  Result<ScanReport> report;
};
// Judges what a path names: a file, or every file of a distributed checkpoint in its folder,
// whether or not it can be opened as a model. Errors of a report: those of scan(), of Input::map(),
// and kNotAFile for any other folder; folders inside of a checkpoint have reports with this error.
// `policy` may be null.
std::vector<FileReport> scan_path(const std::filesystem::path& path,
                                  const Policy* policy = nullptr);

// Every rule, those of one kind of finding beside each other.
std::span<const Rule> rules();
// By its exact id; null if there is none.
const Rule* rule_by_id(std::string_view id);

}  // namespace tare
