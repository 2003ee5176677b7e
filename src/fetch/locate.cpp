#include "fetch/locate.hpp"

#include <algorithm>
#include <utility>

#include "remote/spec.hpp"

namespace tare::fetch {
namespace {

using Located = std::expected<Location, remote::Status>;

constexpr const char* kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string without_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

std::string first_of(const Environment& variable, std::initializer_list<const char*> names,
                     const char* otherwise = "") {
  for (const char* name : names) {
    if (std::string value = variable(name); !value.empty()) return value;
  }
  return otherwise;
}

Located at(const std::string& url) {
  auto address = Address::parse(url);
  if (!address) return std::unexpected(remote::Status::kNotUrl);
  if (const auto status = may_begin(*address); status != remote::Status::kOk) {
    return std::unexpected(status);
  }
  Location location;
  location.user = std::exchange(address->user, "");
  location.password = std::exchange(address->password, "");
  location.address = std::move(*address);
  return location;
}

Located on_hub(const std::string& path, const Environment& variable) {
  auto location =
      at(without_slash(first_of(variable, {"HF_ENDPOINT"}, "https://huggingface.co")) + path);
  if (location) location->bearer = first_of(variable, {"HF_TOKEN"});
  return location;
}

// A name that can stand in front of the host: with a dot in it, no certificate would fit.
bool is_host_label(const std::string& bucket) {
  return std::ranges::all_of(
      bucket, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string s3_url(const remote::S3Spec& spec, const std::string& region,
                   const Environment& variable) {
  const std::string key = "/" + remote::percent_encode(spec.key, true);
  const std::string endpoint =
      without_slash(first_of(variable, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}));
  if (!endpoint.empty()) return endpoint + "/" + spec.bucket + key;
  const std::string host = "s3." + region + ".amazonaws.com";
  if (is_host_label(spec.bucket)) return "https://" + spec.bucket + "." + host + key;
  return "https://" + host + "/" + spec.bucket + key;
}

Located in_s3(const remote::S3Spec& spec, const Environment& variable) {
  const std::string region = first_of(variable, {"AWS_REGION", "AWS_DEFAULT_REGION"}, "us-east-1");
  if (!is_host_label(region)) return std::unexpected(remote::Status::kNotUrl);
  auto location = at(s3_url(spec, region, variable));
  if (!location) return location;
  location->is_s3 = true;
  location->region = region;
  const AwsCredentials aws{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                           variable("AWS_SESSION_TOKEN")};
  if (aws.key_id.empty() != aws.secret.empty()) {
    return std::unexpected(remote::Status::kNoCredentials);
  }
  if (!aws.key_id.empty()) location->aws = aws;
  return location;
}

// A value of the environment that would be more than one header.
bool breaks_line(const std::string& text) {
  return text.find_first_of("\r\n") != std::string::npos || text.find('\0') != std::string::npos;
}

Located checked(Located location) {
  if (!location) return location;
  const bool broken =
      breaks_line(location->bearer) ||
      (location->aws && (breaks_line(location->aws->key_id) || breaks_line(location->aws->token)));
  return broken ? std::unexpected(remote::Status::kNotUrl) : std::move(location);
}

}  // namespace

Located locate(const std::string& spec, const Environment& variable) {
  if (const auto s3 = remote::S3Spec::parse(spec)) return checked(in_s3(*s3, variable));
  if (const auto hub = remote::HubSpec::parse(spec); hub && !hub->path.empty()) {
    return checked(on_hub("/" + hub->repository + "/resolve/" +
                              remote::percent_encode(hub->revision, false) + "/" +
                              remote::percent_encode(hub->path, true),
                          variable));
  }
  return at(spec);
}

Located locate_list(const std::string& spec, const Environment& variable) {
  const auto hub = remote::HubSpec::parse(spec);
  if (!hub || !hub->path.empty()) return std::unexpected(remote::Status::kNotUrl);
  return checked(on_hub("/api/models/" + hub->repository + "/tree/" +
                            remote::percent_encode(hub->revision, false) + "?recursive=true",
                        variable));
}

std::vector<std::string> headers_for(const Location& location, const Address& to,
                                     const std::string& method, const std::string& range,
                                     const std::string& time) {
  if (!to.has_origin_of(location.address)) return {};
  std::vector<std::string> headers;
  if (!location.bearer.empty()) headers.push_back("Authorization: Bearer " + location.bearer);
  if (!location.aws) {
    if (location.is_s3 && method == "HEAD") headers.emplace_back("x-amz-checksum-mode: ENABLED");
    return headers;
  }
  SignedRequest request{method, to.path, to.query, {}};
  request.headers["host"] = to.host_header();
  request.headers["x-amz-content-sha256"] = kEmptySha256;
  request.headers["x-amz-date"] = time;
  if (method == "HEAD") request.headers["x-amz-checksum-mode"] = "ENABLED";
  if (!location.aws->token.empty()) request.headers["x-amz-security-token"] = location.aws->token;
  if (!range.empty()) request.headers["range"] = range;
  for (const auto& [name, value] : request.headers) {
    if (name == "host" || name == "range") continue;
    headers.push_back(name);
    headers.back().append(": ").append(value);
  }
  headers.push_back("Authorization: " +
                    aws_authorization(request, *location.aws, time, location.region, "s3"));
  return headers;
}

}  // namespace tare::fetch
