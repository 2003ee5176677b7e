#include "cache/build_id.hpp"

#include <elf.h>
#include <link.h>

#include "io/cursor.hpp"

namespace tare::cache {
namespace {

// The description of the note, in a segment of notes.
ByteSpan find_note(ByteSpan segment) {
  const auto padded = [](std::uint32_t size) {
    return (std::uint64_t{size} + 3) & ~std::uint64_t{3};
  };
  for (Cursor notes(segment); !notes.at_end();) {
    const auto name_size = notes.read<std::uint32_t>();
    const auto size = notes.read<std::uint32_t>();
    const auto type = notes.read<std::uint32_t>();
    if (!name_size || !size || !type) break;
    const auto name = notes.take(padded(*name_size));
    const auto description = notes.take(padded(*size));
    if (!name || !description) break;
    if (*type == NT_GNU_BUILD_ID && as_text(*name).starts_with("GNU")) {
      return description->first(*size);
    }
  }
  return {};
}

// The program itself comes first.
int visit_program(dl_phdr_info* info, std::size_t, void* found) {
  for (const ElfW(Phdr) & header : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
    if (header.p_type != PT_NOTE) continue;
    // The program in memory is an address to the linker, and bytes to us.
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* const begin = reinterpret_cast<const std::byte*>(info->dlpi_addr + header.p_vaddr);
    const ByteSpan id = find_note({begin, header.p_memsz});
    if (!id.empty()) *static_cast<ByteSpan*>(found) = id;
  }
  return 1;
}

}  // namespace

ByteSpan build_id() {
  static const ByteSpan kId = [] {
    ByteSpan id;
    ::dl_iterate_phdr(visit_program, &id);
    return id;
  }();
  return kId;
}

}  // namespace tare::cache
