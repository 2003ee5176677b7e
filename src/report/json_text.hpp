// What all JSON documents of this program have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace tare::report {

using Json = nlohmann::ordered_json;

// Fields are added, never changed.
inline constexpr int kSchemaVersion = 1;

// Names are bytes: what is not UTF-8 becomes U+FFFD, so that the document always is.
inline std::string dump(const Json& document, int indent = 2) {
  return document.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tare::report
