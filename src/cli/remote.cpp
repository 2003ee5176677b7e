#include "cli/remote.hpp"

#include <algorithm>
#include <array>

#include "format/json_tree.hpp"
#include "report/text.hpp"

namespace tare::cli {
namespace {

// Never destroyed before a model whose pages it brings.
std::unique_ptr<remote::Fetcher>& the_fetcher() {
  static std::unique_ptr<remote::Fetcher> fetcher;
  return fetcher;
}

// Of one page of the list.
Result<void> add_files(const std::string& document, const remote::HubSpec& hub,
                       std::vector<std::string>& files) {
  const auto tree = format::JsonTree::parse(document);
  if (!tree || tree->root().kind != format::JsonKind::kArray) {
    return fail(ErrorCode::kMalformed, "what the hub says is no list of files");
  }
  for (std::uint32_t at = tree->root().first; at != format::JsonNode::kNone;
       at = tree->at(at).next) {
    const auto* const type = tree->member(tree->at(at), "type");
    const auto* const path = tree->member(tree->at(at), "path");
    if (type == nullptr || path == nullptr || !type->is_text("file")) continue;
    const std::string spec = hub.file(path->text);
    // A name that would be another place is none.
    if (!remote::HubSpec::parse(spec)) {
      return fail(ErrorCode::kRefused,
                  "the hub lists a file that stands outside of the repository");
    }
    files.push_back(spec);
  }
  return {};
}

std::string_view name_of(std::string_view spec) {
  return spec.substr(spec.rfind('/') + 1);
}

bool is_model_name(std::string_view name) {
  static constexpr std::array<std::string_view, 15> kExtensions = {
      ".safetensors", ".bin", ".pt",  ".pth", ".ckpt",   ".gguf",   ".onnx",  ".h5",
      ".keras",       ".npz", ".npy", ".pkl", ".pickle", ".joblib", ".tflite"};
  return std::ranges::any_of(kExtensions, [&](auto end) { return name.ends_with(end); });
}

std::unexpected<Failure> failed(ErrorCode code, const char* what, std::string about = "") {
  return std::unexpected(Failure(Error{code, 0, Error::kNoOffset, what}, std::move(about)));
}

// The one file of a repository that stands for its model.
std::expected<std::string, Failure> choose(const std::string& spec) {
  const auto files = Remote::list(spec);
  if (!files) return std::unexpected(Failure(files.error()));
  const std::string folder = remote::HubSpec::parse(spec)->file("");
  std::vector<std::string> indexes;
  std::vector<std::string> models;
  for (const std::string& file : *files) {
    const std::string_view name = name_of(file);
    if (file.size() != folder.size() + name.size()) continue;  // in a folder of it
    if (name.ends_with(".index.json")) indexes.push_back(file);
    if (is_model_name(name)) models.push_back(file);
  }
  const auto& found = indexes.empty() ? models : indexes;
  if (found.size() == 1) return found.front();
  if (found.empty()) return failed(ErrorCode::kNotAFile, "is a repository without a model");
  std::string list;
  for (const std::string& file : found) {
    if (list.size() > 400) {
      list += ", ...";
      break;
    }
    list += (list.empty() ? "" : ", ") + std::string(name_of(file));
  }
  return failed(ErrorCode::kInvalidArgument, "are several models; name one", list);
}

// The spec of a file in the same folder, with the same user in front of the host.
std::string beside(const std::string& spec, std::string_view name) {
  if (!spec.starts_with("http")) {
    return spec.substr(0, spec.rfind('/') + 1) + std::string(name);
  }
  const std::string place = spec.substr(0, spec.find_first_of("?#"));
  return place.substr(0, place.rfind('/') + 1) + remote::percent_encode(name, false);
}

}  // namespace

std::string program_beside(const char* name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? name : (self.parent_path() / name).string();
}

Result<void> Remote::start() {
  if (the_fetcher()) return {};
  auto fetcher = remote::Fetcher::start(program_beside("tare-fetch"));
  if (!fetcher) return std::unexpected(fetcher.error());
  the_fetcher() = std::move(*fetcher);
  return {};
}

remote::Fetcher& Remote::fetcher() {
  return *the_fetcher();
}

Result<std::vector<std::string>> Remote::list(const std::string& spec) {
  const auto hub = remote::HubSpec::parse(spec);
  if (!hub) return std::unexpected(remote::error_of(remote::Status::kNotUrl));
  std::vector<std::string> documents;
  {
    const std::scoped_lock lock(fetcher().mutex());
    auto listed = fetcher().list(spec);
    if (!listed) return std::unexpected(listed.error());
    documents = std::move(*listed);
  }
  std::vector<std::string> files;
  for (const std::string& document : documents) {
    if (auto added = add_files(document, *hub, files); !added) {
      return std::unexpected(added.error());
    }
  }
  std::ranges::sort(files);
  return files;
}

bool is_repository(const std::string& spec) {
  const auto hub = remote::HubSpec::parse(spec);
  return hub && hub->path.empty();
}

Result<Input> RemoteModel::open_file(const std::string& spec, const std::filesystem::path& path) {
  remote::OpenOptions options;
  options.name = path.string();
  options.printable = report::printable(options.name);
  options.whole = whole_;
  auto opened = remote::open_remote(Remote::fetcher(), spec, options);
  if (!opened) return std::unexpected(opened.error());
  if (opened->pages) {
    pages_.push_back(std::move(opened->pages));
  } else {
    whole_files_.push_back(opened->whole);
  }
  return std::move(opened->input);
}

Result<Input> RemoteModel::open_bytes(const std::string& spec) {
  if (auto started = Remote::start(); !started) return std::unexpected(started.error());
  return open_file(spec, remote::display_name(spec));
}

std::expected<Model, Failure> RemoteModel::open(const std::string& spec) {
  if (auto started = Remote::start(); !started) return std::unexpected(Failure(started.error()));
  std::string file = spec;
  if (is_repository(spec)) {
    auto chosen = choose(spec);
    if (!chosen) return std::unexpected(chosen.error());
    file = std::move(*chosen);
  }
  const std::filesystem::path path = remote::display_name(file);
  return open_model(path, [&](const std::filesystem::path& wanted) {
    return open_file(wanted == path ? file : beside(file, wanted.filename().string()), wanted);
  });
}

std::optional<remote::Fetched> RemoteModel::fetched() const {
  std::vector<remote::Fetched> files = whole_files_;
  for (const auto& pages : pages_) files.push_back(pages->fetched());
  if (files.empty()) return std::nullopt;
  remote::Fetched all = files.front();
  for (const remote::Fetched& file : std::span(files).subspan(1)) {
    all.bytes += file.bytes;
    all.size += file.size;
    all.requests += file.requests;
    all.is_whole = all.is_whole && file.is_whole;
    // What holds for all of them.
    if (file.sha256 != all.sha256) all.sha256 = remote::Sha256Check::kNotDone;
  }
  return all;
}

}  // namespace tare::cli
