#include "pickle/py2_names.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tare::pickle {
namespace {

std::string mapped(std::string_view module, std::string_view name) {
  const auto result = py3_name(module, name);
  return std::string(result.module) + ' ' + std::string(result.name);
}

TEST(Py2Names, MapsModules) {
  EXPECT_EQ(mapped("__builtin__", "set"), "builtins set");
  EXPECT_EQ(mapped("copy_reg", "_reconstructor"), "copyreg _reconstructor");
  EXPECT_EQ(mapped("cPickle", "loads"), "pickle loads");
  EXPECT_EQ(mapped("commands", "getoutput"), "subprocess getoutput");
  EXPECT_EQ(mapped("BaseHTTPServer", "x"), "http.server x");  // the first one
  EXPECT_EQ(mapped("xmlrpclib", "x"), "xmlrpc.client x");     // the last one
  EXPECT_EQ(mapped("urllib2", "urlopen"), "urllib.request urlopen");
}

TEST(Py2Names, MapsNamesBeforeModules) {
  EXPECT_EQ(mapped("__builtin__", "xrange"), "builtins range");
  EXPECT_EQ(mapped("__builtin__", "reduce"), "functools reduce");
  EXPECT_EQ(mapped("__builtin__", "unicode"), "builtins str");
  EXPECT_EQ(mapped("exceptions", "ValueError"), "builtins ValueError");
  EXPECT_EQ(mapped("itertools", "imap"), "builtins map");
  EXPECT_EQ(mapped("urllib", "urlopen"), "urllib.request urlopen");
  EXPECT_EQ(mapped("urllib2", "HTTPError"), "urllib.error HTTPError");
  EXPECT_EQ(mapped("whichdb", "whichdb"), "dbm whichdb");
}

TEST(Py2Names, LeavesEverythingElse) {
  EXPECT_EQ(mapped("os", "system"), "os system");
  EXPECT_EQ(mapped("builtins", "xrange"), "builtins xrange");
  EXPECT_EQ(mapped("__builtin__.x", "y"), "__builtin__.x y");
  EXPECT_EQ(mapped("", ""), " ");
  EXPECT_EQ(mapped("urllib", "other"), "urllib other");
}

}  // namespace
}  // namespace tare::pickle
