// Signature Version 4 of AWS, for requests without a body.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <map>
#include <string>

#include "tare/bytes.hpp"

namespace tare::fetch {

struct AwsCredentials {
  std::string key_id;
  std::string secret;
  std::string token;  // of a session; empty for a lasting key
};

struct SignedRequest {
  std::string method = "GET";
  std::string path;   // percent-encoded, as it is sent
  std::string query;  // the same; "a=1&b=2"
  // Names in lower case; all of these are signed.
  std::map<std::string, std::string> headers;
};

// HMAC-SHA-256, 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);

// The Authorization header. `time`: "20130524T000000Z"; it also has to be the header x-amz-date.
std::string aws_authorization(const SignedRequest& request, const AwsCredentials& credentials,
                              std::string_view time, std::string_view region,
                              std::string_view service);

}  // namespace tare::fetch
