// tare-fetch as tare sees it: the process, and one answer at a time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "io/unique_fd.hpp"
#include "remote/protocol.hpp"

namespace tare::remote {

// Takes the data of an answer, in order.
class Receiver {
 public:
  virtual ~Receiver() = default;
  // False if they cannot be kept; the rest is passed over then.
  virtual bool take(std::uint64_t offset, ByteSpan bytes) = 0;
  // Nothing more comes for now: all before `end`, from where the answer began, was taken.
  virtual void pause(std::uint64_t end) = 0;
};

class Fetcher {
 public:
  // Starts the program. Errors: those of the system.
  static Result<std::unique_ptr<Fetcher>> start(const std::string& program);
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;
  // Ends the program.
  ~Fetcher();

  struct File {
    std::uint32_t number = 0;
    Opened opened;
  };

  // Whoever calls anything below holds this.
  std::mutex& mutex() { return mutex_; }

  // Opens a file and asks for its first `length` bytes, which follow as those of begin(), if it has
  // ranges. Errors: those of the protocol.
  Result<File> open(const std::string& spec, std::uint64_t length);
  // Asks for part of a file that has ranges, at least one byte; nothing is on the way.
  bool begin(std::uint32_t file, std::uint64_t offset, std::uint64_t length, Receiver& to);
  // Of a file with ranges, where the data of open() go; null: nowhere.
  void receive_first(std::uint64_t length, Receiver* to);
  // What is on its way to a receiver: where the next byte belongs, and where the last one ends.
  bool is_bringing(const Receiver& to) const { return in_answer_ && to_ == &to && next_ < end_; }
  std::uint64_t next() const { return next_; }
  std::uint64_t end() const { return end_; }
  // Takes the next piece of it. False if there will be no more: why says last_status().
  bool take_piece();
  // Takes all of it, so that something else can be asked for. False if tare-fetch is gone.
  bool drain();
  // The receiver is gone: what is on the way to it is passed over.
  void forget(const Receiver& to);
  Status last_status() const { return status_; }

  // Pieces of a file that has ranges, in any order; at most kMaxPieces, of at most kMaxFrame bytes.
  // False if not all of them came, or `to` did not take one.
  bool get_scattered(std::uint32_t file, std::span<const Piece> pieces, Receiver& to);
  // All of a file, whose end may not be known. Errors: those of the protocol; kIo if `to` fails.
  Result<void> get_whole(std::uint32_t file, std::uint64_t most, Receiver& to);
  // The documents that list the files of a repository.
  Result<std::vector<std::string>> list(const std::string& spec);

 private:
  Fetcher(pid_t process, UniqueFd socket) : process_(process), socket_(std::move(socket)) {}

  bool ask(const Request& request, const std::string& text = "");
  // A frame, with its bytes in buffer_.
  std::optional<Frame> receive_frame();
  bool broken();

  pid_t process_;
  UniqueFd socket_;
  std::mutex mutex_;
  std::uint32_t files_ = 0;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kMaxFrame);
  // What is on the way.
  Receiver* to_ = nullptr;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
  bool in_answer_ = false;  // its last frame has not come yet
  Status status_ = Status::kEnd;
};

}  // namespace tare::remote
