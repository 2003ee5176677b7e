#include "story.hpp"

#include <cstdlib>
#include <stdexcept>

namespace tare::demo {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "tare-demo-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("cannot make a temporary directory");
  }
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Workplace::Workplace(const Options& options)
    : directory_(options.directory.empty() ? temporary_.path() : options.directory),
      keeps_(!options.directory.empty()) {
  std::filesystem::create_directories(directory_);
  directory_ = std::filesystem::absolute(directory_);
}

}  // namespace tare::demo
