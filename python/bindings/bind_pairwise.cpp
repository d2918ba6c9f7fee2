// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/warp.hpp"
#include "model_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

template <class Model>
void bind_pairwise_model(py::module_& m, const char* name) {
  py::class_<Model, FactorModel, std::shared_ptr<Model>> c(m, name);
  bind_made_of_options<Model>(c);
  bind_fitted<Model>(c);
  bind_fit<Model>(c);
}

}  // namespace

void bind_pairwise(py::module_& m) {
  bind_pairwise_model<BprModel>(m, "BprModel");
  bind_pairwise_model<WarpModel>(m, "WarpModel");
}

}  // namespace etalage::python
