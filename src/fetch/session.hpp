// What tare asks for, one request after the other: files are opened, and read in ranges. Broken
// connections are taken up where they broke, as long as the file is the same.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "fetch/client.hpp"

namespace tare::fetch {

class Session {
 public:
  // Requests come over `socket`, and answers go back.
  Session(int socket, const Environment& variable)
      : socket_(socket), variable_(variable), client_(Limits::from(variable), variable) {}

  // Until the other side ends, or says what makes no sense.
  void run();

 private:
  struct File {
    Location location;
    Address address;  // where the redirects of the first request led
    Validator validator;
    bool has_ranges = false;
    bool is_known = false;  // `validator` is set
  };

  bool serve(const remote::Request& request, const std::string& text);
  bool open(const remote::Request& request, const std::string& text);
  bool send_opened(const File& file, const Outcome& outcome);
  // The first bytes, and with them what the file is.
  Outcome fetch_first(File& file, std::uint64_t length);
  // `file` is only changed in where it is. Safe to call from several threads, with a client each.
  remote::Status fetch(Client& client, File& file, std::uint64_t offset, std::uint64_t length,
                       const Body& to) const;
  remote::Status fetch(File& file, std::uint64_t offset, std::uint64_t length);
  // Small pieces, several at a time: what takes long is the way to the server and back.
  remote::Status fetch_scattered(const File& file, const std::vector<remote::Piece>& pieces) const;
  remote::Status fetch_whole(File& file, std::uint64_t most);
  remote::Status list(const std::string& text);
  static Outcome get_again(Client& client, File& file, const Wanted& wanted, const Body& body);
  void ask_checksum(const File& file, Outcome& outcome);
  // Waits before another try; false if there is to be none.
  bool wait(const Outcome& outcome, unsigned failures) const;
  bool serve_scattered(const File& file, const std::string& text) const;
  static bool has_range(const File& file, std::uint64_t offset, std::uint64_t length);
  bool send_bytes(ByteSpan bytes) const;
  bool end(remote::Status status) const;

  int socket_;
  const Environment& variable_;
  Client client_;
  std::deque<File> files_;
};

}  // namespace tare::fetch
