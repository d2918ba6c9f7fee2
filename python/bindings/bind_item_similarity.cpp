// SPDX-License-Identifier: Apache-2.0
// Models that are one item x item matrix of weights, and the neighbours of users.
#include <pybind11/pybind11.h>

#include <memory>
#include <span>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/item_similarity.hpp"
#include "etalage/models/item_similarity_steps.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/user_knn.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

constexpr std::initializer_list<std::pair<const char*, Similarity>> kSimilarities = {
    {"cosine", Similarity::kCosine},   {"tfidf", Similarity::kTfIdf},     {"bm25", Similarity::kBm25},
    {"jaccard", Similarity::kJaccard}, {"tversky", Similarity::kTversky}, {"conditional", Similarity::kConditional},
    {"lift", Similarity::kLift}};

// What ItemKNN and UserKNN share.
constexpr auto similarity_fields = [](auto& o, const auto& visit) {
  visit("num_neighbors", o.num_neighbors);
  visit("similarity", o.similarity, kSimilarities);
  visit("shrinkage", o.shrinkage);
  visit("asymmetry", o.asymmetry);
  visit("tversky_alpha", o.tversky_alpha);
  visit("tversky_beta", o.tversky_beta);
  visit("popularity_penalty", o.popularity_penalty);
  visit("bm25_k1", o.bm25_k1);
  visit("bm25_b", o.bm25_b);
};

constexpr auto knn_fields = [](auto& o, const auto& visit) {
  similarity_fields(o, visit);
  visit("user_damping", o.user_damping);
  visit("normalize", o.normalize);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto user_knn_fields = [](auto& o, const auto& visit) {
  similarity_fields(o, visit);
  visit("item_damping", o.item_damping);
  visit("normalize", o.normalize);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto walk_fields = [](auto& o, const auto& visit) {
  visit("alpha", o.alpha);
  visit("beta", o.beta);
  visit("num_neighbors", o.num_neighbors);
  visit("normalize", o.normalize);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr std::initializer_list<std::pair<const char*, EaseMethod>> kEaseMethods = {
    {"auto", EaseMethod::kAuto}, {"exact", EaseMethod::kExact}, {"approximate", EaseMethod::kApproximate}};

constexpr auto ease_fields = [](auto& o, const auto& visit) {
  visit("l2", o.l2);
  visit("popularity_penalty", o.popularity_penalty);
  visit("num_neighbors", o.num_neighbors);
  visit("method", o.method, kEaseMethods);
  visit("memory_budget", o.memory_budget);
  visit("num_candidates", o.num_candidates);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto slim_fields = [](auto& o, const auto& visit) {
  visit("l1", o.l1);
  visit("l2", o.l2);
  visit("non_negative", o.non_negative);
  visit("num_candidates", o.num_candidates);
  visit("iterations", o.iterations);
  visit("tolerance", o.tolerance);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

template <class Options, class Class, class Fields>
void add_settled(Class& c, const Fields& fields) {
  c.def_static("settled",
               [fields](const py::dict& options, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                 const auto given = options_from_dict<Options>(options, fields);
                 return options_to_dict(settled(given, shape_from(users, items, pairs, item_mean)), fields, Shown::kInUse);
               },
               py::arg("options"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"), "What options become on data of this shape.");
}

template <class Model, class Class, class Fields>
void add_common(Class& c, const Fields& fields) {
  c.def_property_readonly("options", [fields](const Model& m) { return options_to_dict(m.options(), fields); })
      .def_property_readonly("resolved", [fields](const Model& m) { return options_to_dict(m.options(), fields, Shown::kInUse); })
      .def("copy", [](const Model& m) { return std::make_shared<Model>(m); })
      .def("fit",
           [](Model& m, const py::object& data, const py::object& callback) {
             const Interactions interactions = interactions_from_python(data);
             const ProgressCallback progress = progress_callback(callback);
             const py::gil_scoped_release release;
             m.fit(interactions, progress);
           },
           py::arg("data"), py::arg("callback"));
}

template <class T>
std::span<const T> span_of(const py::array_t<T, py::array::c_style>& a) {
  return {a.data(), static_cast<std::size_t>(a.size())};
}

ItemBlock block_of(const py::object& users, std::int32_t first, std::int32_t count) { return {csr_from_python(users, "users"), first, count}; }

}  // namespace

void bind_item_similarity(py::module_& m) {
  py::class_<ItemSimilarityModel, Recommender, std::shared_ptr<ItemSimilarityModel>>(m, "ItemSimilarityModel")
      .def_property_readonly("report", [](const ItemSimilarityModel& w) { return w.report(); })
      .def_property_readonly(
          "weights",
          [](const ItemSimilarityModel& w) {
            const auto n = static_cast<py::ssize_t>(w.num_items());
            return w.is_dense() ? py::object(to_numpy(w.dense_weights(), {n, n})) : csr_to_python(w.weights());
          },
          "float32 [num_items x num_items]: a scipy CSR, or an array where the matrix is dense; read-only.");

  py::class_<ItemKnnModel, ItemSimilarityModel, std::shared_ptr<ItemKnnModel>> knn(m, "ItemKnnModel");
  knn.def(py::init([](const py::dict& d) { return std::make_shared<ItemKnnModel>(options_from_dict<ItemKnnOptions>(d, knn_fields)); }),
          py::arg("options"));
  add_common<ItemKnnModel>(knn, knn_fields);
  add_settled<ItemKnnOptions>(knn, knn_fields);
  knn.def_static("from_rows",
                 [](const py::dict& options, const py::object& data, const py::object& weights, double seconds) {
                   const auto o = options_from_dict<ItemKnnOptions>(options, knn_fields);
                   const Interactions interactions = interactions_from_python(data);
                   const CsrMatrix w = csr_from_python(weights, "weights");
                   const py::gil_scoped_release release;
                   return ItemKnnModel::from_rows(o, interactions, w, seconds);
                 },
                 py::arg("options"), py::arg("data"), py::arg("weights"), py::arg("seconds"), "The fitted model of rows made by item_knn_rows().");
  m.def("item_knn_squares",
        [](const py::dict& options, const py::object& users, std::int32_t first, std::int32_t count, std::int64_t num_users, py::handle lengths,
           double mean_length) {
          const auto o = options_from_dict<ItemKnnOptions>(options, knn_fields);
          const ItemBlock block = block_of(users, first, count);
          const auto given = from_numpy<double>(lengths, "lengths", 1);
          std::vector<double> out;
          {
            const py::gil_scoped_release release;
            out = item_knn_squares(o, block, {num_users, span_of(given), mean_length, {}});
          }
          return take(out, {static_cast<py::ssize_t>(out.size())});
        },
        py::arg("options"), py::arg("users"), py::arg("first"), py::arg("count"), py::arg("num_users"), py::arg("lengths"), py::arg("mean_length"),
        "float64 [count]: |i|^2 of items first .. first + count, from the rows of all their users, CSR [users x all items].");
  m.def("item_knn_rows",
        [](const py::dict& options, const py::object& users, std::int32_t first, std::int32_t count, std::int64_t num_users, py::handle lengths,
           double mean_length, py::handle squares) {
          const auto o = options_from_dict<ItemKnnOptions>(options, knn_fields);
          const ItemBlock block = block_of(users, first, count);
          const auto given = from_numpy<double>(lengths, "lengths", 1);
          const auto all = from_numpy<double>(squares, "squares", 1);
          CsrMatrix out;
          {
            const py::gil_scoped_release release;
            out = item_knn_rows(o, block, {num_users, span_of(given), mean_length, span_of(all)});
          }
          return csr_to_python(out);
        },
        py::arg("options"), py::arg("users"), py::arg("first"), py::arg("count"), py::arg("num_users"), py::arg("lengths"), py::arg("mean_length"),
        py::arg("squares"), "CSR [count x all items]: rows of ItemKnnModel.weights.");

  py::class_<RandomWalkModel, ItemSimilarityModel, std::shared_ptr<RandomWalkModel>> walk(m, "RandomWalkModel");
  walk.def(py::init([](const py::dict& d, bool with_beta) {
             return std::make_shared<RandomWalkModel>(options_from_dict<RandomWalkOptions>(d, walk_fields), with_beta);
           }),
           py::arg("options"), py::arg("with_beta"));
  add_common<RandomWalkModel>(walk, walk_fields);
  walk.def_static("settled",
                  [](const py::dict& options, bool with_beta, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                    const auto given = options_from_dict<RandomWalkOptions>(options, walk_fields);
                    return options_to_dict(settled(given, shape_from(users, items, pairs, item_mean), with_beta), walk_fields, Shown::kInUse);
                  },
                  py::arg("options"), py::arg("with_beta"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"),
                  "What options become on data of this shape.");
  walk.def_static("from_rows",
                  [](const py::dict& options, bool with_beta, const py::object& data, const py::object& weights, double seconds) {
                    const auto o = options_from_dict<RandomWalkOptions>(options, walk_fields);
                    const Interactions interactions = interactions_from_python(data);
                    const CsrMatrix w = csr_from_python(weights, "weights");
                    const py::gil_scoped_release release;
                    return RandomWalkModel::from_rows(o, with_beta, interactions, w, seconds);
                  },
                  py::arg("options"), py::arg("with_beta"), py::arg("data"), py::arg("weights"), py::arg("seconds"),
                  "The fitted model of rows made by random_walk_rows().");
  m.def("random_walk_rows",
        [](const py::dict& options, const py::object& users, std::int32_t first, std::int32_t count, py::handle users_of) {
          const auto o = options_from_dict<RandomWalkOptions>(options, walk_fields);
          const ItemBlock block = block_of(users, first, count);
          const auto counts = from_numpy<std::int64_t>(users_of, "users_of", 1);
          CsrMatrix out;
          {
            const py::gil_scoped_release release;
            out = random_walk_rows(o, block, span_of(counts));
          }
          return csr_to_python(out);
        },
        py::arg("options"), py::arg("users"), py::arg("first"), py::arg("count"), py::arg("users_of"),
        "CSR [count x all items]: rows of RandomWalkModel.weights, from the rows of all their users.");

  py::class_<EaseModel, ItemSimilarityModel, std::shared_ptr<EaseModel>> ease(m, "EaseModel");
  ease.def(py::init([](const py::dict& d) { return std::make_shared<EaseModel>(options_from_dict<EaseOptions>(d, ease_fields)); }),
           py::arg("options"));
  add_common<EaseModel>(ease, ease_fields);
  add_settled<EaseOptions>(ease, ease_fields);

  py::class_<SlimModel, ItemSimilarityModel, std::shared_ptr<SlimModel>> slim(m, "SlimModel");
  slim.def(py::init([](const py::dict& d) { return std::make_shared<SlimModel>(options_from_dict<SlimOptions>(d, slim_fields)); }),
           py::arg("options"));
  add_common<SlimModel>(slim, slim_fields);

  py::class_<UserKnnModel, Recommender, std::shared_ptr<UserKnnModel>> user_knn(m, "UserKnnModel");
  user_knn
      .def(py::init([](const py::dict& d) { return std::make_shared<UserKnnModel>(options_from_dict<UserKnnOptions>(d, user_knn_fields)); }),
           py::arg("options"))
      .def_property_readonly("report", [](const UserKnnModel& u) { return u.report(); });
  add_common<UserKnnModel>(user_knn, user_knn_fields);
}

}  // namespace etalage::python
