#include "io/background_sha256.hpp"

#include <algorithm>
#include <system_error>

namespace tare {
namespace {

constexpr std::size_t kMaxCopies = std::size_t{16} << 20;
constexpr std::size_t kPiece = std::size_t{4} << 20;

}  // namespace

BackgroundSha256::BackgroundSha256(std::function<void(ByteSpan)> done) : done_(std::move(done)) {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    // No more threads for us: hex_digest() hashes what is in the queue, and push() all before.
  }
}

BackgroundSha256::~BackgroundSha256() {
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BackgroundSha256::add_stable(ByteSpan bytes) {
  push({bytes, {}});
}

void BackgroundSha256::add(ByteSpan bytes) {
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min(bytes.size(), kPiece));
    Piece copied{{}, {piece.begin(), piece.end()}};
    copied.bytes = copied.copy;
    push(std::move(copied));
    bytes = bytes.subspan(piece.size());
  }
}

void BackgroundSha256::push(Piece piece) {
  if (!thread_.joinable()) return hash(piece);
  std::unique_lock lock(mutex_);
  if (!piece.copy.empty()) {
    changed_.wait(lock, [this] { return copied_ < kMaxCopies; });
    copied_ += piece.copy.size();
  }
  queue_.push_back(std::move(piece));
  changed_.notify_all();
}

void BackgroundSha256::hash(const Piece& piece) {
  for (ByteSpan bytes = piece.bytes; !bytes.empty();) {
    const ByteSpan part = bytes.first(std::min(bytes.size(), kPiece));
    sha256_.update(part);
    if (done_ && piece.copy.empty()) done_(part);
    bytes = bytes.subspan(part.size());
  }
}

void BackgroundSha256::run() {
  for (;;) {
    Piece piece;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || !queue_.empty(); });
      if (queue_.empty()) return;
      piece = std::move(queue_.front());
      queue_.pop_front();
    }
    hash(piece);
    const std::scoped_lock lock(mutex_);
    copied_ -= piece.copy.size();
    changed_.notify_all();
  }
}

std::string BackgroundSha256::hex_digest() {
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  return sha256_.hex_digest();
}

}  // namespace tare
