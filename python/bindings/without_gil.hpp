// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pybind11/pybind11.h>

namespace etalage::python {

/// What `call` returns, other threads of Python running meanwhile.
template <class F>
auto without_gil(const F& call) {
  const pybind11::gil_scoped_release release;
  return call();
}

}  // namespace etalage::python
