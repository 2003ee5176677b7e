// tare demo: hands over to tare-demo, the only program here that runs real loaders.
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "cli/cli.hpp"

namespace tare::cli {

int run_demo(int argc, char** argv) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto program =
      error ? std::filesystem::path("tare-demo") : self.parent_path() / "tare-demo";
  std::vector<char*> arguments(argv + 1, argv + argc);
  std::string name = program.string();
  arguments.front() = name.data();
  arguments.push_back(nullptr);
  if (error) {
    ::execvp(name.c_str(), arguments.data());
  } else {
    ::execv(name.c_str(), arguments.data());
  }
  print_error(name, system_error(errno, "cannot start the demo"));
  return kError;
}

}  // namespace tare::cli
