#include "remote/fetcher.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

extern char** environ;

namespace tare::remote {
namespace {

constexpr std::uint64_t kMaxList = std::uint64_t{64} << 20;

// The program with a socket as its stdin, and nothing else of ours but stderr.
int spawn(pid_t& process, const std::string& program, int socket) {
  posix_spawn_file_actions_t actions;
  if (const int failed = ::posix_spawn_file_actions_init(&actions); failed != 0) return failed;
  ::posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  std::string name = program;
  std::array<char*, 2> arguments{name.data(), nullptr};
  const int failed =
      ::posix_spawnp(&process, program.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  return failed;
}

}  // namespace

Result<std::unique_ptr<Fetcher>> Fetcher::start(const std::string& program) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return std::unexpected(system_error(errno, "cannot start tare-fetch"));
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  pid_t process = 0;
  if (const int failed = spawn(process, program, theirs.get()); failed != 0) {
    return std::unexpected(
        system_error(failed, "cannot start tare-fetch, which stands beside tare"));
  }
  return std::unique_ptr<Fetcher>(new Fetcher(process, std::move(ours)));
}

Fetcher::~Fetcher() {
  socket_.reset();
  ::kill(process_, SIGKILL);  // it may be waiting for a server
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool Fetcher::broken() {
  status_ = Status::kProtocol;
  in_answer_ = false;
  next_ = end_ = 0;
  to_ = nullptr;
  return false;
}

bool Fetcher::ask(const Request& request, const std::string& text) {
  Request sent = request;
  sent.text_length = static_cast<std::uint32_t>(text.size());
  if (!send_message(socket_.get(), sent, as_bytes(text))) return broken();
  status_ = Status::kOk;
  in_answer_ = true;
  return true;
}

std::optional<Frame> Fetcher::receive_frame() {
  Frame frame;
  const bool received = receive_message(socket_.get(), frame) && frame.length <= kMaxFrame &&
                        static_cast<std::uint32_t>(frame.status) < kStatusCount &&
                        (frame.status == Status::kOk || frame.length == 0) &&
                        receive(socket_.get(), std::span(buffer_).first(frame.length));
  if (!received) {
    broken();
    return std::nullopt;
  }
  if (frame.status != Status::kOk && frame.status != Status::kPage) {
    status_ = frame.status;
    in_answer_ = false;
  }
  return frame;
}

Result<Fetcher::File> Fetcher::open(const std::string& spec, std::uint64_t length) {
  if (spec.size() > kMaxText) return std::unexpected(error_of(Status::kNotUrl));
  if (files_ == kMaxFiles) return fail(ErrorCode::kLimit, "too many files on servers");
  File file{files_, {}};
  const bool answered = drain() && ask({Op::kOpen, file.number, 0, length}, spec) &&
                        receive_message(socket_.get(), file.opened) &&
                        static_cast<std::uint32_t>(file.opened.status) < kStatusCount;
  if (!answered) {
    broken();
    return std::unexpected(error_of(Status::kProtocol));
  }
  ++files_;
  in_answer_ = false;
  if (file.opened.status != Status::kOk) return std::unexpected(error_of(file.opened.status));
  return file;
}

bool Fetcher::begin(std::uint32_t file, std::uint64_t offset, std::uint64_t length, Receiver& to) {
  if (!ask({Op::kRange, file, offset, length})) return false;
  to_ = &to;
  next_ = offset;
  end_ = offset + length;
  return true;
}

bool Fetcher::get_scattered(std::uint32_t file, std::span<const Piece> pieces, Receiver& to) {
  const std::string text(as_text(std::as_bytes(pieces)));
  if (!drain() || !ask({Op::kScattered, file, 0, 0}, text)) return false;
  bool kept = true;
  for (std::size_t i = 0;; ++i) {
    const auto frame = receive_frame();
    if (!frame) return false;
    if (frame->status != Status::kOk) return kept && status_ == Status::kEnd && i == pieces.size();
    const auto is_frame = [&](const Piece& piece) {
      return piece.offset == frame->offset && piece.length == frame->length;
    };
    if (std::ranges::none_of(pieces, is_frame)) return broken();
    kept = kept && to.take(frame->offset, ByteSpan(buffer_).first(frame->length));
    if (kept) to.pause(frame->offset + frame->length);
  }
}

void Fetcher::receive_first(std::uint64_t length, Receiver* to) {
  status_ = Status::kOk;
  in_answer_ = true;
  to_ = to;
  next_ = 0;
  end_ = length;
}

bool Fetcher::take_piece() {
  const auto frame = receive_frame();
  if (!frame) return false;
  if (frame->status != Status::kOk) return false;
  if (frame->length > end_ - next_) return broken();
  if (to_ != nullptr && !to_->take(next_, ByteSpan(buffer_).first(frame->length))) to_ = nullptr;
  next_ += frame->length;
  if (next_ < end_) return true;
  const auto last = receive_frame();
  if (!last || last->status != Status::kEnd) return broken();
  return true;
}

bool Fetcher::drain() {
  while (in_answer_) {
    if (!take_piece() && status_ == Status::kProtocol) return false;
  }
  if (to_ != nullptr) to_->pause(next_);
  to_ = nullptr;
  return status_ != Status::kProtocol;
}

void Fetcher::forget(const Receiver& to) {
  if (to_ == &to) to_ = nullptr;
}

Result<void> Fetcher::get_whole(std::uint32_t file, std::uint64_t most, Receiver& to) {
  if (!drain() || !ask({Op::kWhole, file, 0, most})) {
    return std::unexpected(error_of(Status::kProtocol));
  }
  std::uint64_t offset = 0;
  bool kept = true;
  for (;;) {
    const auto frame = receive_frame();
    if (!frame || frame->length > most - offset)
      return std::unexpected(error_of(Status::kProtocol));
    if (frame->status == Status::kEnd && kept) return {};
    if (frame->status == Status::kEnd) return fail(ErrorCode::kIo, "cannot keep the file");
    if (frame->status != Status::kOk) return std::unexpected(error_of(frame->status));
    kept = kept && to.take(offset, ByteSpan(buffer_).first(frame->length));
    offset += frame->length;
  }
}

Result<std::vector<std::string>> Fetcher::list(const std::string& spec) {
  if (spec.size() > kMaxText) return std::unexpected(error_of(Status::kNotUrl));
  if (!drain() || !ask({Op::kList, 0, 0, 0}, spec)) {
    return std::unexpected(error_of(Status::kProtocol));
  }
  std::vector<std::string> documents(1);
  std::uint64_t bytes = 0;
  for (;;) {
    const auto frame = receive_frame();
    if (!frame) return std::unexpected(error_of(Status::kProtocol));
    bytes += frame->length;
    if (bytes > kMaxList) return std::unexpected(error_of(Status::kProtocol));
    if (frame->status == Status::kEnd) return documents;
    if (frame->status == Status::kPage) {
      documents.emplace_back();
    } else if (frame->status != Status::kOk) {
      return std::unexpected(error_of(frame->status));
    }
    documents.back() += as_text(ByteSpan(buffer_).first(frame->length));
  }
}

}  // namespace tare::remote
