// SHA-256 by a thread of its own, so that what is hashed is written meanwhile.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/sha256.hpp"
#include "tare/bytes.hpp"

namespace tare {

class BackgroundSha256 {
 public:
  // `done` is called, by the thread, with stable bytes that are hashed.
  explicit BackgroundSha256(std::function<void(ByteSpan)> done = {});
  BackgroundSha256(const BackgroundSha256&) = delete;
  BackgroundSha256& operator=(const BackgroundSha256&) = delete;
  ~BackgroundSha256();

  // The next bytes, which stay as they are until hex_digest().
  void add_stable(ByteSpan bytes);
  // The next bytes, which are copied. Waits while 16 MiB of copies are not hashed yet.
  void add(ByteSpan bytes);
  // Waits for all of it. Call once, last.
  std::string hex_digest();

 private:
  struct Piece {
    ByteSpan bytes;
    std::vector<std::byte> copy;
  };

  void push(Piece piece);
  void hash(const Piece& piece);
  void run();

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<Piece> queue_;
  std::size_t copied_ = 0;  // bytes of copies in the queue
  bool ended_ = false;

  std::function<void(ByteSpan)> done_;
  Sha256 sha256_;  // of the thread, and of hex_digest() after that
  std::thread thread_;
};

}  // namespace tare
