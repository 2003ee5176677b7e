// What a person writes to name a file on a server: https://..., hf://ORG/MODEL[@REV][/PATH],
// s3://BUCKET/KEY.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tare::remote {

// Whether a path is meant as the name of something on a server, whatever its faults.
bool is_remote(std::string_view path);

// The same for people and reports: without user name and password, query and fragment, in which
// secrets stand. A file has the same name whoever fetches it. What is no spec stays as it is.
std::string display_name(std::string_view spec);

// A model, or a file of one, on the hub.
struct HubSpec {
  std::string repository;         // "org/model"
  std::string revision = "main";  // as it is called: "refs/pr/1"
  std::string path;               // empty: the whole repository

  // Nothing if the text is none; a revision has its slashes as %2F.
  static std::optional<HubSpec> parse(std::string_view spec);
  // "model"
  std::string name() const { return repository.substr(repository.find('/') + 1); }
  // The spec of a file of the same repository and revision.
  std::string file(std::string_view path) const;
};

struct S3Spec {
  std::string bucket;
  std::string key;

  static std::optional<S3Spec> parse(std::string_view spec);
};

// As RFC 3986 has it for a path: everything but letters, digits, -._~ and, if `keep_slashes`, `/`
// becomes %XX.
std::string percent_encode(std::string_view text, bool keep_slashes);

}  // namespace tare::remote
