#include "fetch/client.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "io/parse_number.hpp"

namespace tare::fetch {

using remote::Status;

namespace {

// Of the body of an answer that is no file.
constexpr std::uint64_t kMaxErrorBody = 16'384;

std::uint64_t number_of(const Environment& variable, const char* name, std::uint64_t otherwise) {
  return parse_number(variable(name)).value_or(otherwise);
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string range_text(const Wanted& wanted) {
  return "bytes=" + std::to_string(wanted.offset) + "-" +
         std::to_string(wanted.offset + wanted.length - 1);
}

bool has_range(const Wanted& wanted) {
  return wanted.kind == Wanted::Kind::kRange || wanted.kind == Wanted::Kind::kFirst;
}

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 20> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return text.data();
}

Status status_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Status::kResolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
      return Status::kConnect;
    case CURLE_SSL_CONNECT_ERROR:
      return Status::kTls;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
      return Status::kCertificate;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Status::kNotUrl;
    case CURLE_OUT_OF_MEMORY:
      return Status::kMemory;
    default:
      return Status::kLost;
  }
}

bool may_retry(Status status) {
  return status == Status::kResolve || status == Status::kConnect || status == Status::kTls ||
         status == Status::kLost || status == Status::kSlow || status == Status::kBusy ||
         status == Status::kServerError;
}

// Of an answer that is no file and no redirect.
Status status_of_http(long status) {
  if (status == 404 || status == 410) return Status::kNotFound;
  if (status == 401 || status == 403) return Status::kDenied;
  if (status == 429 || status == 503) return Status::kBusy;
  if (status >= 500 || status == 408) return Status::kServerError;
  return Status::kHttp;
}

}  // namespace

Limits Limits::from(const Environment& variable) {
  Limits limits;
  const std::uint64_t idle = number_of(variable, "TARE_FETCH_IDLE", 30);
  const std::uint64_t wait = number_of(variable, "TARE_FETCH_MAX_WAIT", 60);
  constexpr std::uint64_t kDay = 86'400;
  limits.idle = std::chrono::seconds(std::clamp<std::uint64_t>(idle, 1, kDay));
  limits.longest_wait = std::chrono::seconds(std::min(wait, kDay));
  limits.retries = static_cast<unsigned>(
      std::min<std::uint64_t>(number_of(variable, "TARE_FETCH_RETRIES", 4), 100));
  return limits;
}

// A request to one address, without following where it leads.
class Exchange {
 public:
  Exchange(Client& client, const Wanted& wanted, const Body& body)
      : client_(client), wanted_(wanted), body_(body) {}

  void run(const Location& location, const Address& address);

  Answer answer;
  Status status = Status::kOk;
  std::uint64_t bytes = 0;
  bool is_whole = false;
  std::chrono::milliseconds wait{0};

 private:
  static std::size_t on_header(char* text, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* text, std::size_t size, std::size_t count, void* self);
  static int on_progress(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t);

  void set_options(const Location& location, const Address& address);
  void set_headers(const Location& location, const Address& address);
  bool take(ByteSpan received);
  bool fail(Status why) {
    status = why;
    return false;
  }
  // Whether the body is what is wanted.
  bool judge();
  bool judge_range();
  bool judge_whole();
  bool is_slow();

  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  Client& client_;
  const Wanted& wanted_;
  const Body& body_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::string range_;
  std::string url_;
  std::uint64_t header_bytes_ = 0;
  std::uint64_t received_ = 0;  // of the body, whatever it is
  bool judged_ = false;
  Clock::time_point window_ = Clock::now();
  std::uint64_t window_bytes_ = 0;
};

std::size_t Exchange::on_header(char* text, std::size_t size, std::size_t count, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  const std::size_t length = size * count;
  exchange.header_bytes_ += length;
  if (exchange.header_bytes_ > exchange.client_.limits_.header_bytes) {
    exchange.fail(Status::kHeaders);
    return 0;
  }
  exchange.answer.add_line({text, length});
  return length;
}

std::size_t Exchange::on_body(char* text, std::size_t size, std::size_t count, void* self) {
  const std::size_t length = size * count;
  const bool taken = static_cast<Exchange*>(self)->take(as_bytes({text, length}));
  return taken ? length : 0;
}

int Exchange::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (!exchange.is_slow()) return 0;
  exchange.fail(Status::kSlow);
  return 1;
}

// Whether less than the least rate has come since the window began.
bool Exchange::is_slow() {
  const Limits& limits = client_.limits_;
  const auto now = Clock::now();
  if (now - window_ < limits.idle) return false;
  const auto seconds =
      static_cast<std::uint64_t>(std::chrono::duration<double>(limits.idle).count());
  if (window_bytes_ < limits.least_rate * seconds) return true;
  window_ = now;
  window_bytes_ = 0;
  return false;
}

bool Exchange::take(ByteSpan received) {
  received_ += received.size();
  window_bytes_ += received.size();
  const bool is_file = answer.status == 200 || answer.status == 206;
  if (!is_file) return received_ <= kMaxErrorBody;
  if (!judged_) {
    judged_ = true;
    if (!judge()) return false;
  }
  if (is_whole) return false;
  if (received.size() > wanted_.length - bytes) {
    return fail(has_range(wanted_) ? Status::kTooLong : Status::kTooLarge);
  }
  const auto before = Clock::now();
  if (!body_(answer, received)) return fail(Status::kProtocol);
  window_ += Clock::now() - before;  // the time of whoever reads is not the server's
  bytes += received.size();
  return true;
}

bool Exchange::judge() {
  if (answer.is_encoded) return fail(Status::kEncoded);
  return has_range(wanted_) ? judge_range() : judge_whole();
}

bool Exchange::judge_range() {
  const bool first = wanted_.kind == Wanted::Kind::kFirst;
  if (answer.status == 200) {
    is_whole = first;
    // If-Range: the whole file comes if it is another one by now.
    return first || fail(Status::kChanged);
  }
  const auto range = ContentRange::parse(answer.range);
  if (!range || !range->first) return fail(Status::kContentRange);
  const Validator now{answer.etag, answer.last_modified, range->total};
  if (wanted_.validator != nullptr && now != *wanted_.validator) return fail(Status::kChanged);
  if (*range->first != wanted_.offset) return fail(Status::kContentRange);
  const std::uint64_t last = wanted_.offset + wanted_.length - 1;
  if (range->last != (first ? std::min(last, range->total - 1) : last)) {
    return fail(Status::kContentRange);
  }
  const std::uint64_t length = range->last - *range->first + 1;
  return answer.length.value_or(length) == length || fail(Status::kContentRange);
}

bool Exchange::judge_whole() {
  if (answer.status != 200) return fail(Status::kContentRange);
  if (wanted_.kind == Wanted::Kind::kDocument) return true;
  if (answer.length && *answer.length > wanted_.length) return fail(Status::kTooLarge);
  if (wanted_.validator == nullptr) return true;
  const Validator now{answer.etag, answer.last_modified,
                      answer.length.value_or(remote::Opened::kUnknownSize)};
  return now == *wanted_.validator || fail(Status::kChanged);
}

void Exchange::set_headers(const Location& location, const Address& address) {
  if (has_range(wanted_)) range_ = range_text(wanted_);
  const char* const method = wanted_.kind == Wanted::Kind::kHead ? "HEAD" : "GET";
  auto lines = headers_for(location, address, method, range_, time_text());
  if (!range_.empty()) lines.push_back("Range: " + range_);
  if (!range_.empty() && wanted_.validator != nullptr && wanted_.validator->is_strong()) {
    lines.push_back("If-Range: " + wanted_.validator->etag);
  }
  lines.emplace_back("Accept-Encoding: identity");
  for (const std::string& line : lines) {
    headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
  }
}

void Exchange::set_options(const Location& location, const Address& address) {
  CURL* const handle = client_.handle_.get();
  constexpr long kBuffer = 512L << 10;
  constexpr long kConnectMs = 10'000;
  curl_easy_reset(handle);  // connections stay
  url_ = address.url();
  set_headers(location, address);
  curl_easy_setopt(handle, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(handle, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "tare/" TARE_VERSION);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kBuffer);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (wanted_.kind == Wanted::Kind::kHead) curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  if (!client_.authorities_.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, client_.authorities_.c_str());
  }
  const bool has_user = !location.user.empty() || !location.password.empty();
  if (has_user && address.has_origin_of(location.address)) {
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(handle, CURLOPT_USERNAME, location.user.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, location.password.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
}

void Exchange::run(const Location& location, const Address& address) {
  set_options(location, address);
  const CURLcode code = curl_easy_perform(client_.handle_.get());
  if (status != Status::kOk || is_whole) return;  // ended on purpose
  const bool is_file = answer.status == 200 || answer.status == 206;
  // An answer that says enough by its headers.
  if (!is_file && answer.status >= 300) {
    if (!is_redirect(answer.status)) status = status_of_http(answer.status);
    curl_off_t seconds = 0;
    curl_easy_getinfo(client_.handle_.get(), CURLINFO_RETRY_AFTER, &seconds);
    wait = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, 1'000'000));
    return;
  }
  if (code != CURLE_OK) {
    fail(status_of(code));
  } else if (!is_file) {
    fail(Status::kHttp);
  } else if (!judged_ && wanted_.kind != Wanted::Kind::kHead) {
    judge();  // no body at all
  }
}

Client::Client(Limits limits, const Environment& variable)
    : limits_(limits), handle_(curl_easy_init()) {
  authorities_ = variable("CURL_CA_BUNDLE");
  if (authorities_.empty()) authorities_ = variable("SSL_CERT_FILE");
}

Outcome Client::get(const Location& location, const Address& start, const Wanted& wanted,
                    const Body& body) {
  Outcome outcome;
  outcome.address = start;
  if (!handle_) {
    outcome.status = Status::kMemory;
    return outcome;
  }
  for (unsigned hops = 0;; ++hops) {
    Exchange exchange(*this, wanted, body);
    exchange.answer = std::move(outcome.answer);
    exchange.run(location, outcome.address);
    outcome.answer = std::move(exchange.answer);
    outcome.status = exchange.status;
    outcome.bytes = exchange.bytes;
    outcome.is_whole = exchange.is_whole;
    outcome.wait = exchange.wait;
    outcome.may_retry = may_retry(outcome.status);
    if (outcome.status != Status::kOk || !is_redirect(outcome.answer.status)) return outcome;
    outcome.status = Status::kRedirects;
    if (hops == limits_.redirects) return outcome;
    const auto next = outcome.address.follow(outcome.answer.location);
    outcome.status = next ? may_follow(outcome.address, *next) : Status::kHttp;
    if (outcome.status != Status::kOk) return outcome;
    outcome.address = *next;
    outcome.address.user.clear();
    outcome.address.password.clear();
  }
}

}  // namespace tare::fetch
