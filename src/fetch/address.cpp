#include "fetch/address.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace tare::fetch {
namespace {

struct Free {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, Free>;

std::string part_of(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return "";
  std::string out = text;
  curl_free(text);
  return out;
}

bool has_control(const std::string& text) {
  return std::ranges::any_of(text, [](char c) { return c <= ' ' || c == '\x7f'; });
}

std::optional<Address> address_of(const Url& url) {
  Address address;
  address.scheme = part_of(url, CURLUPART_SCHEME);
  address.host = part_of(url, CURLUPART_HOST);
  address.port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  address.path = part_of(url, CURLUPART_PATH);
  address.query = part_of(url, CURLUPART_QUERY);
  address.user = part_of(url, CURLUPART_USER, CURLU_URLDECODE);
  address.password = part_of(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
  const bool known = address.scheme == "https" || address.scheme == "http";
  if (!known || address.host.empty() || address.port.empty()) return std::nullopt;
  // A zone would be lost: there is no host in it that one could mean.
  if (!part_of(url, CURLUPART_ZONEID).empty()) return std::nullopt;
  std::ranges::transform(address.host, address.host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return address;
}

// "127.0.0.1" and its like; libcurl has made four decimal numbers of whatever stood for them.
bool is_loopback_number(const std::string& host) {
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
         host.find_first_not_of("0123456789.") == std::string::npos;
}

bool is_standard(const std::string& scheme, const std::string& port) {
  return port == (scheme == "https" ? "443" : "80");
}

}  // namespace

std::optional<Address> Address::parse(const std::string& text) {
  const Url url(curl_url());
  if (!url || has_control(text)) return std::nullopt;
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return std::nullopt;
  return address_of(url);
}

std::optional<Address> Address::follow(const std::string& reference) const {
  const Url base(curl_url());
  if (!base || has_control(reference)) return std::nullopt;
  if (curl_url_set(base.get(), CURLUPART_URL, url().c_str(), 0) != CURLUE_OK ||
      curl_url_set(base.get(), CURLUPART_URL, reference.c_str(), 0) != CURLUE_OK) {
    return std::nullopt;
  }
  return address_of(base);
}

std::string Address::host_header() const {
  return is_standard(scheme, port) ? host : host + ":" + port;
}

std::string Address::url() const {
  return scheme + "://" + host_header() + path + (query.empty() ? "" : "?" + query);
}

bool Address::is_loopback() const {
  return host == "localhost" || host == "[::1]" || is_loopback_number(host);
}

remote::Status may_begin(const Address& address) {
  if (address.scheme == "https" || address.is_loopback()) return remote::Status::kOk;
  return remote::Status::kNotHttps;
}

remote::Status may_follow(const Address& from, const Address& to) {
  if (from.scheme == "https" && to.scheme != "https") return remote::Status::kDowngrade;
  if (to.is_loopback() && !from.is_loopback()) return remote::Status::kInward;
  return may_begin(to);
}

}  // namespace tare::fetch
