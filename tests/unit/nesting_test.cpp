#include "tare/nesting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/effort.hpp"
#include "support/packed.hpp"
#include "support/pickle_bytes.hpp"
#include "support/sevenzip_builder.hpp"
#include "support/tar_builder.hpp"
#include "support/torch_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

// "  name: what, size" for each entry, indented by depth.
std::vector<std::string> lines(const std::string& file) {
  const auto nesting = list_nesting(as_bytes(file));
  EXPECT_TRUE(nesting.has_value()) << nesting.error().what;
  std::vector<std::string> out;
  if (!nesting) return out;
  for (const NestedEntry& entry : nesting->entries) {
    std::string line = std::string(entry.depth, ' ') + entry.name + ": " + entry.what;
    if (entry.entries > 1) line += " x" + std::to_string(entry.entries);
    if (!entry.not_opened.empty()) line += " (" + entry.not_opened + ")";
    out.push_back(line);
  }
  return out;
}

TEST(Nesting, ShowsArchivesInArchives) {
  const std::string tar = TarMember{"x/m.pkl", proto(2) + "N."}.build() + tar_end();
  const std::string seven = SevenZipBuilder().add("a.tar", tar).add("notes", "text").build();
  EXPECT_THAT(lines(ZipBuilder().add("in.7z", seven).add("b.gz", gzip_member(tar)).build()),
              ElementsAre(": zip", " in.7z: 7z", "  a.tar: tar", "   x/m.pkl: pickle",
                          "  notes: no format that tare knows", " b.gz: compressed", "  gzip: tar",
                          "   x/m.pkl: pickle"));
}

TEST(Nesting, SaysSizesAndPlaces) {
  const std::string tar = TarMember{"a", "0123456789"}.build() + tar_end();
  const auto nesting = list_nesting(as_bytes(ZipBuilder().add("t", tar).build()));
  ASSERT_TRUE(nesting.has_value());
  ASSERT_EQ(nesting->entries.size(), 3U);
  EXPECT_EQ(nesting->entries[1].offset, 31U);
  EXPECT_EQ(nesting->entries[1].size, tar.size());
  EXPECT_EQ(nesting->entries[2].offset, 31U + 512);
  EXPECT_EQ(nesting->entries[2].size, 10U);
  const std::string gzip = gzip_member(tar);
  const auto packed = list_nesting(as_bytes(gzip));
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ(packed->entries.back().offset, Error::kNoOffset);
}

TEST(Nesting, SaysWhatIsNotOpenedAndWhy) {
  SevenZipFolder folder{{{"secret", "abc"}}};
  folder.coders = sz_number(1) + sz_coder("\x06\xF1\x07\x01", "\x13");
  folder.packed = {"xyz"};
  SevenZipBuilder builder;
  builder.folders.push_back(folder);
  const auto shown = lines(builder.build());
  EXPECT_THAT(shown, testing::Contains(" secret:  (the data is encrypted)"));
  std::string deep = "x";
  for (int i = 0; i < 12; ++i) deep = ZipBuilder().add(std::to_string(i), deep).build();
  EXPECT_THAT(lines(deep).back(), HasSubstr("more than 8 deep"));
  EXPECT_EQ(lines(deep).size(), 10U);
}

TEST(Nesting, TellsElementsOfTensorsTogether) {
  const std::string tar = TarMember{"m.pt", torch_file(proto(2) + "N.")}.build() + tar_end();
  for (const std::string& line : lines(tar)) EXPECT_THAT(line, testing::Not(HasSubstr("data/1")));
}

TEST(Nesting, IsForWhatHoldsFiles) {
  for (const std::string& file : {proto(2) + "N."s, "text"s, ""s}) {
    const auto nesting = list_nesting(as_bytes(file));
    ASSERT_FALSE(nesting.has_value());
    EXPECT_EQ(nesting.error().code, ErrorCode::kWrongFormat);
  }
}

TEST(Nesting, EndsWhereThereIsTooMuch) {
  ZipBuilder builder;
  for (int i = 0; i < 30'000; ++i) builder.add("f" + std::to_string(i), "x");
  const std::string archive = builder.build();
  const CpuTime time;
  const auto nesting = list_nesting(as_bytes(archive));
  ASSERT_TRUE(nesting.has_value());
  EXPECT_TRUE(nesting->is_cut);
  EXPECT_EQ(nesting->entries.size(), Nesting::kMaxEntries);
  EXPECT_LT(time.seconds(), kMostSeconds);
}

}  // namespace
}  // namespace tare
