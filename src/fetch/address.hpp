// A URL as libcurl reads it, and the rules for where tare-fetch may go.
#pragma once

#include <optional>
#include <string>

#include "remote/protocol.hpp"

namespace tare::fetch {

struct Address {
  std::string scheme;  // "https" or "http"
  std::string host;    // lower case; an IPv6 address in brackets
  std::string port;    // always there
  std::string path;    // as it is sent, "/" at least
  std::string query;   // without the question mark
  std::string user;    // decoded, as is the password
  std::string password;

  // Nothing for what libcurl does not take, other schemes, and control characters.
  static std::optional<Address> parse(const std::string& url);
  // What a link or Location header in the answer of this address means.
  std::optional<Address> follow(const std::string& reference) const;

  // Without user and password.
  std::string url() const;
  // The host as a Host header has it: without the port that the scheme has anyway.
  std::string host_header() const;
  // The literal 127.0.0.0/8, ::1 and localhost; no other name, whatever it resolves to.
  bool is_loopback() const;
  bool has_origin_of(const Address& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};

// Whether one may start there: https, and http to this machine. kOk or kNotHttps.
remote::Status may_begin(const Address& address);
// Whether a server may send one there: neither from https to http, nor from elsewhere to this
// machine. kOk, kDowngrade, kInward or kNotHttps.
remote::Status may_follow(const Address& from, const Address& to);

}  // namespace tare::fetch
