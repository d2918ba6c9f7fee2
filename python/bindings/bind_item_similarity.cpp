// SPDX-License-Identifier: Apache-2.0
// Models that are one item x item matrix of weights, and the neighbours of users.
#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/item_similarity.hpp"
#include "models/neighbour/item_similarity_steps.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/user_knn.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "span_helpers.hpp"

namespace etalage::python {
namespace {

ItemBlock block_of(const py::object& users, std::int32_t first, std::int32_t count) { return {csr_from_python(users, "users"), first, count}; }

// The fit in pieces, for training that is spread over processes.
void bind_item_knn_steps(py::module_& m, py::class_<ItemKnnModel, ItemSimilarityModel, std::shared_ptr<ItemKnnModel>>& knn) {
  knn.def_static("from_rows",
                 [](const py::dict& options, const py::object& data, const py::object& weights, double seconds) {
                   const auto o = options_from_dict<ItemKnnOptions>(options);
                   const Interactions interactions = interactions_from_python(data);
                   const CsrMatrix w = csr_from_python(weights, "weights");
                   const py::gil_scoped_release release;
                   return ItemKnnModel::from_rows(o, interactions, w, seconds);
                 },
                 py::arg("options"), py::arg("data"), py::arg("weights"), py::arg("seconds"), "The fitted model of rows made by item_knn_rows().");
  m.def("item_knn_squares",
        [](const py::dict& options, const py::object& users, std::int32_t first, std::int32_t count, std::int64_t num_users, py::handle lengths,
           double mean_length) {
          const auto o = options_from_dict<ItemKnnOptions>(options);
          const ItemBlock block = block_of(users, first, count);
          const auto given = from_numpy<double>(lengths, "lengths", 1);
          std::vector<double> out;
          {
            const py::gil_scoped_release release;
            out = item_knn_squares(o, block, {num_users, span_of(given), mean_length, {}});
          }
          return take(out);
        },
        py::arg("options"), py::arg("users"), py::arg("first"), py::arg("count"), py::arg("num_users"), py::arg("lengths"), py::arg("mean_length"),
        "float64 [count]: |i|^2 of items first .. first + count, from the rows of all their users, CSR [users x all items].");
  m.def("item_knn_rows",
        [](const py::dict& options, const py::object& users, std::int32_t first, std::int32_t count, std::int64_t num_users, py::handle lengths,
           double mean_length, py::handle squares) {
          const auto o = options_from_dict<ItemKnnOptions>(options);
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
}

void bind_random_walk_steps(py::module_& m, py::class_<RandomWalkModel, ItemSimilarityModel, std::shared_ptr<RandomWalkModel>>& walk) {
  walk.def_static("from_rows",
                  [](const py::dict& options, bool with_beta, const py::object& data, const py::object& weights, double seconds) {
                    const auto o = options_from_dict<RandomWalkOptions>(options);
                    const Interactions interactions = interactions_from_python(data);
                    const CsrMatrix w = csr_from_python(weights, "weights");
                    const py::gil_scoped_release release;
                    return RandomWalkModel::from_rows(o, with_beta, interactions, w, seconds);
                  },
                  py::arg("options"), py::arg("with_beta"), py::arg("data"), py::arg("weights"), py::arg("seconds"),
                  "The fitted model of rows made by random_walk_rows().");
  m.def("random_walk_rows",
        [](const py::dict& options, const py::object& users, std::int32_t first, std::int32_t count, py::handle users_of) {
          const auto o = options_from_dict<RandomWalkOptions>(options);
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
}

void bind_ease_steps(py::module_& m, py::class_<EaseModel, ItemSimilarityModel, std::shared_ptr<EaseModel>>& ease) {
  ease.def_static("over_items",
                  [](const py::dict& options, std::int64_t users, std::int64_t items) {
                    return EaseModel::over_items(options_from_dict<EaseOptions>(options), users, items);
                  },
                  py::arg("options"), py::arg("users"), py::arg("items"),
                  "Whether a fit on data of this size solves over the items' Gram matrix, as from_gram() does.");
  ease.def_static("from_gram",
                  [](const py::dict& options, const py::object& data, const py::list& blocks, int num_threads, double seconds) {
                    const auto o = options_from_dict<EaseOptions>(options);
                    const Interactions interactions = interactions_from_python(data);
                    std::vector<CsrMatrix> rows;
                    for (const py::handle block : blocks) rows.push_back(csr_from_python(block, "blocks"));
                    const py::gil_scoped_release release;
                    return EaseModel::from_gram(o, interactions, rows, num_threads, seconds);
                  },
                  py::arg("options"), py::arg("data"), py::arg("blocks"), py::arg("num_threads"), py::arg("seconds"),
                  "The fitted model of the Gram matrix in blocks of items, each made by ease_gram_rows(); of none where it is solved over users.");
  m.def("ease_gram_rows",
        [](const py::object& users, std::int32_t first, std::int32_t count, int num_threads) {
          const ItemBlock block = block_of(users, first, count);
          CsrMatrix out;
          {
            const py::gil_scoped_release release;
            out = ease_gram_rows(block, num_threads);
          }
          return csr_to_python(out);
        },
        py::arg("users"), py::arg("first"), py::arg("count"), py::arg("num_threads"),
        "CSR [count x all items]: rows of X^T X from the diagonal on, from the rows of all their users.");
}

}  // namespace

void bind_item_similarity(py::module_& m) {
  py::class_<ItemSimilarityModel, Recommender, std::shared_ptr<ItemSimilarityModel>>(m, "ItemSimilarityModel")
      .def_property_readonly(
          "weights",
          [](const ItemSimilarityModel& w) {
            const auto n = static_cast<py::ssize_t>(w.num_items());
            return w.is_dense() ? py::object(to_numpy(w.dense_weights(), {n, n})) : csr_to_python(w.weights());
          },
          "float32 [num_items x num_items]: a scipy CSR, or an array where the matrix is dense; read-only.");

  auto knn = bind_model<ItemKnnModel, ItemSimilarityModel>(m, "ItemKnnModel");
  bind_item_knn_steps(m, knn);
  auto ease = bind_model<EaseModel, ItemSimilarityModel>(m, "EaseModel");
  bind_ease_steps(m, ease);
  bind_model<SlimModel, ItemSimilarityModel>(m, "SlimModel");
  bind_model<UserKnnModel, Recommender>(m, "UserKnnModel");

  py::class_<RandomWalkModel, ItemSimilarityModel, std::shared_ptr<RandomWalkModel>> walk(m, "RandomWalkModel");
  walk.def(py::init([](const py::dict& d, bool with_beta) {
             return std::make_shared<RandomWalkModel>(options_from_dict<RandomWalkOptions>(d), with_beta);
           }),
           py::arg("options"), py::arg("with_beta"));
  bind_options<RandomWalkModel>(walk);
  bind_fitted<RandomWalkModel>(walk);
  bind_fit<RandomWalkModel>(walk);
  walk.def_static("settled",
                  [](const py::dict& options, bool with_beta, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                    const auto given = options_from_dict<RandomWalkOptions>(options);
                    return options_to_dict(settled(given, shape_from(users, items, pairs, item_mean), with_beta), Shown::kInUse);
                  },
                  py::arg("options"), py::arg("with_beta"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"),
                  "What options become on data of this shape.");
  bind_random_walk_steps(m, walk);
}

}  // namespace etalage::python
