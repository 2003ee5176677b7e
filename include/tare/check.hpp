// Whether a model file is valid: its structure, without a look at the elements of its tensors.
//
// Of a safetensors file everything is checked that docs/formats/safetensors.md names, by either set
// of rules. Of other formats, that tare reads every tensor: CheckReport::scope says what that is.
// Nothing here says that a file is harmless: that is for scan.hpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tare/model.hpp"
#include "tare/safetensors.hpp"

namespace tare {

struct CheckProblem {
  std::string file;     // the shard; empty if it is the file itself
  std::string subject;  // the tensor, or the entry of a header that the error lies in; may be empty
  Error error;
  // The file cannot be read, is something else, or has something that this version does not read:
  // whether it is valid is not known.
  bool is_unknown = false;
};

struct CheckReport {
  std::string_view format;  // empty if it has none that is known
  const char* scope = "";   // what was checked, a literal
  bool by_rules = false;    // the rules of safetensors apply
  std::uint64_t shards = 0;
  std::uint64_t tensors = 0;
  std::uint64_t tensor_bytes = 0;
  std::vector<CheckProblem> problems;
  // By strict rules: whether the rules of the reference accept the file nevertheless.
  bool reference_accepts = false;

  bool is_valid() const { return problems.empty(); }
  bool is_unknown() const;
};

// All that fails is in the report.
CheckReport check_file(const std::filesystem::path& path, safetensors::Rules rules);

}  // namespace tare
