// Which pickle PATH and PATH!ENTRY mean.
#include "format/entry.hpp"

#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"
#include "support/temp_dir.hpp"
#include "support/torch_builder.hpp"

namespace tare::format {
namespace {

using test::TempDir;
using test::torch_record;
using test::ZipBuilder;

// The bytes that a spec means, and the name that they are given (without the directory).
std::pair<std::string, std::string> opened(const TempDir& dir, const std::string& spec) {
  const auto entry = open_pickle_entry((dir / spec).string());
  if (!entry) return {"", error_code_name(entry.error().code)};
  return {std::string(as_text(entry->bytes)), entry->name.substr(dir.path().string().size() + 1)};
}

using Found = std::pair<std::string, std::string>;

TEST(OpenPickleEntry, TakesAPickleAsItIs) {
  const TempDir dir;
  dir.write("a.pkl", "\x80\x02N.");
  dir.write("text", "no pickle at all");
  EXPECT_EQ(opened(dir, "a.pkl"), Found("\x80\x02N.", "a.pkl"));
  EXPECT_EQ(opened(dir, "text"), Found("no pickle at all", "text"));
  EXPECT_EQ(opened(dir, "missing").second, "not_found");
  EXPECT_EQ(opened(dir, "a.pkl!entry").second, "wrong_format");
}

TEST(OpenPickleEntry, FindsTheDataOfACheckpoint) {
  const TempDir dir;
  dir.write("m.pt", test::torch_zip("\x80\x02N.", {{"0", "x"}}).build());
  EXPECT_EQ(opened(dir, "m.pt"), Found("\x80\x02N.", "m.pt!m/data.pkl"));
  EXPECT_EQ(opened(dir, "m.pt!data.pkl"), Found("\x80\x02N.", "m.pt!m/data.pkl"));
  EXPECT_EQ(opened(dir, "m.pt!m/data.pkl"), Found("\x80\x02N.", "m.pt!m/data.pkl"));
  EXPECT_EQ(opened(dir, "m.pt!data/0"), Found("x", "m.pt!m/data/0"));
  EXPECT_EQ(opened(dir, "m.pt!ata.pkl").second, "not_found");
  EXPECT_EQ(opened(dir, "m.pt!other").second, "not_found");
}

TEST(OpenPickleEntry, FindsTheOnlyPickleOfAnArchive) {
  const TempDir dir;
  dir.write("one.zip", ZipBuilder().add("a.txt", "x").add("b.pkl", "N.").build());
  EXPECT_EQ(opened(dir, "one.zip"), Found("N.", "one.zip!b.pkl"));
  dir.write("two.zip", ZipBuilder().add("a.pkl", "N.").add("b.pkl", "N.").build());
  EXPECT_EQ(opened(dir, "two.zip").second, "invalid_argument");
  EXPECT_EQ(opened(dir, "two.zip!b.pkl"), Found("N.", "two.zip!b.pkl"));
}

TEST(OpenPickleEntry, AsksWhenSeveralEntriesFit) {
  const TempDir dir;
  dir.write("m.zip", ZipBuilder().add("x/a.pkl", "1").add("y/a.pkl", "2").build());
  EXPECT_EQ(opened(dir, "m.zip!a.pkl").second, "invalid_argument");
  EXPECT_EQ(opened(dir, "m.zip!y/a.pkl"), Found("2", "m.zip!y/a.pkl"));
}

TEST(OpenPickleEntry, TakesAFileWithAnExclamationMark) {
  const TempDir dir;
  dir.write("odd!name", "N.");
  EXPECT_EQ(opened(dir, "odd!name"), Found("N.", "odd!name"));
}

TEST(OpenPickleEntry, InflatesAnEntry) {
  const TempDir dir;
  test::ZipEntry entry;
  entry.name = "m/data.pkl";
  entry.content = test::repeat("N0", 100) + "N.";
  entry.method = 8;
  dir.write("m.pt", ZipBuilder().add(entry).build());
  EXPECT_EQ(opened(dir, "m.pt"), Found(entry.content, "m.pt!m/data.pkl"));
}

// The pickle in front is what a pickle loader reads.
TEST(OpenPickleEntry, TakesAPickleInFrontOfAnArchive) {
  const TempDir dir;
  ZipBuilder builder = test::torch_zip("\x80\x02N.", {});
  builder.prefix = test::payload() + ".";
  const std::string file = builder.build();
  dir.write("m.pkl", file);
  EXPECT_EQ(opened(dir, "m.pkl"), Found(file, "m.pkl"));
  EXPECT_EQ(opened(dir, "m.pkl!data.pkl"), Found("\x80\x02N.", "m.pkl!m/data.pkl"));
}

}  // namespace
}  // namespace tare::format
