// The analyzers: one kind of part each. They add findings; they never decide what a file is.
#pragma once

#include <vector>

#include "format/format.hpp"
#include "scan/findings.hpp"

namespace tare {

// The finding that a note of a format is.
void add_note(Findings& findings, const format::Note& note, std::string entry);
// Counts what was found of tensors and not noted.
void count_unnoted(Findings& findings, const format::PartList& list);

// A file that stands in the bytes of a pickle, and is loaded from there.
struct NestedFile {
  std::uint64_t offset;  // of the call, bytes from the start of the entry
  ByteSpan bytes;
};

// Every stream in a pickle part: what it imports, calls and changes; where it breaks; what follows.
// Returns the files in it, which are to be judged as well.
std::vector<NestedFile> analyze_pickle(const format::Part& part, Findings& findings);

// TorchScript source: what it could do when a loader compiles and runs it.
void analyze_torchscript(const format::Part& part, Findings& findings);

// A Jinja template: what it could reach when it is rendered.
void analyze_template(const format::Part& part, Findings& findings);

// A configuration of a Hugging Face library: what it makes a loader import.
void analyze_config(const format::Part& part, Findings& findings);

// A configuration of Keras: what it makes Keras import, run and read.
void analyze_keras_config(const format::Part& part, Findings& findings);

}  // namespace tare
