// SPDX-License-Identifier: Apache-2.0
// The interface that all models share. Arrays in, arrays out; the library's work runs without the GIL.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/core/progress.hpp"
#include "etalage/models/batch.hpp"
#include "etalage/models/factor_model.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "etalage/serving/factor_index.hpp"
#include "index_options.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

// Big batches go to the library in blocks of so many questions and results: it bounds the memory in between and lets
// Ctrl-C in.
constexpr std::size_t kBlock = 16384;
constexpr std::size_t kBlockCells = std::size_t{1} << 24;

std::size_t check_k(std::int64_t k) {
  if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + ", must be >= 0");
  return static_cast<std::size_t>(k);
}

/// answer(begin, end, out, counts) for blocks of [0, n); results no longer than `most` a row, padded to k.
template <class F>
py::tuple in_blocks(std::size_t n, std::size_t k, std::int32_t most, const F& answer) {
  Answers answers(n, k);
  const std::size_t width = std::min(k, static_cast<std::size_t>(std::max(most, 0)));
  if (width != 0) {
    const std::size_t block = std::min({n, kBlock, std::max<std::size_t>(kBlockCells / width, 1)});
    std::vector<ItemScore> out(block * width);
    std::vector<std::size_t> counts(block);
    for (std::size_t begin = 0; begin < n; begin += block) {
      const std::size_t end = std::min(n, begin + block);
      {
        const py::gil_scoped_release release;
        answer(begin, end, MatrixView<ItemScore>(out.data(), end - begin, width), std::span(counts).first(end - begin));
        answers.append(out, width, std::span(counts).first(end - begin));
      }
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
  }
  return answers.arrays();
}

py::tuple recommend(const std::shared_ptr<Recommender>& held, py::handle user_index, py::handle user_items, py::handle session_items,
                    std::int64_t k, bool exclude_seen, bool recalculate_user, py::handle allow, py::handle deny,
                    bool unknown_users, int num_threads, std::optional<bool> exclude_last) {
  const Recommender& model = *held;
  const std::size_t width = check_k(k);
  Questions questions(model, user_index, user_items, session_items, unknown_users);
  questions.exclude_last = exclude_last;
  questions.exclude_seen = exclude_seen;
  questions.recalculate_user = recalculate_user;
  const Filters filters(allow, deny, questions.size, model.num_items());
  return in_blocks(questions.size, width, model.num_items(),
                   [&](std::size_t begin, std::size_t end, MatrixView<ItemScore> out, std::span<std::size_t> counts) {
                     if (end - begin == 1) {
                       Scratch scratch;
                       counts[0] = model.recommend(questions.queries(begin, end, &filters)[0], out.row(0), scratch);
                     } else {
                       model.recommend_batch(questions.queries(begin, end, &filters), out, counts, num_threads);
                     }
                   });
}

py::tuple recommend_vectors(const std::shared_ptr<FactorModel>& held, py::handle given, std::int64_t k, py::handle allow, py::handle deny,
                            int num_threads) {
  const FactorModel& model = *held;
  const std::size_t width = check_k(k);
  const auto vectors = from_numpy<float>(given, "vectors", 2);
  const auto rows = static_cast<std::size_t>(vectors.shape(0));
  const auto dim = static_cast<std::size_t>(vectors.shape(1));
  if (dim != static_cast<std::size_t>(model.factors()))
    throw std::invalid_argument("vectors has " + std::to_string(dim) + " columns, must have " + std::to_string(model.factors()));
  const Filters filters(allow, deny, rows, model.num_items());
  return in_blocks(rows, width, model.num_items(),
                   [&](std::size_t begin, std::size_t end, MatrixView<ItemScore> out, std::span<std::size_t> counts) {
                     std::vector<Query> queries(end - begin);
                     for (std::size_t i = begin; i < end; ++i) queries[i - begin].filter = filters.at(i);
                     model.recommend_vectors({vectors.data() + begin * dim, end - begin, dim}, queries, out, counts, num_threads);
                   });
}

py::tuple similar_items(const std::shared_ptr<Recommender>& held, py::handle item_index, std::int64_t k, py::handle allow, py::handle deny,
                        int num_threads) {
  const Recommender& model = *held;
  const std::size_t width = check_k(k);
  const Array<std::int32_t> items = wrap(from_numpy<std::int32_t>(item_index, "item_index", 1));
  check_indices(items.view(), model.num_items(), "item_index");
  const Filters filters(allow, deny, items.size(), model.num_items());
  // A model that lacks the call says so even when nothing is asked.
  if (width == 0 || items.empty()) {
    Scratch scratch;
    if (model.num_items() > 0) (void)model.similar_items(0, {}, scratch);
  }
  return in_blocks(items.size(), width, model.num_items(),
                   [&](std::size_t begin, std::size_t end, MatrixView<ItemScore> out, std::span<std::size_t> counts) {
                     similar_items_batch(model, items.view().subspan(begin, end - begin), filters.pointers(begin, end), out,
                                         counts, num_threads);
                   });
}

py::tuple similar_users(const std::shared_ptr<Recommender>& held, py::handle user_index, std::int64_t k, int num_threads) {
  const Recommender& model = *held;
  const std::size_t width = check_k(k);
  const Array<std::int32_t> users = wrap(from_numpy<std::int32_t>(user_index, "user_index", 1));
  check_indices(users.view(), model.num_users(), "user_index");
  if (width == 0 || users.empty()) {
    Scratch scratch;
    if (model.num_users() > 0) (void)model.similar_users(0, {}, scratch);
  }
  return in_blocks(users.size(), width, model.num_users(),
                   [&](std::size_t begin, std::size_t end, MatrixView<ItemScore> out, std::span<std::size_t> counts) {
                     similar_users_batch(model, users.view().subspan(begin, end - begin), out, counts, num_threads);
                   });
}

py::array_t<float> score(const std::shared_ptr<Recommender>& held, py::handle user_index, py::handle user_items, py::handle session_items,
                         py::handle items, bool recalculate_user, int num_threads) {
  const Recommender& model = *held;
  Questions questions(model, user_index, user_items, session_items);
  questions.recalculate_user = recalculate_user;
  const auto ids = from_numpy<std::int32_t>(items, "items", 2);
  const auto rows = static_cast<std::size_t>(ids.shape(0));
  const auto cols = static_cast<std::size_t>(ids.shape(1));
  if (rows != 1 && rows != questions.size)
    throw std::invalid_argument("items has " + std::to_string(rows) + " rows, must be one list for all or have one row for "
                                "each of the " + std::to_string(questions.size) + " asked for");
  check_indices({ids.data(), static_cast<std::size_t>(ids.size())}, model.num_items(), "items");
  check_cells(questions.size, cols, questions.size * cols * sizeof(float));
  py::array_t<float> out({static_cast<py::ssize_t>(questions.size), static_cast<py::ssize_t>(cols)});
  float* scores = out.mutable_data();
  {
    const py::gil_scoped_release release;
    score_batch(model, questions.queries(0, questions.size, nullptr), MatrixView<const std::int32_t>(ids.data(), rows, cols),
                MatrixView<float>(scores, questions.size, cols), num_threads);
  }
  return out;
}

py::tuple explain(const std::shared_ptr<Recommender>& held, py::handle user_index, py::handle user_items, std::int32_t item_index,
                  std::int64_t k) {
  const Recommender& model = *held;
  const std::size_t width = check_k(k);
  const Questions questions(model, user_index, user_items, py::none());
  check_indices({&item_index, 1}, model.num_items(), "item_index");
  Explanation e;
  {
    const py::gil_scoped_release release;
    e = model.explain(questions.queries(0, 1, nullptr)[0], item_index, width);
  }
  return to_python(e);
}

const char* name_of(FitReport::StopReason reason) {
  switch (reason) {
    case FitReport::StopReason::kIterations: return "iterations";
    case FitReport::StopReason::kConverged: return "converged";
    case FitReport::StopReason::kCancelled: return "cancelled";
    case FitReport::StopReason::kClosedForm: return "closed_form";
  }
  return "";
}

std::string report_text(const FitReport& r) {
  std::string s = "FitReport(stop_reason='" + std::string(name_of(r.stop_reason)) + "', iterations=" + std::to_string(r.iterations);
  if (!r.objective.empty()) s += ", objective=" + std::string(py::repr(py::float_(r.objective.back())));
  return s + ", seconds=" + std::string(py::repr(py::float_(r.seconds))) + ")";
}

void build_index_from(FactorModel& model, const py::dict& given) {
  IndexKind kind = IndexKind::kHnsw;
  set_choice(given, "kind", kind, kIndexKinds);
  const ItemIndexOptions options = options_from_dict<ItemIndexOptions>(given);
  const py::gil_scoped_release release;
  build_index(model, kind, options);
}

/// kind and every option of the index, or None.
py::object index_settings(const FactorModel& model) {
  const auto* index = dynamic_cast<const ItemIndex*>(model.index().get());
  if (index == nullptr) return py::none();
  py::dict out = options_to_dict(index->options());
  out["kind"] = name_of_choice(index->structure(), kIndexKinds);
  return out;
}

py::object hash_tuple(const PairHash& h) { return py::make_tuple(h.low, h.high, h.pairs); }

std::shared_ptr<IdMap> unshared(const SharedIdMap& ids) { return std::const_pointer_cast<IdMap>(ids); }

}  // namespace

void bind_models(py::module_& m) {
  const auto hashed = [](const auto& make) {
    PairHash hash;
    {
      const py::gil_scoped_release release;
      hash = make();
    }
    return hash_tuple(hash);
  };
  m.def("pair_hash", [hashed](const Sequences& s) { return hashed([&] { return pair_hash(s); }); }, py::arg("data"));
  m.def("pair_hash", [hashed](const Interactions& d) { return hashed([&] { return pair_hash(d.user_items().view()); }); },
        py::arg("data"), "(low, high, pairs), as Recommender.fitted_on has it.");
  py::class_<Progress>(m, "Progress", "What a fit tells its callback between two sweeps.")
      .def_readonly("step", &Progress::step, "Sweeps done.")
      .def_readonly("total", &Progress::total, "Sweeps asked for.")
      .def_readonly("seconds", &Progress::seconds, "Since the fit began.")
      .def_readonly("objective", &Progress::objective, "Of the model as it stands; nan where it is not computed.")
      .def_property_readonly("phase", [](const Progress& p) { return std::string(p.phase); });

  py::class_<FitReport>(m, "FitReport", "What a fit did.")
      .def_property_readonly("stop_reason", [](const FitReport& r) { return std::string(name_of(r.stop_reason)); },
                             "'iterations', 'converged', 'cancelled' or 'closed_form'.")
      .def_readonly("iterations", &FitReport::iterations)
      .def_property_readonly("objective", [](const FitReport& r) { return r.objective; },
                             "After each sweep; entry 0 is the start, where it was computed.")
      .def_property_readonly("phase_seconds",
                             [](const FitReport& r) {
                               py::dict d;
                               for (const auto& [phase, seconds] : r.phase_seconds) d[py::str(phase)] = seconds;
                               return d;
                             })
      .def_readonly("seconds", &FitReport::seconds)
      .def("__repr__", &report_text);

  py::class_<Recommender, std::shared_ptr<Recommender>>(m, "Recommender", py::dynamic_attr(), "The compiled part of every model.")
      .def_property_readonly("kind", [](const Recommender& r) { return std::string(r.kind()); })
      .def_property_readonly("num_users", &Recommender::num_users)
      .def_property_readonly("num_items", &Recommender::num_items)
      .def_property_readonly("user_ids", [](const Recommender& r) { return unshared(r.user_ids()); })
      .def_property_readonly("item_ids", [](const Recommender& r) { return unshared(r.item_ids()); })
      .def_property_readonly("has_history", &Recommender::has_history)
      .def_property_readonly("fitted_on",
                             [](const Recommender& r) { return r.fitted_on() ? hash_tuple(*r.fitted_on()) : py::object(py::none()); },
                             "(low, high, pairs): an order-free hash of the (user, item) pairs of the fit, or None.")
      .def_property("recipe", &Recommender::recipe, [](Recommender& r, std::string json) { r.set_recipe(std::move(json)); },
                    "How events became what the model was fitted on, as JSON (etalage.Recipe); empty where nobody said.")
      .def_property_readonly("newest_ms", [](const Recommender& r) { return r.newest_ms(); },
                             "UTC milliseconds of the newest event that the last fit knew of; None without times.")
      .def_property_readonly(
          "history", [](const Recommender& r) { return r.has_history() ? csr_to_python(r.history()) : py::object(py::none()); },
          "The kept rows as a read-only scipy CSR, or None.")
      .def_property_readonly(
          "user_items",
          [](const py::object& self) {
            const auto& r = self.cast<const Recommender&>();
            if (!r.has_history()) return py::object(py::none());
            return made_once(self, "_user_items", [&] { return csr_copy_to_python(r.history()); });
          },
          "The kept rows as a scipy CSR of the caller's own, made on first access, or None. For models that do not change.")
      .def("set_ids",
           [](Recommender& r, std::shared_ptr<IdMap> users, std::shared_ptr<IdMap> items) { r.set_ids(users, items); },
           py::arg("user_ids").none(true), py::arg("item_ids").none(true))
      .def("set_history",
           [](Recommender& r, const py::object& rows) {
             r.set_history(rows.is_none() ? CsrMatrix{} : canonical(kept_csr(rows, "user_items")));
           },
           py::arg("user_items"))
      .def("recommend", &recommend, py::arg("user_index"), py::arg("user_items"), py::arg("session_items"), py::arg("k"),
           py::arg("exclude_seen"), py::arg("recalculate_user"), py::arg("items"), py::arg("filter_items"),
           py::arg("unknown_users"), py::arg("num_threads"), py::arg("exclude_last") = py::none())
      .def("similar_items", &similar_items, py::arg("item_index"), py::arg("k"), py::arg("items"), py::arg("filter_items"),
           py::arg("num_threads"))
      .def("similar_users", &similar_users, py::arg("user_index"), py::arg("k"), py::arg("num_threads"))
      .def("score", &score, py::arg("user_index"), py::arg("user_items"), py::arg("session_items"), py::arg("items"),
           py::arg("recalculate_user"), py::arg("num_threads"))
      .def("explain", &explain, py::arg("user_index"), py::arg("user_items"), py::arg("item_index"), py::arg("k"));

  const auto rows_of = [](const Array<float>& a, std::int32_t n, const FactorModel& f) {
    return to_numpy(a, {static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(f.factors())});
  };
  py::class_<FactorModel, Recommender, std::shared_ptr<FactorModel>>(m, "FactorModel")
      .def_property_readonly("factors", &FactorModel::factors)
      .def("build_index", &build_index_from, py::arg("options"), "On a model that nobody else holds.")
      .def("set_index", [](FactorModel& f, std::shared_ptr<ItemIndex> index) { f.set_index(std::move(index)); }, py::arg("index"), "On a model that nobody else holds.")
      .def("drop_index", [](FactorModel& f) { f.set_index(nullptr); })
      .def_property_readonly("index", &index_settings, "Kind and options of the index that recommend() goes through, or None.")
      .def("recommend_vectors", &recommend_vectors, py::arg("vectors"), py::arg("k"), py::arg("items"), py::arg("filter_items"),
           py::arg("num_threads"))
      .def_property_readonly(
          "user_factors", [=](const FactorModel& f) { return rows_of(f.user_factors(), f.num_users(), f); },
          "float32 [num_users x factors], read-only, owns its buffer.")
      .def_property_readonly(
          "item_factors", [=](const FactorModel& f) { return rows_of(f.item_factors(), f.num_items(), f); },
          "float32 [num_items x factors], read-only, owns its buffer.");
}

}  // namespace etalage::python
