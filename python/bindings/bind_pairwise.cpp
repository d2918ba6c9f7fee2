// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "etalage/core/interactions.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/warp.hpp"
#include "model_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {

void bind_pairwise(py::module_& m) {
  bind_model<BprModel, FactorModel>(m, "BprModel");
  bind_model<WarpModel, FactorModel>(m, "WarpModel");
}

}  // namespace etalage::python
