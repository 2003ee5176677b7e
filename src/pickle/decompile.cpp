#include "tare/pickle_decompile.hpp"

#include <string>

#include "pickle/source_writer.hpp"
#include "pickle/stacked.hpp"

namespace tare::pickle {
namespace {

constexpr std::string_view kHeader =
    "What loading the pickle does. Run as a program, this does it, too.";

// Decompiles one run after the other; each is held until it is known whether another follows.
class Decompiler {
 public:
  Decompiler(ByteSpan stream, const DecompileOptions& options, const DecompileSink& sink)
      : stream_(stream), writer_(options, sink) {}

  DecompileResult decompile();

 private:
  void write(const Run& run);
  bool has_next(const Run& next, std::uint64_t base) const {
    return base < stream_.size() && is_pickle(next, stream_.subspan(base));
  }

  ByteSpan stream_;
  SourceWriter writer_;
  DecompileResult result_;
  std::uint64_t base_ = 0;  // of the run that is being written
  bool is_stacked_ = false;
  std::uint64_t number_ = 0;
};

void Decompiler::write(const Run& run) {
  std::string name = "result";
  if (is_stacked_) {
    name += std::to_string(number_);
    writer_.comment("pickle " + std::to_string(number_) + ", at byte " + std::to_string(base_));
  }
  writer_.write(run, base_, name);
  if (run.other_reading) {
    writer_.comment("an argument crosses a frame: from a file object, some unpicklers read");
    writer_.write_commented(*run.other_reading, base_, name);
  }
  ++number_;
}

DecompileResult Decompiler::decompile() {
  writer_.comment(kHeader);
  Run run = pickle::run(stream_);
  while (run.end == End::kStop && !writer_.refused()) {
    ++result_.pickle_count;
    const std::uint64_t next_base = base_ + run.end_offset;
    Run next = pickle::run(stream_.subspan(next_base));
    const bool goes_on = has_next(next, next_base);
    is_stacked_ |= goes_on;
    write(run);
    base_ = next_base;
    if (!goes_on) {
      result_.trailing_bytes = stream_.size() - base_;
      break;
    }
    run = std::move(next);
  }
  if (run.end != End::kStop) {
    write(run);
    result_.broken = run.error;
    result_.broken->offset = base_ + run.end_offset;
  }
  if (result_.trailing_bytes > 0) {
    writer_.comment(std::to_string(result_.trailing_bytes) +
                    " bytes that are no pickle follow (at byte " + std::to_string(base_) + ")");
  }
  writer_.flush();
  result_.cancelled = writer_.refused();
  return result_;
}

}  // namespace

DecompileResult decompile(ByteSpan stream, const DecompileOptions& options,
                          const DecompileSink& sink) {
  return Decompiler(stream, options, sink).decompile();
}

}  // namespace tare::pickle
