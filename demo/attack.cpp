// The silver path: unsafe files, the real loader, and the catch.
#include <chrono>
#include <sstream>

#include "payload.hpp"
#include "report/text.hpp"
#include "tare/input.hpp"
#include "tare/scan.hpp"
#include "torch_runner.hpp"

namespace tare::demo {
namespace {

struct Attack {
  const char* title;
  const char* explanation;
  std::filesystem::path file;
  bool weights_only;
};

const char* yes_no(bool value) {
  return value ? "yes" : "no";
}

// Loads one file with the real torch.load and reports what was observed: the marker before and
// after, what was printed, what the loader said. Returns whether the marker appeared.
std::expected<bool, std::string> observe(const TorchRunner& torch, const Attack& attack,
                                         const std::filesystem::path& marker) {
  const auto outside = torch.sandbox().outside(marker);
  std::filesystem::remove(outside);
  say("\n{}", attack.title);
  say("  {}", attack.explanation);
  const std::string weights_only = attack.weights_only ? "True" : "False";
  say("  torch.load(\"{}\", weights_only={})", attack.file.filename().string(), weights_only);
  say("  before: {} exists? {}", marker.string(), yes_no(std::filesystem::exists(outside)));
  const auto seen = torch.run("load", {attack.file.string(), weights_only}, {attack.file});
  if (!seen) return std::unexpected(seen.error());

  std::istringstream printed(seen->printed);
  for (std::string line; std::getline(printed, line);) {
    say("  printed while loading: {}", report::printable(line));
  }
  if (seen->result.value("loaded", false)) {
    say("  torch.load returned an object of type {}",
        report::printable(seen->result.value("type", "?")));
  } else {
    say("  torch.load failed: {}", report::printable(seen->result.value("error", "?")));
  }
  const bool acted = std::filesystem::exists(outside);
  say("  after:  {} exists? {}", marker.string(), yes_no(acted));
  return acted;
}

void tell_outcome(bool acted, bool weights_only, const std::string& version) {
  if (acted && weights_only) {
    say("  => the file ACTED although weights_only=True: torch {} is vulnerable", version);
  } else if (acted) {
    say("  => ARBITRARY CODE RAN while the file was loaded");
  } else {
    say("  => nothing ran: torch {} did not act on this file", version);
  }
}

int show_catch(const std::vector<std::filesystem::path>& files) {
  heading("The catch: tare scan, nothing run");
  for (const auto& path : files) {
    const auto start = std::chrono::steady_clock::now();
    const auto input = Input::map(path);
    if (!input) return give_up(report::error_text(input.error()));
    const auto scanned = scan(input->bytes());
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start;
    if (!scanned) return give_up(report::error_text(scanned.error()));
    say("\n{}  scanned in {:.2f} ms",
        report::scan_text(path.filename().string(), *scanned, report::Colour::kNo),
        elapsed.count());
  }
  return 0;
}

}  // namespace

int run_attack(const Options& options) {
  heading("The attack: a model file that runs code");
  const Workplace workplace(options);
  const std::filesystem::path marker = std::filesystem::path("/tmp") / options.marker;
  const auto malicious = workplace.file("malicious_model.pt");
  const auto scripted = workplace.file("malicious_torchscript.pt");
  const std::string command =
      options.neutered ? "" : "echo 'ALERT: Malicious code executed!' && touch " + marker.string();
  const auto written = write_pickle_attack(malicious, command);
  if (!written) return give_up(report::error_text(written.error()));
  const auto scripted_size =
      write_torchscript_attack(scripted, options.neutered ? "" : marker.string());
  if (!scripted_size) return give_up(report::error_text(scripted_size.error()));
  say("wrote {} ({} bytes): the layout of torch.save", malicious.filename().string(), *written);
  say("wrote {} ({} bytes): a TorchScript archive", scripted.filename().string(), *scripted_size);
  if (options.neutered) say("neutered: neither file has a payload");

  const TemporaryDirectory scratch;
  const auto torch = TorchRunner::find(options, scratch.path());
  if (!torch && torch.error().no_sandbox) return give_up("refused: " + torch.error().why);
  if (!torch) {
    say("SKIPPED: loading the files: {}", torch.error().why);
    return show_catch({malicious, scripted});
  }
  say("loader: torch {}, {}", torch->torch_version(), options.python.string());
  say("sandbox: {}", torch->description());

  const Attack attacks[] = {
      {"[1] the default of PyTorch before 2.6, and of many tutorials",
       "unpickling calls what __reduce__ named: os.system", malicious, false},
      {"[2] the same file, restricted unpickler", "only listed functions may be called", malicious,
       true},
      {"[3] CVE-2025-32434 (torch <= 2.5.1)",
       "a TorchScript archive goes to torch.jit.load before weights_only is looked at", scripted,
       true},
  };
  for (const Attack& attack : attacks) {
    const auto acted = observe(*torch, attack, marker);
    if (!acted) return give_up(acted.error());
    tell_outcome(*acted, attack.weights_only, torch->torch_version());
  }
  std::filesystem::remove(torch->sandbox().outside(marker));
  return show_catch({malicious, scripted});
}

}  // namespace tare::demo
