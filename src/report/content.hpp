// The objects of a model file as text and JSON, cut where they go on for too long.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tare/objects.hpp"

namespace tare::report {

// True if the file holds anything besides tensors in dicts and lists.
bool has_content(const Objects& objects);

// A line for each object, indented by depth. Of the children of one object the first 100 are shown;
// what holds nothing but tensors is one line.
std::string content_text(const Objects& objects, unsigned depth);

// A list of the roots. An object is {"kind", "key" (unless it is in a sequence), "type", "value",
// "items", ...}: docs/models.md. Objects deeper than 64, and more than 200,000 of them, are left
// out; the holder then has "cut": true.
nlohmann::ordered_json content_json(const Objects& objects);

}  // namespace tare::report
