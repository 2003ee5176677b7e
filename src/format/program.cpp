// ELF, PE, Mach-O, and programs for several systems at once (llamafile). Format:
// docs/formats/program.md.
#include "format/program.hpp"

#include <algorithm>

#include "archive/sevenzip_reader.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

constexpr unsigned kMaxArchives = 16;

bool starts_with(ByteSpan bytes, std::string_view prefix) {
  return as_text(bytes).starts_with(prefix);
}

template <typename T>
std::optional<T> read_at(ByteSpan bytes, std::uint64_t offset) {
  if (offset > bytes.size()) return std::nullopt;
  return Cursor(bytes, offset).read<T>();
}

// ---- what it is

constexpr std::uint64_t kPeOffset = 0x3C;

std::optional<std::uint64_t> pe_header(ByteSpan bytes) {
  if (!starts_with(bytes, "MZ")) return std::nullopt;
  const auto offset = read_at<std::uint32_t>(bytes, kPeOffset);
  if (!offset || read_at<std::uint32_t>(bytes, *offset) != 0x00004550) return std::nullopt;
  return *offset;
}

bool is_mach_o(ByteSpan bytes) {
  const auto magic = read_at<std::uint32_t>(bytes, 0);
  if (magic == 0xFEEDFACE || magic == 0xFEEDFACF || magic == 0xCEFAEDFE || magic == 0xCFFAEDFE) {
    return true;
  }
  // Several in one file, counted big-endian: a compiled class of Java has a larger number there.
  constexpr unsigned kFirstJava = 45;
  return starts_with(bytes, "\xCA\xFE\xBA\xBE\0\0\0"sv) && bytes.size() > 7 &&
         std::to_integer<unsigned>(bytes[7]) < kFirstJava;
}

// ---- where it ends

// The end of what a field pair says, if it lies in the file at all.
void extend(std::uint64_t& end, std::optional<std::uint64_t> offset,
            std::optional<std::uint64_t> length) {
  const auto sum = offset && length ? checked_add(*offset, *length) : std::nullopt;
  if (sum) end = std::max(end, *sum);
}

// Where the fields of an ELF file are; all of them little-endian.
struct ElfLayout {
  std::uint64_t segments, sections, segment_size, segment_count, section_size, section_count;
  std::uint64_t file_offset, file_size;         // in a segment
  std::uint64_t section_offset, section_bytes;  // in a section
};
constexpr ElfLayout kElf32 = {28, 32, 42, 44, 46, 48, 4, 16, 16, 20};
constexpr ElfLayout kElf64 = {32, 40, 54, 56, 58, 60, 8, 32, 24, 32};

std::uint64_t elf_end(ByteSpan bytes) {
  constexpr std::byte kLittle{1};
  if (bytes.size() < 64 || bytes[5] != kLittle) return 0;
  const bool is_wide = bytes[4] == std::byte{2};
  const ElfLayout& layout = is_wide ? kElf64 : kElf32;
  const auto word = [&](std::uint64_t at) -> std::optional<std::uint64_t> {
    if (is_wide) return read_at<std::uint64_t>(bytes, at);
    return read_at<std::uint32_t>(bytes, at);
  };
  const auto half = [&](std::uint64_t at) {
    return std::uint64_t{read_at<std::uint16_t>(bytes, at).value_or(0)};
  };
  constexpr std::uint32_t kNoBits = 8;
  const std::uint64_t segments = word(layout.segments).value_or(0);
  const std::uint64_t sections = word(layout.sections).value_or(0);
  if (segments > bytes.size() || sections > bytes.size()) return bytes.size();
  std::uint64_t end = 64;
  for (std::uint64_t i = 0; i < half(layout.segment_count); ++i) {
    const std::uint64_t at = segments + i * half(layout.segment_size);
    extend(end, word(at + layout.file_offset), word(at + layout.file_size));
  }
  extend(end, sections, half(layout.section_count) * half(layout.section_size));
  for (std::uint64_t i = 0; sections != 0 && i < half(layout.section_count); ++i) {
    const std::uint64_t at = sections + i * half(layout.section_size);
    if (read_at<std::uint32_t>(bytes, at + 4) == kNoBits) continue;
    extend(end, word(at + layout.section_offset), word(at + layout.section_bytes));
  }
  return end;
}

std::uint64_t pe_end(ByteSpan bytes, std::uint64_t header) {
  const auto sections = read_at<std::uint16_t>(bytes, header + 6);
  const auto optional_size = read_at<std::uint16_t>(bytes, header + 20);
  if (!sections || !optional_size) return 0;
  std::uint64_t end = header + 24 + *optional_size;
  for (std::uint64_t i = 0; i < *sections; ++i) {
    const std::uint64_t at = header + 24 + *optional_size + i * 40;
    extend(end, read_at<std::uint32_t>(bytes, at + 20), read_at<std::uint32_t>(bytes, at + 16));
  }
  return end;
}

// ---- what stands behind it

// Archives of 7z in bytes that are no file of their own: behind a script of an installer, say.
std::vector<std::uint64_t> find_7z(ByteSpan bytes) {
  std::vector<std::uint64_t> found;
  const std::string_view text = as_text(bytes);
  for (std::size_t at = text.find("7z\xBC\xAF\x27\x1C"sv);
       at != std::string_view::npos && found.size() < kMaxArchives;
       at = text.find("7z\xBC\xAF\x27\x1C"sv, at + 1)) {
    // Code that looks for the signature holds it as well.
    const auto size = sevenzip::archive_size(bytes.subspan(at));
    if (!size) continue;
    found.push_back(at);
    at += static_cast<std::size_t>(*size) - 1;
  }
  return found;
}

bool recognises(ByteSpan bytes) {
  return *program_text(bytes) != '\0';
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  const std::uint64_t end = program_end(bytes);
  const ByteSpan program = end == 0 ? bytes : bytes.first(end);
  list.parts.push_back({"", PartKind::kProgram, program, 0});
  // A reader of zip archives looks from the end, and finds what stands behind the program itself.
  if (kZip.recognises(bytes)) return list;
  const ByteSpan rest = bytes.subspan(end);
  if (rest.empty()) return list;
  if (end != 0 && !detect(rest).empty()) {
    list.parts.push_back({"", PartKind::kNested, rest, end, end});
    return list;
  }
  const auto archives = find_7z(rest);
  for (const std::uint64_t at : archives) {
    list.parts.push_back({"", PartKind::kNested, rest.subspan(at), end + at, end + at});
  }
  if (end != 0 && (archives.empty() || archives.front() != 0)) {
    const std::uint64_t length = archives.empty() ? rest.size() : archives.front();
    list.parts.push_back({"", PartKind::kUnknown, rest.first(length), end, end});
  }
  return list;
}

}  // namespace

const char* program_text(ByteSpan bytes) {
  if (starts_with(bytes,
                  "\x7F"
                  "ELF"sv)) {
    return "an ELF program";
  }
  if (starts_with(bytes, "MZqFpD='"sv) || starts_with(bytes, "jartsr='"sv)) {
    return "an executable for several systems (llamafile, APE): loading it runs it";
  }
  if (pe_header(bytes)) return "a program for Windows (PE)";
  return is_mach_o(bytes) ? "a program for macOS (Mach-O)" : "";
}

std::uint64_t program_end(ByteSpan bytes) {
  const std::uint64_t size = bytes.size();
  if (starts_with(bytes,
                  "\x7F"
                  "ELF"sv)) {
    return std::min(elf_end(bytes), size);
  }
  if (starts_with(bytes, "MZqFpD='"sv)) return 0;
  const auto header = pe_header(bytes);
  return header ? std::min(pe_end(bytes, *header), size) : 0;
}

const Format kProgram = {"program", "a program", recognises, list_parts, nullptr};

}  // namespace tare::format
