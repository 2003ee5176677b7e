// Reports as JSON. Every document carries "schema_version"; fields are added, never changed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/text.hpp"
#include "tare/model.hpp"

namespace tare::report {

// `model` may be null: a file that holds others and no model. So may `nesting`.
std::string inspect_json(std::string_view path, const Model* model, const Nesting* nesting,
                         const InspectOptions& options);
std::string verify_json(const ComparedModels& models);
std::string check_json(const std::vector<CheckedFile>& files);
std::string hash_json(const HashedModel& hashed);
std::string convert_json(const ConvertedModel& converted);

}  // namespace tare::report
