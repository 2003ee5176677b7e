// Programs of PaddlePaddle: operators that reach files, the network or code, and blocks that are
// not there (docs/formats/paddle.md).
#include <algorithm>
#include <array>
#include <map>

#include "format/paddle.hpp"
#include "scan/analyzers.hpp"
#include "scan/model_report.hpp"

namespace tare {
namespace {

using namespace format;

constexpr std::string_view kKnown[] = {
#define TARE_PADDLE_KNOWN(name) std::string_view(#name),
#define TARE_PADDLE_REACHES(name, reason)
#include "scan/paddle_operators.def"
#undef TARE_PADDLE_KNOWN
#undef TARE_PADDLE_REACHES
};

struct Reach {
  std::string_view name;
  const char* reason;
};
constexpr Reach kReaches[] = {
#define TARE_PADDLE_KNOWN(name)
#define TARE_PADDLE_REACHES(name, reason) {#name, reason},
#include "scan/paddle_operators.def"
#undef TARE_PADDLE_KNOWN
#undef TARE_PADDLE_REACHES
};
static_assert(std::ranges::is_sorted(kKnown));
static_assert(std::ranges::is_sorted(kReaches, {}, &Reach::name));

// Fields that a message has, and those of them that may stand there once, by kind.
struct Fields {
  std::uint64_t known;
  std::uint64_t once;
};
constexpr std::array<Fields, 4> kMessages = {{{field_bits({1, 4, 5}), field_bits({4, 5})},
                                              {field_bits({1, 2, 3, 4, 5}), field_bits({1, 2, 5})},
                                              {field_bits({1, 2, 3, 4, 5}), field_bits({3, 5})},
                                              {UINT64_MAX, field_bits({1, 2, 5, 12})}}};

constexpr std::size_t kMaxOperators = 100'000;

class PaddleAnalyzer {
 public:
  PaddleAnalyzer(const Part& part, Findings& findings) : part_(part), report_(part, findings) {}

  void run();
  void begin(unsigned kind, const WireField& field);
  void field(unsigned kind, const WireField& field);
  void end(unsigned) { seen_.pop_back(); }

 private:
  struct Message {
    unsigned kind = kPdProgram;
    std::uint64_t fields = 0;
  };

  void note(const WireField& field);
  void take_block(const WireField& field);
  void refer(std::uint64_t block, std::uint64_t offset);
  void judge_operators();

  const Part& part_;
  ModelReport report_;
  std::vector<Message> seen_{{}};
  std::uint64_t blocks_ = 0;
  std::map<std::string_view, std::uint64_t> operators_;  // the first place of each
  std::uint64_t last_block_ = 0;                         // the highest that something refers to
  std::uint64_t last_block_at_ = 0;
};

void PaddleAnalyzer::run() {
  const auto walked = walk_messages(part_.bytes, kPdProgram, paddle_fields(), *this);
  if (!walked) report_.add(walked.error());
  judge_operators();
  if (last_block_ >= std::max<std::uint64_t>(blocks_, 1)) {
    report_.bounds(last_block_at_, "a block that is not there");
  }
}

void PaddleAnalyzer::note(const WireField& field) {
  Message& message = seen_.back();
  const std::uint64_t bit = field_bit(field.number);
  const bool is_twice = (kMessages[message.kind].once & message.fields & bit) != 0;
  if ((kMessages[message.kind].known & bit) == 0) {
    report_.odd(field.offset, "a field that no version of PaddlePaddle has",
                std::to_string(field.number));
  } else if (is_twice) {
    report_.odd(field.offset, "a field of a message stands there twice",
                std::to_string(field.number));
  }
  message.fields |= bit;
}

void PaddleAnalyzer::begin(unsigned kind, const WireField& field) {
  note(field);
  seen_.push_back({kind});
  if (kind == kPdBlock) ++blocks_;
}

void PaddleAnalyzer::field(unsigned kind, const WireField& field) {
  note(field);
  if (kind == kPdBlock && field.type == WireType::kVarint) take_block(field);
  if (kind == kPdOperator && field.number == 3 && operators_.size() < kMaxOperators) {
    operators_.try_emplace(field.text(), field.offset);
  }
  // The block of an attribute, or several.
  if (kind == kPdAttribute && (field.number == 12 || field.number == 14)) {
    if (!field.is_bytes()) return refer(field.value, field.offset);
    const auto take = [&](std::uint64_t block) { refer(block, field.offset); };
    if (!each_varint(field.bytes, take)) report_.bounds(field.offset, "a block that is not there");
  }
}

// Its number, that of its parent, and of the block that it is the backward of; -1 is none.
void PaddleAnalyzer::take_block(const WireField& field) {
  const auto value = static_cast<std::int32_t>(field.value);
  const auto number = static_cast<std::int64_t>(blocks_) - 1;
  if (field.number == 1 && value != number) {
    report_.bounds(field.offset, "a block has the number of another one");
  }
  if (field.number == 2 && (value < -1 || value >= number)) {
    if (number != 0 || value != -1) report_.bounds(field.offset, "a block stands in itself");
  }
  if (field.number == 5 && value != -1) refer(field.value, field.offset);
}

void PaddleAnalyzer::refer(std::uint64_t block, std::uint64_t offset) {
  if (block < last_block_) return;
  last_block_ = block;
  last_block_at_ = offset;
}

void PaddleAnalyzer::judge_operators() {
  for (const auto& [name, offset] : operators_) {
    if (std::ranges::binary_search(kKnown, name)) continue;
    const Reach* const found = std::ranges::lower_bound(kReaches, name, {}, &Reach::name);
    if (found != std::end(kReaches) && found->name == name) {
      report_.add(scan_rules::kModelReaches, offset, std::string("the operator ") + found->reason,
                  name);
    } else {
      report_.add(scan_rules::kModelCode, offset,
                  "an operator of a library, or one that tare does not know", name);
    }
  }
  if (operators_.size() == kMaxOperators) report_.odd(0, "more kinds of operators than there are");
}

}  // namespace

void analyze_paddle(const Part& part, Findings& findings) {
  PaddleAnalyzer(part, findings).run();
}

}  // namespace tare
