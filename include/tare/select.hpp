// Which tensors of a checkpoint are the model: its state dict, found by structure or named by a
// key.
//
// docs/models.md has the rules. In short: a dict or module that is the whole file; else what stands
// under one of the keys that frameworks use (`state_dict`, `model`, `ema` ...); else everything but
// the state of optimizers. Two such keys at once are an error that lists them.
#pragma once

#include <expected>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare {

struct SelectOptions {
  // What to take: a path like "checkpoint.model" (keys with dots are understood), "." for
  // everything. Empty: what the rules find. A key that no object has takes all tensors whose names
  // begin with it and a dot.
  std::string key{};
  // Taken off the front of every name that has one of them, again and again.
  std::vector<std::string> strip_prefixes{};
  // Numbers, texts and booleans of the whole file, by their paths.
  bool keep_scalars = false;
};

// What is in the file and not taken.
struct Dropped {
  std::string path;
  std::string what;  // "int 3", "dict of 12": text of the input, not fit for a terminal as it is
};

// Views into the model that it was selected from.
struct Selection {
  std::string key;  // what was taken; empty if that is the whole file
  std::vector<NamedTensor> tensors;
  std::vector<SpecialTensor> specials;
  std::vector<Problem> problems;  // tensors of the selection that cannot be read
  std::vector<Dropped> dropped;
  std::map<std::string, std::string> scalars;
  std::span<const ModelFile> files{};  // of the model
};

struct SelectFailure : Failure {
  using Failure::Failure;
  std::vector<std::string> candidates;  // keys to choose from; texts of the input
};

// Errors: kInvalidArgument (several candidates), kNotFound (no such key), kMismatch (two tensors of
// one name, which is the subject).
std::expected<Selection, SelectFailure> select_tensors(const Model& model,
                                                       const SelectOptions& options = {});

// The same model with the selected tensors alone; special tensors are problems of it, since they
// are not read element by element.
Model restrict_to(Model model, Selection selection);

// The same model with the names that its metadata maps to tensors, which safetensors.torch writes
// for tied weights: each is that tensor by another name. A name that the model has is none.
Model with_tied_names(Model model);

}  // namespace tare
