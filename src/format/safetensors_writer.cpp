#include "tare/safetensors_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "io/atomic_file.hpp"
#include "io/byte_buffer.hpp"
#include "io/checked.hpp"
#include "io/sha256.hpp"
#include "io/utf8.hpp"

namespace tare::safetensors {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;

// The escapes of the reference: the short ones where JSON has them, every other byte as it is.
void append_escaped(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr std::string_view kShort = "\"\\\b\f\n\r\t";
  static constexpr std::string_view kLetters = "\"\\bfnrt";
  out += '\\';
  if (const auto at = kShort.find(c); at != std::string_view::npos) {
    out += kLetters[at];
  } else {
    out += {'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
  }
}

void append_string(std::string& out, std::string_view text) {
  const auto needs_escape = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  };
  out += '"';
  while (!text.empty()) {
    const auto plain = std::ranges::find_if(text, needs_escape);
    out.append(text.begin(), plain);
    if (plain != text.end()) append_escaped(out, *plain);
    text = {plain == text.end() ? plain : plain + 1, text.end()};
  }
  out += '"';
}

void append_numbers(std::string& out, std::span<const std::uint64_t> numbers) {
  out += '[';
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(numbers[i]);
  }
  out += ']';
}

void append_metadata(std::string& out, const Metadata& metadata) {
  append_string(out, kMetadataKey);
  out += ":{";
  for (auto it = metadata.begin(); it != metadata.end(); ++it) {
    if (it != metadata.begin()) out += ',';
    append_string(out, it->first);
    out += ':';
    append_string(out, it->second);
  }
  out += '}';
}

void append_tensor(std::string& out, const PlacedTensor& placed) {
  append_string(out, placed.tensor.name);
  out += ":{\"dtype\":";
  append_string(out, dtype_name(placed.tensor.dtype));
  out += ",\"shape\":";
  append_numbers(out, placed.tensor.shape);
  out += ",\"data_offsets\":";
  const std::uint64_t offsets[] = {placed.begin, placed.end};
  append_numbers(out, offsets);
  out += '}';
}

// What a reader would refuse, or read as something else.
Result<void> check_texts(const std::vector<TensorPlan>& tensors, const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (!is_utf8(key) || !is_utf8(value)) {
      return fail(ErrorCode::kInvalidArgument, "metadata that is not UTF-8");
    }
  }
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorPlan& tensor : tensors) {
    if (tensor.name == kMetadataKey) {
      return fail(ErrorCode::kInvalidArgument,
                  "a tensor named __metadata__ could not be read back");
    }
    if (!is_utf8(tensor.name)) {
      return fail(ErrorCode::kInvalidArgument, "a tensor name that is not UTF-8");
    }
    if (!has_safetensors_type(tensor.dtype)) {
      return fail(ErrorCode::kUnsupported, "complex numbers that safetensors has no type for");
    }
    names.push_back(tensor.name);
  }
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) {
    return fail(ErrorCode::kInvalidArgument, "two tensors have the same name");
  }
  return {};
}

// Gives the sorted tensors their offsets; returns where the last one ends.
Result<std::uint64_t> place(std::vector<PlacedTensor>& order) {
  std::uint64_t position = 0;
  for (PlacedTensor& placed : order) {
    const auto count = element_count(placed.tensor.shape);
    if (!count) return std::unexpected(count.error());
    const auto bytes = packed_bytes(placed.tensor.dtype, *count);
    if (!bytes) return std::unexpected(bytes.error());
    const auto end = checked_add(position, *bytes);
    if (!end) return fail(ErrorCode::kOverflow, "the tensors together are too large");
    placed.begin = std::exchange(position, *end);
    placed.end = *end;
  }
  return position;
}

}  // namespace

Result<FilePlan> plan_file(std::vector<TensorPlan> tensors, const Metadata& metadata,
                           EmptyMetadata empty) {
  if (auto checked = check_texts(tensors, metadata); !checked) {
    return std::unexpected(checked.error());
  }
  FilePlan plan;
  plan.order.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    plan.order.push_back({std::move(tensors[i]), 0, 0, i});
  }
  std::ranges::sort(plan.order, [](const PlacedTensor& a, const PlacedTensor& b) {
    return a.tensor.dtype != b.tensor.dtype ? a.tensor.dtype > b.tensor.dtype
                                            : a.tensor.name < b.tensor.name;
  });
  const auto data_bytes = place(plan.order);
  if (!data_bytes) return std::unexpected(data_bytes.error());

  std::string json = "{";
  if (!metadata.empty() || empty == EmptyMetadata::kWrite) append_metadata(json, metadata);
  for (const PlacedTensor& placed : plan.order) {
    if (json.size() > 1) json += ',';
    append_tensor(json, placed);
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (json.size() > kMaxHeaderBytes) return fail(ErrorCode::kLimit, "the header is above 100 MB");
  plan.header = ByteBuffer().u64(json.size()).text(json).take();
  const auto file_bytes = checked_add(*data_bytes, plan.header.size());
  if (!file_bytes || !checked_narrow<off_t>(*file_bytes)) {
    return fail(ErrorCode::kOverflow, "the tensors together are too large");
  }
  plan.file_bytes = *file_bytes;
  return plan;
}

struct Writer::State {
  AtomicFile file;
  FilePlan plan;
  WriteOptions options;
  std::optional<Sha256> file_sha256;
  std::optional<Sha256> tensor_sha256;
  WriteSummary summary;
  std::vector<std::byte> buffer;  // for what the kernel cannot copy, and for write_from()
  std::size_t begun = 0;          // tensors begun; the last of them is the current one
  std::uint64_t left = 0;         // bytes that the current tensor lacks
  std::optional<Error> failure;   // the first one; nothing goes on after it

  State(AtomicFile output, FilePlan planned, WriteOptions how)
      : file(std::move(output)), plan(std::move(planned)), options(std::move(how)) {
    if (options.file_sha256) file_sha256.emplace();
  }

  // Runs one step, unless an earlier one failed or threw (for want of memory).
  template <typename Step>
  Result<void> run(Step step) {
    if (failure) return std::unexpected(*failure);
    failure = Error{ErrorCode::kIo, 0, Error::kNoOffset, "an earlier call was broken off"};
    Result<void> done = step();
    failure = done ? std::nullopt : std::optional(done.error());
    return done;
  }

  Result<void> put(ByteSpan bytes);
  Result<void> take(std::uint64_t length);
  Result<void> append(ByteSpan bytes);
  Result<void> append_from(const TensorSource& source);
  Result<void> append_range(int fd, std::uint64_t offset, std::uint64_t length);
  Result<void> end_tensor();
  Result<void> start(std::string_view name);
};

Result<void> Writer::State::take(std::uint64_t length) {
  if (length > left) {
    return fail(ErrorCode::kInvalidArgument, "more bytes than the tensor was planned to have");
  }
  left -= length;
  return {};
}

// Hashed and written in pieces: the copy finds them in the cache, and the disk works meanwhile.
Result<void> Writer::State::put(ByteSpan bytes) {
  if (!file_sha256 && !tensor_sha256) return file.write(bytes);
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min<std::uint64_t>(bytes.size(), kPieceBytes));
    if (file_sha256) file_sha256->update(piece);
    if (tensor_sha256) tensor_sha256->update(piece);
    if (auto written = file.write(piece); !written) return written;
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<void> Writer::State::append(ByteSpan bytes) {
  if (auto taken = take(bytes.size()); !taken) return taken;
  return put(bytes);
}

Result<void> Writer::State::append_from(const TensorSource& source) {
  const std::uint64_t all = left;
  while (left > 0) {
    buffer.resize(std::min(left, kPieceBytes));
    if (auto given = source(all - left, buffer); !given) return given;
    if (auto appended = append(buffer); !appended) return appended;
  }
  return {};
}

Result<void> Writer::State::append_range(int fd, std::uint64_t offset, std::uint64_t length) {
  if (length > left) return take(length);
  if (length > 0 && !checked_add(offset, length)) {
    return fail(ErrorCode::kInvalidArgument, "a range beyond the largest file");
  }
  if (!file_sha256 && !tensor_sha256) {
    const auto copied = file.copy_range(fd, offset, length);
    if (!copied) return std::unexpected(copied.error());
    left -= *copied;
    offset += *copied;
    length -= *copied;
  }
  while (length > 0) {
    buffer.resize(std::min(length, kPieceBytes));
    const ssize_t read = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return std::unexpected(system_error(errno, "cannot read the source"));
    if (read == 0) {
      return fail(ErrorCode::kTruncated, "the source ends inside the range to copy", offset);
    }
    const auto count = static_cast<std::size_t>(read);
    if (auto appended = append(ByteSpan(buffer).first(count)); !appended) return appended;
    offset += count;
    length -= count;
  }
  return {};
}

Result<void> Writer::State::end_tensor() {
  if (begun == 0) return {};
  if (left > 0) {
    return fail(ErrorCode::kInvalidArgument, "fewer bytes than the tensor was planned to have");
  }
  if (tensor_sha256) summary.tensor_sha256.push_back(tensor_sha256->hex_digest());
  tensor_sha256.reset();
  if (options.progress) options.progress(plan.order[begun - 1].end);
  return {};
}

Result<void> Writer::State::start(std::string_view name) {
  if (auto ended = end_tensor(); !ended) return ended;
  if (begun == plan.order.size() || plan.order[begun].tensor.name != name) {
    return fail(ErrorCode::kInvalidArgument, "another tensor is next in the order of the file");
  }
  const PlacedTensor& placed = plan.order[begun++];
  left = placed.end - placed.begin;
  if (options.tensor_sha256) tensor_sha256.emplace();
  return {};
}

Writer::Writer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer::~Writer() = default;

Result<Writer> Writer::create(const std::filesystem::path& path, std::vector<TensorPlan> tensors,
                              const Metadata& metadata, const WriteOptions& options) {
  auto plan = plan_file(std::move(tensors), metadata, options.empty_metadata);
  if (!plan) return std::unexpected(plan.error());
  auto file =
      AtomicFile::create(path, options.overwrite == Overwrite::kYes ? AtomicFile::Replace::kYes
                                                                    : AtomicFile::Replace::kNo);
  if (!file) return std::unexpected(file.error());
  auto state = std::make_unique<State>(std::move(*file), std::move(*plan), options);
  if (auto reserved = state->file.reserve(state->plan.file_bytes); !reserved) {
    return std::unexpected(reserved.error());
  }
  if (auto written = state->put(state->plan.header); !written) {
    return std::unexpected(written.error());
  }
  return Writer(std::move(state));
}

const std::vector<PlacedTensor>& Writer::order() const {
  return state_->plan.order;
}

Result<void> Writer::begin(std::string_view name) {
  return state_->run([&] { return state_->start(name); });
}

Result<void> Writer::write(ByteSpan bytes) {
  return state_->run([&] { return state_->append(bytes); });
}

Result<void> Writer::write_range(int fd, std::uint64_t offset, std::uint64_t length) {
  return state_->run([&] { return state_->append_range(fd, offset, length); });
}

Result<void> Writer::write_from(const TensorSource& source) {
  return state_->run([&] { return state_->append_from(source); });
}

Result<WriteSummary> Writer::finish() {
  State& state = *state_;
  const auto finished = state.run([&]() -> Result<void> {
    if (auto ended = state.end_tensor(); !ended) return ended;
    if (state.begun < state.plan.order.size()) {
      return fail(ErrorCode::kInvalidArgument, "a tensor is missing");
    }
    if (state.options.before_commit) {
      if (auto flushed = state.file.flush(); !flushed) return flushed;
      if (auto allowed = state.options.before_commit(state.file.temporary()); !allowed) {
        return allowed;
      }
    }
    return state.file.commit();
  });
  if (!finished) return std::unexpected(finished.error());
  state.failure = Error{ErrorCode::kInvalidArgument, 0, Error::kNoOffset, "the file is finished"};
  state.summary.file_bytes = state.file.size();
  if (state.file_sha256) state.summary.sha256 = state.file_sha256->hex_digest();
  return std::move(state.summary);
}

Result<WriteSummary> save(const std::filesystem::path& path,
                          const std::vector<TensorToSave>& tensors, const Metadata& metadata,
                          const WriteOptions& options) {
  std::vector<TensorPlan> plans;
  plans.reserve(tensors.size());
  for (const auto& [name, view] : tensors) {
    if (auto checked = check_view(view); !checked) return std::unexpected(checked.error());
    if (dtype_bits(view.dtype) % 8 != 0 && !view.is_contiguous()) {
      return fail(ErrorCode::kUnsupported, "strided views of packed element types");
    }
    plans.push_back({name, view.dtype, view.shape});
  }
  auto writer = Writer::create(path, std::move(plans), metadata, options);
  if (!writer) return std::unexpected(writer.error());
  for (const PlacedTensor& placed : writer->order()) {
    if (auto begun = writer->begin(placed.tensor.name); !begun) {
      return std::unexpected(begun.error());
    }
    const auto written =
        stream(tensors[placed.index].view, [&](ByteSpan bytes) { return writer->write(bytes); });
    if (!written) return std::unexpected(written.error());
  }
  return writer->finish();
}

}  // namespace tare::safetensors
