// tare-fetch: brings files from servers to tare, and reads none of them.
//
// tare starts it with a socket as its stdin. What can go wrong with a network goes wrong here: this
// process opens no file of a person's, starts nothing, and holds the credentials, which never cross
// the socket. What can go wrong with the bytes goes wrong in tare, which has no network.
#include <curl/curl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "fetch/session.hpp"

// The address sanitizer asks for terabytes of address space.
#if defined(__SANITIZE_ADDRESS__)
#define TARE_SANITIZED true
#elif defined(__has_feature)
#define TARE_SANITIZED __has_feature(address_sanitizer)
#else
#define TARE_SANITIZED false
#endif

namespace {

constexpr bool kIsSanitized = TARE_SANITIZED;

void limit(__rlimit_resource_t what, rlim_t most) {
  const rlimit to{most, most};
  ::setrlimit(what, &to);
}

// What is left to a memory error in the parsers of HTTP and TLS: no new rights, no files of any
// size, no dump with a token in it, and no life beyond that of tare.
void give_up_rights() {
  constexpr rlim_t kMemory = rlim_t{1} << 30;
  constexpr rlim_t kFiles = 64;
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NOFILE, kFiles);
  if (!kIsSanitized) limit(RLIMIT_AS, kMemory);
}

bool is_socket(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

int main() {
  if (!is_socket(STDIN_FILENO)) {
    std::fputs("tare-fetch: is started by tare, for what is on a server\n", stderr);
    return 4;
  }
  give_up_rights();
  ::signal(SIGPIPE, SIG_IGN);
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return 2;
  const tare::fetch::Environment environment = variable;
  tare::fetch::Session(STDIN_FILENO, environment).run();
  return 0;
}
