// tare demo: hands over to tare-demo, the only program here that runs real loaders.
#include <unistd.h>

#include <cerrno>

#include "cli/cli.hpp"
#include "cli/remote.hpp"

namespace tare::cli {

int run_demo(int argc, char** argv) {
  std::vector<char*> arguments(argv + 1, argv + argc);
  std::string name = program_beside("tare-demo");
  arguments.front() = name.data();
  arguments.push_back(nullptr);
  ::execvp(name.c_str(), arguments.data());
  print_error(name, system_error(errno, "cannot start the demo"));
  return kError;
}

}  // namespace tare::cli
