#include "remote/spec.hpp"

#include <gtest/gtest.h>

namespace tare::remote {
namespace {

TEST(RemoteSpec, KnowsWhatIsMeantAsOne) {
  for (const char* spec : {"https://h/m", "http://h", "hf://a/b", "s3://b/k", "https://"}) {
    EXPECT_TRUE(is_remote(spec)) << spec;
  }
  for (const char* path :
       {"model.pt", "https:/h/m", "HTTPS://h/m", "file:///m", "./hf://a/b", ""}) {
    EXPECT_FALSE(is_remote(path)) << path;
  }
}

TEST(RemoteSpec, DisplaysNoSecrets) {
  EXPECT_EQ(display_name("https://h/a/m.pt"), "https://h/a/m.pt");
  EXPECT_EQ(display_name("https://u:p@h:8443/m.pt?sig=x#y"), "https://h:8443/m.pt");
  EXPECT_EQ(display_name("https://u:p@w@h/m"), "https://h/m");
  EXPECT_EQ(display_name("https://u:p/w@h/m"), "https://...");
  EXPECT_EQ(display_name("https://u:p?w@h/m"), "https://...");
  EXPECT_EQ(display_name("https://h/a@1.0/m"), "https://h/a@1.0/m");
  EXPECT_EQ(display_name("https://[::1]:8443/m"), "https://[::1]:8443/m");
  EXPECT_EQ(display_name("hf://a/b@c/d?e"), "hf://a/b@c/d?e");
  EXPECT_EQ(display_name("a://b?c"), "a://b?c");
}

TEST(RemoteSpec, ReadsModelsOfTheHub) {
  const auto model = HubSpec::parse("hf://org/model");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->repository, "org/model");
  EXPECT_EQ(model->revision, "main");
  EXPECT_EQ(model->path, "");
  EXPECT_EQ(model->file("a/b.pt"), "hf://org/model/a/b.pt");
  const auto file = HubSpec::parse("hf://org/model@refs%2Fpr%2F1/a/b c.pt");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->revision, "refs/pr/1");
  EXPECT_EQ(file->path, "a/b c.pt");
  EXPECT_EQ(file->name(), "model");
  EXPECT_EQ(file->file("x"), "hf://org/model@refs%2Fpr%2F1/x");
}

TEST(RemoteSpec, RefusesWhatLeadsElsewhere) {
  for (const char* spec : {"hf://org", "hf:///m", "hf://org/", "hf://../m", "hf://o/..",
                           "hf://o/m@", "hf://o/m@..", "hf://o/m/../x", "hf://o/m//x",
                           "hf://o/m/./x", "hf://o?x/m", "hf://o/m@a/../b", "hf://o/m/x/"}) {
    EXPECT_FALSE(HubSpec::parse(spec)) << spec;
  }
  for (const char* spec : {"s3://b", "s3://b/", "s3:///k", "s3://b/../k", "s3://b/a//k",
                           "s3://b@h/k", "s3://b?x/k", "s3://b/k/"}) {
    EXPECT_FALSE(S3Spec::parse(spec)) << spec;
  }
}

TEST(RemoteSpec, ReadsObjectsOfS3) {
  const auto object = S3Spec::parse("s3://bucket.name/a folder/m?.pt");
  ASSERT_TRUE(object);
  EXPECT_EQ(object->bucket, "bucket.name");
  EXPECT_EQ(object->key, "a folder/m?.pt");
}

TEST(RemoteSpec, EncodesPaths) {
  EXPECT_EQ(percent_encode("a b/c+d=\xC3\xA4~._-", true), "a%20b/c%2Bd%3D%C3%A4~._-");
  EXPECT_EQ(percent_encode("a/b", false), "a%2Fb");
}

}  // namespace
}  // namespace tare::remote
