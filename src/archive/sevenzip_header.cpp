#include "archive/sevenzip_header.hpp"

#include <algorithm>

#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::sevenzip {
namespace {

enum Id : std::uint8_t {
  kEnd = 0x00,
  kHeader = 0x01,
  kArchiveProperties = 0x02,
  kFurtherStreams = 0x03,
  kMainStreams = 0x04,
  kFiles = 0x05,
  kPacked = 0x06,
  kFolders = 0x07,
  kSubstreams = 0x08,
  kSize = 0x09,
  kCrc = 0x0A,
  kFolder = 0x0B,
  kUnpackedSize = 0x0C,
  kFilesInFolder = 0x0D,
  kEmptyStream = 0x0E,
  kEmptyFile = 0x0F,
  kAnti = 0x10,
  kNames = 0x11,
  kAttributes = 0x15,
  kPackedHeader = 0x17,
};

// What is wrong is kept, and ends every loop: after it all numbers are 0.
class Parser {
 public:
  Parser(ByteSpan bytes, const HeaderLimits& limits) : in_(bytes), limits_(limits) {}

  Result<Header> header();

 private:
  bool ok() const { return !error_; }
  void fail_with(ErrorCode code, const char* what) {
    if (ok()) error_ = Error{code, 0, Error::kNoOffset, what};
  }
  void fail_here() { fail_with(ErrorCode::kMalformed, "the header of the 7z archive is damaged"); }

  std::uint8_t byte();
  std::uint64_t number();
  // Of things that each take at least one byte of what is left.
  std::uint64_t count();
  ByteSpan take(std::uint64_t size);
  void expect(Id id) {
    if (byte() != id) fail_here();
  }
  // What stands in the header itself, not in a stream beside it.
  void expect_internal();
  std::vector<bool> bits(std::uint64_t count);
  // For all, or with a vector of bits in front.
  std::vector<bool> optional_bits(std::uint64_t count);
  std::vector<std::optional<std::uint32_t>> numbers32(std::uint64_t count, bool is_internal);

  Streams streams();
  void packed(Streams& streams);
  void folders(Streams& streams);
  Folder folder();
  Coder coder();
  void bonds(Folder& folder, std::uint64_t inputs, std::uint64_t outputs);
  void substreams(Streams& streams);
  void sizes_of_files(Streams& streams, bool are_given);
  void checksums_of_files(Streams& streams);
  std::vector<FileInfo> files();
  void file_property(std::uint64_t id, std::vector<FileInfo>& files);
  void names(std::vector<FileInfo>& files);
  void skip_archive_properties();

  Cursor in_;
  const HeaderLimits& limits_;
  std::optional<Error> error_;
};

std::uint8_t Parser::byte() {
  const auto value = ok() ? in_.read<std::uint8_t>() : std::nullopt;
  if (!value) fail_here();
  return value.value_or(0);
}

std::uint64_t Parser::number() {
  const unsigned first = byte();
  std::uint64_t value = 0;
  unsigned mask = 0x80;
  for (unsigned i = 0; i < 8; ++i, mask >>= 1) {
    if ((first & mask) == 0) return value | static_cast<std::uint64_t>(first & (mask - 1)) << 8 * i;
    value |= static_cast<std::uint64_t>(byte()) << 8 * i;
  }
  return value;
}

std::uint64_t Parser::count() {
  const std::uint64_t value = number();
  if (value <= in_.remaining()) return value;
  fail_here();
  return 0;
}

ByteSpan Parser::take(std::uint64_t size) {
  const auto taken = ok() ? in_.take(size) : std::nullopt;
  if (!taken) fail_here();
  return taken.value_or(ByteSpan());
}

void Parser::expect_internal() {
  if (byte() != 0) fail_with(ErrorCode::kUnsupported, "a header of 7z that stands in a stream");
}

std::vector<bool> Parser::bits(std::uint64_t count) {
  const ByteSpan bytes = take(count / 8 + (count % 8 != 0 ? 1 : 0));
  std::vector<bool> bits(ok() ? count : 0);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    bits[i] = (std::to_integer<unsigned>(bytes[i / 8]) & 0x80U >> i % 8) != 0;
  }
  return bits;
}

std::vector<bool> Parser::optional_bits(std::uint64_t count) {
  if (byte() == 0) return bits(count);
  // Each has four bytes behind.
  if (!ok() || count > in_.remaining() / 4) {
    fail_here();
    return {};
  }
  return std::vector<bool>(count, true);
}

std::vector<std::optional<std::uint32_t>> Parser::numbers32(std::uint64_t count, bool is_internal) {
  const std::vector<bool> defined = optional_bits(count);
  if (!is_internal) expect_internal();
  std::vector<std::optional<std::uint32_t>> values(ok() ? count : 0);
  for (std::size_t i = 0; i < values.size() && ok(); ++i) {
    if (!defined[i]) continue;
    values[i] = in_.read<std::uint32_t>();
    if (!values[i]) fail_here();
  }
  if (!ok()) values.clear();
  return values;
}

Result<Header> Parser::header() {
  Header header;
  std::uint8_t id = byte();
  header.is_packed = id == kPackedHeader;
  if (header.is_packed) {
    header.streams = streams();
  } else if (id != kHeader) {
    fail_here();
  } else {
    id = byte();
    if (id == kArchiveProperties) {
      skip_archive_properties();
      id = byte();
    }
    if (id == kFurtherStreams) {
      fail_with(ErrorCode::kUnsupported, "a header of 7z that stands in a stream");
    }
    if (id == kMainStreams) {
      header.streams = streams();
      id = byte();
    }
    if (id == kFiles) {
      header.files = files();
      id = byte();
    }
    if (id != kEnd) fail_here();
  }
  if (!in_.at_end()) fail_here();
  if (!ok()) return std::unexpected(*error_);
  return header;
}

void Parser::skip_archive_properties() {
  while (ok() && byte() != kEnd) take(number());
}

Streams Parser::streams() {
  Streams streams;
  std::uint8_t id = byte();
  if (id == kPacked) {
    packed(streams);
    id = byte();
  }
  if (id == kFolders) {
    folders(streams);
    id = byte();
  }
  const bool has_substreams = id == kSubstreams;
  if (has_substreams) {
    substreams(streams);
    id = byte();
  } else if (ok()) {
    sizes_of_files(streams, false);
  }
  if (id != kEnd) fail_here();
  return streams;
}

void Parser::packed(Streams& streams) {
  streams.packed_offset = number();
  const std::uint64_t streams_here = count();
  if (streams_here > 4 * limits_.max_folders) {
    fail_with(ErrorCode::kLimit, "the archive has too many packed streams");
  }
  std::uint8_t id = byte();
  if (id == kSize) {
    for (std::uint64_t i = 0; i < streams_here && ok(); ++i)
      streams.packed_size.push_back(number());
    id = byte();
  }
  if (id == kCrc) {
    numbers32(streams_here, true);
    id = byte();
  }
  if (id != kEnd || streams.packed_size.size() != streams_here) fail_here();
}

void Parser::folders(Streams& streams) {
  expect(kFolder);
  const std::uint64_t folders_here = count();
  if (folders_here > limits_.max_folders) {
    fail_with(ErrorCode::kLimit, "the archive has too many folders");
  }
  expect_internal();
  std::size_t first_packed = 0;
  for (std::uint64_t i = 0; i < folders_here && ok(); ++i) {
    Folder& folder = streams.folders.emplace_back(this->folder());
    folder.first_packed = first_packed;
    first_packed += folder.packed_inputs.size();
  }
  if (first_packed > streams.packed_size.size()) fail_here();
  expect(kUnpackedSize);
  for (Folder& folder : streams.folders) {
    std::uint64_t outputs = 0;
    for (const Coder& coder : folder.coders) outputs += coder.outputs;
    for (std::uint64_t i = 0; i < outputs && ok(); ++i) folder.sizes.push_back(number());
  }
  std::uint8_t id = byte();
  if (id == kCrc) {
    const auto sums = numbers32(folders_here, true);
    for (std::size_t i = 0; i < sums.size(); ++i) streams.folders[i].crc32 = sums[i];
    id = byte();
  }
  if (id != kEnd) fail_here();
}

Folder Parser::folder() {
  Folder folder;
  const std::uint64_t coders = count();
  if (coders == 0) fail_here();
  if (coders > limits_.max_coders) fail_with(ErrorCode::kLimit, "a 7z folder has too many coders");
  std::uint64_t inputs = 0;
  std::uint64_t outputs = 0;
  for (std::uint64_t i = 0; i < coders && ok(); ++i) {
    const Coder& coder = folder.coders.emplace_back(this->coder());
    inputs += coder.inputs;
    outputs += coder.outputs;
  }
  bonds(folder, inputs, outputs);
  return folder;
}

Coder Parser::coder() {
  Coder coder;
  const unsigned flags = byte();
  if ((flags & 0xC0U) != 0 || (flags & 0xFU) > 8) fail_here();
  for (const std::byte digit : take(flags & 0xFU)) {
    coder.method = coder.method << 8 | std::to_integer<std::uint64_t>(digit);
  }
  if ((flags & 0x10U) != 0) {
    coder.inputs = number();
    coder.outputs = number();
    if (coder.inputs > limits_.max_coders || coder.outputs != 1) fail_here();
  }
  if ((flags & 0x20U) != 0) coder.properties = take(number());
  return coder;
}

// All outputs but one go to inputs; the other inputs are packed streams.
void Parser::bonds(Folder& folder, std::uint64_t inputs, std::uint64_t outputs) {
  if (!ok() || outputs == 0 || inputs < outputs - 1) return fail_here();
  for (std::uint64_t i = 0; i + 1 < outputs && ok(); ++i) {
    const std::uint64_t input = number();
    const std::uint64_t output = number();
    if (input >= inputs || output >= outputs) return fail_here();
    folder.bonds.push_back({input, output});
  }
  const std::uint64_t from_packed = inputs - folder.bonds.size();
  if (from_packed == 1) {
    for (std::uint64_t i = 0; i < inputs; ++i) {
      const bool is_bound = std::ranges::find(folder.bonds, i, &Bond::input) != folder.bonds.end();
      if (!is_bound) folder.packed_inputs.push_back(i);
    }
    if (folder.packed_inputs.size() != 1) fail_here();
    return;
  }
  for (std::uint64_t i = 0; i < from_packed && ok(); ++i) {
    folder.packed_inputs.push_back(number());
    if (folder.packed_inputs.back() >= inputs) fail_here();
  }
}

void Parser::substreams(Streams& streams) {
  std::uint8_t id = byte();
  if (id == kFilesInFolder) {
    for (Folder& folder : streams.folders) folder.files = number();
    id = byte();
  }
  sizes_of_files(streams, id == kSize);
  if (id == kSize) id = byte();
  if (id == kCrc) {
    checksums_of_files(streams);
    id = byte();
  }
  if (id != kEnd) fail_here();
}

// The last in a folder is as long as what is left of it.
void Parser::sizes_of_files(Streams& streams, bool are_given) {
  std::uint64_t files = 0;
  for (Folder& folder : streams.folders) {
    if (!ok()) return;
    // Without sizes there is one at most; each size takes a byte.
    const std::uint64_t most = are_given ? in_.remaining() + 1 : 1;
    if (folder.files > most) return fail_here();
    files += folder.files;
    if (files > limits_.max_entries) {
      return fail_with(ErrorCode::kLimit, "the archive has too many entries");
    }
    folder.first_file = streams.files.size();
    std::uint64_t left = folder.size();
    for (std::uint64_t i = 0; i < folder.files && ok(); ++i) {
      const std::uint64_t size = i + 1 < folder.files ? number() : left;
      if (size > left) return fail_here();
      left -= size;
      streams.files.push_back({size, folder.files == 1 ? folder.crc32 : std::nullopt});
    }
  }
}

// Of those that are not alone in a folder with a checksum of its own.
void Parser::checksums_of_files(Streams& streams) {
  std::vector<std::size_t> unknown;
  for (std::size_t i = 0; i < streams.files.size(); ++i) {
    if (!streams.files[i].crc32) unknown.push_back(i);
  }
  const auto sums = numbers32(unknown.size(), true);
  for (std::size_t i = 0; i < sums.size(); ++i) streams.files[unknown[i]].crc32 = sums[i];
}

std::vector<FileInfo> Parser::files() {
  const std::uint64_t files_here = count();
  if (files_here > limits_.max_entries) {
    fail_with(ErrorCode::kLimit, "the archive has too many entries");
  }
  std::vector<FileInfo> files(ok() ? files_here : 0);
  for (std::uint64_t id = number(); ok() && id != kEnd; id = number()) {
    const std::uint64_t size = number();
    if (!ok() || size > in_.remaining()) {
      fail_here();
      break;
    }
    const std::uint64_t end = in_.offset() + size;
    file_property(id, files);
    if (!ok() || in_.offset() > end) {
      fail_here();
      break;
    }
    const std::uint64_t left = end - in_.offset();
    // What is known fills its property; of what is not known nothing has been read.
    const bool is_known = (id >= kEmptyStream && id <= kNames) || id == kAttributes;
    if (is_known && left != 0) fail_here();
    take(left);
  }
  return files;
}

void Parser::file_property(std::uint64_t id, std::vector<FileInfo>& files) {
  if (id == kEmptyStream) {
    const auto empty = bits(files.size());
    for (std::size_t i = 0; i < empty.size(); ++i) files[i].has_stream = !empty[i];
  } else if (id == kEmptyFile || id == kAnti) {
    const auto without =
        std::ranges::count_if(files, [](const FileInfo& file) { return !file.has_stream; });
    const auto flags = bits(static_cast<std::uint64_t>(without));
    std::size_t next = 0;
    for (FileInfo& file : files) {
      if (file.has_stream || next == flags.size()) continue;
      (id == kAnti ? file.is_anti : file.is_empty_file) = flags[next++];
    }
  } else if (id == kNames) {
    names(files);
  } else if (id == kAttributes) {
    const auto attributes = numbers32(files.size(), false);
    for (std::size_t i = 0; i < attributes.size(); ++i) files[i].attributes = attributes[i];
  }
}

void Parser::names(std::vector<FileInfo>& files) {
  expect_internal();
  for (FileInfo& file : files) {
    if (!ok()) return;
    Cursor ahead = in_;
    std::uint64_t units = 0;
    for (;;) {
      const auto unit = ahead.read<std::uint16_t>();
      if (!unit) return fail_here();
      if (*unit == 0) break;
      ++units;
    }
    file.name = take(2 * units);
    take(2);
  }
}

}  // namespace

std::optional<std::uint64_t> Folder::main_output() const {
  std::optional<std::uint64_t> found;
  for (std::uint64_t i = 0; i < sizes.size(); ++i) {
    if (std::ranges::find(bonds, i, &Bond::output) != bonds.end()) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

std::uint64_t Folder::size() const {
  const auto output = main_output();
  return output ? sizes[*output] : 0;
}

Result<Header> parse_header(ByteSpan bytes, const HeaderLimits& limits) {
  return Parser(bytes, limits).header();
}

}  // namespace tare::sevenzip
