// SPDX-License-Identifier: Apache-2.0
// Models that are one item x item matrix of weights, and the neighbours of users.
#include <pybind11/pybind11.h>

#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/item_similarity.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/user_knn.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

template <class Model, class Base = ItemSimilarityModel>
py::class_<Model, Base, std::shared_ptr<Model>> bind(py::module_& m, const char* name) {
  py::class_<Model, Base, std::shared_ptr<Model>> c(m, name);
  bind_made_of_options<Model>(c);
  bind_fitted<Model>(c);
  bind_fit<Model>(c);
  return c;
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

  bind<ItemKnnModel>(m, "ItemKnnModel");
  bind<EaseModel>(m, "EaseModel");
  bind<SlimModel>(m, "SlimModel");
  bind<UserKnnModel, Recommender>(m, "UserKnnModel");

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
}

}  // namespace etalage::python
