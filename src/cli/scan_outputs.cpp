#include "cli/scan_outputs.hpp"

#include "cli/cli.hpp"

namespace tare::cli {
namespace {

// So much is kept, and so long, before it is written to stdout.
constexpr std::size_t kKeptBytes = std::size_t{64} << 10;
constexpr std::chrono::milliseconds kKeptFor{100};

}  // namespace

std::expected<OutputRequest, std::string> parse_output(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const auto format = report::scan_format_of(name);
  if (!format) return std::unexpected("unknown format " + report::printable(name));
  if (equals == std::string::npos) return OutputRequest{*format, ""};
  if (equals + 1 == text.size()) return std::unexpected(name + "= needs the name of a file");
  return OutputRequest{*format, text.substr(equals + 1)};
}

std::optional<ScanOutputs> ScanOutputs::open(const std::vector<OutputRequest>& requests) {
  ScanOutputs outputs;
  for (const OutputRequest& request : requests) {
    const bool to_stdout = request.path.empty();
    Output output{report::make_scan_writer(request.format,
                                           to_stdout ? colour_for_stdout() : report::Colour::kNo),
                  request.path, std::nullopt};
    if (!to_stdout) {
      auto file = AtomicFile::create(request.path, AtomicFile::Replace::kYes);
      if (!file) {
        print_error(request.path, file.error());
        return std::nullopt;
      }
      output.file.emplace(std::move(*file));
    }
    outputs.outputs_.push_back(std::move(output));
  }
  return outputs;
}

bool ScanOutputs::write(Output& output, std::string text) {
  if (output.file) {
    const auto written = output.file->write(as_bytes(text));
    if (!written) print_error(output.path, written.error());
    return written.has_value();
  }
  kept_ += text;
  const auto now = Clock::now();
  if (kept_.size() < kKeptBytes && now - flushed_ < kKeptFor) return true;
  flushed_ = now;
  return flush();
}

bool ScanOutputs::flush() {
  if (kept_.empty()) return true;
  const bool written = print(kept_);
  if (!written) print_error("stdout", "cannot be written");
  kept_.clear();
  return written;
}

bool ScanOutputs::add(const report::ScannedFile& file) {
  for (Output& output : outputs_) {
    if (!write(output, output.writer->add(file))) return false;
  }
  return true;
}

bool ScanOutputs::finish(const report::ScanTotals& totals) {
  for (Output& output : outputs_) {
    if (!write(output, output.writer->finish(totals))) return false;
    if (!output.file) continue;
    if (const auto committed = output.file->commit(); !committed) {
      print_error(output.path, committed.error());
      return false;
    }
  }
  return flush();
}

std::vector<std::filesystem::path> ScanOutputs::temporaries() const {
  std::vector<std::filesystem::path> paths;
  for (const Output& output : outputs_) {
    if (output.file) paths.push_back(output.file->temporary());
  }
  return paths;
}

}  // namespace tare::cli
