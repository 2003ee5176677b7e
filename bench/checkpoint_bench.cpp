// Times what it takes to open a checkpoint that is in the page cache: tare_checkpoint_bench FILE
// RUNS prints a line of JSON for open_model() with a look at every name, and one for that and the
// sum of all bytes of all tensors, beside the same sum over a plain mapping. Driven by
// checkpoint_bench.py.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contest.hpp"
#include "tare/model.hpp"

namespace {

using namespace tare;

[[noreturn]] void fail_with(const char* path, const char* what) {
  std::fprintf(stderr, "%s: %s\n", path, what);
  std::exit(2);
}

Model open_or_exit(const char* path) {
  auto model = open_model(path);
  if (!model) fail_with(path, error_text(model.error()).c_str());
  if (!model->contents().problems.empty()) fail_with(path, "not all of it was read");
  return std::move(*model);
}

std::uint64_t open_and_touch(const char* path) {
  const Model model = open_or_exit(path);
  std::uint64_t sum = 0;
  for (const NamedTensor& tensor : model.contents().tensors) {
    sum += bench::sum_of(tensor.view.storage);
  }
  return sum;
}

// The same bytes, which lie at these places of the file.
struct Place {
  std::size_t offset;
  std::size_t length;
};

std::uint64_t map_and_touch(const char* path, const std::vector<Place>& places) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  struct stat status{};
  if (fd < 0 || ::fstat(fd, &status) != 0) fail_with(path, "cannot open");
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (start == MAP_FAILED) fail_with(path, "cannot map");
  const ByteSpan bytes(static_cast<const std::byte*>(start), size);
  std::uint64_t sum = 0;
  for (const Place place : places) sum += bench::sum_of(bytes.subspan(place.offset, place.length));
  ::munmap(start, size);
  return sum;
}

std::vector<Place> places_of(const Model& model) {
  const ByteSpan file = model.files()[0].input.bytes();
  std::vector<Place> places;
  for (const NamedTensor& tensor : model.contents().tensors) {
    const ByteSpan bytes = tensor.view.storage;
    places.push_back({static_cast<std::size_t>(bytes.data() - file.data()), bytes.size()});
  }
  return places;
}

// The names and all that open_model() says of the tensors.
std::uint64_t open_and_list(const char* path) {
  const Model model = open_or_exit(path);
  std::uint64_t sum = 0;
  for (const NamedTensor& tensor : model.contents().tensors) {
    sum += tensor.name.size() + tensor.view.byte_count();
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tare_checkpoint_bench FILE RUNS\n");
    return 2;
  }
  const char* const path = argv[1];
  const int runs = std::max(1, std::atoi(argv[2]));
  std::uint64_t sum = 0;
  std::vector<double> seconds;
  for (int run = 0; run < 10 * runs; ++run) {
    seconds.push_back(bench::seconds_of([&] { return open_and_list(path); }, sum));
  }
  std::printf("{\"what\": \"list\", \"seconds\": %.9f}\n", bench::median(seconds));
  std::uint64_t bytes = 0;
  const std::vector<Place> places = places_of(open_or_exit(path));
  for (const Place place : places) bytes += place.length;
  bench::compare(
      {"touch", bytes, bytes}, runs, [&] { return open_and_touch(path); },
      [&] { return map_and_touch(path, places); });
  return 0;
}
