#include "tare/check.hpp"

#include <algorithm>

#include "format/format.hpp"
#include "format/header_entry.hpp"
#include "format/shards.hpp"

namespace tare {
namespace {

using safetensors::Rules;

constexpr const char* kSafetensorsScope = "header, offsets and size of the file";
constexpr const char* kOtherScope = "that every tensor can be read and lies inside its storage";

// Whether a file of another content could have been meant.
bool says_nothing_of_validity(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kNoPermission:
    case ErrorCode::kNotAFile:
    case ErrorCode::kEmpty:
    case ErrorCode::kIo:
    case ErrorCode::kWrongFormat:
      return true;
    default:
      return false;
  }
}

bool accepts(ByteSpan bytes, Rules rules) {
  return safetensors::parse(bytes, rules).has_value();
}

class Checker {
 public:
  explicit Checker(Rules rules) : rules_(rules) {}

  void check(const std::filesystem::path& path);
  CheckReport take() { return std::move(report_); }

 private:
  void add(const std::string& file, const Failure& failure, bool is_unknown) {
    report_.problems.push_back({file, failure.subject, failure, is_unknown});
  }
  void add(const std::string& file, const Failure& failure) {
    add(file, failure, says_nothing_of_validity(failure.code));
  }
  void check_shards(const std::filesystem::path& path, ByteSpan bytes);
  void check_bytes(const std::string& file, ByteSpan bytes);
  void check_safetensors(const std::string& file, ByteSpan bytes);
  void check_other(const std::string& file, ByteSpan bytes, const format::Format& format);
  void note_format(std::string_view name, const char* scope);

  Rules rules_;
  CheckReport report_;
};

void Checker::check(const std::filesystem::path& path) {
  const auto input = Input::map(path);
  if (!input) return add("", input.error());
  if (!format::is_shard_index(input->bytes())) return check_bytes("", input->bytes());
  check_shards(path, input->bytes());
}

void Checker::check_shards(const std::filesystem::path& path, ByteSpan bytes) {
  const auto index = format::read_shard_index(bytes);
  if (!index) return add("", index.error());
  for (const std::string& name : index->shards) {
    const auto shard = Input::map(path.parent_path() / name);
    if (shard) {
      ++report_.shards;
      check_bytes(name, shard->bytes());
    } else {
      add(name, shard.error());
    }
  }
  if (!report_.is_valid()) return;
  // By strict rules or not: whether the shards hold what the index lists.
  const auto model = open_model(path);
  if (!model) return add("", model.error());
  for (const Problem& problem : model->contents().problems) {
    add("", Failure(problem.error, problem.subject));
  }
}

void Checker::check_bytes(const std::string& file, ByteSpan bytes) {
  auto formats = format::detect(bytes);
  std::erase_if(formats, [](const format::Format* f) { return f->read_tensors == nullptr; });
  if (formats.size() > 1 && rules_ == Rules::kStrict) {
    // Not by one parser's rules, but loaders would read different tensors.
    add(file,
        Error{ErrorCode::kRefused, 0, Error::kNoOffset,
              "strict: the file is of two formats at once; readers differ in which they see"});
  }
  // Anything but another format: the parser says best what is wrong with it.
  const bool is_other = !formats.empty() && formats.front() != &format::kSafetensors;
  if (is_other) return check_other(file, bytes, *formats.front());
  check_safetensors(file, bytes);
}

void Checker::check_safetensors(const std::string& file, ByteSpan bytes) {
  const auto header = safetensors::parse(bytes, rules_);
  if (header) {
    note_format(format::kSafetensors.name, kSafetensorsScope);
    report_.by_rules = true;
    report_.tensors += header->tensors().size();
    report_.tensor_bytes += header->data_bytes();
    return;
  }
  const Error& error = header.error();
  if (error.code != ErrorCode::kWrongFormat) {
    note_format(format::kSafetensors.name, kSafetensorsScope);
    report_.by_rules = true;
    // Here and not for every valid file: it costs as much as the parser.
    report_.reference_accepts = rules_ == Rules::kStrict && accepts(bytes, Rules::kReference);
  }
  const bool in_header = error.has_offset() && !error.has_sizes();
  add(file, Failure(error, in_header ? format::header_entry_at(bytes, error.offset) : ""));
}

void Checker::check_other(const std::string& file, ByteSpan bytes, const format::Format& format) {
  format::ReadContext context = format::context_of(bytes);
  const auto contents = format.read_tensors(bytes, context);
  note_format(contents && !contents->format.empty() ? contents->format : format.name, kOtherScope);
  if (!contents) {
    return add(file, contents.error(), contents.error().code == ErrorCode::kUnsupported);
  }
  for (const Problem& problem : contents->problems) {
    add(file, Failure(problem.error, problem.subject),
        problem.error.code == ErrorCode::kUnsupported);
  }
  report_.tensors += contents->tensors.size() + contents->specials.size();
  report_.tensor_bytes += contents->tensor_bytes();
}

void Checker::note_format(std::string_view name, const char* scope) {
  report_.format = report_.format.empty() || report_.format == name ? name : "mixed";
  report_.scope = scope;
}

}  // namespace

bool CheckReport::is_unknown() const {
  return std::ranges::any_of(problems, &CheckProblem::is_unknown);
}

CheckReport check_file(const std::filesystem::path& path, Rules rules) {
  Checker checker(rules);
  checker.check(path);
  return checker.take();
}

}  // namespace tare
