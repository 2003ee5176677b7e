// The input of the pickle machine: a cursor that knows the current frame.
//
// When an argument reaches past the end of its frame, real unpicklers part ways. CPython's C
// unpickler reads straight on if the stream is in memory (pickle.loads); if it reads from a file
// object without peek(), such as the io.BytesIO that torch.load passes, it drops what is left of
// the frame and reads the argument behind it (versions up to 3.13.14 and 3.14.6). pickle.py fails.
#pragma once

#include <algorithm>

#include "io/cursor.hpp"

namespace tare::pickle {

enum class Crossing : bool { kReadsOn, kDropsRest };

class FramedCursor {
 public:
  FramedCursor(ByteSpan stream, Crossing crossing)
      : stream_(stream), cursor_(stream), crossing_(crossing) {}

  std::uint64_t offset() const { return cursor_.offset(); }
  std::uint64_t remaining() const { return cursor_.remaining(); }
  std::uint64_t frame_end() const { return frame_end_; }
  void move_to(std::uint64_t offset) { cursor_ = Cursor(stream_, offset); }
  // Over what is no part of the stream: the frame before must have ended.
  bool skip(std::uint64_t count) {
    if (offset() < frame_end_ || count > remaining()) return false;
    move_to(offset() + count);
    frame_end_ = offset();
    return true;
  }

  // Begins a frame of `length` bytes here. What does not fit into the frame around it is behind
  // that.
  void begin_frame(std::uint64_t length) {
    enter(length);
    if (crossing_ == Crossing::kDropsRest && offset() < frame_end_) return;
    frame_end_ = offset() + std::min(length, remaining());
  }

  template <typename T>
  std::optional<T> read() {
    enter(sizeof(T));
    return cursor_.read<T>();
  }
  std::optional<ByteSpan> take(std::uint64_t count) {
    enter(count);
    return cursor_.take(count);
  }
  // The contents of bytes and bytearrays: read in pieces, so that nothing is dropped.
  std::optional<ByteSpan> take_across(std::uint64_t count) { return cursor_.take(count); }
  std::optional<ByteSpan> take_line() {
    if (crossing_ == Crossing::kDropsRest && offset() < frame_end_ &&
        !Cursor(stream_.first(frame_end_), offset()).take_line()) {
      move_to(frame_end_);
    }
    return cursor_.take_line();
  }

 private:
  void enter(std::uint64_t count) {
    if (crossing_ == Crossing::kReadsOn) [[likely]]
      return;
    if (offset() < frame_end_ && count > frame_end_ - offset()) move_to(frame_end_);
  }

  ByteSpan stream_;
  Cursor cursor_;
  std::uint64_t frame_end_ = 0;
  Crossing crossing_;
};

}  // namespace tare::pickle
