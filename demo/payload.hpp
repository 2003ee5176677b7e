// The demo's hostile files, written by tare itself. Their payloads are harmless: they print a line
// and touch a file under /tmp.
#pragma once

#include <filesystem>
#include <string>

#include "tare/error.hpp"

namespace tare::demo {

// What pickling an object whose __reduce__ returns (os.system, (command,)) gives, in the archive
// that torch.save makes. An empty command gives the same archive around an empty OrderedDict.
Result<std::uint64_t> write_pickle_attack(const std::filesystem::path& path,
                                          const std::string& command);

// CVE-2025-32434: a TorchScript archive whose own __setstate__ saves a tensor to `target` when
// torch.jit.load rebuilds the object. An empty target gives the same archive without that line.
Result<std::uint64_t> write_torchscript_attack(const std::filesystem::path& path,
                                               const std::string& target);

}  // namespace tare::demo
