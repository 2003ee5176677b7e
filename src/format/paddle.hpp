// PaddlePaddle: the messages of a program (docs/formats/paddle.md).
#pragma once

#include "format/format.hpp"
#include "io/protobuf.hpp"

namespace tare::format {

// Kinds of messages, for walk_messages(). Variables are not looked into.
enum PaddleMessage : unsigned { kPdProgram, kPdBlock, kPdOperator, kPdAttribute };

std::span<const MessageField> paddle_fields();

}  // namespace tare::format
