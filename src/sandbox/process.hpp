// Starts one child process, collects what it prints, and ends it in time.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "sandbox/sandbox.hpp"

namespace tare::sandbox {

// `environment`: NAME=value, the whole of it. stdin is /dev/null. The child gets a process group of
// its own, which is killed as a whole when the time is over.
std::expected<Outcome, std::string> run_process(const std::vector<std::string>& arguments,
                                                const std::vector<std::string>& environment,
                                                std::chrono::seconds timeout);

}  // namespace tare::sandbox
