// Files on servers, for the verbs: tare-fetch is started when the first one is named, before any
// input is read (docs/remote.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "remote/remote_input.hpp"
#include "remote/spec.hpp"
#include "tare/model.hpp"

namespace tare::cli {

// A program that stands beside this one: "tare-demo". Without /proc, its name, for PATH.
std::string program_beside(const char* name);

class Remote {
 public:
  // Starts tare-fetch, once. Errors: those of the system.
  static Result<void> start();
  // After start(). It lives as long as the process.
  static remote::Fetcher& fetcher();

  // The files of hf://ORG/MODEL[@REV], as specs of one file each, in the order of their names.
  // Errors: those of the protocol, kMalformed (no list).
  static Result<std::vector<std::string>> list(const std::string& spec);
};

// hf://ORG/MODEL[@REV] without the name of a file.
bool is_repository(const std::string& spec);

// The model that a spec names, and what of it was fetched. A repository stands for the one model in
// it, as a folder does, by the names of its files.
class RemoteModel {
 public:
  // `whole`: fetch every file at once, and check the digest that its server tells.
  explicit RemoteModel(bool whole = false) : whole_(whole) {}

  // What cannot be fetched later ends the process, with a line on stderr and the exit code 2.
  std::expected<Model, Failure> open(const std::string& spec);
  // The bytes of one file alone.
  Result<Input> open_bytes(const std::string& spec);
  // All files together; nothing if none was opened.
  std::optional<remote::Fetched> fetched() const;

 private:
  Result<Input> open_file(const std::string& spec, const std::filesystem::path& path);

  bool whole_;
  std::vector<std::shared_ptr<const remote::PagedFile>> pages_;
  std::vector<remote::Fetched> whole_files_;
};

}  // namespace tare::cli
