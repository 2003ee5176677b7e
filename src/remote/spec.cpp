#include "remote/spec.hpp"

#include <algorithm>
#include <array>

namespace tare::remote {
namespace {

constexpr std::string_view kHub = "hf://";
constexpr std::string_view kS3 = "s3://";
constexpr std::array<std::string_view, 4> kSchemes = {"https://", "http://", kHub, kS3};

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~").find(c) != std::string_view::npos;
}

// A name of the hub or of a bucket: it becomes part of a host or of a path as it is.
bool is_name(std::string_view text) {
  return !text.empty() && text != "." && text != ".." && std::ranges::all_of(text, is_unreserved);
}

// No segment that a server, or a library on the way to it, takes for another folder.
bool is_plain_path(std::string_view path) {
  while (true) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// What is no port may be the rest of a password that has a / or ? in it.
bool has_port_of_letters(std::string_view authority) {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return colon != std::string_view::npos &&
         authority.find_first_not_of("0123456789", colon + 1) != std::string_view::npos;
}

}  // namespace

bool is_remote(std::string_view path) {
  return std::ranges::any_of(kSchemes, [&](auto scheme) { return path.starts_with(scheme); });
}

std::string display_name(std::string_view spec) {
  if (!spec.starts_with("http") || !is_remote(spec)) return std::string(spec);
  const std::size_t scheme = spec.find("://");
  const std::string front(spec.substr(0, scheme + 3));
  std::string_view rest = spec.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("?#"));
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    return front + std::string(rest.substr(at + 1));
  }
  return has_port_of_letters(authority) ? front + "..." : front + std::string(rest);
}

std::optional<HubSpec> HubSpec::parse(std::string_view spec) {
  if (!spec.starts_with(kHub)) return std::nullopt;
  spec.remove_prefix(kHub.size());
  const std::size_t owner_end = spec.find('/');
  if (owner_end == std::string_view::npos) return std::nullopt;
  const std::size_t end = std::min(spec.find('/', owner_end + 1), spec.size());
  std::string_view model = spec.substr(owner_end + 1, end - owner_end - 1);
  HubSpec hub;
  if (const std::size_t at = model.find('@'); at != std::string_view::npos) {
    hub.revision = model.substr(at + 1);
    replace_all(hub.revision, "%2F", "/");
    replace_all(hub.revision, "%2f", "/");
    model = model.substr(0, at);
    if (!is_plain_path(hub.revision)) return std::nullopt;
  }
  const std::string_view owner = spec.substr(0, owner_end);
  if (!is_name(owner) || !is_name(model)) return std::nullopt;
  hub.repository = std::string(owner) + "/" + std::string(model);
  hub.path = end < spec.size() ? spec.substr(end + 1) : std::string_view();
  if (!hub.path.empty() && !is_plain_path(hub.path)) return std::nullopt;
  return hub;
}

std::string HubSpec::file(std::string_view name) const {
  std::string out = std::string(kHub) + repository;
  if (revision != "main") {
    std::string escaped = revision;
    replace_all(escaped, "/", "%2F");
    out += "@" + escaped;
  }
  return out + "/" + std::string(name);
}

std::optional<S3Spec> S3Spec::parse(std::string_view spec) {
  if (!spec.starts_with(kS3)) return std::nullopt;
  spec.remove_prefix(kS3.size());
  const std::size_t end = spec.find('/');
  if (end == std::string_view::npos || end + 1 == spec.size()) return std::nullopt;
  S3Spec s3{std::string(spec.substr(0, end)), std::string(spec.substr(end + 1))};
  if (!is_name(s3.bucket) || !is_plain_path(s3.key)) return std::nullopt;
  return s3;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slashes && c == '/')) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

}  // namespace tare::remote
