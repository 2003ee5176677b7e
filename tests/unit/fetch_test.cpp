// What tare-fetch makes of what people, servers and the environment say; without a network.
#include <gtest/gtest.h>

#include <map>

#include "fetch/answer.hpp"
#include "fetch/locate.hpp"

namespace tare::fetch {
namespace {

using remote::Status;

Environment environment(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
}

std::string url_of(const std::string& spec, const std::map<std::string, std::string>& variables) {
  const auto location = locate(spec, environment(variables));
  return location ? location->address.url() : "error";
}

Status error_of(const std::string& spec, const std::map<std::string, std::string>& variables = {}) {
  const auto location = locate(spec, environment(variables));
  return location ? Status::kOk : location.error();
}

TEST(FetchAddress, KnowsThisMachine) {
  for (const char* url :
       {"http://localhost/", "http://LOCALHOST:1/", "http://127.0.0.1/", "http://127.255.0.9/",
        "http://[::1]:8/", "http://127.1/", "http://0x7f.1/"}) {
    const auto address = Address::parse(url);
    ASSERT_TRUE(address) << url;
    EXPECT_TRUE(address->is_loopback()) << url;
  }
  for (const char* url :
       {"http://localhost.x/", "http://127.0.0.1.x/", "http://128.0.0.1/", "http://[::2]/",
        "http://0.0.0.0/", "http://127.0.0.1@x/", "http://x/#127.0.0.1"}) {
    const auto address = Address::parse(url);
    ASSERT_TRUE(address) << url;
    EXPECT_FALSE(address->is_loopback()) << url;
  }
}

TEST(FetchAddress, RefusesOtherSchemesAndControlBytes) {
  for (const char* url : {"ftp://h/", "file:///etc/passwd", "https://h/a b", "https://h/\r\nX: y",
                          "https://", "h/m", "https://[fe80::1%25eth0]/"}) {
    EXPECT_FALSE(Address::parse(url)) << url;
  }
}

TEST(FetchAddress, RedirectsLeadNeitherDownNorInward) {
  const auto at = [](const char* url) { return *Address::parse(url); };
  EXPECT_EQ(may_follow(at("https://a/"), at("https://b/")), Status::kOk);
  EXPECT_EQ(may_follow(at("https://a/"), at("http://a/")), Status::kDowngrade);
  EXPECT_EQ(may_follow(at("https://127.0.0.1/"), at("http://127.0.0.1/")), Status::kDowngrade);
  EXPECT_EQ(may_follow(at("https://a/"), at("https://127.0.0.1/")), Status::kInward);
  EXPECT_EQ(may_follow(at("http://127.0.0.1/"), at("http://localhost:2/")), Status::kOk);
  EXPECT_EQ(may_follow(at("http://127.0.0.1/"), at("http://a/")), Status::kNotHttps);
}

TEST(FetchAddress, FollowsReferences) {
  const auto address = *Address::parse("https://u:p@h:8443/a/b?c");
  EXPECT_EQ(address.follow("/d")->url(), "https://h:8443/d");
  EXPECT_EQ(address.follow("e?f")->url(), "https://h:8443/a/e?f");
  EXPECT_EQ(address.follow("//x/y")->url(), "https://x/y");
  EXPECT_TRUE(address.follow("/d")->has_origin_of(address));
  EXPECT_FALSE(address.follow("https://h/d")->has_origin_of(address));
  EXPECT_FALSE(address.follow("javascript:1"));
}

TEST(FetchLocate, FindsFilesOfTheHub) {
  EXPECT_EQ(url_of("hf://o/m/a b.pt", {}), "https://huggingface.co/o/m/resolve/main/a%20b.pt");
  EXPECT_EQ(url_of("hf://o/m@refs%2Fpr%2F1/x", {{"HF_ENDPOINT", "https://mirror/hf/"}}),
            "https://mirror/hf/o/m/resolve/refs%2Fpr%2F1/x");
  EXPECT_EQ(error_of("hf://o/m/x", {{"HF_ENDPOINT", "http://mirror"}}), Status::kNotHttps);
  EXPECT_EQ(error_of("hf://o/m/x", {{"HF_TOKEN", "a\nX: y"}}), Status::kNotUrl);
  EXPECT_EQ(error_of("hf://o/m"), Status::kNotUrl);
  const auto list = locate_list("hf://o/m", environment({}));
  ASSERT_TRUE(list);
  EXPECT_EQ(list->address.url(), "https://huggingface.co/api/models/o/m/tree/main?recursive=true");
}

TEST(FetchLocate, FindsObjectsOfS3) {
  EXPECT_EQ(url_of("s3://bucket/a b", {}), "https://bucket.s3.us-east-1.amazonaws.com/a%20b");
  EXPECT_EQ(url_of("s3://bucket/k", {{"AWS_DEFAULT_REGION", "eu-west-1"}}),
            "https://bucket.s3.eu-west-1.amazonaws.com/k");
  EXPECT_EQ(url_of("s3://bucket.x/k", {{"AWS_REGION", "eu-west-1"}, {"AWS_DEFAULT_REGION", "no"}}),
            "https://s3.eu-west-1.amazonaws.com/bucket.x/k");
  EXPECT_EQ(url_of("s3://bucket/k", {{"AWS_ENDPOINT_URL", "http://a"},
                                     {"AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000"}}),
            "http://127.0.0.1:9000/bucket/k");
  EXPECT_EQ(error_of("s3://bucket/k", {{"AWS_REGION", "evil.example/"}}), Status::kNotUrl);
  EXPECT_EQ(error_of("s3://bucket/k", {{"AWS_ACCESS_KEY_ID", "a"}}), Status::kNoCredentials);
}

TEST(FetchLocate, ShowsCredentialsToTheirOriginAlone) {
  const auto location = locate("hf://o/m/x", environment({{"HF_TOKEN", "secret"}}));
  ASSERT_TRUE(location);
  const auto headers = headers_for(*location, location->address, "GET", "bytes=0-1", "");
  EXPECT_EQ(headers, std::vector<std::string>{"Authorization: Bearer secret"});
  for (const char* other :
       {"https://cdn/x", "https://huggingface.co:444/x", "https://huggingface.co.x/"}) {
    EXPECT_TRUE(headers_for(*location, *Address::parse(other), "GET", "", "").empty()) << other;
  }
}

// The example of "Authenticating Requests: Using the Authorization Header" in the API reference of
// Amazon S3: GET Object.
TEST(FetchSignature, IsThatOfThePublishedExample) {
  SignedRequest request;
  request.path = "/test.txt";
  request.headers = {
      {"host", "examplebucket.s3.amazonaws.com"},
      {"range", "bytes=0-9"},
      {"x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"x-amz-date", "20130524T000000Z"}};
  const AwsCredentials credentials{"AKIAIOSFODNN7EXAMPLE",
                                   "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  EXPECT_EQ(aws_authorization(request, credentials, "20130524T000000Z", "us-east-1", "s3"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  // And of GET Bucket (List Objects), with parameters.
  request.path = "/";
  request.query = "prefix=J&max-keys=2";
  request.headers.erase("range");
  EXPECT_TRUE(aws_authorization(request, credentials, "20130524T000000Z", "us-east-1", "s3")
                  .ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

// Of RFC 4231.
TEST(FetchSignature, HmacIsThatOfTheRfc) {
  const auto hex = [](const std::string& bytes) {
    std::string out;
    for (const char c : bytes) {
      char two[3];
      std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += two;
    }
    return out;
  };
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'),
                            "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(FetchAnswer, ReadsContentRange) {
  const auto range = ContentRange::parse("bytes 2-5/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 2U);
  EXPECT_EQ(range->last, 5U);
  EXPECT_EQ(range->total, 10U);
  EXPECT_EQ(ContentRange::parse("bytes */0")->first, std::nullopt);
  for (const char* text :
       {"", "bytes", "bytes 2-5", "bytes 2-5/*", "bytes 5-2/10", "bytes 2-10/10", "bytes -2-5/10",
        "bytes 2-5/10x", "bytes 0x2-5/10", "items 2-5/10", "bytes 2-5/99999999999999999999"}) {
    EXPECT_FALSE(ContentRange::parse(text)) << text;
  }
}

TEST(FetchAnswer, ReadsDigests) {
  const std::string hex(64, 'a');
  EXPECT_TRUE(parse_hex_digest(hex));
  EXPECT_TRUE(parse_hex_digest('"' + hex + '"'));
  EXPECT_FALSE(parse_hex_digest(hex + "a"));
  EXPECT_FALSE(parse_hex_digest(std::string(64, 'g')));
  // Of the empty text.
  const auto base64 = parse_base64_digest("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  EXPECT_EQ(base64,
            parse_hex_digest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  EXPECT_FALSE(parse_base64_digest("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3"));
}

TEST(FetchAnswer, FindsTheNextPage) {
  EXPECT_EQ(next_link("<https://h/a?b=1,2>; rel=\"next\""), "https://h/a?b=1,2");
  EXPECT_EQ(next_link("<a>; rel=\"prev\", <b>; rel=next"), "b");
  for (const char* text : {"", "<a", "<a>; rel=\"last\"", "a; rel=next"}) {
    EXPECT_EQ(next_link(text), "") << text;
  }
}

TEST(FetchAnswer, ForgetsTheHeadersOfTheAnswerBefore) {
  Answer answer;
  for (const char* line : {"HTTP/1.1 302 Found\r\n", "X-Linked-Size: 7\r\n", "ETag: \"a\"\r\n",
                           "HTTP/2 206\r\n", "content-range: bytes 0-1/7\r\n"}) {
    answer.add_line(line);
  }
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer.etag, "");
  EXPECT_EQ(answer.linked_size, 7U);
  EXPECT_EQ(answer.range, "bytes 0-1/7");
}

TEST(FetchAnswer, WeakTagsTellNoStates) {
  EXPECT_TRUE((Validator{"\"a\"", "", 1}.is_strong()));
  EXPECT_FALSE((Validator{"W/\"a\"", "", 1}.is_strong()));
  EXPECT_FALSE((Validator{"", "x", 1}.is_strong()));
}

}  // namespace
}  // namespace tare::fetch
