#include "cli/scan_run.hpp"

#include <new>

#include "cli/cli.hpp"
#include "cli/in_order.hpp"
#include "cli/progress.hpp"
#include "io/parallel.hpp"

namespace tare::cli {
namespace {

struct Judged {
  report::ScannedFile file;
  bool named = false;
  bool is_output = false;  // of this program; no file of the scan
};
using Order = InOrder<FoundFile, Judged>;

// What one file makes the code throw is an error of that file.
std::optional<Result<ScanReport>> judge(FileJudge& judge, FoundFile file) {
  try {
    return judge.judge(std::move(file));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kIo, "there is not enough memory to scan it");
  } catch (const std::exception&) {
    return fail(ErrorCode::kIo, "internal error");
  }
}

Judged judged(FileJudge& worker, FoundFile found) {
  const bool named = found.named;
  std::string path = found.path;
  auto report = judge(worker, std::move(found));
  if (report) {
    return {{std::move(path), std::move(*report), worker.fetched()}, named, false};
  }
  return {{std::move(path), std::unexpected(Error{}), std::nullopt}, named, true};
}

std::uint64_t memory_of(const Judged& judged) {
  std::uint64_t bytes = sizeof judged + judged.file.path.size();
  if (!judged.file.report) return bytes;
  for (const Finding& finding : judged.file.report->findings) {
    bytes += sizeof finding + finding.entry.size() + finding.evidence.size() +
             finding.detail.size() + finding.context.size();
  }
  return bytes;
}

// Takes the results in order.
class Collector {
 public:
  explicit Collector(const ScanRun& run) : run_(run) {}

  bool take(Judged judged);
  const report::ScanTotals& totals() const { return totals_; }

 private:
  bool tell_error(const report::ScannedFile& file);

  const ScanRun& run_;
  report::ScanTotals totals_;
  FileProgress progress_{"scanning"};
};

bool Collector::take(Judged judged) {
  if (judged.is_output) return true;
  report::ScannedFile& file = judged.file;
  if (run_.baseline != nullptr) run_.baseline->apply(file);
  totals_.add(file);
  progress_(totals_.files(), totals_.bytes);
  const bool is_unknown = !file.report && file.report.error().code == ErrorCode::kWrongFormat;
  // A tree is full of files that are no models: they are counted.
  if (is_unknown && !judged.named) return true;
  if (!file.report && !tell_error(file)) return false;
  return run_.outputs.add(file);
}

bool Collector::tell_error(const report::ScannedFile& file) {
  progress_.hide();
  if (!run_.outputs.flush()) return false;
  print_error(file.path, report::unscanned_text(file.report.error()));
  return true;
}

// Judges files until there are no more.
void work_through(Order& order, const JudgeOptions& options) {
  FileJudge worker(options);
  while (auto next = order.take()) {
    Judged result = judged(worker, std::move(next->task));
    const std::uint64_t bytes = memory_of(result);
    order.give(next->number, std::move(result), bytes);
  }
}

}  // namespace

std::optional<report::ScanTotals> scan_all(const ScanRun& run) {
  Collector collector(run);
  // Threads cost more than a file: a second one starts with the second file.
  std::optional<FoundFile> first = run.source.next();
  std::optional<FoundFile> second = first ? run.source.next() : std::nullopt;
  const std::size_t threads = second ? thread_count(run.threads, SIZE_MAX) : 1;
  const auto next = [&]() -> std::optional<FoundFile> {
    for (std::optional<FoundFile>* ready : {&first, &second}) {
      if (*ready) return std::exchange(*ready, std::nullopt);
    }
    return run.source.next();
  };
  Order order(next, [&](Judged judged) { return collector.take(std::move(judged)); });
  share_tasks(threads, threads, [&](std::size_t, std::size_t) {
    try {
      work_through(order, run.judge);
    } catch (...) {
      order.stop();
      throw;
    }
    return true;
  });
  if (!order.succeeded()) return std::nullopt;
  return collector.totals();
}

}  // namespace tare::cli
