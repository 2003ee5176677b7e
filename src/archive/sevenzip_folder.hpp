// Decompresses one folder of a 7z archive.
#pragma once

#include "archive/sevenzip_reader.hpp"

namespace tare::sevenzip {

// Bytes that the coders of a folder write, all together; UINT64_MAX if that is too much to count.
// 0 if the content is stored.
std::uint64_t bytes_written_by(const Folder& folder);

// `packed`: its packed streams. What Reader::unpack() says.
Result<Content> unpack_folder(const Folder& folder, const std::vector<ByteSpan>& packed,
                              std::uint64_t max_output);

}  // namespace tare::sevenzip
