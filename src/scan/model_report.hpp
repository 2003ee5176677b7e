// Findings about models that hold no code of their own, as the analyzers of their formats make
// them.
#pragma once

#include <string>
#include <string_view>

#include "format/format.hpp"
#include "scan/excerpt.hpp"
#include "scan/findings.hpp"
#include "scan/rules.hpp"

namespace tare {

class ModelReport {
 public:
  ModelReport(const format::Part& part, Findings& findings) : part_(part), findings_(findings) {}

  // `offset`: bytes from the start of the part. `evidence`: text of the file.
  void add(const Rule& rule, std::uint64_t offset, std::string detail,
           std::string_view evidence = "") {
    if (offset != Error::kNoOffset) offset += part_.base;
    Finding* finding = findings_.add(rule, part_.path, offset, std::move(detail));
    if (finding != nullptr) finding->evidence = shown(evidence);
  }
  // What could not be read at all.
  void add(const Error& error) { add(scan_rules::kUnreadableFile, error.offset, error.what); }
  // An index or a size that points to nothing.
  void bounds(std::uint64_t offset, const char* what, std::string_view evidence = "") {
    add(scan_rules::kModelBounds, offset, what, evidence);
  }
  // Something that no version of the format has, as far as tare knows.
  void odd(std::uint64_t offset, const char* what, std::string_view evidence = "") {
    add(scan_rules::kModelOdd, offset, what, evidence);
  }

 private:
  const format::Part& part_;
  Findings& findings_;
};

}  // namespace tare
