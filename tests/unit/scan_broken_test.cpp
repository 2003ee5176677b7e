// Files that break the reader on purpose in front of, inside of and behind a payload. A scanner
// that gives up there and says "no issues" is what they are made for: none may come out as safe.
#include <gtest/gtest.h>

#include <map>

#include "support/packed.hpp"
#include "support/pickle_bytes.hpp"
#include "support/safetensors_builder.hpp"
#include "support/scanning.hpp"
#include "support/tar_builder.hpp"
#include "support/torch_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;

std::string hostile() {
  return payload() + ".";
}

std::string npy(const std::string& header, const std::string& data) {
  return "\x93NUMPY\x01"s + u8(0) + u16(header.size()) + header + data;
}

std::string object_array(const std::string& data) {
  return npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", data);
}

std::string legacy(const std::string& object, const std::string& behind) {
  return proto(2) + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + proto(2) + "M\xE9\x03." +
         proto(2) + "}." + object + behind;
}

std::string torch_tar(const std::string& storages, const std::string& pickle) {
  return TarMember{"storages", storages}.build() +
         TarMember{"tensors", proto(2) + "K\x00."s}.build() + TarMember{"pickle", pickle}.build() +
         tar_end();
}

// What breaks, where it does, and the file.
using Broken = std::multimap<std::string, std::string>;

Broken broken_pickles() {
  return {{"before", "\xFF" + hostile()},
          {"before", "X" + u32(1'000'000) + hostile()},
          {"before", proto(9) + hostile()},
          {"before", "g99\n" + hostile()},
          {"before", "I\n0" + hostile()},
          {"before", "F1_0.5\n0" + hostile()},
          {"before", frame(1'000'000) + hostile()},
          {"inside", "cos\nsystem\nS'id\n\x85R."},
          {"inside", "cos\nsystem\n\xFF(S'id'\ntR."},
          {"inside", "cos\n\xC3system\n(S'id'\ntR."},
          {"behind", payload() + "\xFF"},
          {"behind", payload() + "X" + u32(1'000'000)},
          {"behind", payload()},
          {"behind", payload() + "00."}};
}

Broken broken_zips() {
  const std::string good = torch_file(hostile());
  ZipEntry deflated;
  deflated.name = "m/data.pkl";
  deflated.content = hostile();
  deflated.method = 8;
  ZipEntry damaged = deflated;
  damaged.raw = deflate(hostile()) + "xx";
  ZipEntry undone = deflated;
  undone.raw = "\xFF\xFF" + deflate(hostile());
  ZipBuilder bad_count = torch_zip(hostile(), {});
  bad_count.count = 60'000;
  ZipBuilder bad_offset = torch_zip(hostile(), {});
  bad_offset.directory_offset = 1;
  bad_offset.directory_size = 1;
  return {{"before", "\xFF" + good},
          {"before", good.substr(1)},
          {"inside", ZipBuilder().add(damaged).build()},
          {"inside", ZipBuilder().add(undone).build()},
          {"behind", good.substr(0, good.size() - 1)},
          {"behind", good.substr(0, good.size() - 30)},
          {"behind", good + "PK\x05\x06" + std::string(18, '\xFF')},
          {"behind", good + "PK\x05\x06"},
          {"behind", bad_count.build()},
          {"behind", bad_offset.build()}};
}

Broken broken_tars() {
  const std::string good = torch_tar(proto(2) + "K\x00."s + proto(2) + "].", hostile());
  TarMember bad = {"pickle", hostile()};
  bad.checksum = "0000000 ";
  TarMember long_one = {"pickle", hostile()};
  long_one.size = "77777777777 ";
  return {{"before", torch_tar("\xFF", hostile())},
          {"before", torch_tar(proto(2) + "X", hostile())},
          {"before", torch_tar(proto(2) + "J\xFF\xFF\xFF\x7F.", hostile())},
          {"inside", TarMember{"a", "x"}.build() + bad.build() + tar_end()},
          {"inside", TarMember{"a", "x"}.build() + long_one.build() + tar_end()},
          {"behind", good.substr(0, good.size() - 1024)},
          {"behind", good.substr(0, good.size() - 1024 - 400)},
          {"behind", good + "junk"}};
}

Broken broken_arrays() {
  return {{"before", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)", hostile())},
          {"before", npy("{'descr': __import__('os'), }\n", hostile())},
          {"before", "\x93NUMPY\x09"s + u8(0) + u16(2) + "{}" + hostile()},
          {"before", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", hostile())},
          {"inside", object_array("cos\nsystem\n\xFFS'id'\n\x85R.")},
          {"behind", object_array(payload() + "\xFF")},
          {"behind", object_array(hostile() + "\xFF")}};
}

Broken broken_streams() {
  const std::string good = zlib_stream(payload() + std::string(3000, 'N') + ".");
  std::string flipped = good;
  flipped[flipped.size() - 1] ^= '\x01';
  return {{"before", "\xFF" + good},
          {"before", good.substr(1)},
          {"inside", zlib_stream(payload())},
          {"behind", good.substr(0, good.size() - 4)},
          {"behind", good.substr(0, good.size() - 1)},
          {"behind", flipped},
          {"behind", good + "\xFF"},
          {"behind", good + good}};
}

Broken broken_safetensors() {
  const std::string json = "{" + tensor_json("t", "U8", "[21]", 0, 21) + "}";
  return {{"before", safetensors_file("{", hostile())},
          {"before", safetensors_file("{\"t\":1}", hostile())},
          {"before", safetensors_file(json + "x", hostile())},
          {"inside", safetensors_file(json, hostile().substr(0, 20))},
          {"behind", safetensors_file(json, std::string(21, 'x') + hostile())},
          {"behind", safetensors_file(json, std::string(21, 'x')) + torch_file(hostile())},
          {"behind", hostile() + safetensors_file(json, std::string(21, 'x'))}};
}

Broken broken_legacy() {
  return {{"before", "\xFF" + legacy(hostile(), proto(2) + "].")},
          {"before", legacy("\xFF" + hostile(), proto(2) + "].")},
          {"inside", legacy("cos\nsystem\n\xFFS'id'\n\x85R.", proto(2) + "].")},
          {"behind", legacy(hostile(), "")},
          {"behind", legacy(hostile(), "\xFF")},
          {"behind", legacy(hostile(), proto(2) + "](X\x01\x00\x00\x00zX"s)},
          {"behind", legacy(hostile(), proto(2) + "]" + long_text("0") + "a.1234")}};
}

// A pickle of metadata, and an index of shards, which hold no payload that anybody runs.
Broken broken_lists() {
  return {{"before", proto(2) + "\xFF" + hostile()},
          {"inside", "{\"weight_map\": {\"a\": \"b.safetensors\"}" + hostile()},
          {"behind", "{\"weight_map\": {\"a\": \"b.safetensors\"}}" + hostile()}};
}

// What breaks behind a payload takes nothing from it, unless a format says that it is data.
enum class Behind : bool { kDangerous, kNotSafe };

void expect_never_safe(const Broken& files, Behind behind = Behind::kDangerous) {
  std::set<std::string> places;
  for (const auto& [place, file] : files) {
    places.insert(place);
    EXPECT_TRUE(is_not_safe(file)) << place << ": " << file;
    // In whatever stands around it.
    EXPECT_TRUE(is_not_safe(ZipBuilder().add("x", file).build())) << place << ": " << file;
    EXPECT_TRUE(is_not_safe(TarMember{"x", file}.build() + tar_end())) << place << ": " << file;
    EXPECT_TRUE(is_not_safe(zlib_stream(file))) << place << ": " << file;
    if (place == "behind" && behind == Behind::kDangerous) {
      EXPECT_EQ(verdict_of(file), Verdict::kDangerous) << file;
    }
  }
  EXPECT_EQ(places, (std::set<std::string>{"before", "behind", "inside"}));
}

TEST(ScanBroken, Pickles) {
  expect_never_safe(broken_pickles());
}
TEST(ScanBroken, Zips) {
  expect_never_safe(broken_zips());
}
TEST(ScanBroken, Tars) {
  expect_never_safe(broken_tars());
}
TEST(ScanBroken, Arrays) {
  expect_never_safe(broken_arrays());
}
TEST(ScanBroken, CompressedStreams) {
  expect_never_safe(broken_streams());
}
TEST(ScanBroken, Safetensors) {
  expect_never_safe(broken_safetensors(), Behind::kNotSafe);
}
TEST(ScanBroken, LegacyFiles) {
  expect_never_safe(broken_legacy());
}
TEST(ScanBroken, Lists) {
  expect_never_safe(broken_lists(), Behind::kNotSafe);
}

}  // namespace
}  // namespace tare
