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
  // `open` outlives this.
  FilesBeside(std::filesystem::path folder, const OpenInput& open)
      : folder_(std::move(folder)), open_(open) {}

  // What is no regular file of the folder itself is not followed: readers differ about links.
  // `name` is a plain one. Errors: kRefused (a link), kLimit (too many files), and those of
  // `open`.
  Result<ByteSpan> bytes_of(std::string_view name);

  // The files that were found, to go with the model.
  std::vector<ModelFile> take();

 private:
  std::filesystem::path folder_;
  const OpenInput& open_;
  std::map<std::string, Result<Input>, std::less<>> files_;
};

}  // namespace tare::format
