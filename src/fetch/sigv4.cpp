#include "fetch/sigv4.hpp"

#include <algorithm>
#include <vector>

#include "io/hex.hpp"
#include "io/sha256.hpp"

namespace tare::fetch {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256, bytes

Sha256::Digest sha256_of(std::string_view first, std::string_view second = {}) {
  Sha256 sha256;
  sha256.update(as_bytes(first));
  sha256.update(as_bytes(second));
  return sha256.digest();
}

std::string hex_sha256(std::string_view text) {
  return hex_text(sha256_of(text));
}

// The bytes themselves.
std::string raw_sha256(std::string_view first, std::string_view second = {}) {
  return std::string(as_text(sha256_of(first, second)));
}

std::string xored(std::string key, char with) {
  key.resize(kBlock, '\0');
  for (char& c : key) c = static_cast<char>(c ^ with);
  return key;
}

// Parameters in order; one without a value has an empty one.
std::string canonical_query(std::string_view query) {
  std::vector<std::string> parameters;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    std::string parameter(query.substr(0, end));
    if (parameter.find('=') == std::string::npos) parameter += '=';
    parameters.push_back(std::move(parameter));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  std::ranges::sort(parameters);
  std::string out;
  for (const std::string& parameter : parameters) out += (out.empty() ? "" : "&") + parameter;
  return out;
}

std::string signed_names(const SignedRequest& request) {
  std::string out;
  for (const auto& [name, value] : request.headers) out += (out.empty() ? "" : ";") + name;
  return out;
}

std::string canonical_request(const SignedRequest& request) {
  std::string out =
      request.method + "\n" + request.path + "\n" + canonical_query(request.query) + "\n";
  for (const auto& [name, value] : request.headers) {
    out.append(name).append(":").append(value).append("\n");
  }
  return out + "\n" + signed_names(request) + "\n" + hex_sha256("");
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  const std::string used = key.size() > kBlock ? raw_sha256(key) : std::string(key);
  const std::string inner = raw_sha256(xored(used, '\x36'), text);
  return raw_sha256(xored(used, '\x5c'), inner);
}

std::string aws_authorization(const SignedRequest& request, const AwsCredentials& credentials,
                              std::string_view time, std::string_view region,
                              std::string_view service) {
  const std::string date(time.substr(0, 8));
  const std::string scope =
      date + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + std::string(time) + "\n" + scope + "\n" +
                              hex_sha256(canonical_request(request));
  std::string key = hmac_sha256("AWS4" + credentials.secret, date);
  for (const std::string_view part : {region, service, std::string_view("aws4_request")}) {
    key = hmac_sha256(key, part);
  }
  return "AWS4-HMAC-SHA256 Credential=" + credentials.key_id + "/" + scope +
         ",SignedHeaders=" + signed_names(request) +
         ",Signature=" + hex_text(as_bytes(hmac_sha256(key, to_sign)));
}

}  // namespace tare::fetch
