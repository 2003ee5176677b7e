// The files beside a model that hold the elements of its tensors, each mapped once.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare::format {

class FilesBeside {
 public:
  explicit FilesBeside(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // What is no regular file of the folder itself is not followed: readers differ about links.
  // `name` is a plain one. Errors: kRefused (a link), kLimit (too many files), and those of
  // Input::map().
  Result<ByteSpan> bytes_of(std::string_view name);

  // The files that were found, to go with the model.
  std::vector<ModelFile> take();

 private:
  std::filesystem::path folder_;
  std::map<std::string, Result<Input>, std::less<>> files_;
};

}  // namespace tare::format
