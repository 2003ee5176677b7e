// Reports as text for people. Everything that comes from a file is escaped to printable ASCII.
#pragma once

#include <string>
#include <string_view>

#include "remote/fetched.hpp"
#include "tare/check.hpp"
#include "tare/compare.hpp"
#include "tare/convert.hpp"
#include "tare/digest.hpp"
#include "tare/model.hpp"
#include "tare/nesting.hpp"
#include "tare/scan.hpp"

namespace tare::report {

// Whether to use terminal colours.
enum class Colour : bool { kNo, kYes };

// Printable ASCII as it is, everything else as \xNN.
std::string printable(std::string_view text);

// 1536 as "1.5 KiB".
std::string human_bytes(std::uint64_t bytes);

// "[3, 224, 224]".
std::string shape_text(const Shape& shape);

// An Error as a sentence part: its text, the system's message, the offset.
using tare::error_text;

// The same with what it is about in front: "'fc.bias': is no tensor".
std::string failure_text(const Failure& failure);

// The verdict of a file and its findings.
std::string scan_text(std::string_view path, const ScanReport& report, Colour colour,
                      const remote::Fetched* fetched = nullptr);

// "fetched 212.0 KiB of 9.8 GiB in 14 requests": what of a file on a server.
std::string fetched_text(const remote::Fetched& fetched);

struct InspectOptions {
  bool tree = false;   // sizes by prefix in place of the list of tensors; text only
  unsigned depth = 3;  // levels of the tree, at least 1
  const remote::Fetched* fetched = nullptr;  // of a model on a server
};

// Tensors or their sizes, metadata, imports, problems.
std::string inspect_text(std::string_view path, const Model& model, const InspectOptions& options);

// A line for each entry, indented by depth: what it is, its size, why it was not opened.
std::string nesting_text(std::string_view path, const Nesting& nesting);

// Two models, how their tensors differ, and what was asked of them.
struct ComparedModels {
  std::string_view path_a;
  std::string_view path_b;
  const Model& a;
  const Model& b;
  const Comparison& comparison;
  bool metadata_counts = false;

  // Nothing of the models was left out of the comparison.
  bool is_complete() const {
    return a.contents().problems.empty() && b.contents().problems.empty();
  }
  bool is_equal() const {
    return comparison.differences.empty() && (!metadata_counts || comparison.metadata.empty());
  }
};

// Every difference, and what could not be compared.
std::string verify_text(const ComparedModels& models);

// A checked file, and by which rules.
struct CheckedFile {
  std::string path;
  safetensors::Rules rules;
  CheckReport report;
};

// "valid", "invalid", or "unknown": whether it is cannot be said.
const char* check_verdict(const CheckReport& report);
const char* rules_name(safetensors::Rules rules);

// One line for a valid file, one more for each problem.
std::string check_text(const CheckedFile& file);

// A model and its digests.
struct HashedModel {
  std::string_view path;
  const Model& model;
  const ModelDigest& digest;
};

// The path of a file of a model that was opened by `path`.
std::string file_path(std::string_view path, const ModelFile& file);

// A line for each file as sha256sum writes it, then one for each tensor.
std::string hash_text(const HashedModel& hashed);

// A conversion that was done, or that would be.
struct ConvertedModel {
  std::string_view path;
  const Selection& selection;
  const ConvertSummary& summary;
  double seconds = 0;
  bool dry_run = false;
  const remote::Fetched* fetched = nullptr;  // of a source on a server
};

// A line for each file, then what was tied and dropped.
std::string convert_text(const ConvertedModel& converted);

}  // namespace tare::report
