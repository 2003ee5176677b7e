// What all JSON documents of this program have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "remote/fetched.hpp"

namespace tare::report {

using Json = nlohmann::ordered_json;

// Fields are added, never changed.
inline constexpr int kSchemaVersion = 1;

// Names are bytes: what is not UTF-8 becomes U+FFFD, so that the document always is.
inline std::string dump(const Json& document, int indent = 2) {
  return document.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The same without the end of its line, for a place in another document that is indented so far.
inline std::string nested_dump(const Json& value, std::size_t indent) {
  const std::string text = dump(value);
  std::string out;
  for (const char c : std::string_view(text).substr(0, text.size() - 1)) {
    out += c;
    if (c == '\n') out.append(indent, ' ');
  }
  return out;
}

// What was fetched of a file on a server.
inline Json fetched_json(const remote::Fetched& fetched) {
  const char* sha256 = "none";
  if (fetched.sha256 == remote::Sha256Check::kNotDone) sha256 = "not_checked";
  if (fetched.sha256 == remote::Sha256Check::kEqual) sha256 = "equal";
  return {{"bytes", fetched.bytes},
          {"size", fetched.size},
          {"requests", fetched.requests},
          {"whole", fetched.is_whole},
          {"sha256", sha256}};
}

}  // namespace tare::report
