// SPDX-License-Identifier: Apache-2.0
#include "model_helpers.hpp"

#include <limits>
#include <stdexcept>

#include "etalage/models/sequence_model.hpp"

namespace etalage::python {

void check_indices(std::span<const std::int32_t> indices, std::int64_t size, const char* argument) {
  for (const std::int32_t i : indices)
    if (i < 0 || i >= size)
      throw std::out_of_range(std::string(argument) + " is " + std::to_string(i) + ", must be in [0, " +
                              std::to_string(size) + ")");
}

Lists lists_from_python(py::handle pair, const char* argument) {
  const auto parts = py::cast<py::tuple>(pair);
  Lists out;
  out.offsets = wrap(from_numpy<std::int64_t>(parts[0], argument, 1));
  out.items = wrap(from_numpy<std::int32_t>(parts[1], argument, 1));
  bool ok = !out.offsets.empty() && out.offsets[0] == 0 &&
            out.offsets.back() == static_cast<std::int64_t>(out.items.size());
  for (std::size_t i = 1; ok && i < out.offsets.size(); ++i) ok = out.offsets[i] >= out.offsets[i - 1];
  if (!ok) throw std::invalid_argument(std::string(argument) + " has broken offsets, must rise from 0 to the number of items");
  return out;
}

namespace {

struct Part {
  std::optional<Array<std::int32_t>> all;
  std::optional<Lists> each;

  Part(py::handle value, const char* argument, std::size_t rows, std::int32_t num_items) {
    if (value.is_none()) return;
    if (!py::isinstance<py::tuple>(value)) {
      all = wrap(from_numpy<std::int32_t>(value, argument, 1));
      check_indices(all->view(), num_items, argument);
      return;
    }
    each = lists_from_python(value, argument);
    if (each->size() != rows)
      throw std::invalid_argument(std::string(argument) + " has " + std::to_string(each->size()) +
                                  " rows, must be one list for all or have one row for each of the " + std::to_string(rows) +
                                  " asked for");
    check_indices(each->items.view(), num_items, argument);
  }
  [[nodiscard]] bool given() const noexcept { return all || each; }
  [[nodiscard]] std::span<const std::int32_t> row(std::size_t i) const { return all ? all->view() : (*each)[i]; }
};

}  // namespace

Filters::Filters(py::handle allow, py::handle deny, std::size_t rows, std::int32_t num_items) {
  const Part allowed(allow, "items", rows, num_items);
  const Part denied(deny, "filter_items", rows, num_items);
  if (!allowed.given() && !denied.given()) return;
  const std::size_t n = allowed.each || denied.each ? rows : 1;
  const py::gil_scoped_release release;
  filters_.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (!denied.given()) filters_.push_back(ItemFilter::allow(allowed.row(i)));
    else if (!allowed.given()) filters_.push_back(ItemFilter::deny(denied.row(i)));
    else filters_.push_back(ItemFilter::allow(allowed.row(i)) & ItemFilter::deny(denied.row(i)));
  }
}

std::vector<const ItemFilter*> Filters::pointers(std::size_t begin, std::size_t end) const {
  std::vector<const ItemFilter*> out;
  if (filters_.empty()) return out;
  for (std::size_t i = begin; i < end; ++i) out.push_back(at(i));
  return out;
}

Questions::Questions(const Recommender& model, py::handle user_index, py::handle user_items, py::handle session_items,
                     bool unknown_users) {
  const char* sized_by = "session_items";
  if (!session_items.is_none()) {
    sessions = lists_from_python(session_items, "session_items");
    size = sessions->size();
    check_indices(sessions->items.view(), model.num_items(), "session_items");
  }
  if (!user_index.is_none()) {
    sized_by = "user_index";
    users = wrap(from_numpy<std::int32_t>(user_index, "user_index", 1));
    size = users->size();
    if (!unknown_users) check_indices(users->view(), model.num_users(), "user_index");
  }
  if (!user_items.is_none()) {
    rows = csr_from_python(user_items, "user_items");
    // A matrix has no order within a row; one that was made from lists is marked, and keeps it.
    if (dynamic_cast<const SequenceModel*>(&model) != nullptr && !py::hasattr(user_items, "ordered")) rows = canonical(*rows);
    if (py::hasattr(user_items, "times")) {
      times = wrap(from_numpy<std::int64_t>(user_items.attr("times"), "times of user_items", 1));
      if (times.size() != rows->columns.size())
        throw std::invalid_argument("times of user_items has " + std::to_string(times.size()) + " entries, must have one for each of the " +
                                    std::to_string(rows->columns.size()) + " stored");
    }
    if (rows->cols != model.num_items())
      throw std::invalid_argument("user_items has " + std::to_string(rows->cols) + " columns, must have " +
                                  std::to_string(model.num_items()) + ", the model's number of items");
    if (!users && !sessions) size = static_cast<std::size_t>(rows->rows);
    else if (static_cast<std::size_t>(rows->rows) != size)
      throw std::invalid_argument("user_items has " + std::to_string(rows->rows) + " rows, must have one for each of the " +
                                  std::to_string(size) + " entries of " + sized_by);
  }
}

std::vector<Query> Questions::queries(std::size_t begin, std::size_t end, const Filters* filters) const {
  std::vector<Query> out(end - begin);
  for (std::size_t i = begin; i < end; ++i) {
    Query& q = out[i - begin];
    const bool known = users && (*users)[i] >= 0;
    if (known) q.user = (*users)[i];
    if (rows) {
      q.history = rows->view().row_columns(static_cast<std::int64_t>(i));
      q.history_values = rows->view().row_values(static_cast<std::int64_t>(i));
      if (!times.empty()) q.history_times = times.view().subspan(static_cast<std::size_t>(rows->offsets[i]), q.history.size());
    }
    q.history_given = rows.has_value() || !known;
    if (sessions) q.session = (*sessions)[i];
    if (filters != nullptr) q.filter = filters->at(i);
    q.exclude_seen = exclude_seen;
    q.recalculate_user = recalculate_user;
    q.exclude_last = exclude_last;
  }
  return out;
}

Interactions interactions_from_python(const py::object& data) {
  if (py::isinstance<Interactions>(data)) return data.cast<Interactions>();
  const CsrMatrix matrix = kept_csr(data, "data");
  const py::gil_scoped_release release;
  return Interactions(matrix);
}

ProgressCallback progress_callback(const py::object& callback) {
  // The object lives in the caller's frame for as long as the fit runs.
  PyObject* callable = callback.is_none() ? nullptr : callback.ptr();
  return [callable](const Progress& progress) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (callable == nullptr) return true;
    const py::object answer = py::handle(callable)(progress);
    if (answer.is_none()) return true;
    const int go_on = PyObject_IsTrue(answer.ptr());
    if (go_on < 0) throw py::error_already_set();
    return go_on != 0;
  };
}

Answers::Answers(std::size_t rows, std::size_t k) : k_(k) {
  check_cells(rows, k, rows * k * (sizeof(std::int32_t) + sizeof(float)));
  const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(k)};
  items_ = py::array_t<std::int32_t>(shape);
  scores_ = py::array_t<float>(shape);
  item_data_ = items_.mutable_data();
  score_data_ = scores_.mutable_data();
  const py::gil_scoped_release release;
  std::fill_n(item_data_, rows * k, -1);
  std::fill_n(score_data_, rows * k, -std::numeric_limits<float>::infinity());
}

void Answers::append(std::span<const ItemScore> block, std::size_t stride, std::span<const std::size_t> counts) {
  for (std::size_t r = 0; r < counts.size(); ++r, ++done_) {
    const ItemScore* from = block.data() + r * stride;
    std::int32_t* items = item_data_ + done_ * k_;
    float* scores = score_data_ + done_ * k_;
    for (std::size_t j = 0; j < counts[r]; ++j) {
      items[j] = from[j].item;
      scores[j] = from[j].score;
    }
  }
}

py::tuple Answers::arrays() {
  return py::make_tuple(items_, scores_);
}

py::tuple to_python(const Explanation& e) {
  std::vector<std::int32_t> items;
  std::vector<float> weights;
  for (const ItemScore& c : e.contributions) {
    items.push_back(c.item);
    weights.push_back(c.score);
  }
  return py::make_tuple(e.total, take(std::move(items)), take(std::move(weights)));
}

}  // namespace etalage::python
