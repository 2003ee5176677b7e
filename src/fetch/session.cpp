#include "fetch/session.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

namespace tare::fetch {

using remote::Opened;
using remote::Status;

namespace {

// What a connection brings before it breaks, so that the next failure is the first again.
constexpr std::uint64_t kProgress = std::uint64_t{64} << 10;
constexpr auto kFirstWait = std::chrono::milliseconds(500);
// A whole request: so long, and a second for so many bytes.
constexpr auto kPatience = std::chrono::seconds(600);
constexpr std::uint64_t kSlowest = std::uint64_t{16} << 10;
// Connections for scattered pieces.
constexpr std::size_t kConnections = 16;

Validator validator_of(const Answer& answer, std::uint64_t size) {
  return {answer.etag, answer.last_modified, size};
}

bool is_empty(const Outcome& outcome) {
  if (outcome.answer.status == 416) {
    const auto range = ContentRange::parse(outcome.answer.range);
    return range && range->total == 0;
  }
  return outcome.answer.status == 200 && outcome.answer.length == std::uint64_t{0};
}

bool takes_no_link(long status) {
  return status == 401 || status == 403 || status == 404 || status == 410;
}

}  // namespace

void Session::run() {
  remote::Request request;
  while (remote::receive_message(socket_, request)) {
    std::string text(std::min(request.text_length, remote::kMaxText + 1), '\0');
    if (text.size() > remote::kMaxText ||
        !remote::receive(socket_, std::as_writable_bytes(std::span(text)))) {
      return;
    }
    if (!serve(request, text)) return;
  }
}

bool Session::serve(const remote::Request& request, const std::string& text) {
  if (request.op == remote::Op::kOpen) return open(request, text);
  if (request.op == remote::Op::kList) return end(list(text));
  if (request.file >= files_.size()) return false;
  File& file = files_[request.file];
  if (request.op == remote::Op::kWhole) return end(fetch_whole(file, request.length));
  if (request.op == remote::Op::kScattered) return serve_scattered(file, text);
  if (request.op != remote::Op::kRange || !has_range(file, request.offset, request.length)) {
    return false;
  }
  return end(fetch(file, request.offset, request.length));
}

bool Session::has_range(const File& file, std::uint64_t offset, std::uint64_t length) {
  return file.has_ranges && length > 0 && offset < file.validator.size &&
         length <= file.validator.size - offset;
}

bool Session::serve_scattered(const File& file, const std::string& text) const {
  std::vector<remote::Piece> pieces(text.size() / sizeof(remote::Piece));
  std::memcpy(pieces.data(), text.data(), pieces.size() * sizeof(remote::Piece));
  for (const remote::Piece& piece : pieces) {
    if (piece.length > remote::kMaxFrame || !has_range(file, piece.offset, piece.length)) {
      return false;
    }
  }
  return end(fetch_scattered(file, pieces));
}

bool Session::send_bytes(ByteSpan bytes) const {
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min<std::size_t>(bytes.size(), remote::kMaxFrame));
    const remote::Frame frame{Status::kOk, static_cast<std::uint32_t>(piece.size())};
    if (!remote::send_message(socket_, frame, piece)) return false;
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

bool Session::end(Status status) const {
  if (status == Status::kOk) status = Status::kEnd;
  return remote::send_message(socket_, remote::Frame{status, 0});
}

bool Session::wait(const Outcome& outcome, unsigned failures) const {
  const Limits& limits = client_.limits();
  // Where there is no server, there will hardly be one in a minute.
  const bool is_absent = outcome.status == Status::kResolve || outcome.status == Status::kConnect ||
                         outcome.status == Status::kTls;
  const unsigned most = is_absent ? std::min(limits.retries, 2U) : limits.retries;
  if (!outcome.may_retry || failures > most || outcome.wait > limits.longest_wait) return false;
  std::chrono::milliseconds pause = kFirstWait * (1U << std::min(failures - 1, 6U));
  if (outcome.wait.count() > 0) pause = outcome.wait;
  std::this_thread::sleep_for(std::min(pause, limits.longest_wait));
  return true;
}

// The place that redirects led to may be open for a while only: then they are followed again.
Outcome Session::get_again(Client& client, File& file, const Wanted& wanted, const Body& body) {
  Outcome outcome = client.get(file.location, file.address, wanted, body);
  const bool is_elsewhere = file.address.url() != file.location.address.url();
  if (outcome.status == Status::kOk || !is_elsewhere || !takes_no_link(outcome.answer.status)) {
    return outcome;
  }
  outcome = client.get(file.location, file.location.address, wanted, body);
  if (outcome.status == Status::kOk) file.address = outcome.address;
  return outcome;
}

Status Session::fetch(File& file, std::uint64_t offset, std::uint64_t length) {
  return fetch(client_, file, offset, length,
               [this](const Answer&, ByteSpan bytes) { return send_bytes(bytes); });
}

Status Session::fetch(Client& client, File& file, std::uint64_t offset, std::uint64_t length,
                      const Body& to) const {
  const auto deadline = Clock::now() + kPatience + std::chrono::seconds(length / kSlowest);
  unsigned failures = 0;
  while (length > 0) {
    Outcome outcome =
        get_again(client, file, {Wanted::Kind::kRange, offset, length, &file.validator}, to);
    offset += outcome.bytes;
    length -= outcome.bytes;
    if (outcome.status == Status::kOk && length == 0) return Status::kOk;
    if (outcome.status == Status::kOk) {  // it ended before its end
      outcome.status = Status::kLost;
      outcome.may_retry = true;
    }
    if (outcome.bytes >= kProgress) failures = 0;
    if (Clock::now() > deadline) return Status::kSlow;
    if (!wait(outcome, ++failures)) return outcome.status;
  }
  return Status::kOk;
}

Status Session::fetch_scattered(const File& file, const std::vector<remote::Piece>& pieces) const {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Status status = Status::kOk;  // the first that is not
  const auto work = [&] {
    Client client(client_.limits(), variable_);
    File mine = file;
    std::vector<std::byte> bytes;
    const auto keep = [&](const Answer&, ByteSpan received) {
      bytes.insert(bytes.end(), received.begin(), received.end());
      return true;
    };
    for (std::size_t i = next++; i < pieces.size(); i = next++) {
      bytes.clear();
      const Status done = fetch(client, mine, pieces[i].offset, pieces[i].length, keep);
      const std::scoped_lock lock(mutex);
      if (status != Status::kOk) return;
      status = done;
      const remote::Frame frame{Status::kOk, static_cast<std::uint32_t>(bytes.size()),
                                pieces[i].offset};
      if (done == Status::kOk && !remote::send_message(socket_, frame, bytes)) {
        status = Status::kProtocol;
      }
      if (status != Status::kOk) return;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(kConnections, pieces.size()); ++i) {
    threads.emplace_back(work);
  }
  threads.clear();
  return status;
}

Outcome Session::fetch_first(File& file, std::uint64_t length) {
  const auto opened = [&](const Answer& answer, ByteSpan bytes) {
    if (!file.is_known) {
      const auto range = ContentRange::parse(answer.range);
      file.validator = validator_of(answer, range->total);
      file.is_known = file.has_ranges = true;
      Outcome so_far;
      so_far.answer = answer;
      if (!send_opened(file, so_far)) return false;
    }
    return send_bytes(bytes);
  };
  unsigned failures = 0;
  for (;;) {
    Outcome outcome = client_.get(file.location, file.location.address,
                                  {Wanted::Kind::kFirst, 0, length, nullptr}, opened);
    file.address = outcome.address;
    if (file.is_known || outcome.status == Status::kOk || outcome.is_whole) return outcome;
    if (!wait(outcome, ++failures)) return outcome;
  }
}

bool Session::send_opened(const File& file, const Outcome& outcome) {
  Opened opened{};
  opened.status = outcome.status;
  if (outcome.status != Status::kOk) return remote::send_message(socket_, opened);
  opened.has_ranges = file.has_ranges;
  opened.size = file.validator.size;
  Outcome with_checksum = outcome;
  ask_checksum(file, with_checksum);
  const Answer& answer = with_checksum.answer;
  const auto& digest = answer.linked_sha256 ? answer.linked_sha256 : answer.checksum;
  if (digest) {
    opened.has_sha256 = true;
    opened.sha256 = *digest;
  }
  if (answer.linked_size && opened.size != Opened::kUnknownSize &&
      *answer.linked_size != opened.size) {
    opened.status = Status::kChanged;
  }
  return remote::send_message(socket_, opened) && opened.status == Status::kOk;
}

// S3 has the digest of an object only for those who ask.
void Session::ask_checksum(const File& file, Outcome& outcome) {
  if (!file.location.is_s3) return;
  // A handle for this alone: the other one is in the middle of its transfer.
  Client other(client_.limits(), variable_);
  const auto nothing = [](const Answer&, ByteSpan) { return false; };
  const Outcome head = other.get(file.location, file.location.address,
                                 {Wanted::Kind::kHead, 0, 0, nullptr}, nothing);
  const bool is_same = head.status == Status::kOk && head.answer.etag == outcome.answer.etag;
  outcome.answer.checksum = is_same ? head.answer.checksum : std::nullopt;
}

bool Session::open(const remote::Request& request, const std::string& text) {
  if (request.file != files_.size() || request.length == 0) return false;
  File& file = files_.emplace_back();
  auto location = locate(text, variable_);
  Outcome outcome;
  if (!location) {
    outcome.status = location.error();
    return send_opened(file, outcome);
  }
  file.location = std::move(*location);
  file.address = file.location.address;
  outcome = fetch_first(file, request.length);
  if (file.is_known) {
    // What the first try did not bring, the next ones do.
    const std::uint64_t wanted = std::min(request.length, file.validator.size);
    const bool may_go_on = outcome.status == Status::kOk || outcome.may_retry;
    return end(may_go_on ? fetch(file, outcome.bytes, wanted - outcome.bytes) : outcome.status);
  }
  if (is_empty(outcome)) outcome.status = Status::kEmpty;
  if (outcome.status == Status::kOk && !outcome.is_whole) outcome.status = Status::kContentRange;
  if (outcome.status == Status::kOk && !outcome.answer.length && !outcome.answer.is_chunked) {
    outcome.status = Status::kNoLength;
  }
  file.validator =
      validator_of(outcome.answer, outcome.answer.length.value_or(Opened::kUnknownSize));
  return send_opened(file, outcome);
}

Status Session::fetch_whole(File& file, std::uint64_t most) {
  const auto send = [this](const Answer&, ByteSpan bytes) { return send_bytes(bytes); };
  unsigned failures = 0;
  for (;;) {
    const Outcome outcome =
        get_again(client_, file, {Wanted::Kind::kWhole, 0, most, &file.validator}, send);
    const std::uint64_t size = file.validator.size;
    const bool is_short = size != Opened::kUnknownSize && outcome.bytes < size;
    if (outcome.status == Status::kOk) return is_short ? Status::kLost : Status::kOk;
    // Without ranges there is no going on in the middle.
    if (outcome.bytes > 0 || !wait(outcome, ++failures)) return outcome.status;
  }
}

Status Session::list(const std::string& text) {
  const auto location = locate_list(text, variable_);
  if (!location) return location.error();
  Address page = location->address;
  std::uint64_t left = client_.limits().list_bytes;
  const auto send = [this](const Answer&, ByteSpan bytes) { return send_bytes(bytes); };
  for (unsigned pages = 0; pages < client_.limits().list_pages; ++pages) {
    Outcome outcome;
    for (unsigned failures = 0;;) {
      outcome = client_.get(*location, page, {Wanted::Kind::kDocument, 0, left, nullptr}, send);
      if (outcome.status == Status::kOk) break;
      if (outcome.bytes > 0 || !wait(outcome, ++failures)) return outcome.status;
    }
    left -= outcome.bytes;
    if (outcome.answer.next.empty()) return Status::kOk;
    const auto next = outcome.address.follow(outcome.answer.next);
    if (!next) return Status::kHttp;
    // The next page of a list is where the list is.
    if (!next->has_origin_of(location->address)) return Status::kRedirects;
    page = *next;
    if (!remote::send_message(socket_, remote::Frame{Status::kPage, 0})) return Status::kProtocol;
  }
  return Status::kTooLarge;
}

}  // namespace tare::fetch
