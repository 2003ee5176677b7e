// One HTTP request at a time, by libcurl: where redirects lead, how long to wait, when to try
// again.
//
// Bodies are handed on as they come; nothing here looks into them. libcurl reads proxy variables.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fetch/answer.hpp"
#include "fetch/locate.hpp"

namespace tare::fetch {

using Clock = std::chrono::steady_clock;

// docs/remote.md says what each is for.
struct Limits {
  std::chrono::milliseconds idle{30'000};
  std::chrono::milliseconds longest_wait{60'000};
  unsigned retries = 4;
  unsigned redirects = 10;
  std::uint64_t header_bytes = 65'536;
  std::uint64_t least_rate = 4'096;     // bytes a second, over the idle time
  std::uint64_t list_bytes = 64 << 20;  // of all pages
  unsigned list_pages = 1'000;

  static Limits from(const Environment& variable);
};

// What one request is to bring.
struct Wanted {
  enum class Kind : std::uint8_t { kRange, kFirst, kWhole, kDocument, kHead };

  Kind kind = Kind::kRange;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;              // bytes; kWhole, kDocument: at most
  const Validator* validator = nullptr;  // the file's state; none is known yet if null
};

// What came of it.
struct Outcome {
  remote::Status status = remote::Status::kOk;
  std::uint64_t bytes = 0;  // handed on
  bool may_retry = false;
  std::chrono::milliseconds wait{0};  // that the server asks for
  Answer answer;
  Address address;        // that answered in the end
  bool is_whole = false;  // kFirst: the server has no ranges, and nothing was handed on
};

// Takes the next bytes of a body; the headers are known then. False ends the transfer.
using Body = std::function<bool(const Answer& answer, ByteSpan bytes)>;

class Client {
 public:
  Client(Limits limits, const Environment& variable);

  // One request and the redirects that it leads to, from `start` on. Credentials are those of
  // `location`.
  Outcome get(const Location& location, const Address& start, const Wanted& wanted,
              const Body& body);

  const Limits& limits() const { return limits_; }

 private:
  struct Cleanup {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };

  Limits limits_;
  std::string authorities_;  // a file of certificates; empty: those of the system
  std::unique_ptr<CURL, Cleanup> handle_;

  friend class Exchange;
};

}  // namespace tare::fetch
