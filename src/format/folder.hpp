// The model in a folder.
#pragma once

#include <filesystem>

#include "tare/model.hpp"

namespace tare::format {

// Names in a folder, sorted. Errors: kLimit (more than 16,384), and those of the system.
Result<std::vector<std::string>> names_in(const std::filesystem::path& folder);

// What open_model() says of folders. Errors: kNotAFile (no model), kInvalidArgument (several),
// kLimit, and those of opening the model, with the name of its file.
std::expected<Model, Failure> open_folder(const std::filesystem::path& folder);

}  // namespace tare::format
