// Opens a file that was found, and judges it.
//
// Small files are read into a buffer, which costs less than mapping them; large ones are mapped.
// Whatever happens to a file meanwhile ends in an error: cut short, grown, replaced, its disk gone.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "cache/scan_cache.hpp"
#include "cli/tree_walk.hpp"
#include "io/regular_file.hpp"
#include "remote/fetched.hpp"
#include "tare/scan.hpp"

namespace tare::cli {

struct JudgeOptions {
  std::optional<std::uint64_t> max_size;  // bytes; what is larger is not looked at
  std::optional<std::chrono::nanoseconds> timeout;
  const Policy* policy = nullptr;     // what a user adds to the policy
  cache::ScanCache* cache = nullptr;  // none if null; outlives the judges
  bool reads_all = false;             // whether the cache is asked about content alone
  // Files that this program is writing: device and inode. They are passed over.
  std::set<std::pair<std::uint64_t, std::uint64_t>> outputs;
};

// One for each thread.
class FileJudge {
 public:
  // `options` must outlive the judge.
  explicit FileJudge(const JudgeOptions& options) : options_(options) {
    if (options.cache == nullptr) return;
    known_.emplace(*options.cache);
    variants_.emplace(options.policy);
  }

  // Nothing for an output of this program. Errors: those of scan() and of opening and reading;
  // kLimit: larger than the options allow; kMismatch: changed while it was read.
  std::optional<Result<ScanReport>> judge(FoundFile file);
  // What of the last file was fetched, if it is on a server.
  const std::optional<remote::Fetched>& fetched() const { return fetched_; }

 private:
  std::optional<Result<ScanReport>> open(FoundFile file);
  // What the cache has of a file that is as it was.
  std::optional<Result<ScanReport>> find_known(const FoundFile& file);
  bool is_output(int fd) const;
  Result<ScanReport> judge_file(const RegularFile& file, std::vector<FileRange> parts);
  Result<ScanReport> judge_small(const RegularFile& file);
  Result<ScanReport> judge_mapped(const RegularFile& file, std::vector<FileRange> parts);
  Result<ScanReport> judge_stdin();
  Result<ScanReport> judge_remote(const std::string& spec);
  ScanOptions scan_options() const;

  struct Reading {
    const RegularFile& file;
    ByteSpan bytes;
    std::function<Result<ScanReport>()> scan;
    std::function<bool()> is_intact;  // whether all bytes could be read so far
  };
  // What is known of the bytes, or else what the scan says, which is kept.
  Result<ScanReport> judge_bytes(const Reading& reading);

  const JudgeOptions& options_;
  std::optional<cache::ScanCache::Reader> known_;
  std::optional<cache::Variants> variants_;
  std::optional<cache::Variant> variant_;  // of the file that is judged; nothing without a cache
  std::string path_;                       // of the file that is judged
  std::vector<std::byte> buffer_;
  std::optional<remote::Fetched> fetched_;
};

}  // namespace tare::cli
