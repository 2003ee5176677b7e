#include "format/entry.hpp"

#include <algorithm>
#include <filesystem>

#include "archive/zip_reader.hpp"
#include "format/format.hpp"

namespace tare::format {
namespace {

struct Spec {
  std::string path;
  std::string entry;
};

Spec split(std::string_view spec) {
  std::error_code ignored;
  const auto mark = spec.rfind('!');
  if (mark == std::string_view::npos || std::filesystem::exists(spec, ignored)) {
    return {std::string(spec), ""};
  }
  return {std::string(spec.substr(0, mark)), std::string(spec.substr(mark + 1))};
}

// "data.pkl" fits "model/data.pkl", not "metadata.pkl".
bool fits(std::string_view name, std::string_view wanted) {
  return name == wanted || (name.size() > wanted.size() && name.ends_with(wanted) &&
                            name[name.size() - wanted.size() - 1] == '/');
}

Result<const zip::Entry*> find(const zip::Reader& archive, std::string_view wanted) {
  std::vector<const zip::Entry*> found;
  for (const zip::Entry& entry : archive.entries()) {
    if (entry.name == wanted) return &entry;
    if (fits(entry.name, wanted)) found.push_back(&entry);
  }
  if (found.empty()) return fail(ErrorCode::kNotFound, "the archive has no such entry");
  if (found.size() > 1) return fail(ErrorCode::kInvalidArgument, "several entries fit: name one");
  return found.front();
}

Result<const zip::Entry*> find_default(const zip::Reader& archive) {
  if (auto data = find(archive, "data.pkl")) return data;
  std::vector<const zip::Entry*> found;
  for (const zip::Entry& entry : archive.entries()) {
    if (entry.name.ends_with(".pkl")) found.push_back(&entry);
  }
  if (found.size() == 1) return found.front();
  return fail(ErrorCode::kInvalidArgument, "an archive: name one of its entries, as PATH!ENTRY");
}

}  // namespace

Result<OpenedEntry> open_pickle_entry(std::string_view text) {
  const Spec spec = split(text);
  auto input = Input::map(spec.path);
  if (!input) return std::unexpected(input.error());
  OpenedEntry opened{std::move(*input), {}, {}, spec.path};
  opened.bytes = opened.input.bytes();
  const bool is_zip = kZip.recognises(opened.bytes);
  // A pickle with an archive behind it is a pickle unless an entry is asked for.
  if (spec.entry.empty() && (!is_zip || kPickle.recognises(opened.bytes))) return opened;
  if (!is_zip) return fail(ErrorCode::kWrongFormat, "is no archive, so it has no entries");

  const auto archive = zip::Reader::open(opened.bytes);
  if (!archive) return std::unexpected(archive.error());
  const auto entry = spec.entry.empty() ? find_default(*archive) : find(*archive, spec.entry);
  if (!entry) return std::unexpected(entry.error());
  opened.name += "!" + (*entry)->name;
  const auto content = archive->content(**entry, opened.inflated);
  if (!content) return std::unexpected(content.error());
  opened.bytes = *content;
  return opened;
}

}  // namespace tare::format
