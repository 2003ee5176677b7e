#include "craft/containers.hpp"

#include <zlib.h>

#include <array>

#include "craft/payload.hpp"
#include "craft/zip_forge.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::craft {
namespace {

using enum pickle::Op;
using pickle::Writer;

constexpr std::string_view kData = "archive/data.pkl";
constexpr std::string_view kVersion = "archive/version";

// os.system('true'), in protocol 4 and in protocol 0, which has no signature.
Bytes payload() {
  Writer out;
  out.proto(4).short_binunicode("os").short_binunicode("system").op(kStackGlobal);
  return out.short_binunicode("true").op(kTuple1, kReduce, kStop).take();
}
Bytes payload_0() {
  Writer out;
  return out.global_line("os", "system").string_line("'true'").op(kTuple1, kReduce, kStop).take();
}

// {'a': 1} as CPython pickles it.
Bytes harmless() {
  Writer out;
  out.proto(2).op(kEmptyDict).put();
  return out.text("a").integer(1).op(kSetItem, kStop).take();
}

Bytes marked(Bytes file, Marker marker) {
  append_marker(file, marker);
  return file;
}

ForgedEntry entry(std::string_view name, Bytes content) {
  ForgedEntry made;
  made.name = name;
  made.content = std::move(content);
  return made;
}

// An archive with the marker as its comment.
Bytes archive(std::vector<ForgedEntry> entries, Marker marker, Bytes prefix = {}) {
  ForgedZip zip{std::move(prefix), std::move(entries), {}};
  append_marker(zip.comment, marker);
  return forge_zip(zip);
}

Bytes bare(Marker marker) {
  return marked(payload(), marker);
}
Bytes bare_0(Marker marker) {
  return marked(payload_0(), marker);
}

// ---- compressed

constexpr int kZlibFormat = MAX_WBITS;
constexpr int kRawDeflate = -MAX_WBITS;

Bytes deflated(ByteSpan content, int level, int format) {
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  Bytes in(content.begin(), content.end());
  Bytes out(::deflateBound(&stream, in.size()));
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

// RFC 1952. The marker is the comment of the header: readers refuse bytes behind the end.
Bytes gzipped(Marker marker) {
  constexpr std::uint8_t kHasComment = 0x10;
  constexpr std::uint32_t kTime = 0x6B03576B;  // any: the one of the first such file
  const Bytes content = payload();
  ByteBuffer out;
  out.u8(0x1F).u8(0x8B).u8(8).u8(marker == Marker::kYes ? kHasComment : 0).u32(kTime);
  out.u8(2).u8(0xFF);  // best compression, unknown system
  if (marker == Marker::kYes) out.text(kMarker).u8(0);
  out.bytes(deflated(content, 9, kRawDeflate));
  out.u32(static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size())));
  out.u32(static_cast<std::uint32_t>(content.size()));
  return out.take();
}

Bytes joblib_zlib(Marker marker) {
  return marked(deflated(payload(), 3, kZlibFormat), marker);
}

// ---- torch before the zip format

// Five pickles: magic number, protocol version, system, the object, the keys of its storages.
Bytes legacy_stacked(Marker marker) {
  Writer out;
  out.proto(2).long1(as_bytes(kTorchMagic)).op(kStop);
  out.proto(2).integer(1001).op(kStop);
  Writer system;
  system.proto(2).op(kEmptyDict).put();
  system.text("little_endian").boolean(true).op(kSetItem, kStop);
  Writer keys;
  keys.proto(2).op(kEmptyList).put();
  keys.op(kStop);
  out.raw(system.view()).raw(payload()).raw(keys.view());
  return marked(out.take(), marker);
}

// POSIX ustar: a block of 512 bytes as header, the content filled up to whole blocks.
void add_member(ByteBuffer& out, std::string_view name, ByteSpan content) {
  constexpr std::size_t kBlock = 512;
  const auto octal = [](std::size_t value, std::size_t digits) {
    std::string text(digits, '0');
    for (std::size_t i = digits; i-- > 0; value /= 8) text[i] = static_cast<char>('0' + value % 8);
    return text;
  };
  const auto header = [&](std::string_view checksum) {
    ByteBuffer block;
    block.text(name).fill(100 - name.size(), std::byte{0});
    block.text("0000644").u8(0).text("0000000").u8(0).text("0000000").u8(0);
    block.text(octal(content.size(), 11)).u8(0).text(octal(0, 11)).u8(0).text(checksum);
    block.text("0").fill(100, std::byte{0}).text("ustar").u8(0).text("00");
    block.fill(64, std::byte{0}).fill(kBlock - block.size(), std::byte{0});
    return block;
  };
  // The checksum is the sum of all bytes, itself taken as spaces.
  std::size_t sum = 0;
  const ByteBuffer spaces = header("        ");
  for (const std::byte b : spaces.view()) sum += std::to_integer<std::size_t>(b);
  const std::string checksum = octal(sum, 6) + '\0' + ' ';
  const ByteBuffer block = header(checksum);
  out.bytes(block.view()).bytes(content).fill((kBlock - content.size() % kBlock) % kBlock, {});
}

// The form of torch 0.1. The marker is one more member.
Bytes legacy_tar(Marker marker) {
  constexpr std::size_t kRecord = 10240;
  Writer none;
  none.proto(2).integer(0).op(kStop);
  ByteBuffer out;
  add_member(out, "storages", none.view());
  add_member(out, "tensors", none.view());
  add_member(out, "pickle", payload());
  if (marker == Marker::kYes) add_member(out, ".tare-crafted", as_bytes(kMarker));
  out.fill(kRecord - out.size() % kRecord, std::byte{0});
  return out.take();
}

// ---- NumPy

// An array of objects: a header of the format 1.0, and a pickle.
Bytes object_array(Marker marker) {
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kPreamble = 10;  // magic, version, length of the header
  constexpr std::string_view kHeader = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
  const std::size_t room = 2 * kAlignment - kPreamble;
  ByteBuffer out;
  out.u8(0x93).text("NUMPY").u8(1).u8(0).u16(static_cast<std::uint16_t>(room));
  out.text(kHeader).fill(room - kHeader.size() - 1, std::byte{' '}).text("\n");
  return marked(out.bytes(payload()).take(), marker);
}

// ---- zip

Bytes zip_plain(Marker marker) {
  return archive({entry(kData, payload()), entry(kVersion, bytes_of("3\n"))}, marker);
}
Bytes zip_crc_bad(Marker marker) {
  ForgedEntry data = entry(kData, payload());
  data.crc32 = 0;
  return archive({data}, marker);
}
Bytes zip_duplicate(Marker marker) {
  return archive({entry(kData, payload()), entry(kData, harmless())}, marker);
}
Bytes zip_encrypted_central(Marker marker) {
  ForgedEntry data = entry(kData, payload());
  data.central_flags = 1;
  return archive({data}, marker);
}
Bytes zip_encrypted_local(Marker marker) {
  ForgedEntry data = entry(kData, payload());
  data.local_flags = 1;
  return archive({data}, marker);
}
Bytes zip_local_name(Marker marker) {
  ForgedEntry data = entry(kData, payload());
  data.local_name = "archive/datap.kl";
  return archive({data}, marker);
}
Bytes zip_nested(Marker marker) {
  const Bytes inner = archive({entry("data.pkl", payload())}, Marker::kNo);
  return archive({entry(kData, harmless()), entry("archive/in.zip", inner)}, marker);
}
Bytes zip_nested_model(Marker marker) {
  const Bytes inner = archive({entry(kData, payload())}, Marker::kNo);
  return archive({entry("model.pt", inner)}, marker);
}
Bytes zip_no_extension(Marker marker) {
  return archive({entry(kData, harmless()), entry("archive/extra/x", payload_0())}, marker);
}
Bytes zip_prefix(Marker marker) {
  return archive({entry(kData, payload())}, marker, bytes_of("JUNKJUNK"));
}
Bytes zip_upper_case(Marker marker) {
  return archive({entry("archive/DATA.PKL", payload_0()), entry(kVersion, bytes_of("3\n"))},
                 marker);
}
Bytes pickle_then_zip(Marker marker) {
  return archive({entry("a.txt", bytes_of("hi"))}, marker, payload());
}

constexpr Recipe kContainers[] = {
    {"dill.dill", "a pickle under a name of dill", false, bare},
    {"gz.pkl.gz", "a pickle in gzip", false, gzipped},
    {"joblib_gz.joblib", "a pickle in gzip under a name of joblib", false, gzipped},
    {"joblib_zlib.joblib", "a pickle in zlib, as joblib writes it", false, joblib_zlib},
    {"legacy_plain.pt", "torch before 1.6: five pickles, the payload in the fourth", false,
     legacy_stacked},
    {"legacy_tar.pt", "torch 0.1: a tar archive, the payload in its member pickle", false,
     legacy_tar},
    {"obj.npy", "a NumPy array of objects", false, object_array},
    {"pkl_then_zip.bin", "a pickle, then a harmless archive: what loads it reads the pickle", false,
     pickle_then_zip},
    {"pkl_then_zip.pkl", "the same under another name", false, pickle_then_zip},
    {"raw_pickle.bin", "a bare pickle under a name of torch", false, bare},
    {"raw_pickle.pt", "a bare pickle of protocol 0 under a name of torch", false, bare_0},
    {"raw_pickle.pth", "a bare pickle under a name of torch", false, bare},
    {"safetensors_named.safetensors", "a bare pickle under a name of safetensors", false, bare},
    {"unknown_ext.model", "a bare pickle under a name of anything", false, bare},
    {"zip_crc_bad.pt", "a wrong CRC-32: torch.load reads the payload, zipfile refuses", false,
     zip_crc_bad},
    {"zip_dup_lastbenign.pt", "two data.pkl, the harmless one last", false, zip_duplicate},
    {"zip_flag_enc_cd.pt", "data.pkl marked as encrypted in the central directory only", false,
     zip_encrypted_central},
    {"zip_flag_enc_local.pt", "data.pkl marked as encrypted in the local header only", false,
     zip_encrypted_local},
    {"zip_localname_differs.pt", "data.pkl has another name in its local header", false,
     zip_local_name},
    {"zip_nested.pt", "a harmless data.pkl, and the payload in a zip archive beside it", false,
     zip_nested},
    {"zip_nested_pt_in_zip.zip", "a model inside of a zip archive", false, zip_nested_model},
    {"zip_noext_p0.pt", "a harmless data.pkl, and the payload in an entry without extension", false,
     zip_no_extension},
    {"zip_plain.pt", "data.pkl and version, without lies", false, zip_plain},
    {"zip_prefix_junk.pt", "eight bytes in front of the archive", false, zip_prefix},
    {"zip_uppercase_p0.pt", "the payload is in DATA.PKL, which torch.load takes for data.pkl",
     false, zip_upper_case},
};

}  // namespace

std::span<const Recipe> containers() {
  return kContainers;
}

}  // namespace tare::craft
