// Where a file is, and what is to be shown there to get it: of what a person wrote and the
// environment.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fetch/address.hpp"
#include "fetch/sigv4.hpp"

namespace tare::fetch {

// The value of a variable; empty if it is not set.
using Environment = std::function<std::string(const char* name)>;

struct Location {
  Address address;  // without user and password
  // For the origin of `address` alone; where a server redirects to, they are not shown.
  std::string bearer;
  std::string user_password;  // "user:password"
  std::optional<AwsCredentials> aws;
  std::string region;
  bool is_s3 = false;
};

// Of https://, http://, hf://ORG/MODEL[@REV]/PATH and s3://BUCKET/KEY. Errors: kNotUrl, kNotHttps
// (of an endpoint as well), kNoCredentials.
std::expected<Location, remote::Status> locate(const std::string& spec,
                                               const Environment& variable);

// The first page of the list of files of hf://ORG/MODEL[@REV].
std::expected<Location, remote::Status> locate_list(const std::string& spec,
                                                    const Environment& variable);

// The headers that show who asks, for a request to `to`: none for another origin than that of the
// location. `range` is the value of the Range header, which is signed; empty if there is none.
std::vector<std::string> headers_for(const Location& location, const Address& to,
                                     const std::string& method, const std::string& range,
                                     const std::string& time);

}  // namespace tare::fetch
