// Times ways to the bytes of a safetensors file that is in the page cache, each beside the plain
// calls that do no more than that: tare_safetensors_read_bench FILE RUNS THREADS prints a line of
// JSON for each, in GB/s. FILE holds tensors BF16 of two axes. The two take turns, and must come to
// the same sum. Driven by safetensors_bench.py.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "contest.hpp"
#include "tare/safetensors_file.hpp"

namespace {

using namespace tare;
using namespace tare::safetensors;
using bench::compare;
using bench::sum_of;

// The words of the runs of a slice.
std::uint64_t sum_of_runs(ByteSpan tensor, const SlicePlan& plan) {
  std::uint64_t sum = 0;
  std::ignore = plan.for_each_row([&](const SlicePlan::Row& row) -> Result<void> {
    std::uint64_t offset = row.offset;
    for (std::uint64_t i = 0; i < row.count;
         ++i, offset += static_cast<std::uint64_t>(row.stride)) {
      sum += sum_of(tensor.subspan(offset, row.bytes));
    }
    return {};
  });
  return sum;
}

struct Descriptor {
  explicit Descriptor(const char* path) : fd(::open(path, O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() { ::close(fd); }
  int fd;
};

class Bench {
 public:
  Bench(const char* path, int runs, unsigned threads)
      : path_(path), runs_(runs), threads_(threads), file_(File::open(path)) {
    if (!file_) {
      std::fprintf(stderr, "%s: %s\n", path, error_text(file_.error()).c_str());
      std::exit(2);
    }
    data_bytes_ = file_->header().data_bytes();
    buffer_.resize(data_bytes_);  // and so in memory before it is timed
  }

  void touch() const;
  void read();
  void slice(const char* what, std::string_view index);

 private:
  std::uint64_t data_offset() const { return file_->header().data_offset(); }
  std::uint64_t plain_touch() const;
  std::uint64_t plain_read();

  const char* path_;
  int runs_;
  unsigned threads_;
  Result<File> file_;
  std::uint64_t data_bytes_ = 0;
  std::vector<std::byte> buffer_;
  volatile std::uint64_t sink_ = 0;  // keeps the compiler from leaving out what is not used
};

std::uint64_t Bench::plain_touch() const {
  const Descriptor file(path_);
  const std::size_t size = data_offset() + data_bytes_;
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  const ByteSpan whole(static_cast<const std::byte*>(address), size);
  const std::uint64_t sum = sum_of(whole.subspan(data_offset()));
  ::munmap(address, size);
  return sum;
}

void Bench::touch() const {
  const auto tare = [this] {
    const auto file = File::open(path_);
    std::uint64_t sum = 0;
    for (const TensorEntry& tensor : file->header().tensors()) sum += sum_of(file->bytes(tensor));
    return sum;
  };
  compare({"open and touch all, by mapping", data_bytes_, data_bytes_}, runs_, tare,
          [this] { return plain_touch(); });
}

// Each thread reads its part in pieces, as a loop around pread() would.
std::uint64_t Bench::plain_read() {
  constexpr std::uint64_t kPiece = std::uint64_t{8} << 20;
  const Descriptor file(path_);
  const auto work = [&](std::uint64_t first, std::uint64_t last) {
    while (first < last) {
      const std::size_t size = std::min(kPiece, last - first);
      const ssize_t got =
          ::pread(file.fd, buffer_.data() + first, size, static_cast<off_t>(data_offset() + first));
      if (got <= 0) std::exit(2);
      first += static_cast<std::uint64_t>(got);
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads_; ++i) {
    others.emplace_back(work, data_bytes_ * i / threads_, data_bytes_ * (i + 1) / threads_);
  }
  work(0, data_bytes_ / threads_);
  for (std::thread& other : others) other.join();
  return 0;
}

void Bench::read() {
  const auto tare = [this]() -> std::uint64_t {
    const auto file = File::open(path_, {.access = Access::kRead});
    std::vector<File::Request> requests;
    for (const TensorEntry& tensor : file->header().tensors()) {
      const std::span<std::byte> whole(buffer_);
      requests.push_back({&tensor, whole.subspan(tensor.begin, tensor.byte_count())});
    }
    if (!file->read_all(requests, {.threads = threads_})) std::exit(2);
    return 0;
  };
  const std::string what = "into a buffer by pread, threads: " + std::to_string(threads_);
  compare({what.c_str(), data_bytes_, data_bytes_}, runs_, tare, [this] { return plain_read(); });
}

// Beside one memcpy() of 512 MiB from the same mapping.
void Bench::slice(const char* what, std::string_view index) {
  const auto axes = parse_index(index);
  std::vector<SlicePlan> plans;
  std::uint64_t bytes = 0;
  for (const TensorEntry& tensor : file_->header().tensors()) {
    plans.push_back(*SlicePlan::make(tensor.dtype, tensor.shape, *axes));
    bytes += plans.back().byte_count();
  }
  const auto tensors = file_->header().tensors();
  const std::uint64_t copied = std::min(data_bytes_, std::uint64_t{512} << 20);
  const auto tare = [&]() -> std::uint64_t {
    std::byte* out = buffer_.data();
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (!file_->read_slice(tensors[i], plans[i], {out, plans[i].byte_count()})) std::exit(2);
      out += plans[i].byte_count();
    }
    return 0;
  };
  const auto plain = [&]() -> std::uint64_t {
    std::memcpy(buffer_.data(), file_->bytes(tensors.front()).data(), copied);
    return 0;
  };
  compare({what, bytes, copied}, runs_, tare, plain);
  // What the memory gives: the same runs added up by a plain loop, and copied nowhere.
  const auto alone = [&]() -> std::uint64_t {
    for (std::size_t i = 0; i < plans.size(); ++i) {
      sink_ = sum_of_runs(file_->bytes(tensors[i]), plans[i]);
    }
    return 0;
  };
  const std::string rows = std::string(what) + ", only added up";
  compare({rows.c_str(), bytes, copied}, runs_, alone, plain);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 4;
  const int runs = std::max(1, std::atoi(argv[2]));
  Bench(argv[1], runs, 1).touch();
  for (const unsigned threads : {1U, static_cast<unsigned>(std::max(1, std::atoi(argv[3])))}) {
    Bench(argv[1], runs, threads).read();
  }
  Bench bench(argv[1], runs, 1);
  bench.slice("columns, rows of 16 kB (all of them)", "[:, :]");
  bench.slice("columns, rows of 8 kB", "[:, :4096]");
  bench.slice("columns, rows of 4 kB", "[:, :2048]");
  bench.slice("columns, rows of 2 kB", "[:, :1024]");
  bench.slice("columns, rows of 1 kB", "[:, :512]");
  bench.slice("columns, rows of 256 B", "[:, :128]");
  bench.slice("columns, rows of 64 B", "[:, :32]");
  bench.slice("columns, rows of 16 B", "[:, :8]");
  bench.slice("every other row of 16 kB", "[::2]");
  bench.slice("rows backwards", "[::-1]");
  return 0;
}
