#include "sandbox/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "io/unique_fd.hpp"

namespace tare::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = std::size_t{64} << 10;

std::vector<char*> c_strings(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) {
    pointers.push_back(const_cast<char*>(text.c_str()));  // NOLINT: exec takes char* const*
  }
  pointers.push_back(nullptr);
  return pointers;
}

struct SpawnActions {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  SpawnActions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

// Reads until the pipe closes or the time is over; false if the time is over.
bool collect(int pipe, Clock::time_point deadline, std::string& output) {
  char buffer[4096];
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd poll_pipe{pipe, POLLIN, 0};
    const int ready = ::poll(&poll_pipe, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = ::read(pipe, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    const std::size_t room = kMaxOutput - output.size();
    output.append(buffer, std::min(static_cast<std::size_t>(got), room));
  }
}

}  // namespace

std::expected<Outcome, std::string> run_process(const std::vector<std::string>& arguments,
                                                const std::vector<std::string>& environment,
                                                std::chrono::seconds timeout) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return std::unexpected("cannot make a pipe");
  const UniqueFd read_end(pipe_ends[0]);
  UniqueFd write_end(pipe_ends[1]);

  SpawnActions actions;
  posix_spawn_file_actions_addopen(&actions.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.files, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions.files, write_end.get(), STDERR_FILENO);
  posix_spawnattr_setflags(&actions.attributes, POSIX_SPAWN_SETPGROUP);

  const auto start = Clock::now();
  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, arguments.front().c_str(), &actions.files, &actions.attributes,
                     c_strings(arguments).data(), c_strings(environment).data());
  if (error != 0) {
    return std::unexpected("cannot start " + arguments.front() + ": " + std::strerror(error));
  }
  write_end.reset();

  Outcome outcome;
  outcome.timed_out = !collect(read_end.get(), start + timeout, outcome.output);
  if (outcome.timed_out) ::kill(-child, SIGKILL);
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  outcome.peak_rss_kib = usage.ru_maxrss;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace tare::sandbox
