#include "sandbox/sandbox.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sandbox/process.hpp"

namespace tare::sandbox {
namespace {

constexpr const char* kPath = "PATH=/usr/local/bin:/usr/bin:/bin";

std::vector<std::string> clean_environment() {
  return {kPath, "HOME=/tmp", "LANG=C.UTF-8", "TMPDIR=/tmp", "PYTHONDONTWRITEBYTECODE=1"};
}

// Marks that container engines leave: their own files, the variable `container`, the control group.
bool in_container() {
  std::error_code ignored;
  if (std::filesystem::exists("/.dockerenv", ignored) ||
      std::filesystem::exists("/run/.containerenv", ignored)) {
    return true;
  }
  for (const char* variable : {"container", "KUBERNETES_SERVICE_HOST"}) {
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0') return true;
  }
  std::ifstream groups("/proc/1/cgroup");
  std::stringstream text;
  text << groups.rdbuf();
  for (const char* engine : {"docker", "containerd", "kubepods", "libpod", "lxc"}) {
    if (text.str().find(engine) != std::string::npos) return true;
  }
  return false;
}

// A directory of the system: /bin is a link to usr/bin on merged systems and a folder on others.
void add_system_directory(std::vector<std::string>& out, const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(path, ignored)) {
    out.insert(out.end(),
               {"--symlink", std::filesystem::read_symlink(path, ignored).string(), path.string()});
  } else if (std::filesystem::is_directory(path, ignored)) {
    out.insert(out.end(), {"--ro-bind", path.string(), path.string()});
  }
}

}  // namespace

std::expected<Sandbox, std::string> Sandbox::find(const std::filesystem::path& scratch) {
  std::string why;
  for (const Kind kind : {Kind::kBubblewrap, Kind::kBubblewrapWithoutProc}) {
    Sandbox bubblewrap(kind, scratch);
    const auto probe = bubblewrap.run({{"/usr/bin/true"}, {}, std::chrono::seconds(10)});
    if (probe && probe->exit_code == 0) return bubblewrap;
    if (why.empty()) why = probe ? probe->output : probe.error();
  }
  if (in_container()) return Sandbox(Kind::kContainer, "/tmp");
  return std::unexpected("no sandbox here: this is no container, and bubblewrap does not work (" +
                         why.substr(0, why.find('\n')) + ")");
}

std::string Sandbox::description() const {
  return kind_ != Kind::kContainer
             ? "bubblewrap (no network, read-only system, its own /tmp)"
             : "the container around this program (namespaces are not to be had here)";
}

std::filesystem::path Sandbox::outside(const std::filesystem::path& path) const {
  return scratch_ / path.lexically_relative("/tmp");
}

std::vector<std::string> Sandbox::wrap(const Command& command) const {
  if (kind_ == Kind::kContainer) return command.arguments;
  std::vector<std::string> out = {"bwrap",         "--unshare-all", "--die-with-parent",
                                  "--new-session", "--cap-drop",    "ALL"};
  add_system_directory(out, "/usr");
  for (const char* path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64"}) {
    add_system_directory(out, path);
  }
  for (const char* path : {"/etc/alternatives", "/etc/ld.so.cache", "/etc/python3"}) {
    out.insert(out.end(), {"--ro-bind-try", path, path});
  }
  if (kind_ == Kind::kBubblewrap) {
    out.insert(out.end(), {"--proc", "/proc"});
  } else {  // PyTorch looks at the processor
    out.insert(out.end(), {"--ro-bind-try", "/proc/cpuinfo", "/proc/cpuinfo"});
  }
  out.insert(out.end(), {"--dev", "/dev"});
  out.insert(out.end(), {"--bind", scratch_.string(), "/tmp", "--chdir", "/tmp"});
  for (const auto& path : command.readable) {
    out.insert(out.end(), {"--ro-bind", path.string(), path.string()});
  }
  out.emplace_back("--");
  out.insert(out.end(), command.arguments.begin(), command.arguments.end());
  return out;
}

std::expected<Outcome, std::string> Sandbox::run(const Command& command) const {
  return run_process(wrap(command), clean_environment(), command.timeout);
}

}  // namespace tare::sandbox
