#include "object/joblib_arrays.hpp"

#include <algorithm>

#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::object {
namespace {

// numpy has no more dimensions.
constexpr std::size_t kMaxAxes = 64;

bool is_joblib_module(std::string_view module) {
  return module == "joblib.numpy_pickle" || module == "sklearn.externals.joblib.numpy_pickle";
}

bool is_wrapper(const Graph& graph, Value value, std::string_view name) {
  return graph.kind(value) == pickle::Kind::kCall && called_name(graph, value) == name &&
         is_joblib_module(called_module(graph, value));
}

std::unexpected<Error> unexpected_wrapper() {
  return fail(ErrorCode::kMalformed, "an array of joblib with unexpected attributes");
}

// Not larger than any wrapper of joblib: it is looked at each time that it is given a state.
bool is_small(const Graph& graph, Value object) {
  constexpr std::size_t kMost = 64;
  std::size_t count = call_arguments(graph, object).size();
  const auto count_updates = [&](Value value) {
    for (const pickle::Update update : graph.updates(value)) {
      count += 1 + update.items.size();
      if (count > kMost) return false;
    }
    return true;
  };
  if (!count_updates(object)) return false;
  for (const pickle::Update update : graph.updates(object)) {
    if (!std::ranges::all_of(update.items, count_updates)) return false;
  }
  return true;
}

std::optional<Shape> shape_of(const Graph& graph, Value value) {
  if (graph.kind(value) != pickle::Kind::kTuple) return std::nullopt;
  if (graph.tuple_items(value).size() > kMaxAxes) return std::nullopt;
  Shape shape;
  for (const Value item : graph.tuple_items(value)) {
    if (graph.kind(item) != pickle::Kind::kInt) return std::nullopt;
    const auto size = checked_narrow<std::uint64_t>(graph.integer(item));
    if (!size) return std::nullopt;
    shape.push_back(*size);
  }
  return shape;
}

}  // namespace

class JoblibArrays::ArrayExternals : public Externals {
 public:
  explicit ArrayExternals(std::unordered_map<std::uint32_t, Array> arrays)
      : arrays_(std::move(arrays)) {}

  bool is_tensor(const Graph& graph, Value value) const override {
    // joblib up to 0.9 wrote each array into a file of its own, which is not here.
    if (is_wrapper(graph, value, "NDArrayWrapper") || is_wrapper(graph, value, "ZNDArrayWrapper")) {
      return true;
    }
    const Array* const array = find(graph, value);
    return array != nullptr && array->document == nullptr && array->type.is_numeric();
  }

  Result<TorchTensor> tensor(const Graph& graph, Value value) override {
    const Array* const array = find(graph, value);
    if (array == nullptr) {
      return fail(ErrorCode::kUnsupported,
                  "is an array that joblib before 0.10 wrote into another file");
    }
    auto view = array_view(array->type, array->shape, array->fortran, array->bytes);
    if (!view) return std::unexpected(view.error());
    return TorchTensor{std::move(*view), ""};
  }

  Document* document(const Graph& graph, Value value) override {
    const Array* const array = find(graph, value);
    return array == nullptr ? nullptr : array->document.get();
  }

 private:
  const Array* find(const Graph& graph, Value value) const {
    const auto node = graph.node_index(value);
    const auto found = node ? arrays_.find(*node) : arrays_.end();
    return found == arrays_.end() ? nullptr : &found->second;
  }

  std::unordered_map<std::uint32_t, Array> arrays_;
};

std::unique_ptr<Externals> JoblibArrays::take_externals() {
  return std::make_unique<ArrayExternals>(std::move(arrays_));
}

Result<std::uint64_t> JoblibArrays::length(const Graph& graph, Value object, std::uint64_t offset) {
  if (!is_wrapper(graph, object, "NumpyArrayWrapper")) return 0;
  if (!first_offset_) first_offset_ = offset;
  if (!is_small(graph, object)) return unexpected_wrapper();
  const ObjectView wrapper = look(graph, object);
  const Child* const dtype = find_attribute(wrapper, graph, "dtype");
  const Child* const shape = find_attribute(wrapper, graph, "shape");
  const Child* const order = find_attribute(wrapper, graph, "order");
  if (dtype == nullptr || shape == nullptr || order == nullptr) return unexpected_wrapper();
  Array array;
  auto type = NumpyReader(graph).read_type(dtype->value);
  if (!type) return std::unexpected(type.error());
  array.type = std::move(*type);
  auto sizes = shape_of(graph, shape->value);
  if (!sizes) return unexpected_wrapper();
  array.shape = std::move(*sizes);
  array.fortran = graph.text_or_empty(order->value) == "F";
  const auto bytes = array.type.numpy.has_objects ? read_pickle(array, offset)
                                                  : read_elements(array, wrapper, graph, offset);
  if (bytes) arrays_.insert_or_assign(*graph.node_index(object), std::move(array));
  return bytes;
}

// Since joblib 1.2 a byte says how many bytes of padding follow.
Result<std::uint64_t> JoblibArrays::read_elements(Array& array, const ObjectView& wrapper,
                                                  const Graph& graph, std::uint64_t offset) const {
  const auto truncated = fail(ErrorCode::kTruncated, "the stream ends inside an array");
  Cursor cursor(stream_, offset);
  const Child* const alignment = find_attribute(wrapper, graph, "numpy_array_alignment_bytes");
  if (alignment != nullptr && graph.kind(alignment->value) != pickle::Kind::kNone) {
    const auto padding = cursor.read<std::uint8_t>();
    if (!padding || !cursor.take(*padding)) return truncated;
  }
  const auto count = element_count(array.shape);
  if (!count) return std::unexpected(count.error());
  const auto bytes = checked_mul(*count, array.type.numpy.item_size);
  if (!bytes) return fail(ErrorCode::kOverflow, "the size of an array overflows");
  const auto data = cursor.take(*bytes);
  if (!data) return truncated;
  array.bytes = *data;
  return cursor.offset() - offset;
}

Result<std::uint64_t> JoblibArrays::read_pickle(Array& array, std::uint64_t offset) {
  auto run = pickle::run(stream_.subspan(offset));
  nested_.push_back({offset, run.end_offset});
  if (run.end != pickle::End::kStop) return std::unexpected(run.error);
  const std::uint64_t length = run.end_offset;
  array.document = std::make_unique<Document>(std::move(run), Surroundings());
  return length;
}

}  // namespace tare::object
