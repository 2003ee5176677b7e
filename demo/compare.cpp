// Pickle against safetensors, measured on this machine in this run.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <random>

#include "payload.hpp"
#include "report/text.hpp"
#include "resident_memory.hpp"
#include "sandbox/process.hpp"
#include "tare/model.hpp"
#include "tare/torch_save.hpp"
#include "torch_runner.hpp"

namespace tare::demo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 3;
constexpr std::uint64_t kLayerBytes = std::uint64_t{25} << 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The sum of all 32-bit words, modulo 2^32: touches every byte, and shows that two loaders read the
// same ones.
std::uint32_t checksum(const Model& model) {
  std::uint32_t sum = 0;
  for (const NamedTensor& tensor : model.tensors()) {
    const ByteSpan bytes = tensor.view.contiguous_bytes();
    for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes.data() + i, 4);
      sum += word;
    }
  }
  return sum;
}

struct Figures {
  double open = 0;   // seconds
  double touch = 0;  // seconds, opening included
  long peak_kib = 0;
  std::uint32_t sum = 0;
};

Figures figures_of(const nlohmann::json& result) {
  return {result["open"].get<double>(), result["touch"].get<double>(),
          result["peak_kib"].get<long>(), result["checksum"].get<std::uint32_t>()};
}

// The median of each figure over the runs.
Figures median(std::vector<Figures> runs) {
  const auto middle = [&runs](auto member) {
    std::ranges::sort(runs, {}, member);
    return runs[runs.size() / 2].*member;
  };
  Figures result = runs.front();
  result.open = middle(&Figures::open);
  result.touch = middle(&Figures::touch);
  result.peak_kib = middle(&Figures::peak_kib);
  return result;
}

// Each measurement is a process of its own, so that peak memory means something.
std::expected<Figures, std::string> measure_tare(const std::filesystem::path& model) {
  std::vector<Figures> runs;
  for (int run = 0; run < kRuns; ++run) {
    const auto outcome = sandbox::run_process({"/proc/self/exe", "measure", model.string()}, {},
                                              std::chrono::seconds(60));
    if (!outcome) return std::unexpected(outcome.error());
    const auto result = nlohmann::json::parse(outcome->output, nullptr, false);
    if (outcome->exit_code != 0 || result.is_discarded()) {
      return std::unexpected("the measurement failed: " + outcome->output);
    }
    runs.push_back(figures_of(result));
  }
  return median(std::move(runs));
}

std::expected<Figures, std::string> measure_torch(const TorchRunner& torch,
                                                  const std::filesystem::path& model) {
  std::vector<Figures> runs;
  for (int run = 0; run < kRuns; ++run) {
    const auto seen = torch.run("measure", {model.string()}, {model});
    if (!seen) return std::unexpected(seen.error());
    runs.push_back(figures_of(seen->result));
  }
  return median(std::move(runs));
}

// What happened when the real torch.load met a hostile pickle: observed now, not assumed.
std::expected<bool, std::string> pickle_runs_code(const TorchRunner& torch,
                                                  const Workplace& workplace,
                                                  const Options& options) {
  const auto path = workplace.file("compare_attack.pt");
  const std::string marker = "/tmp/" + options.marker;
  const auto written = write_pickle_attack(path, options.neutered ? "" : "touch " + marker);
  if (!written) return std::unexpected(report::error_text(written.error()));
  std::filesystem::remove(torch.sandbox().outside(marker));
  const auto seen = torch.run("load", {path.string(), "False"}, {path});
  std::filesystem::remove(path);
  if (!seen) return std::unexpected(seen.error());
  const bool acted = std::filesystem::exists(torch.sandbox().outside(marker));
  std::filesystem::remove(torch.sandbox().outside(marker));
  return acted;
}

void print_row(std::string_view loader, std::string_view code, const std::optional<Figures>& f,
               std::uint64_t size) {
  if (!f) {
    say("  {:<26} {:>10} {:>12} {:>14} {:>12} {:>11}", loader, code, "SKIPPED", "SKIPPED",
        "SKIPPED", report::human_bytes(size));
    return;
  }
  say("  {:<26} {:>10} {:>9.2f} ms {:>11.1f} ms {:>8.0f} MiB {:>11}", loader, code, f->open * 1e3,
      f->touch * 1e3, static_cast<double>(f->peak_kib) / 1024, report::human_bytes(size));
}

}  // namespace

int run_measure(const std::string& path) {
  const auto start = Clock::now();
  const auto model = open_model(path);
  if (!model) return give_up(report::error_text(model.error()));
  const double open = seconds_since(start);
  const std::uint32_t sum = checksum(*model);
  const nlohmann::json result = {{"open", open},
                                 {"touch", seconds_since(start)},
                                 {"checksum", sum},
                                 {"peak_kib", peak_resident_kib()}};
  say("{}", result.dump());
  return 0;
}

int run_compare(const Options& options) {
  heading(
      fmt::format("Pickle against safetensors: a model of {} MB, measured here", options.size_mb));
  const Workplace workplace(options);
  const auto pt = workplace.file("compare_model.pt");
  const auto st = workplace.file("compare_model.safetensors");

  // One block of random words serves as every layer: the files are as large as they say, the memory
  // to make them is not.
  std::vector<std::uint64_t> block(kLayerBytes / 8);
  std::mt19937_64 engine(7);
  std::ranges::generate(block, engine);
  // Plain float patterns only: torch sums them as integers, but NaNs are nobody's weights.
  for (auto& word : block) word &= 0x3FFFFFFF3FFFFFFF;
  std::vector<safetensors::TensorToSave> layers;
  const std::uint64_t layer_count =
      std::max<std::uint64_t>(1, std::uint64_t{options.size_mb} * 1'000'000 / kLayerBytes);
  layers.reserve(layer_count);
  for (std::uint64_t i = 0; i < layer_count; ++i) {
    layers.push_back(
        {fmt::format("layer{}.weight", i),
         {DType::kF32, {kLayerBytes / 4096, 1024}, {1024, 1}, 0, std::as_bytes(std::span(block))}});
  }
  const auto pt_size =
      torch::save_state_dict(pt, layers, torch::Layout::kTorch2, safetensors::Overwrite::kYes);
  if (!pt_size) return give_up(report::error_text(pt_size.error()));
  const auto st_saved = safetensors::save(st, layers, {{"format", "pt"}},
                                          {.overwrite = safetensors::Overwrite::kYes});
  if (!st_saved) return give_up(report::error_text(st_saved.error()));

  const TemporaryDirectory scratch;
  const auto torch = TorchRunner::find(options, scratch.path());
  if (!torch && torch.error().no_sandbox) return give_up("refused: " + torch.error().why);
  std::optional<Figures> with_torch;
  std::string torch_code = "SKIPPED";
  if (torch) {
    const auto acted = pickle_runs_code(*torch, workplace, options);
    if (!acted) return give_up(acted.error());
    torch_code = *acted ? "yes, it ran" : "did not run";
    const auto measured = measure_torch(*torch, pt);
    if (!measured) return give_up(measured.error());
    with_torch = *measured;
  } else {
    say("SKIPPED: torch.load: {}", torch.error().why);
  }
  const auto tare_pt = measure_tare(pt);
  if (!tare_pt) return give_up(tare_pt.error());
  const auto tare_st = measure_tare(st);
  if (!tare_st) return give_up(tare_st.error());
  if (!workplace.keeps()) {
    std::filesystem::remove(pt);
    std::filesystem::remove(st);
  }
  if (tare_pt->sum != tare_st->sum || (with_torch && with_torch->sum != tare_pt->sum)) {
    return give_up("the loaders read different bytes");
  }

  say("");
  say("  {:<26} {:>10} {:>12} {:>14} {:>12} {:>11}", "loader and file", "runs code", "open",
      "open + touch", "peak memory", "size");
  print_row(torch ? fmt::format("torch.load {} .pt", torch->torch_version()) : "torch.load .pt",
            torch_code, with_torch, *pt_size);
  print_row("tare, .pt", "cannot", *tare_pt, *pt_size);
  print_row("tare, .safetensors", "cannot", *tare_st, st_saved->file_bytes);
  say("\n  Medians of {} runs, page cache warm, each run a process of its own; `import torch` is "
      "not "
      "counted as time.\n  All loaders read the same bytes (equal checksums). The peak of tare is "
      "the mapped file itself, which the\n  kernel can drop and share; torch.load holds a copy.",
      kRuns);
  if (with_torch) {
    say("  tare opens the .pt {:.0f} times faster than torch.load, and has touched every byte "
        "{:.1f} "
        "times sooner.",
        with_torch->open / tare_pt->open, with_torch->touch / tare_pt->touch);
  }
  return 0;
}

}  // namespace tare::demo
